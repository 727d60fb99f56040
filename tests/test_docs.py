"""README and docs name what there is, show commands that exist, say nothing twice; their figures are what the records say."""

import importlib.util
import re
from collections import Counter
from pathlib import Path

import pytest

from seglab.data import LAYOUTS
from seglab.evidence.runs.models_table import MARKS, models_table
from seglab.images import FORMATS
from seglab.labels import SPACES
from seglab.losses.terms import LOSSES
from seglab.models import MODELS
from seglab.predict.model import beside_test
from seglab.predict.shelf import bundled_models, bundled_runs

ROOT = Path(__file__).resolve().parent.parent
PAGES = {path: path.read_text("utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
README, MODELS_PAGE, DATA_PAGE = PAGES[ROOT / "README.md"], PAGES[ROOT / "docs/models.md"], PAGES[ROOT / "docs/data.md"]
ALL = "\n".join(PAGES.values())
COMMAND = re.compile(r"python -m ((?:seglab|trainers)[\w.]*)([^\n`#]*)")


def test_the_readme_is_short_and_shows_every_page() -> None:
    assert len(README.splitlines()) <= 120
    for page in ROOT.glob("pages/*.py"):
        assert f"`pages/{page.name}`" in README
        assert (ROOT / "docs" / f"{page.stem}.png").is_file()
        assert f"docs/{page.stem}.png" in README
    for page in ROOT.glob("docs/*.md"):
        assert f"(docs/{page.name})" in README


def test_the_docs_name_every_model_and_size() -> None:
    for key, family in MODELS.items():
        line = next(line for line in MODELS_PAGE.splitlines() if f"`{key}` (" in line)
        named = line[line.index(f"`{key}` (") :].split("(", 1)[1].split(")", 1)[0]
        assert all(size in named for size in family.sizes), f"{key}: {named}"


def test_the_docs_name_every_trainer_loss_layout_and_label_space() -> None:
    for trainer in ROOT.glob("trainers/*.py"):
        assert trainer.name.startswith("__") or f"python -m trainers.{trainer.stem} " in ALL, trainer.name
    for loss in LOSSES:
        assert f"`{loss}`" in ALL, loss
    for name in LAYOUTS:
        assert f"`{name}`" in DATA_PAGE, name
    for space in SPACES:
        assert f"`{space}`" in DATA_PAGE, space
    assert FORMATS in DATA_PAGE.replace("\n", " ")


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_every_file_that_is_named_exists(path: Path) -> None:
    if path.name == "decisions.md":  # it speaks of what was
        return
    named = re.findall(r"`((?:seglab|trainers|pages|docs|results|tests|benchmarks)/[\w./-]+)`", PAGES[path])
    links = [one for one in re.findall(r"\]\(([^)#]+)\)", PAGES[path]) if "://" not in one]
    for name in named:
        assert (ROOT / name).exists(), name
    for link in links:
        assert (path.parent / link).exists(), link


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_every_command_that_is_shown_exists_with_its_options(path: Path) -> None:
    for module, rest in COMMAND.findall(PAGES[path]):
        found = importlib.util.find_spec(module if module != "seglab" else "seglab.__main__")
        if module.endswith("NAME"):
            continue
        assert found is not None, module
        assert found.origin is not None
        source = Path(found.origin).read_text("utf-8")
        for option in re.findall(r"(--[a-z][\w-]*)", rest):
            parameter = option[2:].replace("-", "_")
            assert f'"{option}"' in source or re.search(rf"\b{parameter}: ", source) or option in ("--set", "--help"), (
                f"{module} {option}"
            )


def test_nothing_is_said_twice() -> None:
    paragraphs = Counter(
        " ".join(part.split()) for text in PAGES.values() for part in text.split("\n\n") if len(part) > 160
    )
    assert [text for text, times in paragraphs.items() if times > 1] == []


def test_the_readme_says_how_far_val_flatters() -> None:
    assert beside_test(bundled_models(), origin=False) in " ".join((ROOT / "README.md").read_text("utf-8").split())


def test_the_table_of_models_is_what_the_records_say() -> None:
    runs = list(bundled_runs(ROOT / "results").values())
    assert len(runs) == 5, "five bundled models"
    shown = MODELS_PAGE.split(MARKS[0])[1].split(MARKS[1])[0].strip()
    assert shown == models_table(runs).strip(), "run `python -m seglab models-table --write`"
