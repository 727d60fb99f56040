"""Programs of torch.export: they answer as they did where they were exported, and nothing of a stranger's file is run."""

import contextlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from seglab.data.scenes import make_scene
from seglab.labels import space
from seglab.models import MEAN, STD
from seglab.models.adapted import Input, Program
from seglab.predict.segmenter import Segmenter
from seglab.predict.sources import open_model, pickles
from seglab.predict.sources.pt2 import RefusedError, _expression, check, holds

NAMES = space("cityscapes-19").names
AUTO = torch.export.Dim.AUTO
PLAIN = "label_space: cityscapes-19\nmean: [0, 0, 0]\nstd: [1, 1, 1]\n"
RUN = "__import__('pathlib').Path('ran').touch()"
SIZES = pytest.mark.parametrize("size", [(203, 331), (160, 320)], ids=["odd", "2:1"])


class Small(nn.Module):
    """A network of two convolutions, a buffer and a constant; what it answers is chosen."""

    def __init__(self, output: str = "logits", classes: int = 19) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.output = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, classes, 1), output
        nn.init.normal_(self.first.weight, std=1.0)
        nn.init.normal_(self.second.weight, std=1.0)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, image: torch.Tensor) -> Any:
        deep = self.second(self.norm(self.first(image)).relu()) + torch.tensor(0.5)
        logits = F.interpolate(deep, size=image.shape[-2:], mode="bilinear")
        if self.output == "labels":
            return logits.argmax(1)
        answers = {"scores": logits.softmax(1), "tuple": (logits, deep), "dict": {"aux": deep, "out": logits}}
        return answers.get(self.output, logits)


def export(path: Path, net: nn.Module, *inputs: torch.Tensor, free: bool = False, told: str = PLAIN) -> Path:
    inputs = inputs or (torch.zeros(1, 3, 96, 160),)
    program = torch.export.export(net.eval(), inputs, dynamic_shapes=({2: AUTO, 3: AUTO},) if free else None)
    torch.export.save(program, path)
    if told:
        path.with_suffix(".yaml").write_text(told)
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("plain") / "mine.pt2", Small(), free=True)


def edited(source: Path, path: Path, change: Callable[[Any], Any] | None = None, **files: bytes | None) -> Path:
    """Write a file with its program's description changed, and entries (dots for slashes) put in or taken out."""
    given = {
        name.replace("__", "/").replace("_json", ".json").replace("_pt", ".pt"): data for name, data in files.items()
    }
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for one in old.infolist():
            top, _, inner = one.filename.partition("/")
            data = given.pop(inner, old.read(one)) if inner in given else old.read(one)
            if inner == "models/model.json" and change:
                said = json.loads(data)
                data = json.dumps(change(said) or said).encode()
            if data is not None:
                new.writestr(one.filename, data)
        for inner, data in given.items():
            new.writestr(f"{top}/{inner}", data or b"")
    path.with_suffix(".yaml").write_text(PLAIN)
    return path


@SIZES
@pytest.mark.parametrize("output", ["logits", "scores", "labels", "tuple", "dict"])
def test_a_program_of_any_size_answers_as_it_did_where_it_was_exported(
    tmp_path: Path, output: str, size: tuple[int, int]
) -> None:
    net = Small(output)
    model = open_model(export(tmp_path / "mine.pt2", net, free=True))
    assert not any("pixels only" in note for note in model.facts.notes)
    assert not model.source.layers
    pixels = make_scene(5, *size).image
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    bottom, right = (-side % model.source.network().adapter.wants.stride for side in size)  # type: ignore[union-attr]
    with torch.inference_mode():
        answer = net(F.pad(image, (0, right, 0, bottom), mode="replicate"))
    answer = answer[0] if output == "tuple" else answer["out"] if output == "dict" else answer
    labels = answer if output == "labels" else answer.argmax(1)
    found = Segmenter(model, "torch").predict(pixels).labels
    assert (found == labels[0, : size[0], : size[1]].numpy())[_told(answer, output, size)].mean() >= 0.999
    assert len(np.unique(found)) > 1, "a network that knows one class tests nothing"


