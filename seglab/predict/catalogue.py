"""Public checkpoints that were trained on street scenes, as suggestions (``catalogue.yaml``); nothing is fetched unasked."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from seglab.labels.strict_yaml import read_yaml


@dataclass(frozen=True)
class Suggestion:
    """One checkpoint of the hub; ``miou`` in percent, published by ``citation`` for ``miou_of``, not measured here."""

    name: str
    title: str
    data: str
    label_space: str
    licence: str
    miou: float
    miou_of: str
    citation: str
    url: str
    parameters_m: float | None = None

    @property
    def line(self) -> str:
        """The checkpoint in a menu's words."""
        return f"{self.title}, {self.data}: {self.miou:.1f} % mIoU published"


@cache
def suggestions() -> tuple[Suggestion, ...]:
    """Return the catalogue, in the order of its file."""
    path = Path(__file__).with_suffix(".yaml")
    found = read_yaml(path.read_bytes(), path.name)
    if not isinstance(found, list):
        raise TypeError(f"{path.name}: expected a list")
    return tuple(Suggestion(**one) for one in found)
