"""Imports point downward only, and what only reads results opens without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What each folder of seglab may import besides itself. The order is the direction: a line names only lines above it.
TABLE: dict[str, set[str]] = {
    "cli": set(),
    "labels": set(),
    "images": set(),
    "losses": set(),
    "measure": set(),
    "models": set(),
    "data": {"labels", "images"},
    "records": {"labels", "data"},
    "predict": {"labels", "images", "data", "measure", "models", "records"},
    "explain": {"models", "predict"},
    "evidence": {"labels", "data", "measure", "records", "predict"},
    "figures": {"labels", "measure", "records", "evidence"},
    "api": {"labels", "images", "data", "records", "predict"},
    "ui": {"labels", "images", "data", "measure", "records", "predict", "explain", "evidence", "figures", "api"},
    "__main__": {"cli", "labels", "images", "records", "predict", "evidence", "ui"},
}
PAGES = ("compare", "convergence", "classes", "gradcam", "robustness", "runs")  # folders of seglab/ui
WITHOUT_TORCH = [
    "labels",
    "images",
    "measure.metrics",
    "measure.counts",
    "measure.statistics",
    "measure.bootstrap",
    "measure.agreement",
    "losses.distance",
    "data",
    "data.camvid",
    "data.cityscapes",
    "data.transforms",
    "data.corruptions",
    "records.store",
    "records.index",
    "records.cams",
    "records.robustness",
    "records.imports.table",
    "records.imports.removal",
    "predict.scores",
    "predict.samples",
    "predict.model",
    "predict.shelf",
    "predict.sources",
    "predict.latency",
    "explain.pointing",
    "evidence.classes",
    "evidence.images",
    "evidence.consumers",
    "evidence.robustness",
    "evidence.runs.diff",
    "evidence.runs.table",
    "evidence.runs.figures",
    "figures.heat",
    "ui.gradcam.maps",
]
HEAVY = ("torch", "torchvision", "timm", "transformers", "segmentation_models_pytorch", "openvino")


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(path: Path, *, top_only: bool = False) -> set[str]:
    """Return the full names of the modules that a file imports, also inside functions."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = tree.body if top_only else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part(path: Path) -> str:
    """Return the folder of the library that a file belongs to, or the module itself."""
    return path.relative_to(ROOT / "seglab").parts[0].removesuffix(".py")


def test_the_table_names_every_folder_and_points_downward_only() -> None:
    folders = {part(path) for path in sources("seglab")} - {"__init__"}
    assert folders == set(TABLE)
    order = list(TABLE)
    for name, below in TABLE.items():
        assert all(order.index(one) < order.index(name) for one in below), name


@pytest.mark.parametrize("path", sources("seglab"), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_folder_imports_only_what_the_table_allows(path: Path) -> None:
    if part(path) == "__init__":
        assert not imported(path)
        return
    for name in imported(path):
        words = name.split(".")
        assert words[0] not in ("trainers", "pages", "tests", "benchmarks", "streamlit_app"), name
        if words[0] == "seglab" and len(words) > 1 and words[1] != part(path):
            assert words[1] in TABLE[part(path)], (
                f"{part(path)} may not import {name}; the table is in {Path(__file__).name}"
            )


def test_no_two_modules_import_each_other() -> None:
    modules = {name(path): path for path in sources("seglab", "trainers", "pages")}
    below = {one: {m for n in imported(path) if (m := owner(n, modules))} for one, path in modules.items()}
    for one, others in below.items():
        seen, todo = set(), [other for other in others if other != one]
        while todo:
            other = todo.pop()
            if other not in seen:
                seen.add(other)
                todo += below[other]
        assert one not in seen, f"{one} imports itself by way of {sorted(m for m in seen if one in below[m])}"


def name(path: Path) -> str:
    words = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(words[:-1] if words[-1] == "__init__" else words)


def owner(imported_name: str, modules: dict[str, Path]) -> str:
    """Return the module that an imported name is of, or that it is; a package's own paragraph counts as none."""
    words = imported_name.split(".")
    for size in (len(words), len(words) - 1):
        if (found := ".".join(words[:size])) in modules:
            return found
    return ""


@pytest.mark.parametrize("folder", PAGES)
def test_a_page_of_the_user_interface_imports_no_other_page(folder: str) -> None:
    others = tuple(f"seglab.ui.{other}." for other in PAGES if other != folder)
    for path in sources(f"seglab/ui/{folder}"):
        assert not [name for name in imported(path) if f"{name}.".startswith(others)], path.name


@pytest.mark.parametrize("path", sources("seglab", "trainers"), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_folder_says_what_lives_in_it(path: Path) -> None:
    if path.name == "__init__.py":
        assert len(ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "") > 60, "no opening paragraph"


@pytest.mark.parametrize("path", sources("seglab"), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_user_interface_imports_streamlit(path: Path) -> None:
    if part(path) != "ui":
        assert not [name for name in imported(path) if name.split(".")[0] == "streamlit"]


@pytest.mark.parametrize("path", sources("trainers"), ids=lambda p: p.name)
def test_trainers_use_the_library_and_never_its_user_interface(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path)}
    assert not roots & {"pages", "tests", "streamlit"}
    assert not [name for name in imported(path) if name.startswith("seglab.ui")]


@pytest.mark.parametrize("path", sources("pages"), ids=lambda p: p.name)
def test_a_page_does_no_tensor_math(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path)} & {*HEAVY, "pandas", "trainers"}


def test_reading_results_and_labels_pulls_in_no_torch() -> None:
    modules = [f"seglab.{name}" for name in WITHOUT_TORCH]
    code = (
        f"import sys, {', '.join(modules)}\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
        "from seglab.records.store import RunStore; from pathlib import Path; list(RunStore(Path('nowhere')))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "False"]


WITHOUT_THE_REST = """
import re, sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from packaging.requirements import Requirement

def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()

lines = (line.split("#")[0].strip() for line in Path("requirements.txt").read_text().splitlines())
todo, known = [Requirement(line) for line in lines if line], set()
while todo:
    one = todo.pop()
    key = (plain(one.name), tuple(sorted(one.extras)))
    if key in known or (one.marker and not any(one.marker.evaluate({"extra": e}) for e in ("", *one.extras))):
        continue
    try:
        below = [Requirement(text) for text in requires(one.name) or ()]
    except PackageNotFoundError:
        continue
    known.add(key)
    for child in below:
        if child.marker is None or any(child.marker.evaluate({"extra": e}) for e in ("", *one.extras)):
            child.marker = None
            todo.append(child)
names = {name for name, _ in known}
beyond = {m for m, dists in packages_distributions().items() if not names & {plain(d) for d in dists}}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in beyond:
            raise ModuleNotFoundError(f"{name} is not what requirements.txt installs", name=name)

sys.meta_path.insert(0, Refuse())
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name.split(".")[0] in beyond else find(name, package)
assert "pytest" in beyond, sorted(beyond)
from seglab.models import build
from seglab.predict.shelf import BUNDLED
for key in BUNDLED:
    build(key, 11)
import seglab.ui.compare.tabs
"""


def test_what_requirements_name_is_enough_for_the_bundled_models() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_THE_REST], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1500:]
