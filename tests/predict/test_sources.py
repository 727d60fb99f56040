"""Models of other libraries: their labels are those of their own library, and what their files do not say is told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import seglab.models
from seglab.data.scenes import make_scene
from seglab.labels import VOID, space
from seglab.labels.matching import match
from seglab.models.adapted import Adapter, Input
from seglab.predict.engines import OpenVINOEngine
from seglab.predict.segmenter import Segmenter
from seglab.predict.sources import open_model

import segmentation_models_pytorch as smp  # isort: skip
import transformers as hf  # isort: skip

NAMES = space("cityscapes-19").names
LABELS = {"id2label": dict(enumerate(NAMES)), "label2id": {name: i for i, name in enumerate(NAMES)}}
STAGES = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
SWIN = {"embed_dim": 12, "depths": [1] * 4, "num_heads": [1, 1, 2, 2], **STAGES}
VIT = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 224}
BEIT = {**VIT, "out_indices": [0, 1, 2, 3], "use_auxiliary_head": False, "use_relative_position_bias": True}
NARROW = {
    "feature_size": 32,
    "mask_feature_size": 32,
    "hidden_dim": 32,
    "encoder_feedforward_dim": 32,
    "dim_feedforward": 32,
}
SHALLOW = {"encoder_layers": 1, "decoder_layers": 2, "num_attention_heads": 2, "num_queries": 8}
DETR = {
    "d_model": 32,
    **{f"{side}_{part}": 1 for side in ("encoder", "decoder") for part in ("layers",)},
    **{f"{side}_attention_heads": 2 for side in ("encoder", "decoder")},
    **{f"{side}_ffn_dim": 32 for side in ("encoder", "decoder")},
    "num_queries": 8,
}
TINY: dict[str, Callable[[], Any]] = {
    "segformer": lambda: hf.SegformerForSemanticSegmentation(
        hf.SegformerConfig(
            depths=[1] * 4,
            hidden_sizes=[8, 16, 24, 32],
            num_attention_heads=[1, 1, 2, 2],
            decoder_hidden_size=32,
            **LABELS,
        )
    ),
    "upernet-convnext": lambda: hf.UperNetForSemanticSegmentation(
        hf.UperNetConfig(
            backbone_config=hf.ConvNextConfig(depths=[1] * 4, hidden_sizes=[8, 16, 24, 32], **STAGES),
            hidden_size=32,
            use_auxiliary_head=False,
            **LABELS,
        )
    ),
    "upernet-swin": lambda: hf.UperNetForSemanticSegmentation(
        hf.UperNetConfig(backbone_config=hf.SwinConfig(**SWIN), hidden_size=32, use_auxiliary_head=False, **LABELS)
    ),
    "beit": lambda: hf.BeitForSemanticSegmentation(hf.BeitConfig(**BEIT, **LABELS)),
    "data2vec": lambda: hf.Data2VecVisionForSemanticSegmentation(hf.Data2VecVisionConfig(**BEIT, **LABELS)),
    "dpt": lambda: hf.DPTForSemanticSegmentation(
        hf.DPTConfig(
            **VIT,
            backbone_out_indices=[0, 1, 2, 3],
            neck_hidden_sizes=[16, 16, 32, 32],
            fusion_hidden_size=32,
            use_auxiliary_head=False,
            **LABELS,
        )
    ),
    "mobilenet_v2": lambda: hf.MobileNetV2ForSemanticSegmentation(
        hf.MobileNetV2Config(depth_multiplier=0.25, **LABELS)
    ),
    "mobilevit": lambda: hf.MobileViTForSemanticSegmentation(
        hf.MobileViTConfig(
            hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 24, 32], aspp_out_channels=16, **LABELS
        )
    ),
    "mobilevitv2": lambda: hf.MobileViTV2ForSemanticSegmentation(
        hf.MobileViTV2Config(width_multiplier=0.25, aspp_out_channels=16, **LABELS)
    ),
    "mask2former": lambda: hf.Mask2FormerForUniversalSegmentation(
        hf.Mask2FormerConfig(backbone_config=hf.SwinConfig(**SWIN), **NARROW, **SHALLOW, **LABELS)
    ),
    "maskformer": lambda: hf.MaskFormerForInstanceSegmentation(
        hf.MaskFormerConfig(
            backbone_config=hf.SwinConfig(**SWIN),
            decoder_config=hf.DetrConfig(**DETR),
            fpn_feature_size=32,
            mask_feature_size=32,
            **LABELS,
        )
    ),
    "oneformer": lambda: hf.OneFormerForUniversalSegmentation(
        hf.OneFormerConfig(
            backbone_config=hf.SwinConfig(**SWIN),
            hidden_dim=32,
            mask_dim=32,
            conv_dim=32,
            num_attention_heads=2,
            encoder_layers=1,
            decoder_layers=2,
            encoder_feedforward_dim=32,
            dim_feedforward=32,
            num_queries=9,
            task_seq_len=12,
            is_training=False,
            **LABELS,
        )
    ),
    "eomt": lambda: hf.EomtForUniversalSegmentation(
        hf.EomtConfig(
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=224,
            num_blocks=1,
            num_upscale_blocks=2,
            num_queries=8,
            **LABELS,
        )
    ),
}
SEEDS = {
    "segformer": 1,
    "mobilevit": 3,
    "mobilevitv2": 1,
    "mask2former": 1,
    "maskformer": 3,
    "oneformer": 5,
}  # that tell classes apart
FIXED = ("data2vec", "dpt", "eomt")  # take one size only
PROCESSOR = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "size": {"height": 224, "width": 224}}
FLIPPED = {"do_flip_channel_order": True, "do_normalize": False, "size": {"shortest_edge": 288}}


def enliven(net: Any, by_batch: bool) -> None:
    """Make a fresh network tell classes apart: the library's own start is so small that every class is as likely.

    ``by_batch`` normalises by what two scenes have, without which some networks answer numbers near 0.
    """
    with torch.no_grad():
        for key, one in net.named_parameters():
            if one.ndim > 2:
                nn.init.kaiming_normal_(one)
            elif one.ndim > 1:
                nn.init.xavier_normal_(one, gain=2.0 if "predictor" in key else 1.4)
            if "mask_embedder" in key or "classifier" in key:
                one.mul_(4)
        norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
        for module in norms if by_batch else ():
            module.momentum = None  # the mean of all that passes
            module.train()
        if by_batch:
            scenes = np.stack([make_scene(seed, 224, 224).image for seed in (3, 4)])
            net(pixel_values=torch.from_numpy(scenes).permute(0, 3, 1, 2).float() / 128 - 1)
        net.eval()


def save_tokenizer(folder: Path) -> None:
    """Write CLIP's tokenizer with letters for a vocabulary."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CLIPTokenizer", "model_max_length": 77}')


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a tiny checkpoint, saved in the hub's own format by Transformers. Read only."""
    made: dict[str, Path] = {}

    def save(name: str) -> Path:
        if name not in made:
            torch.manual_seed(SEEDS.get(name, 0))
            net = TINY[name]()
            enliven(net, name.startswith("mobilevit"))
            made[name] = tmp_path_factory.mktemp("hub") / name
            net.save_pretrained(made[name])
            processor = FLIPPED if name.startswith("mobilevit") else PROCESSOR
            (made[name] / "preprocessor_config.json").write_text(json.dumps(processor))
            if name == "oneformer":
                save_tokenizer(made[name])
        return made[name]

    return save


