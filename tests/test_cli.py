"""Every command line tells its options, ends with the same codes, and takes today's spellings."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from typer.models import ArgumentInfo

from seglab import __main__ as library
from seglab.cli import among, make_app, run, single
from trainers.__main__ import COMMANDS
from trainers.__main__ import main as trainers

LIBRARY = ("compare", "precompute", "serve", "export", "models-table")


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


@pytest.mark.parametrize("name", COMMANDS)
def test_a_trainers_help_names_every_option_and_ends_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(f"trainers.{name}")
    assert ended(module.main, "--help") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: python -m trainers.{name} ")
    for option in options(getattr(module, f"{name}_command")):
        assert option in said, option
    assert said.rindex(f"python -m trainers.{name}") > said.index("--help")
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
    command = {"export": "export_run", "models-table": "print_models_table"}.get(name, name)
    for option in options(getattr(library, command)):
        assert option in said, option


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
