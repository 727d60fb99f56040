"""Mean maps of a run: the mean of the images' own maps, resumable, in a file that a reader can trust."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from seglab.explain.gradcam import Explainer, class_mean
from seglab.explain.pointing import coactivation, density, energy_inside, peak_inside
from seglab.labels import space
from seglab.models import spec
from seglab.predict.networks import load_run
from seglab.records import cams as cam_records
from seglab.records.files import RunError
from seglab.records.runs import read_record
from trainers import explain as module
from trainers.explain import explain_run, main
from trainers.training.evaluation import open_validation
from trainers.training.loading import eval_batches

C = space("camvid-11").num_classes


def test_the_record_is_the_mean_over_images_and_keeps_each_of_them(run_copy: Path, camvid: Path) -> None:
    path = explain_run(run_copy, camvid, progress=False)
    assert path == run_copy / "cam" / "decoder-gradcam.npz"
    cams = cam_records.load(run_copy, "decoder-gradcam", C)
    explainer = Explainer(load_run(run_copy), spec("deeplabv3plus").cam_layers["decoder"])
    shown: dict[int, list[Any]] = {c: [] for c in range(C)}
    for i, (stem, image, mask) in enumerate(eval_batches(open_validation(read_record(run_copy), camvid))):
        assert cams.stems[i] == stem
        look = explainer.look(image)
        for c in range(C):
            predicted = look.labels == c
            assert cams.area[i, c] == pytest.approx((mask == c).mean() or np.nan, nan_ok=True)
            if predicted.mean() < module.LEAST_SHARE:
                assert np.isnan(cams.energy[i, c])
                continue
            evidence = look.enlarge(look.cam(class_mean(c, predicted)))
            if (one := density(evidence)) is None:
                continue
            shown[c].append(cv2.resize(one, cam_records.GRID[::-1], interpolation=cv2.INTER_AREA))
            assert cams.coactivation[i, c] == pytest.approx(coactivation(evidence, mask, C), abs=1e-6)
            expected = energy_inside(evidence, mask == c) if (mask == c).any() else np.nan
            assert cams.energy[i, c] == pytest.approx(expected, abs=1e-6, nan_ok=True)
            assert cams.peak[i, c] == pytest.approx(
                peak_inside(evidence, mask == c) if (mask == c).any() else np.nan, nan_ok=True
            )
    assert any(shown.values())
    for c, maps in shown.items():
        assert cams.images[c] == len(maps)
        if maps:
            np.testing.assert_allclose(cams.maps[c], np.mean(maps, 0), rtol=2e-3, atol=1e-3)
        else:
            assert np.isnan(cams.maps[c]).all()
    assert cams.about["weights_sha256"] == read_record(run_copy)["weights"]["sha256"]
    assert {"split", "fingerprint", "layer", "method", "git_commit", "time"} <= cams.about.keys()


def test_a_run_that_was_killed_goes_on_and_ends_alike(
    run_copy: Path, camvid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAVE_EVERY", 1)
    explain_run(run_copy, camvid, progress=False)
    whole = cam_records.load(run_copy, "decoder-gradcam", C)
    (run_copy / "cam" / "decoder-gradcam.npz").unlink()
    added: list[int] = []
    add = module._add

    def killed(cams: Any, index: int, *rest: Any) -> None:
        if index == 2 and 2 not in added:
            added.append(2)
            raise KeyboardInterrupt
        added.append(index)
        add(cams, index, *rest)

    monkeypatch.setattr(module, "_add", killed)
    assert main([str(run_copy), "--data", str(camvid)]) == 130
    assert cam_records.names(run_copy) == [], "a part is not shown as the whole"
    assert main([str(run_copy), "--data", str(camvid)]) == 0
    assert added == [0, 1, 2, 2], "images that were done are not done again"
    again = cam_records.load(run_copy, "decoder-gradcam", C)
    for name in ("maps", "images", "energy", "area", "peak", "coactivation"):
        np.testing.assert_allclose(getattr(again, name), getattr(whole, name), rtol=2e-3, atol=1e-3)
    assert [path.name for path in (run_copy / "cam").iterdir()] == ["decoder-gradcam.npz"]
    assert "done" not in again.about
    before = (run_copy / "cam" / "decoder-gradcam.npz").read_bytes()
    assert main([str(run_copy), "--data", str(camvid)]) == 0
    assert (run_copy / "cam" / "decoder-gradcam.npz").read_bytes() == before


def test_other_weights_are_explained_anew(run_copy: Path, camvid: Path) -> None:
    explain_run(run_copy, camvid, progress=False)
    cams = cam_records.load(run_copy, "decoder-gradcam", C)
    cam_records.save(
        run_copy, cam_records.MeanCams(**{**vars(cams), "about": {**cams.about, "weights_sha256": "0" * 64}})
    )
    explain_run(run_copy, camvid, progress=False)
    assert cam_records.load(run_copy, "decoder-gradcam", C).about["weights_sha256"] != "0" * 64


def test_each_layer_and_method_has_its_file(run_copy: Path, camvid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run_copy), "--data", str(camvid), "--layer", "ASPP", "--method", "hirescam"]) == 0
    assert "ASPP, HiResCAM, 3 images of val" in capsys.readouterr().out
    assert cam_records.names(run_copy) == ["aspp-hirescam"]


def test_what_cannot_be_explained_is_told_and_the_next_run_goes_on(
    run_copy: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none"), str(run_copy), "--data", str(camvid)]) == 1
    printed = capsys.readouterr()
    assert "expected a run.json" in printed.err
    assert "decoder, Grad-CAM" in printed.out
    assert main([str(run_copy), "--data", str(camvid), "--layer", "roof"]) == 1
    assert "expected a layer of deeplabv3plus out of decoder, ASPP" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["cut", "text", "shape", "about", "missing", "name"])
def test_a_damaged_file_is_named(run_copy: Path, camvid: Path, damage: str) -> None:
    path = explain_run(run_copy, camvid, progress=False)
    name = path.stem
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "text":
        path.write_text("no archive")
    elif damage == "missing":
        path.unlink()
    elif damage == "name":
        name = "../../run"
    else:
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
        arrays["maps"] = arrays["maps"][:3] if damage == "shape" else arrays["maps"]
        arrays["about"] = np.array(json.dumps([1]) if damage == "about" else str(arrays["about"]))
        np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(RunError, match=r"run trainers\.explain again"):
        cam_records.load(run_copy, name, C)