def by_the_library(folder: Path, pixels: np.ndarray[Any, Any], stride: int) -> tuple[Any, Any]:
    """Return what the library's own network and post-processing label, and how sure the first is before the second."""
    net = open_model(folder).source.network().net  # type: ignore[union-attr]
    config = json.loads((folder / "preprocessor_config.json").read_text())
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % stride), (0, -width % stride), (0, 0)), mode="edge")
    image = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
    if config.get("do_flip_channel_order"):
        image = image.flip(1)
    else:
        mean, std = (torch.tensor(config[f"image_{part}"]).view(1, 3, 1, 1) for part in ("mean", "std"))
        image = (image - mean) / std
    with torch.inference_mode():
        out = net(pixel_values=image)
    if hasattr(out, "logits"):
        scores = F.interpolate(out.logits, size=image.shape[-2:], mode="bilinear", align_corners=False)[0]
        top = scores.topk(2, 0).values
        return scores.argmax(0)[:height, :width].numpy(), (top[0] - top[1])[:height, :width].numpy()
    classes = out.class_queries_logits.softmax(-1)[..., :-1]
    masks = F.interpolate(out.masks_queries_logits, size=image.shape[-2:], mode="bilinear").sigmoid()
    scores = torch.einsum("bqc,bqhw->bchw", classes, masks)[0]  # the library's fixed 384 px or late upsampling left out
    top = scores.clamp_min(1e-20).log().topk(2, 0).values
    return scores.argmax(0)[:height, :width].numpy(), (top[0] - top[1])[:height, :width].numpy()


