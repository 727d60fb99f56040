"""A stranger's YAML is plain values or a sentence, and never more work than its size."""

import pytest

from seglab.labels.strict_yaml import MAX_BYTES, MAX_DEPTH, MAX_LENGTH, read_yaml

REFUSED = {
    "too large": (b"x" * (MAX_BYTES + 1), "expected at most 256 KiB in a.yaml"),
    "not UTF-8": (b"\xff\xfe", "expected UTF-8 text in a.yaml"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "expected UTF-8 text in a.yaml"),
    "zero bytes": (b"\x00", "control characters are not allowed"),
    "not closed": (b"a: 1\nb: [1", "did not find expected"),
    "two documents": (b"a: 1\n---\nb: 2\n", "another document"),
    "an alias bomb": (b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "line 1: it has an anchor or alias"),
    "an alias alone": (b"a: *nowhere", "line 1: it has an anchor or alias"),
    "deep lists": (b"[" * 200_000, f"line 1: it has more than {MAX_DEPTH} levels"),
    "deep mappings": (b"{a: " * 60_000, f"line 1: it has more than {MAX_DEPTH} levels"),
    "deep blocks": (b"- " * 120_000, f"line 1: it has more than {MAX_DEPTH} levels"),
    "deep keys": (b"? " * 120_000, f"line 1: it has more than {MAX_DEPTH} levels"),
    "an object": (b"a: !!python/object/apply:os.system [ls]", "line 1: it has a tag"),
    "a tag that fails": (b"a: !!bool perhaps", "line 1: it has a tag"),
    "a long number": (b"a: " + b"9" * 200_000, f"line 1: it has a value of more than {MAX_LENGTH} characters"),
    "a long time": (b"a: 1" + b":59" * 60_000, f"line 1: it has a value of more than {MAX_LENGTH} characters"),
    "a number that is none": (b"a: 0x_", "cannot be read as YAML"),
    "a date that is none": (b"a: 2026-99-99", "cannot be read as YAML"),
    "a merge of nothing": (b"<<: 3", "line 1"),
    "a key twice": (b"a: 1\nb: 2\na: 3\n", "line 3: it has the key 'a' twice"),
    "a key twice below": (b"a: [{b: 1, b: 2}]", "line 1: it has the key 'b' twice"),
    "a list as a key": (b"? [a]\n: b\n", "line 1: it has a key that is no text"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_file_is_refused_in_one_line(name: str) -> None:
    data, says = REFUSED[name]
    with pytest.raises(ValueError, match=r"a\.yaml") as caught:
        read_yaml(data, "a.yaml")
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 200


def test_plain_values_are_read_as_they_are() -> None:
    text = "# note\nkey: straße\nclasses:\n  - {name: a, colour: [1, 2, 3]}\nnone:\n"
    expected = {"key": "straße", "classes": [{"name": "a", "colour": [1, 2, 3]}], "none": None}
    assert read_yaml(text.encode(), "a.yaml") == expected
    assert read_yaml(text.encode("utf-8-sig"), "a.yaml") == expected
    assert read_yaml(b"", "a.yaml") is None
