"""Names from outside are fit to write files under."""

import doctest

import pytest

from seglab import images
from seglab.images import names
from tests.hostile import Case, corpus


@pytest.mark.parametrize("case", corpus(), ids=lambda case: ascii(case.name)[1:40])
def test_a_safe_stem_is_safe_for_any_name(case: Case) -> None:
    stem = images.safe_stem(case.name)
    assert 1 <= len(stem) <= 80
    assert len(stem.encode()) <= 200
    assert all(c.isalnum() or c in "._-" for c in stem)
    assert not stem.startswith((".", "-"))
    assert not stem.endswith(".")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("street.jpg", "street"),
        ("../../etc/passwd.png", "passwd"),
        ("C:\\photos\\my street (1).JPG", "my_street_1"),
        ("straße 雪.png", "straße_雪"),
        ("CON.png", "photo_CON"),
        ("lpt1.tar.gz", "photo_lpt1.tar"),
        ("..", "photo"),
        ("", "photo"),
        ("雪" * 100 + ".png", "雪" * 60),
        ("x" * 100, "x" * 80),
        ("a..b.webp", "a..b"),
    ],
)
def test_a_stem_keeps_what_can_be_kept(name: str, stem: str) -> None:
    assert images.safe_stem(name) == stem


def test_doctests_of_the_module_hold() -> None:
    assert doctest.testmod(names).failed == 0
