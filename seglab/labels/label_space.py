"""What a label space is: classes with names and colours, and what each is called in other spaces."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

VOID = 255
GROUPS = "cityscapes-8"  # key of the groups that every other space may roll up into

Palette = Literal["native", "colour-blind"]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class LabelClass:
    """One class of a label space.

    Attributes:
        name: unique in its space, whatever the case of its letters and with _ read as a space.
        colour: RGB, 0 to 255, as the data set paints it.
        safe_colour: RGB that colour-blind readers can tell from the others.
        group: what it is in the eight groups; none where it is void there.
        maps: pairs of another space's key and the name of the class that it is there.
        raw_ids: the ids of the space's annotation format that mean this class.
    """

    name: str
    colour: Colour
    safe_colour: Colour
    group: str | None = None
    maps: tuple[tuple[str, str], ...] = ()
    raw_ids: tuple[int, ...] = ()

    def told_in(self, target: str) -> str | None:
        """Return the name of the class that this one is in another space; none where it is void there."""
        return self.group if target == GROUPS else dict(self.maps).get(target)


@dataclass(frozen=True)
class Source:
    """Where a space's classes and colours are from."""

    citation: str
    url: str
    licence: str


@dataclass(frozen=True)
class LabelSpace:
    """A named set of classes; the class id is the position in ``classes``.

    Attributes:
        key: short name, unique among spaces.
        title: on screen, with the data set's name.
        short: on screen where the data set is known, such as "19 classes".
        classes: at most 255, in the order of their ids.
        void: ids of masks that are no class; 255 is always one.
        raw: name of the annotation format that ``raw_ids`` are of.
        source: where it is from; none where its author does not say.
    """

    key: str
    title: str
    short: str
    classes: tuple[LabelClass, ...]
    void: tuple[int, ...] = (VOID,)
    raw: str | None = None
    source: Source | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names by class id."""
        return tuple(one.name for one in self.classes)

    @cached_property
    def colours(self) -> tuple[Colour, ...]:
        """Colours by class id, as the data set paints them."""
        return tuple(one.colour for one in self.classes)

    @cached_property
    def safe_colours(self) -> tuple[Colour, ...]:
        """Colours by class id, safe for colour-blind readers."""
        return tuple(one.safe_colour for one in self.classes)

    @property
    def groups(self) -> tuple[str | None, ...]:
        """Names by class id in the eight groups; none where a class is void there."""
        return tuple(one.group for one in self.classes)

    @property
    def raw_ids(self) -> dict[int, int]:
        """Class id by id of the annotation format; every other id is void."""
        return {raw: i for i, one in enumerate(self.classes) for raw in one.raw_ids}

    @property
    def num_classes(self) -> int:
        """Number of classes, void not counted."""
        return len(self.classes)

    def palette(self, palette: Palette = "native") -> tuple[Colour, ...]:
        """Colours by class id, as the data set paints them or safe for colour-blind readers."""
        return self.safe_colours if palette == "colour-blind" else self.colours

    def lut(self, palette: Palette = "native") -> NDArray[np.uint8]:
        """Return the ``(256, 3)`` uint8 table from label to RGB; void and unused ids are black."""
        table = np.zeros((256, 3), np.uint8)
        table[: self.num_classes] = self.palette(palette)
        return table
