"""Weights come back as they were stored, and no file or record from outside does more than fail with a sentence."""

import json
import pickle
import re
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seglab import models
from seglab.models import weights
from seglab.models.weights import WeightsError, check_safetensors, load_weights, save_weights
from seglab.predict import networks
from seglab.predict.networks import build_from_record, load_run
from seglab.records.files import RunError, sha256_file


def small() -> nn.Module:
    """Return a model with floats, integers and a scalar among its tensors."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def stored(folder: Path, model: nn.Module | None = None) -> Path:
    path = folder / "weights.safetensors"
    save_weights(model or small(), path)
    return path


def rewrite(path: Path, **changes: Tensor | None) -> None:
    """Replace tensors of a file (none drops one), leaving its record's hash alone."""
    state = load_file(path) | {k.replace("__", "."): v for k, v in changes.items()}
    save_file({k: v for k, v in state.items() if v is not None}, path)


def edit(folder: Path, **changes: Any) -> None:
    """Change a run's record; `options` reach inside the model."""
    record = json.loads((folder / "run.json").read_text())
    if "options" in changes:
        record["model"]["options"] = changes.pop("options")
    (folder / "run.json").write_text(json.dumps(record | changes))


def rehash(folder: Path) -> None:
    """Make the record agree with a changed file, as an attacker would."""
    edit(folder, weights={"sha256": sha256_file(folder / "weights.safetensors")})


def test_weights_come_back_as_their_float16_rounding(tmp_path: Path) -> None:
    model, other = small(), small()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    path = stored(tmp_path, model)
    load_weights(other, path)
    for name, value in model.state_dict().items():
        back = other.state_dict()[name]
        assert back.dtype == value.dtype
        assert torch.equal(back, value.half().float() if value.is_floating_point() else value)


def test_a_second_round_trip_changes_nothing(tmp_path: Path) -> None:
    model = small()
    load_weights(model, stored(tmp_path, model))
    first = sha256_file(tmp_path / "weights.safetensors")
    assert sha256_file(stored(tmp_path, model)) == first


