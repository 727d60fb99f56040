"""Strangers' models in the browser: a zipped checkpoint and an ONNX file beside the bundled models, and one that fails."""

import io
import zipfile
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect
from torch import nn

from tests.browser.conftest import OpenPage
from tests.browser.server import upload

pytestmark = pytest.mark.browser


def zipped(folder: Path) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"{folder.name}/{path.name}")
    return data.getvalue()


@pytest.fixture(scope="module")
def segformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import seglab.models  # noqa: F401  (mends torchvision before Transformers asks for it)

    from transformers import SegformerConfig, SegformerForSemanticSegmentation  # isort: skip

    from seglab.labels import space

    names = dict(enumerate(space("cityscapes-19").names))
    small = {"depths": [1] * 4, "hidden_sizes": [8, 16, 24, 32], "num_attention_heads": [1, 1, 2, 2]}
    folder = tmp_path_factory.mktemp("hub") / "segformer-tiny"
    config = SegformerConfig(**small, decoder_hidden_size=32, id2label=names, label2id={v: k for k, v in names.items()})
    SegformerForSemanticSegmentation(config).save_pretrained(folder)
    return folder


def add(page: Page, *files: tuple[str, bytes], key: str = "own-upload") -> None:
    page.get_by_role("button", name="Models and options").click()
    upload(page, *files, key=key)


def test_a_zipped_checkpoint_and_an_onnx_file_stand_beside_the_bundled_models(
    open_page: OpenPage, segformer: Path, tmp_path: Path
) -> None:
    page = open_page("/?models=fpn_convnextv2")
    expect(page.get_by_test_id("viewer-panel-fpn_convnextv2")).to_be_visible(timeout=120_000)
    add(page, ("segformer-tiny.zip", zipped(segformer)))
    expect(page.get_by_test_id("viewer-panel-own1")).to_have_attribute("data-status", "ready", timeout=60_000)
    torch.onnx.export(
        nn.Conv2d(3, 19, 3, padding=1, stride=4).eval(),
        (torch.zeros(1, 3, 64, 96),),
        tmp_path / "mine.onnx",
        input_names=["x"],
        dynamic_axes={"x": {2: "h", 3: "w"}},
        dynamo=False,
    )
    page.keyboard.press("Escape")
    add(
        page,
        ("mine.onnx", (tmp_path / "mine.onnx").read_bytes()),
        ("mine.yaml", b"label_space: cityscapes-19\n"),
        key="own-upload-1",
    )
    expect(page.get_by_test_id("viewer-panel-own2")).to_have_attribute("data-status", "ready", timeout=60_000)
    expect(page.get_by_test_id("viewer-panel-own1")).to_be_visible()


def test_a_model_that_cannot_be_used_says_why_and_the_page_goes_on(open_page: OpenPage, segformer: Path) -> None:
    page = open_page("/?models=fpn_convnextv2")
    expect(page.get_by_test_id("viewer-panel-fpn_convnextv2")).to_be_visible(timeout=120_000)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.write(segformer / "config.json", "config.json")
        archive.writestr("model.safetensors", b"cos\nsystem\n(S'touch ran'\ntR.")
    add(page, ("broken.zip", data.getvalue()))
    expect(page.get_by_text("is not a safetensors file; pickled weights are refused")).to_be_visible(timeout=120_000)
    expect(page.get_by_test_id("viewer-panel-fpn_convnextv2")).to_be_visible()
