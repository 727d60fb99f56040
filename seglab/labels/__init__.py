"""Label spaces as data: what the classes of a data set are called, how they are painted, and what they are elsewhere.

``spaces/<key>.yaml`` is a space, and adding one is adding its file. ``label_space.py`` says what a space is, ``schema.py`` what
its file may hold, ``strict_yaml.py`` reads files of strangers, ``bundled.py`` has those of this folder, and ``remaps.py`` the
tables from one to another. Everything may import ``seglab.labels``; it imports numpy and yaml alone. A label map is always a
``(H, W)`` ``uint8`` array, and ``VOID`` (255) means "no answer counts here" in every space.
"""

from seglab.labels.bundled import SPACES, SpaceKey, load_space, space
from seglab.labels.label_space import GROUPS, VOID, Colour, LabelClass, LabelSpace, Palette, Source
from seglab.labels.remaps import REMAPS, common_spaces, lost_in, remap, remap_table, rolls_up, table_between
from seglab.labels.schema import parse_space

__all__ = [
    "GROUPS",
    "REMAPS",
    "SPACES",
    "VOID",
    "Colour",
    "LabelClass",
    "LabelSpace",
    "Palette",
    "Source",
    "SpaceKey",
    "common_spaces",
    "load_space",
    "lost_in",
    "parse_space",
    "remap",
    "remap_table",
    "rolls_up",
    "space",
    "table_between",
]
