"""What is wrong with a space's file is said in a sentence that names file, class and field."""

from typing import Any

import pytest
import yaml

from seglab.labels import LabelSpace, Source, parse_space, schema

ROAD = {"name": "road", "colour": [1, 2, 3]}
SKY = {"name": "sky", "colour": [4, 5, 6], "safe": [7, 8, 9], "group": "sky", "raw_ids": [7, 0, 254]}
FULL = {
    "key": "mine",
    "title": "Mine",
    "short": "two of mine",
    "void": [200],
    "raw": "tool",
    "source": {"citation": "Me, 2026", "url": "https://example.org", "licence": "CC0"},
    "classes": [ROAD | {"maps": {"camvid-11": "road"}}, SKY],
}


def parsed(values: Any) -> LabelSpace:
    return parse_space(yaml.safe_dump(values).encode(), "mine.yaml")


def changed(at: int, **fields: Any) -> dict[str, Any]:
    """Return the file with a class changed."""
    return FULL | {"classes": [one | fields if i == at else one for i, one in enumerate(FULL["classes"])]}  # type: ignore[arg-type]


def test_every_field_is_read() -> None:
    one = parsed(FULL)
    assert (one.key, one.title, one.short, one.void, one.raw) == ("mine", "Mine", "two of mine", (200, 255), "tool")
    assert one.source == Source("Me, 2026", "https://example.org", "CC0")
    assert (one.names, one.groups, one.colours) == (("road", "sky"), (None, "sky"), ((1, 2, 3), (4, 5, 6)))
    assert (one.classes[0].maps, one.raw_ids) == ((("camvid-11", "road"),), {7: 1, 0: 1, 254: 1})


def test_a_name_and_a_colour_are_enough_for_a_class() -> None:
    one = parsed({"key": "mine", "title": "Mine", "classes": [ROAD]})
    assert (one.short, one.void, one.raw, one.source, one.groups) == ("1 class", (255,), None, None, (None,))
    assert one.safe_colours == one.colours == ((1, 2, 3),)


def test_a_space_has_255_classes_at_most() -> None:
    classes = [{"name": f"c{i}", "colour": [0, 0, i]} for i in range(256)]
    assert parsed({"key": "mine", "title": "Mine", "classes": classes[:255]}).num_classes == 255
    with pytest.raises(ValueError, match=r"^mine\.yaml, classes: expected a list of 1 to 255 classes"):
        parsed({"key": "mine", "title": "Mine", "classes": classes})


KNOWN = "key, title, classes, short, void, source, raw"
OF_FILE = [
    ([1], rf": expected a mapping with the fields {KNOWN}, got \[1\]"),
    (FULL | {"colours": 1}, rf": expected fields out of {KNOWN}; got the unknown field 'colours'"),
    ({"title": "Mine"}, r": expected the field key, found none; it has \['title'\]"),
    (FULL | {"key": "Mine"}, ", key: expected at most 40 lower-case letters"),
    (FULL | {"key": "../mine"}, ", key: expected at most 40 lower-case letters"),
    (FULL | {"title": ""}, ", title: expected 1 to 80 printable characters"),
    (FULL | {"title": "a\x1bb"}, ", title: expected 1 to 80 printable characters"),
    (FULL | {"title": 19}, r", title: expected text \(in quotes .*\), got 19"),
    (FULL | {"short": None}, ", short: expected text"),
    (FULL | {"void": 255}, ", void: expected a list of whole numbers from 0 to 255, got 255"),
    (FULL | {"void": [256]}, ", void: expected a list of whole numbers from 0 to 255"),
    (FULL | {"void": [1]}, r", void: expected ids from 2 to 255, which are no class, got \[1\]"),
    (FULL | {"raw": "a b"}, ", raw: expected at most 40 lower-case letters"),
    (FULL | {"classes": []}, r", classes: expected a list of 1 to 255 classes, got \[\]"),
    (FULL | {"classes": {"road": [1, 2, 3]}}, ", classes: expected a list of 1 to 255 classes"),
    (FULL | {"classes": [ROAD]}, ", raw: expected raw_ids of tool in the classes, found none"),
    (FULL | {"source": "me"}, ", source: expected a mapping with the fields citation, url, licence, got 'me'"),
    (FULL | {"source": {"citation": "Me"}}, ", source: expected the field url, found none"),
    (
        FULL | {"source": {"citation": "Me", "url": "javascript:alert(1)", "licence": "x"}},
        ", source, url: expected an address that starts with https://",
    ),
]
OF_CLASS: list[tuple[dict[str, Any], str]] = [
    ({"name": "sky"}, r" \('sky'\), name: expected each name once, got that of class 0"),
    ({"name": "ROAD"}, r" \('ROAD'\), name: expected each name once, got that of class 0"),
    ({"name": "Bus_Stop"}, r" \('Bus_Stop'\), name: expected each name once, got that of class 0"),
    ({"name": True}, r", name: expected text \(in quotes .*\), got True"),
    ({"name": " road"}, r" \(' road'\), name: expected 1 to 80 printable characters"),
    ({"name": "x" * 81}, ", name: expected 1 to 80 printable characters"),
    ({"name": "iou/road"}, ", name: expected a name without /"),
    ({"color": [1, 2, 3]}, "expected fields out of name, colour, .*; got the unknown field 'color'"),
    ({"colour": [1, 2]}, r", colour: expected red, green and blue .*, got \[1, 2\]"),
    ({"colour": [1, 2, 256]}, ", colour: expected red, green and blue"),
    ({"colour": [1, 2, -1]}, ", colour: expected red, green and blue"),
    ({"colour": [1, 2, 3.0]}, ", colour: expected red, green and blue"),
    ({"colour": [1, 2, True]}, ", colour: expected red, green and blue"),
    ({"colour": "#010203"}, ", colour: expected red, green and blue"),
    ({"safe": None}, ", safe: expected red, green and blue"),
    ({"group": 1}, ", group: expected text"),
    ({"maps": ["road"]}, ", maps: expected the names of classes by the keys of their spaces"),
    ({"maps": {"camvid-11": ["road"]}}, ", maps: expected the names of classes"),
    ({"maps": {"cityscapes-8": "flat"}}, ", maps: expected the class of cityscapes-8 as the field group"),
    ({"maps": {"mine": "road"}}, ", maps: expected other spaces than mine itself"),
    ({"raw_ids": 7}, ", raw_ids: expected a list of whole numbers from 0 to 254, got 7"),
    ({"raw_ids": [255]}, ", raw_ids: expected a list of whole numbers from 0 to 254"),
    ({"raw_ids": [7, 7]}, r" \('sky'\), raw_ids: expected each id once, got 7, which class 1 has"),
]


