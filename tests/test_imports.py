"""Imports point downward only, and what only reads results opens without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Layers of DESIGN section 1, from the bottom: a module imports its own layer and those below.
LAYERS = [
    {"labels", "images"},
    {"models", "data", "metrics", "losses", "distance", "corruptions"},
    {
        "scores",
        "runs",
        "run_index",
        "curve_parts",
        "run_diff",
        "run_tables",
        "run_figures",
        "run_lock",
        "imports",
        "statistics",
        "evidence",
        "latency",
        "checkpoints",
        "engines",
        "inference",
        "export",
        "cam",
        "cam_records",
        "robustness",
        "pointing",
        "comparison",
        "report",
        "samples",
        "tables",
        "studies",
    },
    {"guards", "api_schema", "api_models", "api_work", "api_metrics", "api"},
    {"ui", "figures"},
    {"__main__"},
]
WITHOUT_TORCH = [
    "labels",
    "images",
    "metrics",
    "scores",
    "runs",
    "run_index",
    "run_diff",
    "run_tables",
    "run_figures",
    "imports.table",
    "imports.removal",
    "statistics",
    "evidence.classes",
    "evidence.images",
    "evidence.consumers",
    "latency",
    "pointing",
    "cam_records",
    "robustness",
    "figures.heat",
    "ui.gradcam_maps",
    "data",
    "data.camvid",
    "data.cityscapes",
    "data.transforms",
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


def layer(name: str) -> int:
    for number, members in enumerate(LAYERS):
        if name in members:
            return number
    raise AssertionError(f"seglab/{name} is in no layer; add it to LAYERS")


def part(path: Path) -> str:
    """Return the part of the library that a file belongs to: its module, or its folder."""
    return path.relative_to(ROOT / "seglab").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sources("seglab"), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_library_imports_downward_only(path: Path) -> None:
    if part(path) == "__init__":
        assert not imported(path)
        return
    for name in imported(path):
        words = name.split(".")
        assert words[0] not in ("trainers", "pages", "tests", "benchmarks", "streamlit_app"), name
        if words[0] == "seglab" and len(words) > 1 and words[1] != part(path):
            assert layer(words[1]) <= layer(part(path)), f"{path.name} imports {name}"


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
        "from seglab.runs import RunStore; from pathlib import Path; list(RunStore(Path('nowhere')))\n"
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
from seglab.runs import BUNDLED
for key in BUNDLED:
    build(key, 11)
import seglab.ui.compare_tabs
"""


def test_what_requirements_name_is_enough_for_the_bundled_models() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_THE_REST], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1500:]
