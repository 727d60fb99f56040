"""Which label space a model's own class names are of: by names, never by guess.

Names are compared without case, separators and plural; a list of synonyms such as ADE20K's ``"building, edifice"`` counts by any
of its parts, and :data:`SYNONYMS` holds what street data sets call differently. What matches nothing is told and becomes "other".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from seglab.labels.bundled import SPACES
from seglab.labels.label_space import VOID, LabelSpace

# Different words for one class in street data sets; a row holds no two classes of one space.
SYNONYMS: tuple[frozenset[str], ...] = tuple(
    frozenset(words.split(", "))
    for words in (
        "sidewalk, pavement, footpath",
        "vegetation, tree",
        "traffic sign, sign, signsymbol, sign symbol, signboard",
        "person, pedestrian, human",
        "pole, column pole",
        "car, auto, automobile",
        "motorcycle, motorbike, minibike",
        "bicycle, bike",
        "bicyclist, cyclist",
        "train, on rail, railcar",
        "airplane, aeroplane, plane",
        "terrain, ground vegetation",
        "void, unlabeled, unlabelled, background, ignore",
    )
)
_GENERIC = re.compile(r"(label|class)?[ _-]?\d+", re.IGNORECASE)
LEAST_SHARE = 0.5  # of a space's classes that must be found for it to be the space of a model


@dataclass(frozen=True)
class Matching:
    """What a model's classes are.

    Attributes:
        space: key of the label space.
        ids: for each class of the model, its id in the space; :data:`VOID` for what matches nothing.
        other: names that match nothing.
        note: how the space was told where that is not by all names; empty else.
    """

    space: str
    ids: tuple[int, ...]
    other: tuple[str, ...]
    note: str = ""


def plain(name: str) -> str:
    """Return a name as it is compared.

    >>> plain("Traffic_Signs")
    'traffic sign'
    """
    words = re.sub(r"[\s_./()\[\]-]+", " ", name.lower()).strip().split()
    return " ".join(
        word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] not in "su" else word for word in words
    )


def _spellings(name: str) -> list[str]:
    """Return what a name may be called, the whole of it first, then its parts, then their synonyms."""
    parts = [plain(name), *(plain(part) for part in re.split(r"[,;]", name))]
    found = dict.fromkeys(parts)
    for part in parts:
        for row in SYNONYMS:
            if part in {plain(word) for word in row}:
                found |= dict.fromkeys(plain(word) for word in sorted(row))
    return [one for one in found if one]


def match_to(names: Sequence[str], space: LabelSpace) -> tuple[int, ...]:
    """Return for each name its id in a space, :data:`VOID` for what matches nothing; literal names count before synonyms."""
    ids = {plain(one): at for at, one in enumerate(space.names)}
    for at, one in enumerate(space.names):
        for part in re.split(r"[,;]", one):
            ids.setdefault(plain(part), at)
    literal = [ids.get(plain(name), VOID) for name in names]
    taken = set(literal)
    out = []
    for name, at in zip(names, literal, strict=True):
        if at == VOID:
            at = next((ids[one] for one in _spellings(name) if one in ids and ids[one] not in taken), VOID)
        out.append(at)
    return tuple(out)


def match(names: Sequence[str], wanted: str | None = None) -> Matching:
    """Return the label space that a model's class names are of.

    Of the spaces of which half the classes are found, that in which most names are found is taken; of several the smallest.

    Args:
        names: of the classes, by the model's own id.
        wanted: key of the space, where somebody says it.

    Raises:
        ValueError: where no space fits, or the names say nothing and none or several spaces have as many classes.
    """
    if wanted is not None and wanted not in SPACES:
        raise ValueError(f"expected a label space out of {', '.join(SPACES)}, got {wanted!r}")
    if all(_GENERIC.fullmatch(name.strip()) for name in names):
        return _by_count(names, wanted)
    found = []
    for key, space in SPACES.items():
        if wanted in (None, key):
            ids = match_to(names, space)
            hits = [at for at in ids if at != VOID]
            enough = len({*hits}) >= LEAST_SHARE * space.num_classes
            found.append((enough, len(hits), -space.num_classes, len({*hits}), key, ids))
    enough, _, _, reached, key, ids = max(found)
    if not enough:
        some = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        raise ValueError(
            f"its {len(names)} classes ({some}) are those of no label space here: of {key}, the nearest, {reached} of "
            f"{SPACES[key].num_classes} are found. Say in a YAML file which class is which (docs/models.md)"
        )
    other = tuple(name for name, at in zip(names, ids, strict=True) if at == VOID)
    return Matching(key, ids, other)


def _by_count(names: Sequence[str], wanted: str | None) -> Matching:
    fitting = [key for key, one in SPACES.items() if one.num_classes == len(names) and wanted in (None, key)]
    if len(fitting) != 1:
        why = (
            f"{' and '.join(fitting)} have as many" if fitting else f"{wanted or 'no label space here'} has not as many"
        )
        raise ValueError(
            f"its {len(names)} classes have no names ({', '.join(names[:3])}, …) and {why}; say in a YAML file which they are "
            "(docs/models.md)"
        )
    return Matching(
        fitting[0],
        tuple(range(len(names))),
        (),
        f"its classes have no names; read as {fitting[0]} because that has {len(names)}, in its order",
    )
