"""Every model of the registry keeps the contract: any size in, logits or queries of C classes out, offline."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seglab.models import MODELS, DenseModel, QueryModel, build, num_parameters, spec
from seglab.models._torchvision import mend_torchvision
from seglab.models.dense import pad_to_stride, score_dense
from seglab.models.mask2former import load_published, query_scores, symbolic_sizes
from seglab.predict.shelf import BUNDLED, COMPARED

pytestmark = pytest.mark.filterwarnings("ignore:For 'tu-':UserWarning")

SIZES = [(key, size) for key, family in MODELS.items() for size in family.sizes]
SMALLEST = [(key, next(iter(family.sizes))) for key, family in MODELS.items()]
DENSE = [(key, size) for key, size in SMALLEST if MODELS[key].output == "dense"] + [("hrnet_ocr", "w18_psa")]
QUERIES = [(key, size) for key, size in SMALLEST if MODELS[key].output == "queries"]

# Millions of parameters: the encoder's paper or card, plus the decoder at 19 classes.
PUBLISHED_M = {
    ("deeplabv3plus", "resnet50"): (26.0, 27.5),  # SMP's card: 26.7
    ("mask2former", "swin_small"): (68.0, 70.0),  # paper, table 5: 69
    ("fpn_convnextv2", "base"): (87.0, 92.0),  # encoder 87.7 without its classifier
    ("fpn_convnextv2", "large"): (196.0, 202.0),  # encoder 196.4
    ("upernet_convnextv2", "base"): (118.0, 126.0),  # paper, table 7: 122
    ("upernet_convnextv2", "large"): (230.0, 240.0),  # paper, table 7: 235
    ("fpn_resnet", "resnet50"): (25.5, 27.0),  # SMP's card: 26.1
    ("fpn_resnet", "bundled"): (11.5, 12.5),  # encoder 11.2 and a narrow decoder
    ("fpn_resnet", "resnet18"): (12.5, 13.5),  # SMP's card: 13.0
    ("fpn_efficientnet", "lite0"): (3.2, 5.0),  # encoder 3.4
    ("upernet", "resnet50"): (36.0, 43.0),  # encoder 23.5
    ("segformer", "b0"): (3.6, 3.9),  # paper, table 1: 3.8
    ("segformer", "b1"): (13.5, 13.9),  # 13.7
    ("segformer", "b2"): (27.0, 28.0),  # 27.5
    ("segformer", "b3"): (47.0, 47.6),  # 47.3
    ("segformer", "b4"): (63.7, 64.5),  # 64.1
    ("segformer", "b5"): (84.2, 85.2),  # 84.7
    ("fast_scnn", "paper"): (1.05, 1.2),  # paper, table 3: 1.11
    ("unet_mini", "mini"): (1.8, 2.1),  # a sixteenth of the paper's 31
    ("mobiledet_seg", "small"): (1.0, 1.5),
    ("yolov9_seg", "small"): (1.8, 2.5),
    ("hrnet_ocr", "w18"): (11.9, 12.2),  # 12.08 as built; no published count was at hand
    ("hrnet_ocr", "w48"): (70.2, 70.5),  # 70.37, likewise
    ("hrnet_ocr", "w18_psa"): (12.5, 13.5),
    ("hrnet_ocr", "w48_psa"): (75.0, 78.5),
} | {
    # encoders without their classifiers: VGG16 14.7, VGG19 20.0, ResNet-152 58.1, ResNeXt-101 32x8d 86.7, EfficientNet-B7 63.8
    (key, size): (encoder - 3.5, encoder + 10)
    for key in ("unet", "linknet", "fpn")
    for size, encoder in {
        "vgg16": 14.7,
        "vgg19": 20.0,
        "resnet152": 58.1,
        "resnext101": 86.7,
        "efficientnet_b7": 63.8,
    }.items()
}


def image(height: int, width: int, count: int = 1) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_the_compared_models_are_in_the_registry_and_have_a_bundled_size() -> None:
    assert len(set(COMPARED)) == len(COMPARED) == 4
    assert BUNDLED[:4] == COMPARED
    for key in BUNDLED:
        assert "bundled" in MODELS[key].sizes


@pytest.mark.parametrize("key", MODELS)
def test_an_entry_says_what_it_is(key: str) -> None:
    family = spec(key)
    assert family.key == key
    assert family.sizes
    assert all((family.title, family.paper, family.pretrained_licence))
    assert family.output in ("dense", "queries")


@pytest.mark.parametrize(("key", "size"), SIZES)
def test_every_size_builds_without_memory_and_has_the_published_number_of_parameters(key: str, size: str) -> None:
    with torch.device("meta"):
        model = build(key, 19, size=size)
    assert isinstance(model, QueryModel if spec(key).output == "queries" else DenseModel)
    assert model.output == spec(key).output
    assert model.num_classes == 19
    low, high = PUBLISHED_M.get((key, size), (3.0, 6.0))  # bundled ones are small
    assert low < num_parameters(model) / 1e6 < high
    assert all(p.is_meta for p in model.parameters() if p.numel() > 1_000_000)
    if model.output == "dense":
        with torch.device("meta"), torch.inference_mode():
            assert model.eval()(torch.empty(2, 3, 65, 97)).shape == (2, 19, 65, 97)


@pytest.mark.parametrize(("key", "size"), DENSE)
@pytest.mark.parametrize(("height", "width"), [(65, 97), (64, 96), (33, 160)])
def test_a_dense_model_gives_logits_at_input_size(key: str, size: str, height: int, width: int) -> None:
    model = build(key, 11, size=size).eval()
    with torch.inference_mode():
        logits = model(image(height, width, 2))
    assert logits.shape == (2, 11, height, width)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(("key", "size"), DENSE)
def test_padding_is_the_models_own_edge_repeated_and_cropped_away(key: str, size: str) -> None:
    model = build(key, 11, size=size).eval()
    with torch.inference_mode():
        whole = model(pad_to_stride(image(65, 97)))
        assert torch.equal(model(image(65, 97)), whole[..., :65, :97])


@pytest.mark.parametrize(("key", "size"), DENSE)
def test_the_features_have_the_strides_and_channels_that_the_encoder_says(key: str, size: str) -> None:
    model = build(key, 11, size=size).eval()
    assert isinstance(model, DenseModel)
    with torch.inference_mode():
        features = model.forward_all(image(64, 128)).features
    strides = [64 // f.shape[-2] for f in features if f.shape[1]]
    expected = {"deeplabv3plus": [16, 16], "unet_mini": [8, 16], "fast_scnn": [8, 32]}  # the first keeps stride 16
    assert strides[-2:] == expected.get(key, [16, 32])
    assert strides == sorted(strides)
    assert [f.shape[1] for f in features] == list(model.net.encoder.out_channels)


@pytest.mark.parametrize(("key", "size"), QUERIES)
def test_a_query_model_answers_any_size_with_masks_of_a_quarter_of_the_padded_one(key: str, size: str) -> None:
    model = build(key, 11, size=size).eval()
    with torch.inference_mode():
        answer = model(image(65, 97))
        scores = query_scores(answer.class_logits, answer.mask_logits, 65, 97)
    assert answer.class_logits.shape[::2] == (1, 12)
    assert answer.mask_logits.shape == (1, answer.class_logits.shape[1], 96 // 4, 128 // 4)
    assert scores.shape == (1, 11, 65, 97)
    torch.testing.assert_close(scores.sum(1), torch.ones(1, 65, 97))


def test_upernet_has_an_auxiliary_head_on_stride_sixteen_that_answers_in_training_only() -> None:
    model = build("upernet_convnextv2", 11)
    assert isinstance(model, DenseModel)
    seen = []
    assert model.aux_head is not None
    model.aux_head.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[-2:])))
    assert model.eval().forward_all(image(65, 97)).aux_logits is None
    output = model.train().forward_all(image(65, 97, 2))
    assert output.aux_logits is not None
    assert output.aux_logits.shape == output.logits.shape == (2, 11, 65, 97)
    assert seen == [(96 // 16, 128 // 16)]


def test_other_models_have_no_auxiliary_head() -> None:
    with torch.device("meta"):
        built = [build(key, 11, size=size) for key, size in DENSE if not key.startswith(("upernet", "hrnet"))]
    assert all(isinstance(model, DenseModel) and model.aux_head is None for model in built)


def test_scores_of_a_dense_model_are_a_softmax() -> None:
    logits = torch.randn(1, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    expected = logits.exp() / logits.exp().sum(1, keepdim=True)
    torch.testing.assert_close(score_dense(logits), expected)


@pytest.mark.parametrize("chunk", [1, 3, 16])
def test_query_scores_equal_a_plain_loop_over_queries_classes_and_pixels(chunk: int) -> None:
    generator = torch.Generator().manual_seed(0)
    class_logits, mask_logits = torch.randn(1, 7, 5, generator=generator), torch.randn(1, 7, 8, 8, generator=generator)
    height, width = 30, 27
    large = nn.functional.interpolate(mask_logits, scale_factor=4, mode="bilinear", align_corners=False)[0].numpy()
    expected = np.zeros((4, height, width))
    for q in range(7):
        odds = np.exp(class_logits[0, q].numpy().astype(float))
        for c in range(4):  # the fifth is "no object"
            for y in range(height):
                for x in range(width):
                    expected[c, y, x] += odds[c] / odds.sum() / (1 + np.exp(-large[q, y, x]))
    expected /= expected.sum(0)
    scores = query_scores(class_logits, mask_logits, height, width, chunk)[0].numpy()
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    np.testing.assert_allclose(scores.sum(0), 1, rtol=1e-5)


def test_the_set_loss_is_finite_where_nothing_is_labelled_and_smaller_for_the_right_answer() -> None:
    torch.manual_seed(0)
    model = build("mask2former", 3)
    assert isinstance(model, QueryModel)
    target = torch.full((2, 64, 64), 255)
    target[0, :32] = 1
    loss, answer = model.set_loss(image(64, 64, 2), target)
    assert torch.isfinite(loss)
    loss.backward()
    assert answer.mask_logits.shape[-2:] == (16, 16)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("key", ["unet++", "", "DeepLabV3Plus", "../deeplabv3plus"])
def test_an_unknown_model_is_answered_with_the_valid_ones(key: str) -> None:
    with pytest.raises(
        ValueError, match="expected a model out of deeplabv3plus, mask2former, fpn_convnextv2"
    ) as caught:
        build(key, 11)
    assert repr(key) in str(caught.value)


def test_an_unknown_size_is_answered_with_the_familys() -> None:
    with pytest.raises(
        ValueError, match="expected a size of fpn_resnet out of bundled, resnet18, resnet50; got 'huge'"
    ):
        build("fpn_resnet", 11, size="huge")


ANY = [key for key, family in MODELS.items() if family.any_encoder]


@pytest.mark.parametrize("encoder", ["tu-mobilenetv3_small_100", "tu-convnextv2_atto", "tu-efficientnet_b0"])
@pytest.mark.parametrize("key", ANY)
def test_any_pyramid_of_timm_goes_under_four_families(key: str, encoder: str) -> None:
    assert ANY == ["deeplabv3plus", "unet", "fpn", "upernet"]
    model = build(key, 5, size=encoder).eval()
    with torch.inference_mode():
        assert model(image(33, 65)).shape == (1, 5, 33, 65)


@pytest.mark.parametrize(
    "size", ["tu-nope", "tu-", "tu-hf-hub:someone/model", "tu-resnet18.a1_in1k", "tu-../x", "resnet18"]
)
def test_only_names_of_the_installed_timm_are_encoders(size: str) -> None:
    with pytest.raises(
        ValueError, match=r"expected an encoder of the installed timm|or tu-NAME with any encoder of timm"
    ):
        build("unet", 5, size=size)


@pytest.mark.parametrize("size", ["tu-vit_tiny_patch16_224", "tu-swin_tiny_patch4_window7_224"])
def test_an_encoder_that_is_no_pyramid_for_any_size_is_refused_with_the_reason(size: str) -> None:
    with pytest.raises(ValueError, match=f"the encoder {size[3:]} does not fit FPN: .* Choose another"):
        build("fpn", 5, size=size)


def test_a_family_of_one_encoder_takes_no_other() -> None:
    with pytest.raises(
        ValueError, match=r"expected a size of linknet out of vgg16, .*efficientnet_b7; got 'tu-resnet18'"
    ):
        build("linknet", 5, size="tu-resnet18")


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(ValueError, match="expected options that upernet_convnextv2 knows, got colour"):
        build("upernet_convnextv2", 11, colour=3)


@pytest.mark.parametrize(("key", "size"), SMALLEST)
def test_pretrained_weights_without_the_hub_are_refused_with_what_to_do(
    key: str, size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import timm.models._hub

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("Cannot reach https://huggingface.co: offline mode is enabled.")

    monkeypatch.setattr(timm.models._hub, "hf_hub_download", offline)
    none = MODELS[key].pretrained_licence.startswith("none")
    words = (
        "there are no pretrained weights of" if none else rf"could not fetch the pretrained weights of {key} \({size}\)"
    )
    with pytest.raises(ValueError, match=words) as caught:
        build(key, 11, size=size, pretrained=True)
    assert str(caught.value).endswith(
        "build without them" if none else "Go online, or build without pretrained weights."
    )
    assert "\n" not in str(caught.value)


def test_the_published_checkpoint_without_the_hub_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="could not load the Mask2Former checkpoint 'facebook/mask2former") as caught:
        build("mask2former", 19, size="swin_small", pretrained=True)
    assert "download the folder elsewhere and give its path" in str(caught.value)


def test_the_hubs_weights_reach_the_bundled_mask2formers_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    make = timm.create_model
    asked = []

    def fake(name: str, *, pretrained: bool = False, **options: object) -> nn.Module:
        asked.append((name, pretrained))
        model = make(name, **options)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(0.125 if pretrained else 0)
        return model

    monkeypatch.setattr(timm, "create_model", fake)
    model = build("mask2former", 11, pretrained=True)
    assert ("resnet10t", True) in asked
    backbone = [p for name, p in model.named_parameters() if "pixel_level_module.encoder" in name]
    assert backbone
    assert all((p == 0.125).all() for p in backbone)


def test_a_checkpoint_in_the_hubs_format_loads_with_all_its_weights(published: Path) -> None:
    model = load_published(published)
    assert model.num_classes == 19
    loaded = [value.numpy().tobytes() for value in model.net.state_dict().values()]  # some have other names in the file
    stored = [value.numpy().tobytes() for value in load_file(published / "model.safetensors").values()]
    assert sorted(loaded) == sorted(stored)
    with torch.inference_mode():
        answer = model.eval()(image(65, 97))
    assert answer.class_logits.shape == (1, 10, 20)


def test_a_half_precision_checkpoint_is_used_in_float32(published: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(published, tmp_path / "half"))
    state = {k: v.half() if v.is_floating_point() else v for k, v in load_file(folder / "model.safetensors").items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    edit_config(folder, dtype="float16")
    assert {p.dtype for p in load_published(folder).parameters()} == {torch.float32}


def edit_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_a_folder_with_pickled_weights_only_is_refused_and_never_opened(published: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(published, tmp_path / "pickled"))
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(
        ValueError, match=r"pickled weights \(.bin, .pth\) are refused because loading them can run code"
    ):
        load_published(folder)


@pytest.mark.parametrize(
    "damage", ["no config", "broken config", "deep config", "other width", "garbage", "half", "list"]
)
def test_a_damaged_checkpoint_is_refused_with_one_sentence(published: Path, tmp_path: Path, damage: str) -> None:
    folder = Path(shutil.copytree(published, tmp_path / "damaged"))
    config, weights = folder / "config.json", folder / "model.safetensors"
    if damage == "no config":
        config.unlink()
    elif damage == "other width":
        edit_config(folder, hidden_dim=128)
    elif "config" in damage or damage == "list":
        config.write_text({"broken config": "{", "deep config": "[" * 100_000, "list": "[]"}[damage])
    else:
        data = weights.read_bytes()
        weights.write_bytes(b"x" * 400 if damage == "garbage" else data[: len(data) // 2])
    with pytest.raises(
        ValueError, match=r"could not load the Mask2Former checkpoint|expected a config\.json"
    ) as caught:
        load_published(folder)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_lacks_weights_is_not_filled_with_random_ones(published: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(published, tmp_path / "headless"))
    state = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in state.items() if "class_predictor" not in k}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"2 are missing \(first: class_predictor.bias\)|could not load"):
        load_published(folder)


def test_a_config_cannot_name_code_of_the_hub(published: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(published, tmp_path / "kernel"))
    edit_config(folder, attn_implementation="someone/kernel", auto_map={"AutoModel": "evil.Model"})
    assert load_published(folder).net.config._attn_implementation == "eager"


def test_torchvision_is_mended_once() -> None:
    import torchvision

    assert torchvision.__version__
    assert hasattr(torch.ops.torchvision, "nms")
    assert mend_torchvision() == mend_torchvision()


def test_symbolic_sizes_leave_the_library_as_it_was_even_on_error() -> None:
    from transformers.models.mask2former import modeling_mask2former

    def fail_inside() -> None:
        with symbolic_sizes():
            inside = modeling_mask2former.torch
            assert torch.equal(inside.tensor([[1, 2], [3, 4]], dtype=torch.long), torch.tensor([[1, 2], [3, 4]]))
            assert inside.nn is torch.nn
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_inside()
    assert modeling_mask2former.torch is torch
