"""What a deployment's own list says: ``seglab.yaml`` in the working folder, or what ``SEGLAB_MODELS`` names.

```yaml
models:
  - source: segformer-b0/          # what --model takes; folders and files lie below this file's folder
    title: SegFormer-B0, ours
  - source: bundled:mask2former    # one of the models that ship
    shown: false                   # a choice, not shown without being asked for
label_space: cityscapes-8          # in which models are compared at first
```

``SEGLAB_MODELS`` is such a file, a folder with a ``seglab.yaml``, or a folder of which every folder and every ONNX file is a
model; then they come before the bundled ones.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seglab.labels import SPACES
from seglab.labels.strict_yaml import MAX_BYTES, read_yaml

FILE = "seglab.yaml"
BUNDLED_PREFIX = "bundled:"
MAX_ENTRIES = 64
_FIELDS = ("source", "title", "shown")


@dataclass(frozen=True)
class Entry:
    """One model of the list; ``source`` as ``--model`` takes it, or ``bundled:KEY``."""

    source: str
    title: str = ""
    shown: bool = True


@dataclass(frozen=True)
class Deployment:
    """What a deployment offers.

    Attributes:
        entries: its models.
        alone: the list is all there is; else the bundled models follow.
        label_space: in which models are compared at first; none where nobody says it.
        problems: what cannot be used, a sentence each.
    """

    entries: tuple[Entry, ...] = ()
    alone: bool = False
    label_space: str | None = None
    problems: tuple[str, ...] = ()


def deployment() -> Deployment:
    """Return what this process's deployment offers; nothing where there is no list and no folder."""
    named = os.environ.get("SEGLAB_MODELS", "")
    place = Path(named or FILE)
    if named and place.is_dir():
        if not (place / FILE).is_file():
            return _folder(place)
        place /= FILE
    if not place.is_file():
        return Deployment(problems=(f"SEGLAB_MODELS names {named[:200]}, which is not there",) if named else ())
    try:
        return read_list(place)
    except (OSError, ValueError) as error:
        return Deployment(problems=(str(error).splitlines()[0],))


def _folder(folder: Path) -> Deployment:
    try:
        found = sorted(path for path in folder.iterdir() if path.is_dir() or path.suffix.lower() in (".onnx", ".pt2"))
    except OSError as error:
        return Deployment(
            problems=(f"SEGLAB_MODELS names {str(folder)[:200]}, which cannot be read: {error.strerror}",)
        )
    return Deployment(tuple(Entry(str(path)) for path in found))


def read_list(path: Path) -> Deployment:
    """Read a deployment's list.

    Raises:
        ValueError: where anything in it is wrong; the message names the entry and the field.
        OSError: where it cannot be read.
    """
    with path.open("rb") as file:
        values = read_yaml(file.read(MAX_BYTES + 1), path.name)
    if not isinstance(values, dict) or set(values) - {"models", "label_space"} or "models" not in values:
        raise ValueError(f"{path.name}: expected a mapping with models and, if wanted, label_space")
    label_space, models = values.get("label_space"), values["models"]
    if label_space is not None and label_space not in SPACES:
        raise ValueError(
            f"{path.name}, label_space: expected one of {', '.join(SPACES)}, got {str(label_space)[:60]!r}"
        )
    if not isinstance(models, list) or not 0 < len(models) <= MAX_ENTRIES:
        raise ValueError(f"{path.name}, models: expected a list of 1 to {MAX_ENTRIES} models")
    return Deployment(tuple(_entries(models, path)), True, label_space)


def _entries(models: list[object], path: Path) -> Iterator[Entry]:
    for at, one in enumerate(models, 1):
        where = f"{path.name}, model {at}"
        if not isinstance(one, dict) or "source" not in one or set(one) - set(_FIELDS):
            raise ValueError(f"{where}: expected a mapping with source and, if wanted, title and shown")
        source, title, shown = one["source"], one.get("title", ""), one.get("shown", True)
        if not isinstance(source, str) or not 0 < len(source) <= 1000 or "\0" in source:
            raise ValueError(f"{where}, source: expected what --model takes, got {str(source)[:60]!r}")
        if not isinstance(title, str) or len(title) > 80 or not title.isprintable():
            raise ValueError(f"{where}, title: expected a text of at most 80 characters")
        if not isinstance(shown, bool):
            raise ValueError(f"{where}, shown: expected true or false, got {str(shown)[:60]!r}")
        yield Entry(_placed(source, path.parent, where), title, shown)


def _placed(source: str, folder: Path, where: str) -> str:
    """Return a source with its path below the list's folder; names of the hub stay what they are."""
    prefix = "masks:" if source.startswith("masks:") else ""
    inside = folder / source[len(prefix) :]
    if prefix or inside.exists():
        if not inside.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{where}, source: expected a place below the folder of the list, got {source[:200]!r}")
        return f"{prefix}{inside}"
    return source