@pytest.mark.parametrize("size", [(203, 331), (160, 320)], ids=["odd", "2:1"])
@pytest.mark.parametrize("name", [name for name in TINY if name not in FIXED])
def test_labels_are_those_of_the_library(checkpoint: Callable[[str], Path], name: str, size: tuple[int, int]) -> None:
    model = open_model(checkpoint(name))
    pixels = make_scene(5, *size).image
    stride = model.source.network().adapter.wants.stride  # type: ignore[union-attr]
    expected, margin = by_the_library(checkpoint(name), pixels, stride)
    found = Segmenter(model, "torch").predict(pixels)
    told = margin > 4e-3  # float16 scores do not tell closer ones apart
    assert (found.labels == expected)[told].mean() >= 0.999
    assert told.mean() > 0.15
    assert len(np.unique(expected)) > 1, "a network that knows one class tests nothing"


def test_a_oneformer_is_told_its_task_as_its_processor_tells_it(checkpoint: Callable[[str], Path]) -> None:
    folder = checkpoint("oneformer")
    words = hf.CLIPTokenizer.from_pretrained(folder)(
        ["the task is semantic"], padding="max_length", max_length=12, truncation=True, return_tensors="pt"
    )
    image = torch.from_numpy(make_scene(5, 96, 128).image).permute(2, 0, 1)[None].float() / 255
    told = words["input_ids"] * words["attention_mask"]
    assert 3 < int((told > 0).sum()) <= 12
    theirs = hf.OneFormerForUniversalSegmentation.from_pretrained(folder).eval()
    ours = open_model(folder).source.network().net  # type: ignore[union-attr]
    with torch.inference_mode():
        expected, found = theirs(pixel_values=image, task_inputs=told), ours(image)
        otherwise = theirs(pixel_values=image, task_inputs=told.flip(1))
    near = {"rtol": 1e-2, "atol": 2e-3}  # their attention is computed in another order
    torch.testing.assert_close(found.class_queries_logits, expected.class_queries_logits, **near)
    torch.testing.assert_close(found.masks_queries_logits, expected.masks_queries_logits, **near)
    assert (otherwise.class_queries_logits - expected.class_queries_logits).abs().max() > 0.02, "the words count"


@pytest.mark.parametrize("name", FIXED)
def test_a_network_of_one_size_keeps_the_photos_aspect_and_says_so(
    checkpoint: Callable[[str], Path], name: str
) -> None:
    model = open_model(checkpoint(name))
    wants = model.source.network().adapter.wants  # type: ignore[union-attr]
    assert wants.fixed_px == (224, 224)
    assert any("takes 224x224 pixels only" in note for note in model.facts.notes)
    segmenter = Segmenter(model, "torch")
    pixels = make_scene(5, 112, 224).image
    assert segmenter.predict(make_scene(5, 203, 331).image).labels.shape == (203, 331)
    padded = np.pad(pixels, ((0, 112), (0, 0), (0, 0)), mode="edge")  # by hand: half of the square is filled
    assert (segmenter.predict(pixels).labels == segmenter.predict(padded).labels[:112]).mean() > 0.98


