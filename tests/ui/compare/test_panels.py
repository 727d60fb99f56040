"""The Compare page offers the label spaces that its models have in common."""

from types import SimpleNamespace

import pytest

from seglab.ui.compare.panels import common_spaces


@pytest.mark.parametrize(
    ("own", "offered"),
    [
        (["camvid-11"], ["camvid-11", "cityscapes-8"]),
        (["cityscapes-19"], ["cityscapes-8", "cityscapes-19"]),
        (["cityscapes-8", "cityscapes-8"], ["cityscapes-8"]),
        (["camvid-11", "cityscapes-19"], ["cityscapes-8"]),
        (["camvid-11", "nowhere"], []),
    ],
)
def test_what_models_have_in_common_is_offered(own: list[str], offered: list[str]) -> None:
    assert common_spaces([SimpleNamespace(label_space=key) for key in own]) == offered  # type: ignore[misc]