def _told(answer: torch.Tensor, output: str, size: tuple[int, int]) -> Any:
    """Pixels whose two best classes float16 scores tell apart."""
    if output == "labels":
        return np.s_[:]
    logits = answer.log() if output == "scores" else answer
    top = logits[0, :, : size[0], : size[1]].topk(2, 0).values
    told = (top[0] - top[1] > 4e-3).numpy()
    assert told.mean() > 0.9
    return told


@pytest.mark.parametrize("output", ["logits", "scores", "labels"])
def test_a_program_of_one_size_is_given_that_size(tmp_path: Path, output: str) -> None:
    net = Small(output)
    model = open_model(export(tmp_path / "fixed.pt2", net))
    assert any("takes 160x96 pixels only" in note for note in model.facts.notes)
    segmenter = Segmenter(model, "torch")
    assert segmenter.predict(make_scene(5, 203, 331).image).labels.shape == (203, 331)
    pixels = make_scene(5, 96, 160).image
    with torch.inference_mode():
        answer = net(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255)
    labels = (answer if output == "labels" else answer.argmax(1))[0].numpy()
    assert (segmenter.predict(pixels).labels == labels)[_told(answer, output, (96, 160))].mean() >= 0.999


def test_the_usual_engine_stands_for_torch_at_every_size(plain: Path, own_cache: Path) -> None:
    segmenter = Segmenter(open_model(plain))
    assert segmenter.engine_note is None
    assert not segmenter.engine.name.startswith("torch") or torch.cuda.is_available()
    reference = Segmenter(open_model(plain), "torch")
    for size in ((203, 331), (160, 320), (40, 300)):
        pixels = make_scene(5, *size).image
        assert (segmenter.predict(pixels).labels == reference.predict(pixels).labels).mean() >= 0.95


def test_a_program_whose_free_sizes_do_not_reach_is_asked_in_one_and_says_so(tmp_path: Path) -> None:
    sides = {2: torch.export.Dim("h", min=64, max=200), 3: torch.export.Dim("w", min=64, max=200)}
    program = torch.export.export(Small().eval(), (torch.zeros(1, 3, 96, 160),), dynamic_shapes=(sides,))
    torch.export.save(program, tmp_path / "near.pt2")
    (tmp_path / "near.yaml").write_text(PLAIN)
    notes = open_model(tmp_path / "near.pt2").facts.notes
    assert any("free, but not for every size" in note for note in notes)
    assert any("takes 160x96 pixels only" in note for note in notes)


def test_without_its_yaml_a_program_is_asked_for_with_the_likely_reading(tmp_path: Path) -> None:
    path = export(tmp_path / "mine.pt2", Small(), free=True, told="")
    with pytest.raises(
        ValueError, match=r"any size, 19 classes as logits\) does not say.*Put mine.yaml.*cityscapes-19"
    ):
        open_model(path)


def test_what_was_exported_on_a_gpu_runs_on_the_cpu(plain: Path, tmp_path: Path) -> None:
    def on_gpu(said: Any) -> Any:
        return json.loads(json.dumps(said).replace('"type": "cpu", "index": null', '"type": "cuda", "index": 0'))

    with zipfile.ZipFile(plain) as archive:
        config = next(one for one in archive.namelist() if one.endswith("weights_config.json"))
        weights = json.dumps(on_gpu(json.loads(archive.read(config)))).encode()
    path = edited(plain, tmp_path / "gpu.pt2", on_gpu, data__weights__model_weights_config_json=weights)
    pixels = make_scene(5, 96, 160).image
    found, expected = (Segmenter(open_model(one), "torch").predict(pixels).labels for one in (path, plain))
    assert (found == expected).all()


