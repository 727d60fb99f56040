"""What a label space's YAML file may hold, and a sentence for each thing that can be wrong in it.

```yaml
key: my-town            # lower-case letters, digits, - _ .
title: My town, 2 classes
short: 2 classes        # optional
void: [7, 255]          # optional: ids of masks that are no class; 255 is always one
source: {citation: …, url: https://…, licence: …}  # optional
raw: my-tool            # optional: the annotation format that raw_ids are of
classes:                # in the order of their ids, from 0
  - {name: road, colour: [128, 64, 128], safe: [110, 110, 110], group: flat, maps: {cityscapes-19: road}, raw_ids: [1, 2]}
  - {name: bench, colour: [200, 20, 90]}
```

All that is known of a class is on its own line, also what it is in other spaces: its name is written once, adding or removing a
class is one line, and a reader who checks a map need not hold two lists side by side. ``group``, the map to the eight groups,
has a word of its own since nearly every space has it. A class without one is void there, and so it is with any other space.
A data set whose classes are another's, such as KITTI with those of Cityscapes, needs no space of its own.
``safe`` may be left out where no colours are told apart by everybody; the class keeps its own then.
"""

import re
from typing import cast

from seglab.labels.label_space import GROUPS, VOID, Colour, LabelClass, LabelSpace, Source
from seglab.labels.strict_yaml import read_yaml

MAX_CLASSES = VOID  # ids 0 to 254
MAX_NAME, MAX_TEXT = 80, 400
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


def parse_space(data: bytes, file: str) -> LabelSpace:
    """Return the label space that a YAML file's bytes describe; whether what it maps to exists is not looked at.

    Args:
        data: the file's bytes.
        file: what messages call it.

    Raises:
        ValueError: where anything is wrong; the message names file, class and field.
    """
    fields = Fields(read_yaml(data, file), file, ("key", "title", "classes"), ("short", "void", "source", "raw"))
    key, raw = fields.key("key"), fields.key("raw") if "raw" in fields else None
    rows = fields.values["classes"]
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_CLASSES:
        raise fields.wrong("classes", f"a list of 1 to {MAX_CLASSES} classes")
    classes = tuple(_class(row, f"{file}, class {i}", key, raw) for i, row in enumerate(rows))
    _check_once(classes, file)
    if raw and not any(one.raw_ids for one in classes):
        raise ValueError(
            f"{file}, raw: expected raw_ids of {raw} in the classes, found none; add them or leave raw out"
        )
    void = fields.ids("void", VOID) if "void" in fields else ()
    if any(i < len(classes) for i in void):
        raise fields.wrong("void", f"ids from {len(classes)} to {VOID}, which are no class")
    return LabelSpace(
        key,
        fields.text("title"),
        fields.text("short") if "short" in fields else f"{len(classes)} class{'es' * (len(classes) > 1)}",
        classes,
        tuple(sorted({*void, VOID})),
        raw,
        _source(fields.values["source"], f"{file}, source") if "source" in fields else None,
    )