@pytest.mark.parametrize("name", TINY)
def test_every_model_says_where_it_can_be_looked_into(checkpoint: Callable[[str], Path], name: str) -> None:
    model = open_model(checkpoint(name))
    assert model.foreign
    assert model.label_space == "cityscapes-19"
    for layer in model.source.layers.values():
        assert isinstance(model.source.network().get_submodule(layer), nn.Module)
    if name in ("segformer", "upernet-convnext", "mobilenet_v2"):
        assert next(iter(model.source.layers)) == "last features"


def test_an_engine_that_answers_otherwise_does_not_stand_for_torch(
    checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    whole = OpenVINOEngine.scores
    monkeypatch.setattr(OpenVINOEngine, "scores", lambda self, image: whole(self, image)[::-1])
    segmenter = Segmenter(open_model(checkpoint("segformer")))
    assert segmenter.engine.name.startswith("torch")
    assert "of the labels as torch does" in str(segmenter.engine_note)


def test_classes_are_found_by_name_in_any_order_and_the_rest_is_other() -> None:
    found = match(
        ["Sky", "roads", "pavement", "trees", "car", "bus", "truck", "person", "buildings", "chair", "wall", "fence"]
    )
    assert found.space == "cityscapes-19"
    assert [NAMES[i] if i != VOID else "other" for i in found.ids] == [
        *(
            "sky",
            "road",
            "sidewalk",
            "vegetation",
            "car",
            "bus",
            "truck",
            "person",
            "building",
            "other",
            "wall",
            "fence",
        )
    ]
    assert found.other == ("chair",)
    with pytest.raises(ValueError, match="are those of no label space here"):
        match(["cat", "dog", "fish"])
    nameless = match([f"LABEL_{i}" for i in range(11)])
    assert (nameless.space, nameless.ids) == ("camvid-11", tuple(range(11)))
    assert "have no names; read as camvid-11" in nameless.note


def test_an_adapters_classes_sum_where_several_are_one_and_other_is_the_largest() -> None:
    logits = torch.randn(2, 5, 3, 4)
    adapter = Adapter(Input(), [1, 0, 1, 255, 255], 3)
    out = adapter.classes(logits)
    torch.testing.assert_close(out[:, 0], logits[:, 1])
    torch.testing.assert_close(out[:, 1].exp(), logits[:, 0].exp() + logits[:, 2].exp())
    assert (out[:, 2] < -1000).all(), "the network does not know this class"
    torch.testing.assert_close(out[:, 3], logits[:, 3:].amax(1))


@pytest.mark.parametrize("bgr", [False, True])
def test_an_adapter_gives_the_network_its_own_normalisation(bgr: bool) -> None:
    pixels = torch.rand(1, 3, 4, 6)
    ours = (pixels - torch.tensor(seglab.models.MEAN).view(1, 3, 1, 1)) / torch.tensor(seglab.models.STD).view(
        1, 3, 1, 1
    )
    mean, std = torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1), torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1)
    for scale in (1.0, 255.0):
        told = Input(tuple((mean * scale).flatten().tolist()), tuple((std * scale).flatten().tolist()), scale, bgr)
        found = Adapter(told, [0], 1).image(ours)
        expected = ((pixels.flip(1) if bgr else pixels) - mean) / std
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_folder_of_segmentation_models_pytorch_is_opened(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = smp.Unet("resnet18", encoder_weights=None, classes=11, decoder_channels=(16, 16, 8, 8, 8)).eval()
    with torch.no_grad():
        net.segmentation_head[0].weight.mul_(5)
    net.save_pretrained(str(tmp_path / "unet"))
    model = open_model(tmp_path / "unet")
    assert (model.label_space, model.network["key"]) == ("camvid-11", "unet")
    assert any("have no names; read as camvid-11" in note for note in model.facts.notes)
    pixels = make_scene(5, 96, 160).image
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (seglab.models.MEAN, seglab.models.STD))
    with torch.inference_mode():
        expected = net((image - mean) / std)[0].argmax(0).numpy()
    assert (Segmenter(model, "torch").predict(pixels).labels == expected).mean() >= 0.999
    (tmp_path / "unet" / "seglab.yaml").write_text("classes: [" + ", ".join(space("camvid-11").names[::-1]) + "]\n")
    turned = Segmenter(open_model(tmp_path / "unet"), "torch").predict(pixels)
    assert (turned.labels == 10 - expected).mean() >= 0.999


