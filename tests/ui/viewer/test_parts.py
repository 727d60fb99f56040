"""The viewer's parts make one module: nothing is imported that is not there, no name is taken twice, each part can be read."""

from pathlib import Path

import pytest

from seglab.ui.viewer import component
from seglab.ui.viewer.parts import join_scripts, join_styles

FOLDER = Path(component.__file__).parent
SCRIPTS = sorted((FOLDER / "js").glob("*.js"))


def write(folder: Path, **parts: str) -> Path:
    for name, text in parts.items():
        (folder / f"{name}.js").write_text(text)
    return folder


def test_the_parts_become_one_module_with_one_default_export() -> None:
    joined = join_scripts(FOLDER / "js", last="viewer")
    assert "import {" not in joined
    assert [line.split()[1] for line in joined.splitlines() if line.startswith("export")] == ["default"]
    assert joined.index("export default function mount") > joined.index("class Viewer")


def test_every_method_that_is_called_is_there() -> None:
    import re

    joined = join_scripts(FOLDER / "js", last="viewer")
    called = set(re.findall(r"this\.(\w+)\(", joined)) - {"send"}  # Streamlit's
    defined = set(re.findall(r"^  (\w+)\(.*\) \{$", joined, re.M))
    assert called <= defined, called - defined


@pytest.mark.parametrize("path", [*SCRIPTS, *sorted((FOLDER / "css").glob("*.css"))], ids=lambda p: p.name)
def test_a_part_can_be_read_in_one_go(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 220
    assert path.suffix == ".css" or text.startswith("// "), "no line that says what it is about"


def test_an_import_of_what_no_part_exports_is_refused(tmp_path: Path) -> None:
    folder = write(
        tmp_path, a="const hidden = 1\n", b='import { hidden } from "./a.js"\nexport default function m() {}\n'
    )
    with pytest.raises(ValueError, match=r"expected hidden in a\.js, which b\.js imports"):
        join_scripts(folder, last="b")


def test_a_name_that_two_parts_have_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, a="function twice() {}\n", b="const twice = 1\n")
    with pytest.raises(ValueError, match=r"got twice in a\.js and b\.js"):
        join_scripts(folder, last="b")


def test_a_style_sheet_that_nobody_ordered_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base.css").write_text("a {}")
    (tmp_path / "more.css").write_text("b {}")
    assert join_styles(FOLDER / "css", component.STYLES)
    with pytest.raises(ValueError, match="expected the style sheets base, found base, more"):
        join_styles(tmp_path, ["base"])
