"""The label spaces of ``spaces/``, each read when it is first asked for, and spaces from files of one's own."""

import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from seglab.labels.label_space import GROUPS, LabelSpace
from seglab.labels.schema import brief, parse_space
from seglab.labels.strict_yaml import MAX_BYTES

SpaceKey = str  # open: a bundled space's file name, or the key of a reader's own

_FOLDER = Path(__file__).with_name("spaces")


class BundledSpaces(Mapping[str, LabelSpace]):
    """The spaces of a folder by key, in the order of their file names; ``<key>.yaml`` has the space of that key.

    Args:
        folder: with one YAML file a space. It is listed once; a file is read when its space is first asked for.
    """

    def __init__(self, folder: Path) -> None:
        self._paths = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
        self._parsed = cache(_parse)
        self._checked = cache(self._check)

    def __getitem__(self, key: str) -> LabelSpace:
        return self._checked(self._paths[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, key: object) -> bool:
        return key in self._paths

    def names(self, key: str) -> tuple[str, ...]:
        """Return a space's class names; what it maps to is not looked at, so that two spaces may map to each other."""
        return self._parsed(self._paths[key]).names

    def _check(self, path: Path) -> LabelSpace:
        one = self._parsed(path)
        if one.key != path.stem:
            raise ValueError(f"{path.name}, key: expected the file's name, {path.stem}, got {one.key!r}")
        check_maps(one, path.name, self)
        return one


def check_maps(one: LabelSpace, file: str, known: BundledSpaces) -> None:
    """See that what a space maps to exists.

    Raises:
        ValueError: where a space or a class does not; the message names file, class and field.
    """
    if one.raw in known:
        raise ValueError(
            f"{file}, raw: expected an annotation format, got the label space {one.raw!r}; use maps for it"
        )
    for i, label in enumerate(one.classes):
        where = f"{file}, class {i} ({label.name!r})"
        if label.group is not None:
            _check_name(label.group, known.names(GROUPS), f"{where}, group")
        for target, name in label.maps:
            if target not in known:
                raise ValueError(f"{where}, maps: expected label spaces out of {', '.join(known)}, got {brief(target)}")
            _check_name(name, known.names(target), f"{where}, maps, {target}")


def load_space(path: Path) -> LabelSpace:
    """Return the label space of a YAML file, which may be a stranger's; the schema is in :mod:`seglab.labels.schema`.

    Raises:
        ValueError: where it cannot be read or anything in it is wrong; the message names file, class and field.
    """
    one = _parse(path)
    check_maps(one, path.name, SPACES)
    return one


def space(key: str) -> LabelSpace:
    """Look up a bundled label space.

    Raises:
        ValueError: for an unknown key; the message lists the valid ones.
    """
    if key not in SPACES:
        raise ValueError(f"expected a label space out of {', '.join(SPACES)}, got {brief(key)}")
    return SPACES[key]


def _parse(path: Path) -> LabelSpace:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ValueError(f"expected a label space's YAML file, found none at {path}") from None
    except OSError as error:
        raise ValueError(f"expected a label space's YAML file, could not read {path}: {error.strerror}") from None
    return parse_space(data, path.name)


def _check_name(name: str, names: tuple[str, ...], where: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, 3) or names[:12]
        more = ", …" * (len(near) < len(names))
        raise ValueError(f"{where}: expected a class out of {', '.join(near)}{more}, got {brief(name)}")


SPACES = BundledSpaces(_FOLDER)
