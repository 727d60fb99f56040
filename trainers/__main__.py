"""The trainers' commands under one roof: ``python -m trainers`` lists them, ``python -m trainers train …`` runs one."""

import ast
import importlib
import sys
from pathlib import Path

from seglab.cli import HELP, INTERRUPTED

FOLDER = Path(__file__).parent
COMMANDS = {path.stem: path for path in sorted(FOLDER.glob("*.py")) if not path.stem.startswith("_")}


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in COMMANDS:
        try:
            command = importlib.import_module(f"trainers.{name}").main
        except KeyboardInterrupt:  # torch takes seconds to import
            print("interrupted", file=sys.stderr)
            return INTERRUPTED
        code: int = command(rest)
        return code
    print("Usage: python -m trainers COMMAND [OPTIONS]\n\nCommands (each has --help):")
    for command, path in COMMANDS.items():  # read, not imported: most of them need torch
        about = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        print(f"  {command:<16}{about.splitlines()[0]}")
    if name in HELP:
        return 0
    print(f"\nexpected a command out of {', '.join(COMMANDS)}, got {name!r}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
