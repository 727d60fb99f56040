"""Masks that something else predicted stand beside models: found by the photo's name, never guessed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglab.__main__ import main
from seglab.labels import space
from seglab.predict.scores import to_labels
from seglab.predict.segmenter import Segmenter
from seglab.predict.sources import open_model

SIZE = (61, 97)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs"
    folder.mkdir()
    ids = np.random.default_rng(0).integers(0, 19, SIZE).astype(np.uint8)
    ids[:5] = 255
    Image.fromarray(ids).save(folder / "street.png")
    (folder / "seglab.yaml").write_text("label_space: cityscapes-19\n")
    return folder


def stored(folder: Path) -> np.ndarray:
    return np.asarray(Image.open(folder / "street.png"))


def test_a_mask_is_the_answer_to_the_photo_of_its_name(masks: Path) -> None:
    segmenter = Segmenter(open_model(f"masks:{masks}"))
    photo = np.zeros((*SIZE, 3), np.uint8)
    found = segmenter.predict(photo, name="somewhere/street.jpg")
    np.testing.assert_array_equal(found.labels, stored(masks))
    assert (found.confidence[:5] == 0).all()
    assert (found.confidence[5:] == 255).all()
    groups = segmenter.predict(photo, "cityscapes-8", name="street.jpg").labels
    assert space("cityscapes-8").names[groups[stored(masks) == 0][0]] == space("cityscapes-19").groups[0]


def test_what_the_page_shows_is_the_mask_itself(masks: Path) -> None:
    segmenter = Segmenter(open_model(f"masks:{masks}"))
    scores = segmenter.model.source.scores("street.jpg", *SIZE)  # type: ignore[attr-defined]
    labels, confidence = to_labels(scores, *SIZE, np.r_[np.arange(19), np.full(237, 255)].astype(np.uint8), 19)
    np.testing.assert_array_equal(labels, stored(masks))
    assert (confidence == 255).all()


def test_classes_by_name_are_matched_and_the_rest_is_no_class(masks: Path) -> None:
    names = [*space("cityscapes-19").names[::-1], "windmill"]
    (masks / "seglab.yaml").write_text(f"classes: {names}\n")
    model = open_model(f"masks:{masks}")
    labels = Segmenter(model).predict(np.zeros((*SIZE, 3), np.uint8), name="street.jpg").labels
    mask = stored(masks)
    np.testing.assert_array_equal(labels[5:], 18 - mask[5:])
    assert any("windmill" in note for note in model.facts.notes)


def test_a_map_says_what_single_classes_are(masks: Path) -> None:
    names = [*space("cityscapes-19").names[:-1], "kerb"]
    (masks / "seglab.yaml").write_text(f"label_space: cityscapes-19\nclasses: {names}\nmap: {{kerb: road, car: ~}}\n")
    labels = Segmenter(open_model(f"masks:{masks}")).predict(np.zeros((*SIZE, 3), np.uint8), name="street.jpg").labels
    mask = stored(masks)
    assert (labels[mask == 18] == 0).all()
    assert (labels[mask == names.index("car")] == 255).all()
    assert (labels[mask == 1] == 1).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{map: {kerb: road}}", "map: expected label_space beside it"),
        ("{label_space: cityscapes-19, map: {kerb: road}}", "'kerb' is no class of the model"),
        ("{label_space: cityscapes-19, map: {road: moon}}", "map, 'road': expected a class out of road, sidewalk"),
        ("{label_space: cityscapes-19, map: [road]}", "map: expected the model's classes by name"),
    ],
)
def test_a_map_that_cannot_be_used_says_why(masks: Path, text: str, said: str) -> None:
    (masks / "seglab.yaml").write_text(text)
    with pytest.raises(ValueError, match=said):
        open_model(f"masks:{masks}")


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("other.jpg", SIZE, r"there is no mask of other\.jpg in the folder: it would be other\.png"),
        ("street.jpg", (60, 97), r"street\.png is 97 x 61 pixels, the photo 97 x 60"),
    ],
)
def test_a_photo_that_it_is_no_mask_of_is_refused(masks: Path, name: str, size: tuple[int, int], said: str) -> None:
    segmenter = Segmenter(open_model(f"masks:{masks}"))
    with pytest.raises(ValueError, match=said):
        segmenter.predict(np.zeros((*size, 3), np.uint8), name=name)


def test_a_corrupted_photo_cannot_be_asked_of_masks(masks: Path) -> None:
    with pytest.raises(ValueError, match="by name, and nothing else"):
        Segmenter(open_model(f"masks:{masks}")).scores(np.zeros((*SIZE, 3), np.uint8))


def test_what_ids_mean_is_asked_with_the_likely_reading(masks: Path) -> None:
    (masks / "seglab.yaml").unlink()
    with pytest.raises(ValueError, match=r"does not say what the ids of its masks are \(up to 18 .*cityscapes-19"):
        open_model(f"masks:{masks}")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda f: (f / "seglab.yaml").write_text("label_space: camvid-11"),
            r"hold ids up to 18 \(street.png\).* 11 classes",
        ),
        (lambda f: (f / "street.png").write_bytes(b"no png"), "is not a PNG"),
        (lambda f: (f / "street.png").unlink(), "expected 1 to 100000 PNG masks in theirs, found 0"),
        (lambda f: Image.new("RGB", (20, 20)).save(f / "street.png"), "holds colours, not class ids"),
        (lambda f: (f / "seglab.yaml").write_text("classes: [1, 2]"), "seglab.yaml, classes"),
    ],
    ids=["ids", "no png", "empty", "colours", "yaml"],
)
def test_a_folder_that_is_none_says_why(masks: Path, spoil: object, said: str) -> None:
    spoil(masks)  # type: ignore[operator]
    with pytest.raises(ValueError, match=said):
        open_model(f"masks:{masks}")
    with pytest.raises(ValueError, match="expected a folder of masks"):
        open_model("masks:/no/such/folder")


def test_the_command_line_puts_masks_beside_a_model(masks: Path, tmp_path: Path) -> None:
    photo = tmp_path / "street.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)).save(photo)
    out = tmp_path / "out"
    asked = ["compare", str(photo), "--out", str(out), "--model", f"masks:{masks}", "--only", "fpn_convnextv2"]
    assert main([*asked, "--engine", "torch"]) == 0
    assert len(list(out.glob("*theirs*"))) >= 2
    assert len(list(out.glob("*fpn_convnextv2*"))) >= 2
