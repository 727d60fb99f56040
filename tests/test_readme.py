"""The README names what there is, and its table is what the records say."""

import re
from pathlib import Path

from seglab.evidence.runs.models_table import MARKS, models_table
from seglab.images import FORMATS
from seglab.models import MODELS
from seglab.predict.shelf import bundled_runs

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_names_every_model_and_size() -> None:
    for key, family in MODELS.items():
        assert f"`{key}`" in README
        line = next(line for line in README.splitlines() if f"`{key}` (" in line)
        at = line.index(f"`{key}` (")
        named = README[README.index(line) + at :].split("(", 1)[1].split(")", 1)[0]
        assert all(size in named for size in family.sizes), f"{key}: {named}"


def test_the_readme_maps_every_page_trainer_and_library_file() -> None:
    files = [
        *ROOT.glob("pages/*.py"),
        *ROOT.glob("trainers/*.py"),
        *ROOT.glob("seglab/*.py"),
        *ROOT.glob("seglab/ui/*.py"),
    ]
    for file in files:
        if file.name != "__init__.py":
            assert f"{file.name}`" in README, f"{file.name} is not in the README's map"


def test_the_readme_names_every_format_of_photo() -> None:
    assert FORMATS in README.replace("\n", " ")


def test_every_file_the_readme_names_exists() -> None:
    for name in re.findall(r"`((?:seglab|trainers|pages|docs|results|tests)/[\w./-]+)`", README):
        assert (ROOT / name).exists(), name


def test_the_table_of_models_is_what_the_records_say() -> None:
    runs = list(bundled_runs(ROOT / "results").values())
    assert len(runs) == 5, "five bundled models"
    shown = README.split(MARKS[0])[1].split(MARKS[1])[0].strip()
    assert shown == models_table(runs).strip(), "run `python -m seglab models-table --write`"