class Small(nn.Module):
    """A network of one convolution whose answer is logits, scores or labels, in either layout."""

    def __init__(self, output: str, nhwc: bool, classes: int = 19) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.output, self.nhwc = nn.Conv2d(3, classes, 3, padding=1, stride=4), output, nhwc
        nn.init.normal_(self.conv.weight, std=1.0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        own = image.permute(0, 3, 1, 2).float() / 255 if self.nhwc else image
        logits = self.conv(own)
        if self.output == "labels":
            return logits.argmax(1)
        return logits.softmax(1) if self.output == "scores" else logits


def write_onnx(path: Path, output: str = "logits", nhwc: bool = False, fixed: bool = False, classes: int = 19) -> Small:
    net = Small(output, nhwc, classes).eval()
    example = torch.zeros(1, 64, 96, 3, dtype=torch.uint8) if nhwc else torch.zeros(1, 3, 64, 96)
    free = {"x": {1: "h", 2: "w"} if nhwc else {2: "h", 3: "w"}}
    torch.onnx.export(net, (example,), path, input_names=["x"], dynamic_axes=None if fixed else free, dynamo=False)
    return net


@pytest.mark.parametrize(
    ("output", "nhwc"), [("logits", False), ("scores", False), ("labels", False), ("labels", True)]
)
def test_an_onnx_file_is_read_as_its_graph_and_its_yaml_say(tmp_path: Path, output: str, nhwc: bool) -> None:
    net = write_onnx(tmp_path / "mine.onnx", output, nhwc)
    with pytest.raises(
        ValueError, match=f"does not say what its classes are. Put mine.yaml beside it.*output: {output}"
    ):
        open_model(tmp_path / "mine.onnx")
    (tmp_path / "mine.yaml").write_text(
        "label_space: cityscapes-19\n" + "" if nhwc else "label_space: cityscapes-19\nmean: [0, 0, 0]\nstd: [1, 1, 1]\n"
    )
    model = open_model(tmp_path / "mine.onnx")
    assert not model.source.layers
    with pytest.raises(ValueError, match="no gradients"):
        model.source.network()
    pixels = make_scene(5, 96, 160).image
    image = torch.from_numpy(pixels)[None]
    with torch.inference_mode():
        answer = net(image if nhwc else image.permute(0, 3, 1, 2).float() / 255)
    found = Segmenter(model).predict(pixels)
    if output == "labels":
        assert (found.labels[2::4, 2::4] == answer[0].numpy()).mean() > 0.9
    else:
        expected = F.interpolate(answer, size=(96, 160), mode="bilinear")[0].argmax(0).numpy()
        assert (found.labels == expected).mean() >= (0.999 if output == "logits" else 0.97)  # ours upsamples logarithms


def test_an_onnx_file_whose_classes_are_told_in_another_order_is_another_model(tmp_path: Path) -> None:
    write_onnx(tmp_path / "mine.onnx")
    ids = []
    for names in (NAMES, NAMES[::-1]):
        (tmp_path / "mine.yaml").write_text(f"classes: [{', '.join(names)}]\n")
        ids.append(open_model(tmp_path / "mine.onnx").id)
    assert ids[0] != ids[1], "answers are kept by it"


def test_an_onnx_file_of_one_size_is_given_that_size(tmp_path: Path) -> None:
    write_onnx(tmp_path / "fixed.onnx", fixed=True)
    (tmp_path / "fixed.yaml").write_text("label_space: cityscapes-19\n")
    model = open_model(tmp_path / "fixed.onnx")
    assert any("takes 96x64 pixels only" in note for note in model.facts.notes)
    assert Segmenter(model).predict(make_scene(5, 203, 331).image).labels.shape == (203, 331)


HOSTILE_FOLDERS: dict[str, Callable[[Path], Any]] = {
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "a pickle": lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
    "a pickle called safetensors": lambda folder: (folder / "model.safetensors").write_bytes(
        b"cos\nsystem\n(S'x'\ntR."
    ),
    "half a file": lambda folder: (folder / "model.safetensors").write_bytes(
        (folder / "model.safetensors").read_bytes()[:5000]
    ),
    "config is a list": lambda folder: (folder / "config.json").write_text("[]"),
    "config is deep": lambda folder: (folder / "config.json").write_text("[" * 100_000),
    "config is huge": lambda folder: (folder / "config.json").write_text(" " * 2**21),
    "another kind": lambda folder: edit(folder, model_type="bert"),
    "no kind": lambda folder: edit(folder, model_type="nothing-like-it"),
    "boxes": lambda folder: edit(folder, model_type="detr"),
    "other widths": lambda folder: edit(folder, hidden_sizes=[16, 32, 48, 64]),
    "widths of nonsense": lambda folder: edit(folder, hidden_sizes="wide"),
    "an index that leaves the folder": lambda folder: (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "../../etc/passwd"}})
    ),
    "an index of numbers": lambda folder: (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": 1}}'
    ),
    "classes of nowhere": lambda folder: edit(folder, id2label={str(i): f"thing {chr(97 + i)}" for i in range(19)}),
    "a yaml of nonsense": lambda folder: (folder / "seglab.yaml").write_text("classes: 7\n"),
    "a yaml of another space": lambda folder: (folder / "seglab.yaml").write_text("label_space: mars\n"),
    "a yaml with a tag": lambda folder: (folder / "seglab.yaml").write_text(
        "classes: !!python/object/apply:os.system [x]\n"
    ),
    "an smp of no library": lambda folder: edit(folder, _model_class="os.system"),
    "an smp of another encoder": lambda folder: edit(folder, _model_class="Unet", encoder_name="../../x"),
    "an smp of many channels": lambda folder: edit(folder, _model_class="Unet", encoder_name="resnet18", in_channels=9),
    "an smp without its weights": lambda folder: edit(folder, _model_class="Unet", encoder_name="resnet18"),
}


