"""Tables from the ids of one label space, or of an annotation format, to those of another; they go by names."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from seglab.labels.bundled import SPACES
from seglab.labels.label_space import VOID, LabelSpace


def table_between(source: LabelSpace, target: LabelSpace) -> NDArray[np.uint8] | None:
    """Return the read-only ``(256,)`` uint8 table from ids of one space to another's; none where it has no map to it.

    Only what the source's own file says counts: maps are not chained.
    """
    if source.key == target.key:
        return _table({i: i for i in range(source.num_classes)})
    told = [one.told_in(target.key) for one in source.classes]
    pairs = {i: target.names.index(name) for i, name in enumerate(told) if name is not None}
    return _table(pairs) if pairs else None


@lru_cache(1024)
def _find(source: str, target: str) -> NDArray[np.uint8] | None:
    if target not in SPACES:
        return None
    if source in SPACES:
        return table_between(SPACES[source], SPACES[target])
    return _table(SPACES[target].raw_ids) if SPACES[target].raw == source else None


def _table(pairs: Mapping[int, int]) -> NDArray[np.uint8]:
    table = np.full(256, VOID, np.uint8)
    for source, target in pairs.items():
        table[source] = target
    table.setflags(write=False)
    return table


class _Remaps(Mapping[tuple[str, str], NDArray[np.uint8]]):
    """Every table between bundled spaces, and from annotation formats; each is made when it is first asked for."""

    def __getitem__(self, pair: tuple[str, str]) -> NDArray[np.uint8]:
        if (table := _find(*pair)) is None:
            raise KeyError(pair)
        return table

    def __iter__(self) -> Iterator[tuple[str, str]]:
        formats = dict.fromkeys(one.raw for one in SPACES.values() if one.raw)
        return (
            (source, target) for source in (*SPACES, *formats) for target in SPACES if _find(source, target) is not None
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)


REMAPS = _Remaps()


def remap_table(source: str, target: str) -> NDArray[np.uint8]:
    """Return the read-only ``(256,)`` uint8 table from ids of ``source`` to ids of ``target``; 255 is void.

    Raises:
        ValueError: where no table exists (a finer space cannot be made from a coarser one).

    >>> int(remap_table("camvid-11", "cityscapes-8")[3])
    0
    """
    if (table := _find(source, target)) is not None:
        return table
    reachable = [f"{a} -> {b}" for a, b in REMAPS if a == source] or [f"{a} -> {b}" for a, b in REMAPS]
    raise ValueError(f"expected one of the remaps {', '.join(reachable)}; got {source} -> {target}")


def remap(labels: NDArray[np.uint8], source: str, target: str) -> NDArray[np.uint8]:
    """Map a ``(H, W)`` label map from one space to another.

    Args:
        labels: ``(H, W)`` uint8 ids of ``source``; ids outside it become void.
        source: key of a label space, or an annotation format such as ``cityscapes-labelids``.
        target: key of a label space.

    Returns:
        ``(H, W)`` uint8 ids of ``target``, 255 where nothing counts.
    """
    return remap_table(source, target)[labels]


def rolls_up(source: str, target: str) -> bool:
    """Tell whether labels of ``source`` can be shown in ``target``."""
    return _find(source, target) is not None


def common_spaces(sources: Iterable[str]) -> list[str]:
    """Return the spaces in which labels of all these spaces can be shown, the finest first.

    >>> common_spaces(["camvid-11", "cityscapes-19"])
    ['cityscapes-8']
    """
    own = set(sources)
    common = [key for key in SPACES if all(rolls_up(source, key) for source in own)]
    return sorted(common, key=lambda key: -SPACES[key].num_classes)


def lost_in(source: str, target: str) -> tuple[list[str], int]:
    """Return the classes of a space that are void in another, and how many of the rest share their class there."""
    table = remap_table(source, target)[: SPACES[source].num_classes]
    lost = [name for name, at in zip(SPACES[source].names, table, strict=True) if at == VOID]
    kept = [int(at) for at in table if at != VOID]
    return lost, sum(kept.count(at) > 1 for at in kept)
