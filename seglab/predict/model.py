"""The contract of whatever answers a photo: what is known of a model before a network is loaded. No torch here.

Pages, service, Grad-CAM, robustness, latency, export and report know a :class:`Model` and nothing of where it comes from;
that is what its :class:`Source` knows (one file each in :mod:`seglab.predict.sources`).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from seglab.data import clip_note
from seglab.records.held_out import HeldOut

if TYPE_CHECKING:
    from torch import nn


class AnswerError(ValueError):
    """A photo to which a model that is there has no answer; one sentence for whoever asked.

    Args:
        said: the sentence.
        again: asking again may help.
    """

    def __init__(self, said: str, *, again: bool = False) -> None:
        super().__init__(said)
        self.again = again


class Source(Protocol):
    """Where a model comes from."""

    @property
    def layers(self) -> Mapping[str, str]:
        """Where Grad-CAM may look, as the screen names it -> module; the first is the default, empty without gradients."""
        ...

    def network(self) -> "nn.Module":
        """Return the network with its weights, in eval mode; imports torch.

        Raises:
            ValueError: where it cannot be loaded; one sentence.
        """
        ...


class WithoutNetwork:
    """A source of answers that has no torch network here, and so no gradients."""

    why = ""  # one sentence

    @property
    def layers(self) -> Mapping[str, str]:
        """Nothing."""
        return {}

    def network(self) -> "nn.Module":
        """Refuse.

        Raises:
            ValueError: always.
        """
        raise ValueError(self.why)


@dataclass(frozen=True)
class Facts:
    """What captions and tables say of a model, each with where it comes from; what is not known is empty or none."""

    origin: str  # the run, checkpoint or file, as shown
    provenance: str  # trained, published, imported, ...
    parameters: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)  # by key, fractions, measured on `split` of `data`
    data: str = ""
    split: str = ""
    images: int | None = None  # of the split
    fingerprint: str = ""  # of the split
    epochs: int | None = None
    starts_from: str = ""
    teacher: str = ""
    device: str = ""  # it was trained on
    commit: str = ""
    test: HeldOut | None = None  # on held-out images of the same data
    no_test: str = "not measured"  # why there is no test figure
    notes: tuple[str, ...] = ()  # how its files were read where they do not say it themselves

    @property
    def test_words(self) -> str:
        """The test figure, or why there is none, in a caption's words."""
        return f"test {self.test.miou * 100:.1f} %" if self.test else f"test {self.no_test}"


@dataclass(frozen=True)
class Model:
    """A model that can be asked for scores, before it is loaded."""

    key: str  # short name in links, files and requests; unique on a shelf
    title: str
    label_space: str  # key of the space that its scores have
    sha256: str  # of its weights
    network: Mapping[str, Any]  # how the network around the weights is built
    facts: Facts
    source: Source
    measured: Path | None = (
        None  # the folder that keeps what was measured of it (robustness, mean maps), where there is one
    )
    shown: bool = True  # without being asked for
    stored: bool = False  # answers stored ahead of time may stand for it
    stride: int = 32  # photos are padded to multiples of this before they are given to it
    foreign: bool = False  # its network was not built here, so that a fast engine is compared with torch first

    @cached_property
    def id(self) -> str:
        """What the model is: its weights and how the network around them is built. Equal ids give equal answers."""
        built = json.dumps([self.sha256, self.network, self.label_space], sort_keys=True, default=str)
        return hashlib.sha256(built.encode(errors="backslashreplace")).hexdigest()


def beside_test(models: Iterable[Model], *, origin: bool = True) -> str:
    """Return how far val lies from test for the models that have both; empty without any.

    Args:
        models: those that are shown.
        origin: say too how test was measured.
    """
    both = [(m.facts, m.facts.test) for m in models if m.facts.test and "miou" in m.facts.metrics]
    if not both:
        return ""
    gaps = sorted(round((facts.metrics["miou"] - test.miou) * 100) for facts, test in both)
    span = f"{gaps[0]} to {gaps[-1]}" if gaps[0] != gaps[-1] else f"{gaps[0]}"
    clip = {(facts.data, facts.images): said for facts, _ in both if (said := clip_note(facts.data, facts.split))}
    what = "".join(f" is {said} ({'?' if images is None else images} frames) and" for (_, images), said in clip.items())
    flatters = f"flatters: it lies {span} points above test" if gaps[0] > 0 else f"minus test is {span} points"
    count = "the one model that has both" if len(both) == 1 else f"the {len(both)} models that have both"
    origins = dict.fromkeys(test.origin for _, test in both)
    return f"Val{what} {flatters} for {count}." + (f" Test: {'; '.join(origins)}." if origin else "")