def edit(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.parametrize("kind", HOSTILE_FOLDERS)
def test_a_folder_that_cannot_be_used_is_refused_in_one_sentence(
    checkpoint: Callable[[str], Path], tmp_path: Path, kind: str
) -> None:
    folder = Path(shutil.copytree(checkpoint("segformer"), tmp_path / "hostile"))
    HOSTILE_FOLDERS[kind](folder)
    with pytest.raises(ValueError, match=r"\w") as caught:
        open_model(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 900


HOSTILE_FILES: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "half": lambda path: (write_onnx(path), path.write_bytes(path.read_bytes()[:600])),
    "tensors elsewhere": lambda path: (
        write_onnx(path),
        path.write_bytes(path.read_bytes() + b"\n\x08location\x12\x04/etc"),
    ),
    "a pickle": lambda path: path.write_bytes(b"cos\nsystem\n(S'touch ran'\ntR."),
    "two classes, nineteen names": lambda path: write_onnx(path, classes=2),
    "a custom operator": lambda path: custom(path),
    "text in": lambda path: custom(path, "Identity", ""),
}


def custom(path: Path, operator: str = "Evil", domain: str = "evil.example") -> None:
    import onnx
    from onnx import TensorProto, helper

    kind = TensorProto.FLOAT if domain else TensorProto.STRING
    ends = [helper.make_tensor_value_info(name, kind, [1, 3, 8, 8]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"], domain=domain)], "g", ends[:1], ends[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("evil.example", 1)]),
        path,
    )


@pytest.mark.parametrize("kind", HOSTILE_FILES)
def test_an_onnx_file_that_cannot_be_used_is_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "hostile.onnx"
    HOSTILE_FILES[kind](path)
    (tmp_path / "hostile.yaml").write_text("classes: [" + ", ".join(NAMES) + "]\n")
    with pytest.raises(ValueError, match=r"\w") as caught:
        open_model(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 900


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".pkl", ".torchscript"])
def test_a_pickle_is_refused_unopened_with_the_lines_that_export_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(ValueError, match=r"is a pickle, which can run code when opened.*torch\.onnx\.export"):
        open_model(path)
