"""Every command line tells its options, ends with the same codes, and takes today's spellings."""

import importlib
import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from typer.models import ArgumentInfo

from seglab import __main__ as library
from seglab.cli import among, make_app, run, single
from trainers.__main__ import COMMANDS
from trainers.__main__ import main as trainers

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ("compare", "precompute", "serve", "export", "models-table")
FUNCTIONS = {"export": "export_run", "models-table": "print_models_table"}
COMMAND = r"python -m (seglab|trainers)[. ]([a-z][\w-]*) "
SHOWN = {  # on a line of its own, quoted, or in the comment of a recipe
    re.compile(f"^{COMMAND}([^#\\n]*)", re.M): ["README.md", "docs/*.md", "seglab/__main__.py", "trainers/[a-z]*.py"],
    re.compile(f'[`"]{COMMAND}([^`"\\n]+)[`"]'): ["README.md", "docs/*.md", "seglab/ui/**/*.py"],
    re.compile(rf"^# .*: {COMMAND}(.*?)\. ", re.M): ["trainers/recipes/*.yaml"],
}
# Spellings that no page shows.
MORE = [
    (
        "seglab",
        "compare",
        "--out=masks a.jpg --only fpn_resnet b.jpg --model one --model two --only unet --engine torch",
    ),
    ("seglab", "compare", "--detail high --out masks -- -odd-.jpg"),
    ("seglab", "serve", "--port=8502 --address 127.0.0.1"),
    ("trainers", "train", "--set lr=5e-4 r.yaml --set=loss='ce + 0.2*dice' --data . --pretrained --track tensorboard"),
    ("trainers", "ablate", "r.yaml --data . --only a-ce-seed1 --retry-failed --track mlflow --results out"),
    ("trainers", "explain", "a b --data . c --method gradcam++ --threads 2"),
    ("trainers", "robustness", "a --data . --every 4 --again --threads 1"),
    ("trainers", "search", "r.yaml --data . --set search.trials=3 --storage study.log --results out"),
    ("trainers", "import_results", "a.csv --experiment e --title 'A title' --unit fraction --results out"),
    ("trainers", "export_results", "--to parquet a b --out c.parquet"),
]


def ended(main: Callable[[list[str]], int], *words: str) -> int:
    """Return the exit code of a command line, whichever way it ends."""
    try:
        return main(list(words))
    except SystemExit as end:
        return int(end.code or 0)


def options(command: Callable[..., Any]) -> set[str]:
    """Return the options that a command's parameters make."""
    found = set()
    for name, parameter in inspect.signature(command).parameters.items():
        settings = getattr(parameter.annotation, "__metadata__", [None])[0]
        if not isinstance(settings, ArgumentInfo):
            told = [settings.default, *(settings.param_decls or [])] if settings else []
            found |= {one for one in told if str(one).startswith("--")} or {f"--{name.replace('_', '-')}"}
    return found


def shown() -> list[tuple[str, str, str]]:
    """Return every command line that a page, a docstring, a recipe or the dashboard shows."""
    found: set[tuple[str, str, str]] = set()
    for pattern, places in SHOWN.items():
        for path in (path for place in places for path in ROOT.glob(place)):
            found |= {(group, name, rest.strip()) for group, name, rest in pattern.findall(path.read_text("utf-8"))}
    return sorted(found)


def words_of(rest: str) -> list[str]:
    """Return the words of a command line as a reader types them: what is optional given, names filled in."""
    for sign, typed in {"[": "", "]": "", "…": "", "KEY": "camvid-11", "$PORT": "80"}.items():
        rest = rest.replace(sign, typed)
    return shlex.split(rest)


def parsed(monkeypatch: pytest.MonkeyPatch, group: str, name: str, words: list[str]) -> dict[str, Any]:
    """Return what a command would get for its parameters, and do nothing else."""
    got: dict[str, Any] = {}

    def noted(original: Callable[..., Any]) -> Callable[..., int]:
        @wraps(original)
        def note(**given: Any) -> int:
            got.update(given)
            return 0

        return note

    if group == "trainers":
        module = importlib.import_module(f"trainers.{name}")
        monkeypatch.setattr(module, f"{name}_command", noted(getattr(module, f"{name}_command")))
        assert trainers([name, *words]) == 0
    else:
        for registered in library.app.registered_commands:
            assert registered.callback is not None
            monkeypatch.setattr(registered, "callback", noted(registered.callback))
        assert library.main([name, *words]) == 0
    return got


