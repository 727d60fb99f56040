"""What all command lines share: one library for options and help, one way to end. Imports nothing of the project.

Exit codes: 0 done, 1 could not be done (a sentence on stderr), 2 called wrongly, 130 interrupted.
"""

import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import typer
from typer.main import get_command

Value = TypeVar("Value")
INTERRUPTED = 130
TERMINAL = sys.stdout.isatty()  # only there has help colours (unless NO_COLOR is set) and boxes
HELP = ("--help", "-h")


def make_app(**settings: Any) -> typer.Typer:
    """Return an application without shell completion; its help has boxes on a terminal and is plain text elsewhere."""
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if TERMINAL else None,
        context_settings={"help_option_names": HELP},
        **settings,
    )


def examples(about: str | None, command: str) -> str:
    """Return the lines of a module's docstring that show a command, as the end of its help, each whole for copying."""
    lines = [line for line in (about or "").splitlines() if line.startswith(f"{command} ")]
    return "\n".join(lines).replace("[", "\\[") if TERMINAL else "\n".join(["\b", *lines])


def among(names: Collection[str]) -> dict[str, Any]:
    """Return the settings of an option whose value (or each of them) has to be one of some names."""

    def check(given: Value) -> Value:
        for one in given if isinstance(given, list) else [given]:
            if one is not None and one not in names:
                raise typer.BadParameter(f"expected one of {', '.join(names)}, got {one!r}")
        return given

    return {"callback": check, "metavar": "|".join(names)}


def run(
    app: typer.Typer,
    argv: Sequence[str] | None,
    name: str,
    again: str = "",
    explain: Callable[[Exception], str] = str,
) -> int:
    """Run an application on arguments (the process's own by default) and return its exit code.

    Args:
        app: its commands return an exit code, none for 0, and raise ValueError or OSError with a sentence.
        argv: the arguments.
        name: how it is called, such as ``python -m seglab``.
        again: what is said after an interrupt.
        explain: turns what a command raises into the sentence.

    Raises:
        SystemExit: after help, and with 2 where it is called wrongly.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        code = get_command(app).main(args=words, prog_name=name, standalone_mode=False) or 0
    except Exception as error:
        if show := getattr(error, "show", None):  # the library's own: called wrongly
            show()
            raise SystemExit(2) from None
        if not isinstance(error, ValueError | OSError):
            raise
        print(f"error: {explain(error)}", file=sys.stderr)
        return 1
    if code == INTERRUPTED:
        print("interrupted" + (f"; {again}" if again else ""), file=sys.stderr)
    if set(HELP) & set(words):
        raise SystemExit(code)
    return int(code)


def single(
    command: Callable[..., int | None],
    argv: Sequence[str] | None,
    name: str,
    about: str | None,
    explain: Callable[[Exception], str] = str,
) -> int:
    """Run a program of one command; ``about`` is its module's docstring: what it does, then examples."""
    app = make_app()
    app.command(help=(about or "").partition("\n\n")[0].strip(), epilog=examples(about, name))(command)
    return run(app, argv, name, "run the same command to go on", explain)