def test_a_program_is_moved_with_all_that_it_makes() -> None:
    class Makes(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image + torch.zeros(3, 1, 1, device=image.device) + torch.tensor(0.5)

    exported = torch.export.export(Makes(), (torch.zeros(1, 3, 32, 32),))
    moved = Program(nn.Sequential(exported.module())[0]).to("meta").eval()
    assert {one.device.type for one in moved.buffers()} == {"meta"}
    assert "type='cpu'" not in str(moved.program.code)


def test_the_advice_for_a_pickle_makes_a_file_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.pt").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(ValueError, match="is a pickle, which can run code when opened") as caught:
        open_model("old.pt")
    assert pickles.EXPORT in str(caught.value)
    exec(pickles.EXPORT, {"torch": torch, "model": Small().eval()})
    (tmp_path / "model.yaml").write_text(PLAIN)
    assert open_model("model.pt2").label_space == "cityscapes-19"


class Evil:
    """What makes a file where it is unpickled."""

    def __reduce__(self) -> Any:
        return exec, (RUN,)


def pickled() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": Evil()}, buffer)
    return buffer.getvalue()


def steps(said: Any) -> Any:
    return said["graph_module"]["graph"]["nodes"]


def expression(said: Any) -> None:
    said["graph_module"]["graph"]["tensor_values"]["image"]["sizes"][2]["as_expr"]["expr_str"] = RUN


def guard(said: Any) -> None:
    said["guards_code"] = [f"{RUN} is None"]


def named(said: Any) -> Any:
    name = json.dumps(f"image={RUN}")
    return json.loads(json.dumps(said).replace('"image"', name))


@pytest.mark.parametrize(
    ("change", "files"),
    [(expression, {}), (guard, {}), (None, {"data__sample_inputs__model_pt": pickled()})],
    ids=["an expression", "a guard", "sample inputs"],
)
def test_torch_itself_would_run_what_is_refused_or_left_out_here(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, files: dict[str, bytes]
) -> None:
    path = edited(plain, tmp_path / "evil.pt2", change, **files)
    monkeypatch.chdir(tmp_path)
    with contextlib.suppress(Exception):  # it runs first and fails afterwards
        torch.export.load(path).module()(torch.zeros(1, 3, 96, 160))
    assert (tmp_path / "ran").exists(), "torch runs it no more: this check may go"
    (tmp_path / "ran").unlink()
    if change is expression:
        with pytest.raises(ValueError, match=r"holds the expression .* which is not plain arithmetic over sizes"):
            open_model(path)
    else:
        open_model(path)
    assert not (tmp_path / "ran").exists()


def payload(**changes: Any) -> bytes:
    meta = {"dtype": 7, "sizes": [{"as_int": 1}], "requires_grad": False, "device": {"type": "cpu", "index": None}}
    meta |= {"strides": [{"as_int": 1}], "storage_offset": {"as_int": 0}, "layout": 7, **changes.pop("meta", {})}
    one = {"path_name": "weight_0", "is_param": True, "use_pickle": False, "tensor_meta": meta, **changes}
    return json.dumps({"config": {"first.weight": one}}).encode()


def target(name: str) -> Callable[[Any], None]:
    return lambda said: steps(said)[-1].update(target=name)


def first_input(said: Any, **argument: Any) -> None:
    steps(said)[-1]["inputs"][0]["arg"] = argument


WEIGHTS = "data__weights__model_weights_config_json"
HOSTILE: dict[str, tuple[str, Callable[[Any], Any] | None, dict[str, bytes | None]]] = {
    "code in an expression": ("not plain arithmetic", expression, {}),
    "code in a name": ("where a plain name belongs", named, {}),
    "a pickled weight": ("as a pickle", None, {WEIGHTS: payload(use_pickle=True)}),
    "a script object": ("as a pickle", None, {WEIGHTS: payload(path_name="custom_obj_0")}),
    "a weight of elsewhere": ("not as torch.export.save", None, {WEIGHTS: payload(path_name="weight_0/../../x")}),
    "a weight that is larger": ("larger than it is", None, {WEIGHTS: payload(meta={"sizes": [{"as_int": 10**12}]})}),
    "a weight from beyond": ("larger than it is", None, {WEIGHTS: payload(meta={"storage_offset": {"as_int": 10**6}})}),
    "a weight of minus": ("unknown kind", None, {WEIGHTS: payload(meta={"strides": [{"as_int": -1}]})}),
    "compiled code": ("no part of a plain program", None, {"data__aotinductor__model__a": b"\x7fELF"}),
    "an opaque object": ("no part of a plain program", None, {"data__constants__opaque_obj_0": pickled()}),
    "a path that leaves": ("no part of a plain program", None, {"..__..__x": b""}),
    "old weights": ("no part of a plain program", None, {"data__weights__model_pt": pickled()}),
    "a file operator": ("uses the operator", target("torch.ops.aten.from_file.default"), {}),
    "a saving operator": ("uses the operator", target("torch.ops.aten.save.default"), {}),
    "a custom operator": ("uses the operator", target("torch.ops.evil.run.default"), {}),
    "a python function": ("uses the operator", target("torch.os.system"), {}),
    "a method of python": ("uses the operator", target("_operator.attrgetter"), {}),
    "an extension": ("uses the operator", target("#evil:run"), {}),
    "a graph in a graph": ("holds a graph inside", target("torch.ops.higher_order.cond"), {}),
    "an operator as argument": ("hands operator", lambda said: first_input(said, as_operator="torch.os.system"), {}),
    "a path as argument": ("plain name", lambda said: first_input(said, as_string="/etc/passwd"), {}),
    "another machine": ("was exported for", lambda said: first_input(said, as_device={"type": "mtia"}), {}),
    "a number too large": ("64 bits", lambda said: first_input(said, as_int=10**30), {}),
    "steps without end": ("more than", lambda said: steps(said).extend([0] * 50_000), {}),
    "no list of steps": ("not as torch.export.save", lambda said: said["graph_module"].update(graph=7), {}),
    "no JSON": ("not as torch.export.save", None, {"models__model_json": b"{"}),
    "deep JSON": ("not as torch.export.save", None, {"models__model_json": b"[" * 100_000}),
    "no program": ("not as torch.export.save", None, {"models__model_json": None}),
    "a later version": ("another version", None, {"archive_version": b"7"}),
    "an unknown dialect": ("unknown dialect", lambda said: said.update(verifiers=["EVIL"]), {}),
    "a state that changes": (
        "model.eval",
        lambda said: said["graph_module"]["signature"].update(output_specs=[{"buffer_mutation": {}}]),
        {},
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_in_one_sentence_before_torch_sees_it(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    said, change, files = HOSTILE[kind]
    path = edited(plain, tmp_path / "hostile.pt2", change, **files)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.export, "load", lambda *_: pytest.fail("torch was asked to read it"))
    with pytest.raises(ValueError, match=said) as caught:
        open_model(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 900
    assert not (tmp_path / "ran").exists()


def compressed(plain: Path, path: Path) -> None:
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for one in old.infolist():
            new.writestr(one.filename, old.read(one))


def twice(plain: Path, path: Path) -> None:
    path.write_bytes(plain.read_bytes())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"another")


def old_format(plain: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", "8.20")
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("serialized_example_inputs.pt", pickled())


HOSTILE_ZIPS: dict[str, tuple[str, Callable[[Path, Path], Any]]] = {
    "empty": ("not as torch.export.save", lambda plain, path: path.write_bytes(b"")),
    "noise": ("not as torch.export.save", lambda plain, path: path.write_bytes(bytes(range(256)) * 40)),
    "half": ("not as torch.export.save", lambda plain, path: path.write_bytes(plain.read_bytes()[:9000])),
    "a pickle": ("not as torch.export.save", lambda plain, path: path.write_bytes(pickle.dumps(Evil()))),
    "a checkpoint": ("no part of a plain program", lambda plain, path: path.write_bytes(pickled())),
    "compressed": ("twice, compressed or encrypted", compressed),
    "an entry twice": ("twice, compressed or encrypted", twice),
    "an older torch": ("saved by an older torch, with pickles; export it anew", old_format),
}


@pytest.mark.parametrize("kind", HOSTILE_ZIPS)
def test_what_is_no_file_of_this_torch_is_refused(plain: Path, tmp_path: Path, kind: str) -> None:
    said, write = HOSTILE_ZIPS[kind]
    write(plain, tmp_path / "hostile.pt2")
    with pytest.raises(ValueError, match=said) as caught:
        open_model(tmp_path / "hostile.pt2")
    assert "\n" not in str(caught.value)


def test_a_flipped_bit_is_found(plain: Path, tmp_path: Path) -> None:
    data = bytearray(plain.read_bytes())
    with zipfile.ZipFile(plain) as archive:
        at = next(one for one in archive.infolist() if one.filename.endswith("weights/weight_0")).header_offset
    data[at + 200] ^= 1
    (tmp_path / "bad.pt2").write_bytes(data)
    with pytest.raises(ValueError, match=r"not as torch\.export\.save writes it"):
        check(tmp_path / "bad.pt2")


@pytest.mark.parametrize(
    "text",
    [
        "Add(Integer(1), FloorDiv(Add(Symbol('s0', positive=True, integer=True), Integer(-1)), Integer(4)))",
        "Pow(Symbol('s77', integer=True), Integer(2))",
        "Max(1, s0 // 2)",
        "Float('0.5', precision=53)",
    ],
)
def test_arithmetic_over_sizes_is_taken(text: str) -> None:
    assert _expression(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("open('x')", "().__class__", "Symbol('x').func", "lambda: 1", "[1][0]", "Max('exec(1)', 1)", "Integer('9')"),
        *(
            "9**9**9",
            "Pow(9, 999)",
            "Pow(Pow(Pow(9, 9), 9), 9)",
            "Symbol('a b')",
            "f'{s0}'",
            "sympify('1')",
            "(" * 9000,
        ),
        *("s0 if s0 else 1", "Symbol('s0', positive=open('x'))", "x" * 30_000, "s0\nimport os", "exec", "1e999"),
    ],
)
def test_what_is_more_than_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="not plain arithmetic"):
        _expression(text)


def test_guards_are_worth_what_they_say_and_unknown_ones_nothing() -> None:
    size = "L['x'].size()[{}]"
    high, wide = size.format(2), size.format(3)
    assert holds((f"(1 + ((-1) + {high}) // 4) != 1", f"not {wide} % 32 == 1", f"max(1, {high}) <= {wide}"), 64, 96)
    assert not holds((f"{high} == 64", f"{wide} == 64"), 64, 96)
    assert not holds(("L['x'].stride()[0] == 1",), 64, 96)
    assert not holds((RUN,), 64, 96)


class Two(nn.Module):
    def forward(self, image: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return image + other


class Text(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.flatten(1).sum(1)


IMAGE = torch.zeros(1, 3, 64, 64)
OTHER_KINDS: dict[str, tuple[str, nn.Module, tuple[torch.Tensor, ...]]] = {
    "two inputs": ("takes 2 inputs; expected one image", Two(), (IMAGE, IMAGE)),
    "no image": (r"takes \[1, 7\] \(0 is free\)", nn.Linear(7, 2), (torch.zeros(1, 7),)),
    "four channels": (r"takes \[1, 4, 64, 64\]", nn.Conv2d(4, 2, 1), (torch.zeros(1, 4, 64, 64),)),
    "whole numbers": ("kind uint8; expected float32", nn.Identity(), (IMAGE.byte(),)),
    "half numbers": ("kind float16; expected float32", nn.Conv2d(3, 2, 1).half(), (IMAGE.half(),)),
    "four images": ("takes 4 images at a time", nn.Conv2d(3, 2, 1), (torch.zeros(4, 3, 64, 64),)),
    "tiny images": ("exported with 8x8 pixels", nn.Conv2d(3, 2, 1), (torch.zeros(1, 3, 8, 8),)),
    "one number": (r"answers an array \(1,\); expected classes for pixels", Text(), (IMAGE,)),
    "two classes": ("classes: expected 2 names, got 19", nn.Conv2d(3, 2, 1), (IMAGE,)),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_program_of_another_kind_says_what_is_expected(tmp_path: Path, kind: str) -> None:
    said, net, inputs = OTHER_KINDS[kind]
    path = export(tmp_path / "other.pt2", net, *inputs, told=f"classes: [{', '.join(NAMES)}]\n")
    with pytest.raises(ValueError, match=said):
        open_model(path)


def test_a_program_that_was_exported_while_it_trains_is_refused(tmp_path: Path) -> None:
    for net in (nn.Sequential(nn.Conv2d(3, 2, 1), nn.Dropout()), nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))):
        torch.export.save(torch.export.export(net.train(), (IMAGE,)), tmp_path / "trains.pt2")
        with pytest.raises(ValueError, match=r"call model\.eval\(\) before"):
            open_model(tmp_path / "trains.pt2")


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    with open(tmp_path / "large.pt2", "wb") as file:
        file.truncate(2**31 + 1)
    with pytest.raises(ValueError, match="larger than 2 GiB"):
        open_model(tmp_path / "large.pt2")


def test_the_input_is_read_as_the_yaml_says(plain: Path, tmp_path: Path) -> None:
    path = edited(plain, tmp_path / "mine.pt2")
    path.with_suffix(".yaml").write_text("label_space: cityscapes-19\n")
    wants = open_model(path).source.network().adapter.wants  # type: ignore[union-attr]
    assert wants == Input(tuple(MEAN), tuple(STD), stride=wants.stride)
