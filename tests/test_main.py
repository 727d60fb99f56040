"""The command line writes what it names, reports what it refuses, and goes on with the rest."""

import json
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from seglab import __main__ as cli
from seglab.images import FORMATS, encode_jpeg
from seglab.labels import space
from seglab.predict.segmenter import Segmenter
from seglab.predict.shelf import EXPERIMENT
from seglab.predict.sources import open_model
from tests.hostile import Case, corpus
from tests.tiny import street

pytestmark = [pytest.mark.usefixtures("own_cache"), pytest.mark.filterwarnings("ignore:::PIL")]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of three photos, two of which share a name."""
    folder = tmp_path / "photos"
    for i, name in enumerate(("a/street.jpg", "b/street.jpg", "My crossing.jpg")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_jpeg(street(i, 65, 97)[0]))
    return folder


@pytest.fixture
def results(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the tiny run the only bundled model."""
    root = tmp_path / "results"
    shutil.copytree(tiny_run, root / EXPERIMENT / tiny_run.name)
    monkeypatch.setattr(cli, "load_segmenters", partial(cli.load_segmenters, results=root))
    return root


@pytest.fixture
def no_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "load_segmenters", partial(cli.load_segmenters, results=tmp_path / "nothing"))


def compare(*words: str | Path) -> int:
    return cli.main(["compare", *map(str, words), "--engine", "torch"])


