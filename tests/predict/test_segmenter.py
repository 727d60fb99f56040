"""A photo goes in and labels of its own size come out, in one pass or in tiles, from a run or a published model."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seglab.labels import remap, space
from seglab.models import MEAN, STD
from seglab.predict import engines
from seglab.predict import segmenter as inference
from seglab.predict.segmenter import OVERLAP_PX, Segmenter, tile_starts, to_input
from seglab.predict.sources import open_model
from seglab.records.files import RunError
from tests.tiny import street

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def segmenter(tiny_run: Path) -> Segmenter:
    return Segmenter(open_model(tiny_run), "torch")


class ByPixel:
    """An engine whose score depends on the pixel alone, as no seam could."""

    name = "by pixel"

    def __init__(self, classes: int) -> None:
        self.classes, self.shapes = classes, []

    def prepare(self, shape: tuple[int, ...]) -> None:
        self.prepared = shape

    def scores(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        self.shapes.append(image.shape)
        assert image.shape == self.prepared
        assert image.shape[-2] % 32 == image.shape[-1] % 32 == 0
        raw = np.stack([np.cos(image[0].sum(0) * (c + 1)) + 2 for c in range(self.classes)])
        return np.asarray(raw / raw.sum(0), np.float32)


class Constant(ByPixel):
    """An engine that is always equally sure of everything."""

    def scores(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        share = np.arange(1, self.classes + 1, dtype=np.float32)
        return np.broadcast_to((share / share.sum())[:, None, None], (self.classes, *image.shape[2:])).copy()


def with_engine(segmenter: Segmenter, engine: Any) -> Segmenter:
    copy = object.__new__(Segmenter)
    copy.__dict__.update(segmenter.__dict__, engine=engine)
    return copy


def test_the_input_is_normalised_and_its_edges_repeated() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (33, 65, 3)).astype(np.uint8)
    out = to_input(pixels)
    assert out.shape == (1, 3, 64, 96)
    assert out.dtype == np.float32
    assert out.flags.c_contiguous
    expected = ((pixels / 255 - MEAN) / STD).transpose(2, 0, 1)
    np.testing.assert_allclose(out[0, :, :33, :65], expected, atol=1e-5)
    assert np.array_equal(out[0, :, 33:, :65], np.repeat(out[0, :, 32:33, :65], 31, axis=1))
    assert np.array_equal(out[0, :, :, 65:], np.repeat(out[0, :, :, 64:65], 31, axis=2))


@pytest.mark.parametrize("length", [1, 511, 512, 513, 928, 929, 1024, 8192, 32_768])
def test_tiles_cover_the_length_and_overlap(length: int) -> None:
    starts = tile_starts(length, 512)
    assert starts[0] == 0
    assert starts[-1] == max(0, length - 512)
    steps = np.diff(starts)
    assert (steps > 0).all()
    assert (steps <= 512 - OVERLAP_PX).all()


@pytest.mark.parametrize("shape", [(64, 96), (65, 97), (16, 16), (1, 1), (1, 40), (200, 17)])
def test_labels_and_confidence_have_the_photos_size(segmenter: Segmenter, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    prediction = segmenter.predict(pixels)
    assert prediction.labels.shape == prediction.confidence.shape == shape
    assert prediction.labels.dtype == prediction.confidence.dtype == np.uint8
    assert prediction.labels.max() < 11
    assert prediction.label_space == "camvid-11"
    assert prediction.scores.shape == (11, *shape)
    assert prediction.scores.dtype == np.float16
    assert set(prediction.latency_ms) == {"preprocess", "forward", "postprocess"}
    assert all(value >= 0 for value in prediction.latency_ms.values())


def test_the_answer_is_the_networks_own(segmenter: Segmenter, tiny_run: Path) -> None:
    import torch

    from seglab.predict.networks import load_run

    pixels, _ = street(5)
    with torch.inference_mode():
        expected = load_run(tiny_run)(torch.from_numpy(to_input(pixels)))[0].softmax(0).numpy()
    prediction = segmenter.predict(pixels)
    assert np.array_equal(prediction.labels, expected.astype(np.float16).argmax(0))
    assert np.abs(prediction.confidence / 255 - expected.max(0)).max() < 4e-3


def test_a_large_photo_is_scored_small_and_labelled_large(segmenter: Segmenter) -> None:
    engine = ByPixel(11)
    pixels, _ = street(1, 1024, 1536)
    prediction = with_engine(segmenter, engine).predict(pixels)
    assert engine.shapes == [(1, 3, 512, 768)]
    assert prediction.scores.shape == (11, 512, 768)
    assert prediction.labels.shape == (1024, 1536)


@pytest.mark.parametrize("shape", [(130, 500), (500, 130), (200, 300), (161, 129)])
def test_tiles_give_what_one_pass_gives_where_the_model_looks_at_pixels_alone(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]
) -> None:
    pixels, _ = street(2, *shape)
    engine = ByPixel(11)
    monkeypatch.setattr(inference, "TILE_PX", (128, 160))
    tiled, _ = with_engine(segmenter, engine).scores(pixels)
    assert len(engine.shapes) > 1
    monkeypatch.setattr(inference, "TILE_PX", (10_000, 10_000))
    whole, _ = with_engine(segmenter, engine).scores(pixels)
    np.testing.assert_allclose(tiled.astype(np.float32), whole.astype(np.float32), atol=1e-3)


def test_tiles_of_a_constant_answer_show_no_seam(segmenter: Segmenter) -> None:
    tiled, _ = with_engine(segmenter, Constant(11)).scores(np.zeros((512, 1500, 3), np.uint8))
    assert np.ptp(tiled.astype(np.float32).reshape(11, -1), axis=1).max() <= 1e-3
    np.testing.assert_allclose(tiled.astype(np.float32).sum(0), 1, atol=5e-3)


def test_a_tile_counts_more_in_its_middle_than_at_its_border(segmenter: Segmenter) -> None:
    ramp = inference._ramp(512)
    assert ramp[0] == ramp[-1] == np.float32(1 / OVERLAP_PX)
    assert (ramp[OVERLAP_PX:-OVERLAP_PX] == 1).all()
    assert np.array_equal(ramp, ramp[::-1])


def test_another_label_space_rolls_the_own_labels_up(segmenter: Segmenter) -> None:
    pixels, _ = street(3)
    own = segmenter.predict(pixels)
    rolled = segmenter.predict(pixels, "cityscapes-8")
    assert rolled.label_space == "cityscapes-8"
    assert np.array_equal(rolled.labels, remap(own.labels, "camvid-11", "cityscapes-8"))
    assert (rolled.confidence.astype(int) >= own.confidence.astype(int) - 1).all()
    with pytest.raises(ValueError, match="got camvid-11 -> cityscapes-19"):
        segmenter.predict(pixels, "cityscapes-19")


def test_the_classes_shares_of_the_area_sum_to_one(segmenter: Segmenter) -> None:
    prediction = segmenter.predict(street(4)[0])
    share = prediction.share_frac()
    assert list(share) == list(space("camvid-11").names)
    assert sum(share.values()) == pytest.approx(1)
    assert share["road"] == (prediction.labels == 3).mean()


def test_a_run_says_what_it_is(segmenter: Segmenter, tiny_run: Path) -> None:
    record = json.loads((tiny_run / "run.json").read_text())
    assert (segmenter.model.key, segmenter.model.title, segmenter.label_space) == (
        "deeplabv3plus",
        "Tiny DeepLabV3+",
        "camvid-11",
    )
    assert segmenter.model.facts.origin == "tiny/deeplabv3plus-seed42"
    assert segmenter.weights_sha256 == record["weights"]["sha256"]
    assert segmenter.engine.name.startswith("torch")
    assert segmenter.engine_note is None


@pytest.mark.parametrize("status", ["running", "failed", "interrupted"])
def test_a_run_that_is_not_finished_is_refused(run_copy: Path, status: str) -> None:
    record = json.loads((run_copy / "run.json").read_text()) | {"status": status}
    (run_copy / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=f"is {status}, not finished; finish its training first"):
        Segmenter(open_model(run_copy), "torch")


def test_a_run_without_weights_is_refused_and_never_runs_on_random_ones(run_copy: Path) -> None:
    (run_copy / "weights.safetensors").unlink()
    with pytest.raises(RunError, match=r"expected weights in weights\.safetensors"):
        Segmenter(open_model(run_copy), "torch")


def test_weights_can_be_named_as_a_file_beside_their_record(run_copy: Path, tmp_path: Path) -> None:
    assert (
        Segmenter(open_model(run_copy / "weights.safetensors"), "torch").model.facts.origin
        == "tiny/deeplabv3plus-seed42"
    )
    pickled = run_copy / "weights.pth"
    pickled.write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(ValueError, match=r"weights\.pth is a pickle, which can run code when opened"):
        Segmenter(open_model(pickled), "torch")
    alone = tmp_path / "alone.safetensors"
    shutil.copy(run_copy / "weights.safetensors", alone)
    with pytest.raises(RunError, match=r"expected a run\.json"):
        Segmenter(open_model(alone), "torch")


def test_a_published_checkpoint_segments_in_its_nineteen_classes(published: Path) -> None:
    segmenter = Segmenter(open_model(published), "torch")
    assert (segmenter.model.key, segmenter.label_space, segmenter.model.facts.origin) == (
        "mask2former-tiny",
        "cityscapes-19",
        "mask2former-tiny",
    )
    assert len(segmenter.weights_sha256) == 64
    assert segmenter.model.facts.provenance == "published"
    prediction = segmenter.predict(street(0)[0])
    assert prediction.labels.shape == (64, 96)
    assert prediction.labels.max() < 19
    assert segmenter.predict(street(0)[0], "cityscapes-8").labels.max() < 7


def key_of(source: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the key under which a source's conversion would be cached."""
    keys = []

    def noted(model: Any, key: str, engine: str, **more: Any) -> Any:
        keys.append(key)
        return engines.TorchEngine(model), None

    monkeypatch.setattr(inference, "make_engine", noted)
    Segmenter(open_model(source))
    return str(keys[0])


