"""What all command lines share: one library for options and help, one way to end. Imports nothing of the project.

Exit codes: 0 done, 1 could not be done (a sentence on stderr), 2 called wrongly, 130 interrupted.
"""

import sys
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, TypeVar

import typer
from typer.main import get_command

Value = TypeVar("Value")
INTERRUPTED = 130
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe's key; repeatable.")
]


def make_app(**settings: Any) -> typer.Typer:
    """Return an application without shell completion; its help has boxes on a terminal and is plain text elsewhere."""
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown" if sys.stdout.isatty() else None,
        **settings,
    )


def among(names: Collection[str]) -> dict[str, Any]:
    """Return the settings of an option whose value (or each of them) has to be one of some names."""

    def check(given: Value) -> Value:
        for one in given if isinstance(given, list) else [given]:
            if one is not None and one not in names:
                raise typer.BadParameter(f"expected one of {', '.join(names)}, got {one!r}")
        return given

    return {"callback": check, "metavar": "|".join(names)}


def run(app: typer.Typer, argv: Sequence[str] | None, name: str, again: str = "") -> int:
    """Run an application on arguments (the process's own by default) and return its exit code.

    Args:
        app: its commands return an exit code, none for 0, and raise ValueError or OSError with a sentence.
        argv: the arguments.
        name: how it is called, such as ``python -m seglab``.
        again: what is said after an interrupt.

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
        print(f"error: {error}", file=sys.stderr)
        return 1
    if code == INTERRUPTED:
        print("interrupted" + (f"; {again}" if again else ""), file=sys.stderr)
    if "--help" in words:
        raise SystemExit(code)
    return int(code)


def single(command: Callable[..., int | None], argv: Sequence[str] | None, name: str, about: str | None) -> int:
    """Run a program of one command; ``about`` is its module's docstring, which ends with examples."""
    first, _, examples = (about or "").partition("\n\n")
    app = make_app()
    epilog = "\n\n".join(line for line in examples.splitlines() if line.startswith("python -m"))
    app.command(help=first.strip(), epilog=epilog)(command)
    return run(app, argv, name, "run the same command to go on")