class Fields:
    """A mapping of a file, with a sentence for each field that is not as expected.

    Args:
        values: what the file has there.
        where: file and class, for messages.
        needed: fields that must be there.
        optional: fields that may be there.

    Raises:
        ValueError: where it is no mapping, or a field is missing or unknown.
    """

    def __init__(self, values: object, where: str, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
        known = ", ".join((*needed, *optional))
        if not isinstance(values, dict):
            raise ValueError(f"{where}: expected a mapping with the fields {known}, got {brief(values)}")
        for field in values:
            if field not in (*needed, *optional):
                raise ValueError(f"{where}: expected fields out of {known}; got the unknown field {brief(field)}")
        for field in needed:
            if field not in values:
                raise ValueError(f"{where}: expected the field {field}, found none; it has {brief(list(values))}")
        self.values, self.where = cast(dict[str, object], values), where

    def __contains__(self, field: str) -> bool:
        return field in self.values

    def wrong(self, field: str, expected: str) -> ValueError:
        """Return the error to raise for a field."""
        return ValueError(f"{self.where}, {field}: expected {expected}, got {brief(self.values[field])}")

    def text(self, field: str, most: int = MAX_NAME) -> str:
        """Return a field's text."""
        text = self.values[field]
        if not isinstance(text, str):
            raise self.wrong(field, "text (in quotes where YAML takes it for something else)")
        if not 0 < len(text) <= most or not text.isprintable() or text != text.strip():
            raise self.wrong(field, f"1 to {most} printable characters without spaces around them")
        return text

    def key(self, field: str) -> str:
        """Return a field's text that serves as a key."""
        if not _KEY.fullmatch(text := self.text(field)):
            raise self.wrong(field, "at most 40 lower-case letters, digits, - _ . with a letter or digit first")
        return text

    def ids(self, field: str, most: int = VOID - 1) -> tuple[int, ...]:
        """Return a field's list of ids."""
        ids = self.values[field]
        if not isinstance(ids, list) or not all(type(i) is int and 0 <= i <= most for i in ids):
            raise self.wrong(field, f"a list of whole numbers from 0 to {most}")
        return tuple(ids)

    def colour(self, field: str) -> Colour:
        """Return a field's RGB."""
        rgb = self.values[field]
        if not isinstance(rgb, list) or len(rgb) != 3 or not all(type(c) is int and 0 <= c <= 255 for c in rgb):
            raise self.wrong(field, "red, green and blue as [0 to 255, 0 to 255, 0 to 255]")
        return rgb[0], rgb[1], rgb[2]


def brief(value: object) -> str:
    """Return a value as messages show it: 80 characters at most."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _class(row: object, where: str, space: str, raw: str | None) -> LabelClass:
    name = row.get("name") if isinstance(row, dict) else None
    where = f"{where} ({brief(name)})" if isinstance(name, str) else where
    fields = Fields(row, where, ("name", "colour"), ("safe", "group", "maps", "raw_ids"))
    text = fields.text("name")
    if "/" in text:
        raise fields.wrong("name", "a name without /, which stands between metric and class in result files")
    if "group" in fields and space == GROUPS:
        raise fields.wrong("group", f"none, since {GROUPS} is the groups")
    if "raw_ids" in fields and raw is None:
        raise fields.wrong("raw_ids", "the file to say under raw which annotation format these ids are of")
    colour = fields.colour("colour")
    return LabelClass(
        text,
        colour,
        fields.colour("safe") if "safe" in fields else colour,
        fields.text("group") if "group" in fields else None,
        _maps(fields, space) if "maps" in fields else (),
        fields.ids("raw_ids") if "raw_ids" in fields else (),
    )


def _maps(fields: Fields, space: str) -> tuple[tuple[str, str], ...]:
    maps = fields.values["maps"]
    if not isinstance(maps, dict) or not all(isinstance(word, str) for pair in maps.items() for word in pair):
        raise fields.wrong("maps", "the names of classes by the keys of their spaces, such as {cityscapes-19: road}")
    if GROUPS in maps:
        raise fields.wrong("maps", f"the class of {GROUPS} as the field group")
    if space in maps:
        raise fields.wrong("maps", f"other spaces than {space} itself")
    return tuple(maps.items())


def _source(values: object, where: str) -> Source:
    fields = Fields(values, where, ("citation", "url", "licence"))
    if not (url := fields.text("url", MAX_TEXT)).startswith("https://"):
        raise fields.wrong("url", "an address that starts with https://")
    return Source(fields.text("citation", MAX_TEXT), url, fields.text("licence", MAX_TEXT))


def _check_once(classes: tuple[LabelClass, ...], file: str) -> None:
    """See that no two classes have a name or a raw id in common."""
    named: dict[str, int] = {}
    raw_of: dict[int, int] = {}
    for i, one in enumerate(classes):
        where = f"{file}, class {i} ({brief(one.name)})"
        if (first := named.setdefault(one.name.lower().replace("_", " "), i)) != i:  # as tables of results are read
            raise ValueError(f"{where}, name: expected each name once, got that of class {first}")
        for raw in one.raw_ids:
            if raw in raw_of:
                raise ValueError(f"{where}, raw_ids: expected each id once, got {raw}, which class {raw_of[raw]} has")
            raw_of[raw] = i