def test_conversions_are_cached_by_everything_that_makes_the_answer(
    published: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, run = key_of(published, monkeypatch), key_of(tiny_run, monkeypatch)
    moved = Path(shutil.copytree(published, tmp_path / "moved"))
    assert key_of(moved, monkeypatch) == first
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-3, "dropout": 0.3}))
    assert key_of(moved, monkeypatch) != first
    rates = Path(shutil.copytree(tiny_run, tmp_path / "tiny" / tiny_run.name))
    record = json.loads((rates / "run.json").read_text())
    record["model"]["options"]["decoder_atrous_rates"] = [2, 4, 6]  # the same tensors, another network
    (rates / "run.json").write_text(json.dumps(record))
    assert key_of(rates, monkeypatch) != run


@pytest.mark.parametrize("source", ["/no/such/folder", "results/no/thing", "no such thing"])
def test_a_source_that_is_no_model_is_refused_with_one_sentence(source: str) -> None:
    with pytest.raises(ValueError, match="expected a model, got") as caught:
        open_model(source)
    assert source in str(caught.value)


def test_a_name_of_the_hub_that_cannot_be_fetched_says_so_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match="the hub could not give nobody/no-such-model") as caught:
        open_model("nobody/no-such-model")
    assert "download the folder elsewhere" in str(caught.value)
