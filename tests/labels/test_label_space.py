"""A label space paints its classes, and knows what they are elsewhere."""

import pytest

from seglab.labels import SPACES, LabelClass, space


@pytest.mark.parametrize("key", SPACES)
def test_the_colour_table_paints_classes_and_leaves_the_rest_black(key: str) -> None:
    table, n = space(key).lut(), space(key).num_classes
    assert table.shape == (256, 3)
    assert table[:n].tolist() == [list(c) for c in space(key).colours]
    assert not table[n:].any()


def test_a_class_is_its_group_in_the_groups_and_what_its_maps_say_elsewhere() -> None:
    kerb = LabelClass("kerb", (1, 2, 3), (1, 2, 3), "flat", (("cityscapes-19", "sidewalk"),))
    assert [kerb.told_in(key) for key in ("cityscapes-8", "cityscapes-19", "camvid-11")] == ["flat", "sidewalk", None]
    assert LabelClass("bench", (1, 2, 3), (1, 2, 3)).told_in("cityscapes-8") is None


def test_camvids_own_masks_have_a_void_id_of_their_own() -> None:
    assert space("camvid-11").void == (11, 255)
    assert space("cityscapes-19").void == (255,)