@pytest.mark.parametrize(("group", "name", "rest"), [*shown(), *MORE])
def test_every_command_line_that_is_shown_or_was_ever_accepted_is_taken(
    group: str, name: str, rest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert name in (LIBRARY if group == "seglab" else COMMANDS)
    parsed(monkeypatch, group, name, words_of(rest))


def test_options_may_stand_anywhere_and_be_given_several_times(monkeypatch: pytest.MonkeyPatch) -> None:
    given = parsed(monkeypatch, *MORE[0][:2], words_of(MORE[0][2]))
    assert (given["photos"], given["out"]) == (["a.jpg", "b.jpg"], Path("masks"))
    assert (given["only"], given["model"]) == (["fpn_resnet", "unet"], ["one", "two"])
    given = parsed(monkeypatch, *MORE[3][:2], words_of(MORE[3][2]))
    assert given["overrides"] == ["lr=5e-4", "loss=ce + 0.2*dice"]
    assert (given["pretrained"], given["track"]) == (True, ["tensorboard"])
    assert parsed(monkeypatch, *MORE[1][:2], words_of(MORE[1][2]))["photos"] == ["-odd-.jpg"]


@pytest.mark.parametrize(("group", "name"), [*(("trainers", n) for n in COMMANDS), *(("seglab", n) for n in LIBRARY)])
def test_every_parameter_is_explained(group: str, name: str) -> None:
    module = importlib.import_module(f"trainers.{name}") if group == "trainers" else library
    function = getattr(module, f"{name}_command" if group == "trainers" else FUNCTIONS.get(name, name))
    for parameter, about in inspect.signature(function).parameters.items():
        assert getattr(about.annotation, "__metadata__", [None])[0].help, parameter


def test_help_of_what_needs_no_torch_imports_none() -> None:
    code = """
import sys
from contextlib import suppress
from seglab.__main__ import main
from trainers.__main__ import main as trainers
for words in (["-h"], *([name, "-h"] for name in ("compare", "export", "serve"))):
    with suppress(SystemExit): main(words)
for words in ([], *([name, "-h"] for name in ("ablate", "export_results", "import_results"))):
    with suppress(SystemExit): trainers(words)
print([name for name in ("torch", "transformers", "streamlit") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stdout.count("Usage: ") == 8
    assert "\x1b" not in done.stdout
    assert "╭" not in done.stdout
    assert str(ROOT) not in done.stdout, "nobody else's machine has this path"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_trainers_help_names_every_option_and_ends_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(f"trainers.{name}")
    assert ended(module.main, "--help") == ended(module.main, "-h") == 0
    said, _, _ = capsys.readouterr().out.partition("\nUsage: ")
    assert said.startswith(f"Usage: python -m trainers.{name} ")
    for option in options(getattr(module, f"{name}_command")):
        assert option in said, option
    lines = [line for line in (module.__doc__ or "").splitlines() if line.startswith("python -m ")]
    assert lines
    assert said.split("--help", 1)[1].strip().split("\n  ")[1:] == lines, "examples are whole lines, to be copied"
    assert trainers([]) == 0
    assert f"  {name} " in capsys.readouterr().out


@pytest.mark.parametrize("name", LIBRARY)
def test_the_librarys_help_names_its_commands_and_each_its_options(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(library.main, "--help") == 0
    assert f"  {name} " in capsys.readouterr().out
    assert ended(library.main, name, "--help") == 0
    said = capsys.readouterr().out
    for option in options(getattr(library, FUNCTIONS.get(name, name))):
        assert option in said, option
    assert f"  python -m seglab {name}" in said


@pytest.mark.parametrize(
    ("main", "words", "says"),
    [
        (library.main, ["compare", "a.jpg", "--out", "x", "--colour"], "--colour"),
        (library.main, ["compare", "a.jpg"], "--out"),
        (
            library.main,
            ["compare", "a.jpg", "--out", "x", "--detail", "some"],
            "expected one of standard, high, got 'some'",
        ),
        (library.main, ["segment"], "segment"),
        (trainers, ["train", "r.yaml"], "--data"),
        (trainers, ["train", "r.yaml", "--data", ".", "--track", "paper"], "expected one of mlflow, tensorboard"),
        (trainers, ["polish"], "expected a command out of ablate, "),
    ],
)
def test_called_wrongly_a_command_ends_with_2_and_says_why(
    main: Callable[[list[str]], int], words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(main, *words) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert "Traceback" not in captured.err


def test_a_command_ends_with_what_it_says_or_what_stopped_it(capsys: pytest.CaptureFixture[str]) -> None:
    def command(how: str) -> int:
        if how == "interrupted":
            raise KeyboardInterrupt
        if how == "refused":
            raise ValueError("expected more, got less")
        return 3

    codes = [single(command, [how], "python -m it", "It does it.") for how in ("as it says", "interrupted", "refused")]
    assert codes == [3, 130, 1]
    assert capsys.readouterr().err == "interrupted; run the same command to go on\nerror: expected more, got less\n"


def test_an_error_that_nobody_foresaw_is_not_swallowed() -> None:
    app = make_app()

    @app.command()
    def command() -> None:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        run(app, [], "python -m it")


def test_a_choice_is_among_the_names_also_where_it_may_be_given_several_times() -> None:
    check = among(("a", "b"))["callback"]
    assert check(["a", "b"]) == ["a", "b"]
    assert check(None) is None
    with pytest.raises(Exception, match="expected one of a, b, got 'c'"):
        check(["a", "c"])