@pytest.mark.parametrize("value", [1e6, float("nan"), float("inf")])
def test_weights_that_float16_cannot_hold_are_not_stored(tmp_path: Path, value: float) -> None:
    model = small()
    with torch.no_grad():
        next(model.parameters()).fill_(value)
    with pytest.raises(ValueError, match=r"expected finite float16 weights, 0\.weight is not"):
        save_weights(model, tmp_path / "weights.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(tmp_path)
    before = path.read_bytes()

    def full(state: dict[str, Tensor], file: Path, **_: Any) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        save_weights(small(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["weights.safetensors"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"0__bias": torch.zeros(5).half()}, r"expected shape \(4,\) for 0.bias, got \(5,\)"),
        ({"0__bias": torch.zeros(1, 4).half()}, r"expected shape \(4,\) for 0.bias, got \(1, 4\)"),
        ({"0__bias": None}, r"1 tensors missing, 0 unknown \(first: 0.bias\)"),
        ({"extra": torch.zeros(1)}, r"0 tensors missing, 1 unknown \(first: extra\)"),
        ({"0__bias": None, "extra": torch.zeros(1)}, "1 tensors missing, 1 unknown"),
        ({"0__bias": torch.full((4,), torch.nan)}, "0.bias holds values that are not finite"),
        ({"0__bias": torch.full((4,), torch.inf)}, "0.bias holds values that are not finite"),
        ({"0__bias": torch.zeros(4, dtype=torch.int64)}, "expected float32 or its like for 0.bias, got I64"),
        ({"0__bias": torch.zeros(4, dtype=torch.complex64)}, "expected float32 or its like for 0.bias, got C64"),
        ({"0__bias": torch.zeros(4).to(torch.float8_e4m3fn)}, "expected float32 or its like for 0.bias, got F8_E4M3"),
        (
            {"1__num_batches_tracked": torch.tensor(0.5)},
            "expected int64 or its like for 1.num_batches_tracked, got F32",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    path, model = stored(tmp_path), small()
    rewrite(path, **changes)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(WeightsError, match=says):
        load_weights(model, path)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.pkl", "w.pickle", "w.ckpt", "W.PT"])
def test_a_pickle_is_refused_with_the_reason_and_never_opened(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(WeightsError, match=r"is a pickle, which can run code when opened; only safetensors"):
        load_weights(small(), path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("pack", [pickle.dump, torch.save])
def test_a_pickle_with_another_name_is_refused_and_never_opened(tmp_path: Path, pack: Any) -> None:
    path = tmp_path / "weights.safetensors"
    with open(path, "wb") as file:
        pack(Bomb(tmp_path / "ran"), file)
    with pytest.raises(WeightsError, match="is not a safetensors file; pickled weights are refused"):
        load_weights(small(), path)
    assert not (tmp_path / "ran").exists()


def header(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        bytes(8),
        header(b"{}", 2**63),
        header(b"{}", 50),
        header(b"{"),
        header(b"[]"),
        header(b"null"),
        header(b'"text"'),
        header(b"[" * 100_000),
        header(b"\xff\xfe\xfd{}"),
        header(b'{"a": 1}'),
        header(b'{"a": {}}'),
        header(b'{"a": {"dtype": "F16", "shape": "wide", "data_offsets": [0, 2]}}'),
        header(b'{"a": {"dtype": "F16", "shape": [null], "data_offsets": [0, 2]}}'),
        header(b'{"a": {"dtype": "F16", "shape": [1e400], "data_offsets": [0, 2]}}'),
    ],
)
def test_a_header_that_is_garbage_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="is not a safetensors file"):
        check_safetensors(path)


def test_a_file_of_more_tensors_than_any_model_has_is_refused(tmp_path: Path) -> None:
    entries = {f"w{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(20_001)}
    header = json.dumps(entries).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(WeightsError, match="holds 20,001 tensors, more than 20,000"):
        check_safetensors(tmp_path / "w.safetensors")


@pytest.mark.parametrize("keep", [0.05, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_refused(tmp_path: Path, keep: float) -> None:
    path = stored(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(WeightsError, match=r"is not a safetensors file|is damaged"):
        load_weights(small(), path)


def test_a_file_whose_tensors_overlap_is_refused(tmp_path: Path) -> None:
    path = stored(tmp_path)
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    entries = json.loads(data[8 : 8 + length])
    entries["0.bias"]["data_offsets"] = [0, 8]
    path.write_bytes(header(json.dumps(entries).encode()) + data[8 + length :])
    with pytest.raises(WeightsError, match="is damaged"):
        load_weights(small(), path)


def test_a_file_too_large_for_any_model_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with open(path, "wb") as file:
        file.truncate(weights.MAX_WEIGHTS_BYTES + 1)  # sparse
    with pytest.raises(WeightsError, match="larger than 2 GiB"):
        check_safetensors(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"expected weights in weights\.safetensors, found no such file"):
        load_weights(small(), tmp_path / "weights.safetensors")


def test_a_finished_run_loads_with_its_stored_weights_in_eval_mode(tiny_run: Path) -> None:
    model = load_run(tiny_run)
    assert not model.training
    loaded = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    file = load_file(tiny_run / "weights.safetensors")
    assert all(torch.equal(v, file[k].float()) for k, v in loaded.items())


def test_a_run_whose_weights_are_another_models_is_refused(run_copy: Path) -> None:
    edit(run_copy, model={"key": "fpn_resnet", "size": "resnet18"})
    with pytest.raises(RunError, match=r"does not fit the model that run\.json names"):
        load_run(run_copy)


def test_a_changed_byte_is_noticed(run_copy: Path) -> None:
    path = run_copy / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match="does not have the hash"):
        load_run(run_copy)


HOSTILE_OPTIONS: list[Any] = [
    {"pretrained": True},
    {"pretrained": False},
    {"use_pretrained_backbone": True},
    {"pretrained_cfg": 1},
    {"size": 1},
    {"key": 1},
    {"num_classes": 3},
    {"checkpoint_path": "/tmp/evil.pth"},
    {"backbone": "someone/model"},
    {"attn_implementation": "kernels-community/flash-attn"},
    {"decoder_channels": 10**9},
    {"decoder_channels": -(10**9)},
    {"decoder_channels": float("inf")},
    {"decoder_channels": [64] * 17},
    {"decoder_channels": [[64]]},
    {"decoder_channels": {"a": 1}},
    {"decoder_channels": None},
    {"decoder_channels": "64"},
    {"decoder_channels": 0},
    {"decoder_atrous_rates": [1]},
    {"decoder_layers": 1000},
    {"encoder_depth": 4096},
    {"no_such_option": 1},
    {"encoder_weights": 1},
    [1],
    "pretrained",
    7,
]


@pytest.mark.parametrize("options", HOSTILE_OPTIONS, ids=lambda o: re.sub(r"\W+", "_", str(o))[:40])
def test_hostile_options_of_a_record_are_refused(options: Any) -> None:
    record = {"label_space": "camvid-11", "model": {"key": "deeplabv3plus", "size": "bundled", "options": options}}
    with pytest.raises(RunError, match=r"run\.json names a model that cannot be built: "):
        build_from_record(record)


@pytest.mark.parametrize(
    "record",
    [
        {"label_space": "kitti", "model": {"key": "deeplabv3plus", "size": "bundled"}},
        {"label_space": ["camvid-11"], "model": {"key": "deeplabv3plus", "size": "bundled"}},
        {"label_space": "camvid-11", "model": {"key": "unet", "size": "bundled"}},
        {"label_space": "camvid-11", "model": {"key": "deeplabv3plus", "size": "../../etc"}},
        {"label_space": "camvid-11", "model": {"key": "deeplabv3plus"}},
        {"label_space": "camvid-11"},
        {},
    ],
)
def test_a_record_of_no_model_here_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=r"run\.json names a model that cannot be built"):
        build_from_record(record)


def test_options_of_an_architecture_are_followed() -> None:
    record = {"label_space": "camvid-11", "model": {"key": "deeplabv3plus", "size": "bundled"}}
    with torch.device("meta"):
        plain = models.num_parameters(build_from_record(record))
        record["model"]["options"] = {"decoder_channels": 16, "decoder_aspp_separable": True}
        assert models.num_parameters(build_from_record(record)) < plain


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("deeplabv3plus", {"decoder_channels": 4096}),
        ("upernet_convnextv2", {"decoder_channels": 4096}),
        ("mask2former", {"num_queries": 4096, "hidden_dim": 3072, "feature_size": 3072, "decoder_layers": 64}),
    ],
)
def test_a_record_that_asks_for_a_huge_model_takes_no_memory(
    run_copy: Path, monkeypatch: pytest.MonkeyPatch, key: str, options: dict[str, int]
) -> None:
    devices = []

    def watched(*args: Any, **more: Any) -> nn.Module:
        model = models.build(*args, **more)
        devices.append({str(p.device) for p in model.parameters() if p.numel() > 1_000_000})
        return model

    monkeypatch.setattr(networks, "build", watched)
    edit(run_copy, model={"key": key, "size": "bundled", "options": options})
    with pytest.raises(RunError, match=r"does not fit|expected shape"):
        load_run(run_copy)
    assert devices == [{"meta"}]


def test_a_header_that_claims_a_huge_tensor_takes_no_memory(run_copy: Path) -> None:
    path = run_copy / "weights.safetensors"
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    entries = json.loads(data[8 : 8 + length])
    name = next(k for k in entries if k != "__metadata__")
    entries[name]["shape"] = [2**40]
    path.write_bytes(header(json.dumps(entries).encode()) + data[8 + length :])
    rehash(run_copy)
    with pytest.raises(RunError, match="expected shape"):
        load_run(run_copy)


@pytest.mark.parametrize("weights", [{"sha256": 7}, {"sha256": ["a"]}])
def test_a_hash_that_is_none_is_refused(run_copy: Path, weights: Any) -> None:
    edit(run_copy, weights=weights)
    with pytest.raises(RunError, match="does not have the hash"):
        load_run(run_copy)
