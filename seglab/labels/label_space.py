"""Label spaces: names, ids, colours and the tables that map one space onto another.

A label map is always a ``(H, W)`` ``uint8`` array. ``VOID`` (255) means "no answer counts here" in every space.

Sources: class lists and colours of CamVid (Brostow, Fauqueur, Cipolla, Pattern Recognition Letters 2009; colours of the
SegNet tutorial's copy) and Cityscapes (Cordts et al., CVPR 2016; colours of cityscapesScripts, MIT licence).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

VOID = 255

SpaceKey = Literal["camvid-11", "cityscapes-19", "cityscapes-8"]
Palette = Literal["native", "colour-blind"]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class LabelSpace:
    """A named set of classes; the class id is the position in ``names``."""

    key: SpaceKey
    title: str
    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    safe_colours: tuple[Colour, ...]

    @property
    def num_classes(self) -> int:
        """Number of classes, void not counted."""
        return len(self.names)

    def palette(self, palette: Palette = "native") -> tuple[Colour, ...]:
        """Colours by class id, as the data set paints them or safe for colour-blind readers."""
        return self.safe_colours if palette == "colour-blind" else self.colours

    def lut(self, palette: Palette = "native") -> NDArray[np.uint8]:
        """Return the ``(256, 3)`` uint8 table from label to RGB; void and unused ids are black."""
        table = np.zeros((256, 3), np.uint8)
        table[: self.num_classes] = self.palette(palette)
        return table


# Safe colours: Okabe and Ito's eight, then shades of them that stay apart in lightness.
_SAFE_8: tuple[Colour, ...] = (
    (110, 110, 110),
    (213, 94, 0),
    (0, 114, 178),
    (240, 228, 66),
    (204, 121, 167),
    (0, 158, 115),
    (86, 180, 233),
)

SPACES: dict[SpaceKey, LabelSpace] = {
    "camvid-11": LabelSpace(
        "camvid-11",
        "CamVid, 11 classes",
        ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist"),
        (
            (128, 128, 128),
            (128, 0, 0),
            (192, 192, 128),
            (128, 64, 128),
            (60, 40, 222),
            (128, 128, 0),
            (192, 128, 128),
            (64, 64, 128),
            (64, 0, 128),
            (64, 64, 0),
            (0, 128, 192),
        ),
        (
            (86, 180, 233),
            (240, 228, 66),
            (204, 121, 167),
            (110, 110, 110),
            (190, 190, 190),
            (0, 158, 115),
            (255, 200, 225),
            (120, 94, 20),
            (0, 114, 178),
            (213, 94, 0),
            (255, 165, 60),
        ),
    ),
    "cityscapes-19": LabelSpace(
        "cityscapes-19",
        "Cityscapes, 19 classes",
        (
            "road",
            "sidewalk",
            "building",
            "wall",
            "fence",
            "pole",
            "traffic light",
            "traffic sign",
            "vegetation",
            "terrain",
            "sky",
            "person",
            "rider",
            "car",
            "truck",
            "bus",
            "train",
            "motorcycle",
            "bicycle",
        ),
        (
            (128, 64, 128),
            (244, 35, 232),
            (70, 70, 70),
            (102, 102, 156),
            (190, 153, 153),
            (153, 153, 153),
            (250, 170, 30),
            (220, 220, 0),
            (107, 142, 35),
            (152, 251, 152),
            (70, 130, 180),
            (220, 20, 60),
            (255, 0, 0),
            (0, 0, 142),
            (0, 0, 70),
            (0, 60, 100),
            (0, 80, 100),
            (0, 0, 230),
            (119, 11, 32),
        ),
        (
            (110, 110, 110),
            (190, 190, 190),
            (240, 228, 66),
            (170, 150, 20),
            (120, 94, 20),
            (204, 121, 167),
            (255, 200, 225),
            (150, 60, 110),
            (0, 158, 115),
            (140, 220, 190),
            (86, 180, 233),
            (213, 94, 0),
            (255, 165, 60),
            (0, 114, 178),
            (0, 60, 110),
            (60, 90, 150),
            (120, 150, 210),
            (30, 30, 80),
            (160, 60, 0),
        ),
    ),
    "cityscapes-8": LabelSpace(
        "cityscapes-8",
        "Cityscapes, 8 groups (7 + void)",
        ("flat", "human", "vehicle", "construction", "object", "nature", "sky"),
        (
            (128, 64, 128),
            (220, 20, 60),
            (0, 0, 142),
            (70, 70, 70),
            (220, 190, 40),
            (107, 142, 35),
            (70, 130, 180),
        ),
        _SAFE_8,
    ),
}

_CAMVID_TO_8 = {
    "sky": "sky",
    "building": "construction",
    "pole": "object",
    "road": "flat",
    "pavement": "flat",
    "tree": "nature",
    "sign": "object",
    "fence": "construction",
    "car": "vehicle",
    "pedestrian": "human",
    "bicyclist": "human",
}

_19_TO_8 = {
    "road": "flat",
    "sidewalk": "flat",
    "building": "construction",
    "wall": "construction",
    "fence": "construction",
    "pole": "object",
    "traffic light": "object",
    "traffic sign": "object",
    "vegetation": "nature",
    "terrain": "nature",
    "sky": "sky",
    "person": "human",
    "rider": "human",
    "car": "vehicle",
    "truck": "vehicle",
    "bus": "vehicle",
    "train": "vehicle",
    "motorcycle": "vehicle",
    "bicycle": "vehicle",
}

# Cityscapes `*_labelIds` (0..33) -> train id; every other id is void.
CITYSCAPES_LABEL_IDS: dict[int, int] = {
    7: 0,
    8: 1,
    11: 2,
    12: 3,
    13: 4,
    17: 5,
    19: 6,
    20: 7,
    21: 8,
    22: 9,
    23: 10,
    24: 11,
    25: 12,
    26: 13,
    27: 14,
    28: 15,
    31: 16,
    32: 17,
    33: 18,
}

# Cityscapes `*_labelIds` that count in the eight groups though the nineteen classes leave them out (the benchmark's
# categories: flat 7-10, construction 11-16, object 17-20, nature 21-22, sky 23, human 24-25, vehicle 26-33).
_LABEL_IDS_TO_8: dict[int, str] = (
    dict.fromkeys(range(7, 11), "flat")
    | dict.fromkeys(range(11, 17), "construction")
    | dict.fromkeys(range(17, 21), "object")
    | dict.fromkeys(range(21, 23), "nature")
    | {23: "sky"}
    | dict.fromkeys(range(24, 26), "human")
    | dict.fromkeys(range(26, 34), "vehicle")
)


def space(key: str) -> LabelSpace:
    """Look up a label space.

    Raises:
        ValueError: for an unknown key; the message lists the valid ones.
    """
    try:
        return SPACES[key]  # type: ignore[index]
    except KeyError:
        raise ValueError(f"expected a label space out of {', '.join(SPACES)}, got {key!r}") from None


def _table(pairs: dict[int, int]) -> NDArray[np.uint8]:
    table = np.full(256, VOID, np.uint8)
    for source, target in pairs.items():
        table[source] = target
    table.setflags(write=False)
    return table


def _by_name(source: SpaceKey, target: SpaceKey, names: dict[str, str]) -> NDArray[np.uint8]:
    a, b = SPACES[source].names, SPACES[target].names
    return _table({a.index(k): b.index(v) for k, v in names.items()})


REMAPS: dict[tuple[str, str], NDArray[np.uint8]] = {
    **{(k, k): _table({i: i for i in range(s.num_classes)}) for k, s in SPACES.items()},
    ("camvid-11", "cityscapes-8"): _by_name("camvid-11", "cityscapes-8", _CAMVID_TO_8),
    ("cityscapes-19", "cityscapes-8"): _by_name("cityscapes-19", "cityscapes-8", _19_TO_8),
    ("cityscapes-labelids", "cityscapes-19"): _table(CITYSCAPES_LABEL_IDS),
    ("cityscapes-labelids", "cityscapes-8"): _table(
        {i: SPACES["cityscapes-8"].names.index(name) for i, name in _LABEL_IDS_TO_8.items()}
    ),
}


def remap_table(source: str, target: str) -> NDArray[np.uint8]:
    """Return the read-only ``(256,)`` uint8 table from ids of ``source`` to ids of ``target``; 255 is void.

    Raises:
        ValueError: where no table exists (a finer space cannot be made from a coarser one).

    >>> int(remap_table("camvid-11", "cityscapes-8")[3])
    0
    """
    try:
        return REMAPS[source, target]
    except KeyError:
        valid = ", ".join(f"{a} -> {b}" for a, b in REMAPS)
        raise ValueError(f"expected one of the remaps {valid}; got {source} -> {target}") from None


def remap(labels: NDArray[np.uint8], source: str, target: str) -> NDArray[np.uint8]:
    """Map a ``(H, W)`` label map from one space to another.

    Args:
        labels: ``(H, W)`` uint8 ids of ``source``; ids outside it become void.
        source: key of a label space, or ``cityscapes-labelids`` for the raw ids of the Cityscapes annotation.
        target: key of a label space.

    Returns:
        ``(H, W)`` uint8 ids of ``target``, 255 where nothing counts.
    """
    return remap_table(source, target)[labels]


def rolls_up(source: str, target: str) -> bool:
    """Tell whether labels of ``source`` can be shown in ``target``."""
    return (source, target) in REMAPS