def summary(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((out / "summary.json").read_text("utf-8"))
    return rows


def read(path: Path) -> Any:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def test_every_photo_gets_labels_and_an_overlay_of_its_own_size(results: Path, photos: Path, tmp_path: Path) -> None:
    names = [photos / "a/street.jpg", photos / "b/street.jpg", photos / "My crossing.jpg"]
    out = tmp_path / "new" / "out"
    assert compare(*names, "--out", out) == 0
    stems = ["street", "street-2", "My_crossing"]
    files = {f"{stem}.deeplabv3plus.{kind}.png" for stem in stems for kind in ("labels", "overlay")}
    assert {path.name for path in out.iterdir()} == {*files, "summary.json"}
    model = Segmenter(open_model(results / EXPERIMENT / "deeplabv3plus-seed42"), "torch")
    for name, stem in zip(names, stems, strict=True):
        labels = read(out / f"{stem}.deeplabv3plus.labels.png")
        assert labels.dtype == np.uint8
        assert labels.shape == (65, 97)
        pixels = cv2.cvtColor(read(name), cv2.COLOR_BGR2RGB).astype(np.uint8)
        assert (labels == model.predict(pixels).labels).mean() > 0.99  # decoders of JPEG may differ by a shade
        assert read(out / f"{stem}.deeplabv3plus.overlay.png").shape == (65, 97, 3)


def test_the_summary_says_what_was_seen_and_how_long_it_took(results: Path, photos: Path, tmp_path: Path) -> None:
    path = photos / "a/street.jpg"
    assert compare(path, "--out", tmp_path / "out", "--label-space", "cityscapes-8") == 0
    (row,) = summary(tmp_path / "out")
    latency = row.pop("latency_ms")
    assert set(latency) == {"decode", "preprocess", "forward", "postprocess", "total"}
    assert latency["total"] == pytest.approx(sum(v for k, v in latency.items() if k != "total"), abs=0.3)
    share = row.pop("share_frac")
    assert list(share) == list(space("cityscapes-8").names)
    assert sum(share.values()) == pytest.approx(1, abs=1e-4)
    assert 0 < row.pop("mean_confidence") <= 1
    assert row.pop("engine").startswith("torch")
    assert row == {
        "photo": str(path),
        "model": "deeplabv3plus",
        "run": f"{json.loads((results / EXPERIMENT / 'deeplabv3plus-seed42' / 'run.json').read_text())['experiment']}"
        "/deeplabv3plus-seed42",
        "label_space": "cityscapes-8",
        "height_px": 65,
        "width_px": 97,
    }


def test_a_bad_photo_is_reported_while_the_others_go_on(
    results: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, gone = tmp_path / "notes.jpg", tmp_path / "gone.jpg"
    bad.write_text("no picture")
    assert compare(bad, photos / "a/street.jpg", gone, tmp_path, "--out", tmp_path / "out") == 1
    rows = summary(tmp_path / "out")
    assert [row["photo"] for row in rows] == [str(p) for p in (bad, photos / "a/street.jpg", gone, tmp_path)]
    assert ["error" in row for row in rows] == [True, False, True, True]
    assert all(row["model"] is None for row in rows if "error" in row)
    captured = capsys.readouterr()
    assert "notes.jpg is not a JPEG" in captured.err
    assert "gone.jpg cannot be read" in captured.err
    assert "Traceback" not in captured.err
    assert "1 masks of 4 photos by 1 models" in captured.out
    assert "3 failed" in captured.out
    assert (tmp_path / "out" / "street.deeplabv3plus.labels.png").is_file()


def test_a_model_that_fails_is_reported_while_the_others_go_on(
    results: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: Path
) -> None:
    predict = Segmenter.predict

    def broken(self: Segmenter, *args: Any) -> Any:
        if self.model.key == "mask2former-tiny":
            raise RuntimeError("out of memory\nsecond line")
        return predict(self, *args)

    monkeypatch.setattr(Segmenter, "predict", broken)
    assert compare(photos / "a/street.jpg", "--model", published, "--out", tmp_path / "out") == 1
    good, bad = summary(tmp_path / "out")
    assert (good["model"], "error" in good) == ("deeplabv3plus", False)
    assert bad == {"photo": str(photos / "a/street.jpg"), "model": "mask2former-tiny", "error": "out of memory"}


def test_models_of_different_label_spaces_meet_in_the_eight_groups(
    results: Path, photos: Path, tmp_path: Path, published: Path
) -> None:
    assert compare(photos / "a/street.jpg", "--model", published, "--out", tmp_path / "out") == 0
    rows = summary(tmp_path / "out")
    assert [row["model"] for row in rows] == ["deeplabv3plus", "mask2former-tiny"]
    assert {row["label_space"] for row in rows} == {"cityscapes-8"}
    assert read(tmp_path / "out" / "street.mask2former-tiny.labels.png").max() < 7


def test_a_label_space_that_a_model_cannot_show_is_reported(results: Path, photos: Path, tmp_path: Path) -> None:
    assert compare(photos / "a/street.jpg", "--label-space", "cityscapes-19", "--out", tmp_path / "out") == 1
    assert "got camvid-11 -> cityscapes-19" in summary(tmp_path / "out")[0]["error"]


@pytest.mark.usefixtures("no_results")
def test_ones_own_runs_are_compared_under_names_of_their_own(tiny_run: Path, photos: Path, tmp_path: Path) -> None:
    again = shutil.copytree(tiny_run, tmp_path / "again" / tiny_run.name)
    out = tmp_path / "out"
    assert compare(photos / "a/street.jpg", "--model", tiny_run, "--model", again, "--out", out) == 0
    assert [row["model"] for row in summary(out)] == ["deeplabv3plus-seed42", "deeplabv3plus-seed42-2"]
    assert [row["label_space"] for row in summary(out)] == ["camvid-11"] * 2


def test_only_the_named_models_run(
    results: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = photos / "a/street.jpg"
    assert compare(photo, "--only", "deeplabv3plus", "--out", tmp_path / "out") == 0
    assert compare(photo, "--only", "unet", "--out", tmp_path / "other") == 1
    assert "expected --only out of deeplabv3plus, got unet" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


@pytest.mark.usefixtures("no_results")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "no trained model on the shelf; train one"),
        (["--model", "/no/such/run"], "expected a model, got '/no/such/run'"),
        (["--only", "deeplabv3plus"], "expected --only out of no trained model, got deeplabv3plus"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    words: list[str], says: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert compare(photos / "a/street.jpg", *words, "--out", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert says in error
    assert "Traceback" not in error


def test_a_damaged_run_is_refused_in_one_line(
    results: Path, run_copy: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_copy / "weights.safetensors").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    assert compare(photos / "a/street.jpg", "--model", run_copy, "--out", tmp_path / "out") == 1
    assert "weights.safetensors is not a safetensors file; pickled weights are refused" in capsys.readouterr().err


def test_an_out_that_is_a_file_is_refused(
    results: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").touch()
    assert compare(photos / "a/street.jpg", "--out", tmp_path / "out") == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_the_help_names_every_format_of_photo(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["compare", "--help"])
    assert FORMATS in " ".join(capsys.readouterr().out.split())


HOSTILE = [
    "notes.txt",
    "model.pickle",
    "cut-50.jpeg",
    "bomb-claimed.png",
    "claims-4-gigapixels.jpg",
    "orientation-6.jpg",
    "mode-CMYK.jpeg",
    "sixteen.png",
    "pages.tif",
    "16x16.png",
    "64-to-1.png",
    "turned-twice.heic",
    "tiles.avif",
    "animated.gif",
    "noise-for-pixels.heic",
    "two\nlines.png",
    "straße 雪 улица.png",
    "half-\udc80-surrogate.png",
    ".hidden.png",
    "<img src=x onerror=alert(1)>.png",
    "=cmd|' /C calc'!A0.png",
    "tab\tand\x1b[31mred.png",
]


def test_hostile_files_pass_or_fail_alone_and_stay_in_the_out_folder(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases: dict[str, Case] = {case.name: case for case in corpus()}
    folder = tmp_path / "in"
    folder.mkdir()
    chosen = []
    for name in HOSTILE:
        path = os.path.join(str(folder), name.replace("/", "_"))
        with open(path, "wb") as file:
            file.write(cases[name].data)
        chosen.append((path, cases[name]))
    before = sorted(os.listdir(tmp_path))
    assert compare(*[path for path, _ in chosen], "--out", tmp_path / "out") == 1
    rows = json.loads((tmp_path / "out" / "summary.json").read_bytes())
    assert [row["photo"] for row in rows] == [path for path, _ in chosen]
    for row, (_, case) in zip(rows, chosen, strict=True):
        assert ("error" in row) == (case.expect == "refuse"), case.name
        if case.size and "error" not in row:
            assert (row["height_px"], row["width_px"]) == case.size
    written = [p for p in (tmp_path / "out").iterdir() if p.name != "summary.json"]
    assert len(written) == 2 * sum(case.expect == "accept" for _, case in chosen)
    assert all(p.name.isprintable() and not p.name.startswith((".", "-")) for p in written)
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "out"])
    captured = capsys.readouterr()
    assert "\x1b[31m" not in captured.err
    assert "Traceback" not in captured.err


def test_photos_of_one_name_get_stems_of_their_own() -> None:
    names = ["x.jpg", "a/x.png", "x-2.jpg", "X.JPG", "../x.jpg", "", "."]
    stems = cli.unique_stems(names)
    assert stems[:2] == ["x", "x-2"]
    assert len({stem.casefold() for stem in stems}) == len(names)
    assert cli.unique_stems([]) == []


def test_ctrl_c_ends_with_its_own_exit_code(
    results: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Segmenter, "predict", stopped)
    assert compare(photos / "a/street.jpg", "--out", tmp_path / "out") == 130
    assert capsys.readouterr().err.strip().endswith("interrupted")


@pytest.mark.parametrize("words", [[], ["compare"], ["compare", "x.jpg"], ["dance"]])
def test_a_command_that_is_incomplete_shows_its_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert "Usage: python -m seglab" in capsys.readouterr().err
