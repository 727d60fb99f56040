"""Label spaces: names, ids, colours and the tables that map one space onto another. Imports numpy alone."""

from seglab.labels.label_space import (
    CITYSCAPES_LABEL_IDS,
    REMAPS,
    SPACES,
    VOID,
    LabelSpace,
    Palette,
    SpaceKey,
    remap,
    remap_table,
    rolls_up,
    space,
)

__all__ = [
    "CITYSCAPES_LABEL_IDS",
    "REMAPS",
    "SPACES",
    "VOID",
    "LabelSpace",
    "Palette",
    "SpaceKey",
    "remap",
    "remap_table",
    "rolls_up",
    "space",
]
