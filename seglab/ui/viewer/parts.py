"""Joins the browser's parts into the one module and the one style sheet that Streamlit takes: no build step, no npm.

Each file of ``js/`` is an ES module of its own, for readers and editors; here its imports are checked and taken out.
"""

import re
from collections.abc import Sequence
from pathlib import Path

_IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "\./(\w+)\.js"\n', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?function (\w+)|const (\w+)|class (\w+))", re.M)
_TOP = re.compile(r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)", re.M)


def join_scripts(folder: Path, last: str) -> str:
    """Return the files ``*.js`` of a folder as one module; ``last`` is the part that has the default export.

    Raises:
        ValueError: for an import of what no part exports, or a name that two parts have.
    """
    parts = {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.js"))}
    exported = {name: {word for found in _EXPORT.findall(text) for word in found} for name, text in parts.items()}
    owners: dict[str, str] = {}
    for name, text in parts.items():
        for names, source in _IMPORT.findall(text):
            if missing := set(names.split(", ")) - exported.get(source, set()):
                raise ValueError(f"expected {', '.join(sorted(missing))} in {source}.js, which {name}.js imports")
        for word in _TOP.findall(text):
            if word in owners:
                raise ValueError(
                    f"expected different names in all parts, got {word} in {owners[word]}.js and {name}.js"
                )
            owners[word] = name
    order = [*(name for name in parts if name != last), last]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", parts[name])) for name in order)


def join_styles(folder: Path, order: Sequence[str]) -> str:
    """Return style sheets as one, in an order: later rules win.

    Raises:
        ValueError: where the folder holds others than those named.
    """
    if (found := {path.stem for path in folder.glob("*.css")}) != set(order):
        raise ValueError(f"expected the style sheets {', '.join(order)}, found {', '.join(sorted(found))}")
    return "\n".join((folder / f"{name}.css").read_text("utf-8") for name in order)