@pytest.mark.parametrize(("values", "says"), OF_FILE)
def test_what_is_wrong_in_a_file_is_named(values: object, says: str) -> None:
    with pytest.raises(ValueError, match=rf"^mine\.yaml{says}"):
        parsed(values)


@pytest.mark.parametrize(("fields", "says"), OF_CLASS)
def test_what_is_wrong_in_a_class_is_named_with_its_id(fields: dict[str, Any], says: str) -> None:
    values = changed(1, **fields)
    if fields.get("name") in ("sky", "Bus_Stop"):
        values["classes"][0] = ROAD | {"name": str(fields["name"]).lower().replace("_", " ")}
    with pytest.raises(ValueError, match=rf"^mine\.yaml, class 1.*{says}"):
        parsed(values)


def test_a_raw_id_of_two_classes_is_named_with_both() -> None:
    with pytest.raises(
        ValueError, match=r"class 1 \('sky'\), raw_ids: expected each id once, got 7, which class 0 has"
    ):
        parsed(changed(0, raw_ids=[7]))


def test_raw_ids_need_a_format_and_the_groups_have_no_group() -> None:
    with pytest.raises(ValueError, match=r"class 1 \('sky'\), raw_ids: expected the file to say under raw"):
        parsed({key: value for key, value in FULL.items() if key != "raw"})
    with pytest.raises(ValueError, match=r"class 1 \('sky'\), group: expected none, since cityscapes-8 is the groups"):
        parsed(FULL | {"key": "cityscapes-8"})


@pytest.mark.parametrize("row", [None, "road", ["road"], {}])
def test_a_class_that_is_no_class_is_named_by_its_id(row: object) -> None:
    with pytest.raises(ValueError, match=r"^mine\.yaml, class 1: expected "):
        parsed(FULL | {"classes": [ROAD, row]})


def test_messages_stay_short_whatever_the_file_holds() -> None:
    for values in (FULL | {"title": "x" * 900}, FULL | {"void": list(range(900))}, changed(0, name="y" * 900)):
        with pytest.raises(ValueError, match=r"mine\.yaml") as caught:
            parsed(values)
        assert len(str(caught.value)) < 300


def test_the_example_that_the_schema_shows_can_be_read() -> None:
    example = (schema.__doc__ or "").split("```yaml\n")[1].split("```")[0]
    one = parse_space(example.encode(), "example.yaml")
    assert (one.names, one.groups, one.void) == (("road", "bench"), ("flat", None), (7, 255))
