"""A file of ``torch.export.save``, checked with zipfile, json and ast alone; torch is given one that is written here.

Such a file runs code where torch reads it: pickles among its sample inputs and tensors, expressions that sympy evaluates, guards
and names that become Python source. So torch never sees it. What a program needs of it (graph, raw tensors, expressions of a
strict grammar, operators of a list) is written into a new archive; samples, guards, notes on nodes and trees of Python types
stay behind.
"""

import ast
import io
import json
import math
import operator
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seglab.predict.sources.graphs import MAX_BYTES
from seglab.predict.sources.pickles import EXPORT as HOW

MAX_TENSORS = 20_000
MAX_NODES = 50_000
MAX_JSON_BYTES = 64 * 2**20
MAX_TEXT = 20_000  # of an expression or a guard
MAX_GUARDS = 1_000
SIDES_PX = (16, 4096)

# Operators that compute an answer out of tensors: no files, no chance, no gradients; also in place (relu_).
_OPERATORS = """
    _adaptive_avg_pool2d _assert_scalar _assert_tensor_metadata _log_softmax _native_batch_norm_legit_no_training _softmax
    _to_copy _unsafe_index _unsafe_view _upsample_bicubic2d_aa _upsample_bilinear2d_aa abs acos acosh adaptive_avg_pool1d
    adaptive_avg_pool2d adaptive_max_pool2d add addcdiv addcmul addmm alias all amax amin any arange argmax argmin argsort
    as_strided asin asinh atan atan2 atanh avg_pool1d avg_pool2d baddbmm batch_norm bitwise_and bitwise_not bitwise_or
    bitwise_xor bmm broadcast_tensors broadcast_to bucketize cat ceil celu channel_shuffle chunk clamp clamp_max clamp_min clone
    col2im concat concatenate constant_pad_nd contiguous conv1d conv2d conv_transpose1d conv_transpose2d convolution copy cos
    cosh cumprod cumsum detach diagonal div dropout einsum elu embedding empty empty_like eq erf exp exp2 expand expand_as
    expm1 eye feature_dropout fill flatten flip floor floor_divide fmod frobenius_norm full full_like gather ge gelu glu
    grid_sampler grid_sampler_2d group_norm gt hardsigmoid hardswish hardtanh im2col index index_add index_put index_select
    instance_norm isfinite isinf isnan layer_norm le leaky_relu lerp lift_fresh_copy linalg_norm linalg_vector_norm linear
    linspace log log10 log1p log2 log_sigmoid log_softmax logaddexp logical_and logical_not logical_or logical_xor logsumexp lt
    masked_fill masked_scatter matmul max max_pool1d max_pool2d max_pool2d_with_indices maximum mean meshgrid min minimum mish
    mm movedim mul mv narrow native_dropout native_group_norm native_layer_norm ne neg new_full new_ones new_zeros nonzero norm
    numpy_T one_hot ones ones_like outer pad permute pixel_shuffle pixel_unshuffle pow prelu prod reciprocal reflection_pad1d
    reflection_pad2d relu relu6 remainder repeat repeat_interleave replication_pad2d reshape rms_norm roll round rsqrt rsub
    scalar_tensor scaled_dot_product_attention scatter scatter_add scatter_reduce select select_scatter selu sigmoid sign silu
    sin sinh slice slice_scatter softmax softplus sort split split_with_sizes sqrt square squeeze stack std std_mean sub sum
    swapaxes sym_constrain_range sym_constrain_range_for_size sym_numel sym_size sym_storage_offset sym_stride t take
    take_along_dim tan tanh tensor_split tile to topk transpose tril triu true_divide trunc type_as unbind unflatten unfold
    unsafe_chunk unsafe_split unsqueeze upsample_bicubic2d upsample_bilinear2d upsample_nearest2d upsample_nearest_exact2d var
    var_mean view view_as where zero zeros zeros_like
"""
OPERATORS = frozenset(_OPERATORS.split())
_ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.\w+", re.ASCII)
_ON_SIZES = {
    "_operator": "add sub mul floordiv truediv mod neg pos eq ne lt le gt ge and_ or_",
    "torch": "sym_float sym_int sym_ite sym_max sym_min sym_not sym_sqrt sym_sum",
    "math": "ceil floor trunc",
}
_OF_SIZES = frozenset(f"{home}.{name}" for home, names in _ON_SIZES.items() for name in names.split())
_KNOWN = """
    Abs Add And CeilDiv CeilToInt CleanDiv Eq Equality Float FloatTrueDiv FloorDiv FloorToInt Ge GreaterThan Gt
    Identity IntTrueDiv Integer Le LessThan Lt Max Min Mod ModularIndexing Mul Ne Not Or Piecewise Pow PowByNatural
    PythonMod Rational RoundToInt StrictGreaterThan StrictLessThan Symbol ToFloat TruncToFloat TruncToInt Unequality
    Where ceiling floor
"""
_FUNCTIONS = frozenset(_KNOWN.split())
_BARE = re.compile(r"z?[suz]f?\d{1,9}|true|false|True|False|oo|int_oo", re.ASCII)
_SYMBOL = re.compile(r"_?[a-zA-Z]\w{0,40}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,30}(\.\d{0,40})?(e[+-]?\d{1,3})?", re.ASCII)
_NAME = re.compile(r"([A-Za-z_]\w{0,400})?", re.ASCII)
_WORD = re.compile(r"(?!__|.*\.__)[\w.+-]{0,400}", re.ASCII)
_TEXT = re.compile(r"[A-Za-z0-9_ ,.>-]{0,80}", re.ASCII)  # a mode, or the letters of einsum
_ENTRY = re.compile(
    r"archive_format|archive_version|byteorder|\.data/(version|serialization_id)|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/weights/(weight_\d{1,6}|model_weights_config\.json)|data/constants/(tensor_\d{1,6}|model_constants_config\.json)",
    re.ASCII,
)
_INSIDE = ("as_graph", "as_operator", "as_custom_obj", "as_string_to_argument")
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 2, 7: 4, 8: 8, 12: 1, 13: 2}  # by torch's number of the kind of number
_KINDS = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    8: "float64",
    12: "bool",
    13: "bfloat16",
}
_FLOAT, _STRIDED = 7, 7
_LEAF: dict[str, Any] = {"type": None, "context": None, "children_spec": []}

_COMPUTED: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class RefusedError(ValueError):
    """A file that is not taken; one sentence without its name."""


@dataclass(frozen=True)
class Checked:
    """What of a file was checked.

    Attributes:
        archive: what torch may read; on the CPU, whatever it was exported on.
        size_px: height and width of the image that it was exported with.
        free: whether both may be others, as far as the guards allow it.
        at: which of its answers are the logits.
        guards: what it was exported under, for :func:`holds`.
    """

    archive: io.BytesIO
    size_px: tuple[int, int]
    free: bool
    at: int
    guards: tuple[str, ...]


def check(path: Path) -> Checked:
    """Check a file and write what torch may read of it.

    Raises:
        ValueError: where it is not one program as ``torch.export.save`` writes it, or holds what could run code.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RefusedError(f"is larger than {MAX_BYTES // 2**30} GiB")
        with zipfile.ZipFile(path) as source:
            return _checked(source, path.stat().st_size)
    except RefusedError as error:
        raise ValueError(f"{path.name} {error}") from None
    except Exception as error:  # whatever a stranger's file upsets
        raise ValueError(
            f"{path.name} is not as torch.export.save writes it ({type(error).__name__}); export it anew: {HOW}"
        ) from None


def holds(guards: tuple[str, ...], height: int, width: int) -> bool:
    """Return whether a program was exported for images of a size; not where a guard is of an unknown kind."""
    try:
        return all(_value(ast.parse(guard, mode="eval").body, (1, 3, height, width)) for guard in guards)
    except Exception:  # a guard is a stranger's text, too
        return False


def _checked(source: zipfile.ZipFile, most: int) -> Checked:
    entries: dict[str, zipfile.ZipInfo] = {}
    found = source.infolist()
    if any(one.filename.endswith("serialized_exported_program.json") for one in found):
        raise RefusedError(f"was saved by an older torch, with pickles; export it anew with this torch: {HOW}")
    if len(found) > MAX_TENSORS + 20:
        raise RefusedError(f"holds more than {MAX_TENSORS} tensors")
    root = found[0].filename.partition("/")[0]
    for one in found:
        top, _, inner = one.filename.partition("/")
        if top != root or not _ENTRY.fullmatch(inner):
            raise RefusedError(
                f"holds {one.filename[-80:]!r}, which is no part of a plain program (compiled code, custom objects and extra "
                f"files are not taken); save the program alone: {HOW}"
            )
        if inner in entries or one.compress_type != zipfile.ZIP_STORED or one.flag_bits & 1:
            raise RefusedError(f"holds {inner!r} twice, compressed or encrypted, as torch.export.save never writes it")
        if inner.endswith(".json") and one.file_size > MAX_JSON_BYTES:
            raise RefusedError(f"describes its program in more than {MAX_JSON_BYTES // 2**20} MiB")
        entries[inner] = one
    if sum(one.file_size for one in entries.values()) > most:
        raise RefusedError("holds more than its own size")
    if source.read(entries["archive_format"]) != b"pt2" or source.read(entries["archive_version"]) != b"0":
        raise RefusedError(f"is of another version of torch's format; export it anew with this torch: {HOW}")
    if "byteorder" in entries and source.read(entries["byteorder"]) != b"little":
        raise RefusedError("was saved on a machine of another byte order; export it on one of this kind")
    program, size, free, at, guards = _program(json.loads(source.read(entries["models/model.json"])))
    files = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little", ".data/version": b"6\n"}
    files |= {"models/model.json": json.dumps(program).encode(), "data/sample_inputs/model.pt": b""}
    raw: list[zipfile.ZipInfo] = []
    for folder, config, kind in (("weights", "weights", "weight_"), ("constants", "constants", "tensor_")):
        where = f"data/{folder}/model_{config}_config.json"
        told = _tensors(json.loads(source.read(entries[where])), f"data/{folder}/", kind, entries)
        files[where] = json.dumps({"config": told}).encode()
        raw += [entries[f"data/{folder}/{path}"] for path in dict.fromkeys(one["path_name"] for one in told.values())]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        for name, data in files.items():
            target.writestr(f"program/{name}", data)
        for one in raw:
            target.writestr(f"program/{one.filename.partition('/')[2]}", source.read(one))
    archive.seek(0)
    return Checked(archive, size, free, at, guards)


def _program(said: Any) -> tuple[dict[str, Any], tuple[int, int], bool, int, tuple[str, ...]]:
    """Return a program that torch may read, the size it was exported with, whether that is free, its answer and guards."""
    module = said["graph_module"]
    graph, signature = module["graph"], module["signature"]
    if len(graph["nodes"]) > MAX_NODES or len(graph["tensor_values"]) > MAX_TENSORS + MAX_NODES:
        raise RefusedError(f"has more than {MAX_NODES} steps")
    size, free = _image(graph, signature["input_specs"])
    if any(list(one) != ["user_output"] for one in signature["output_specs"]):
        raise RefusedError("changes its own weights while it answers; call model.eval() before torch.export.export")
    leaves = list(_leaves(json.loads(module["module_call_graph"][0]["signature"]["out_spec"])[1]))
    if len(leaves) != len(graph["outputs"]):
        raise RefusedError(f"names {len(leaves)} answers and gives {len(graph['outputs'])}")
    at = next((leaves.index(name) for name in ("logits", "out") if name in leaves), 0)
    if "as_tensor" not in graph["outputs"][at]:
        raise RefusedError("answers no tensor first; expected logits, scores or labels")
    if any(one not in ("ATEN", "TRAINING") for one in said["verifiers"]):
        raise RefusedError("is of an unknown dialect of torch.export")
    guards = tuple(map(str, said.get("guards_code") or ()))
    values = ("tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values")
    trees = {
        "in_spec": json.dumps([1, _tree("tuple", [_tree("tuple", [_LEAF]), _tree("dict", [])])]),
        "out_spec": json.dumps([1, _tree("tuple", [_LEAF] * len(leaves))]),
    }
    clean = {
        "graph_module": {
            "graph": {
                **{name: _plain(graph[name]) for name in ("inputs", "outputs")},
                **{name: _plain(graph.get(name) or {}) for name in values},
                "nodes": [_node(one) for one in graph["nodes"]],
                "is_single_tensor_return": False,
                "custom_obj_values": {},
            },
            "signature": {name: _plain(signature[name]) for name in ("input_specs", "output_specs")},
            "module_call_graph": [
                {"fqn": "", "signature": {"inputs": [], "outputs": [], **trees, "forward_arg_names": None}}
            ],
            "metadata": {},
            "treespec_namedtuple_fields": {},
        },
        "verifiers": said["verifiers"],
        "guards_code": [],
        "range_constraints": {_expression(one): _plain(span) for one, span in said["range_constraints"].items()},
        **{name: _plain(said[name]) for name in ("opset_version", "schema_version", "torch_version")},
    }
    fits = len(guards) <= MAX_GUARDS and all(len(one) <= MAX_TEXT for one in guards)
    return clean, size, free and fits, at, guards


def _image(graph: Any, specs: Any) -> tuple[tuple[int, int], bool]:
    """Return height and width of the image that a program was exported with, and whether they are free."""
    kinds = [next(iter(one)) for one in specs]
    inputs = [one["user_input"]["arg"] for one in specs if "user_input" in one]
    if set(kinds) - {"user_input", "parameter", "buffer", "tensor_constant"} or len(inputs) != 1:
        raise RefusedError(f"takes {len(inputs) + kinds.count('constant_input')} inputs; expected one image")
    if "as_tensor" not in inputs[0]:
        raise RefusedError("takes a number; expected one image")
    meta = graph["tensor_values"][inputs[0]["as_tensor"]["name"]]
    sizes = [one.get("as_int", 0) for one in meta["sizes"]]
    if len(sizes) != 4 or sizes[1] != 3:
        raise RefusedError(f"takes {sizes} (0 is free); expected one image of 3 channels, NCHW")
    if meta["dtype"] != _FLOAT:
        raise RefusedError(
            f"takes numbers of kind {_KINDS.get(meta['dtype'], 'unknown')}; expected float32 (model.float())"
        )
    if sizes[0] not in (0, 1):
        raise RefusedError(f"takes {sizes[0]} images at a time; export it with one: {HOW}")
    sides: list[Any] = [
        one.get("as_int") or (one["as_expr"].get("hint") or {}).get("as_int") for one in meta["sizes"][2:]
    ]
    height, width = sides
    if not all(type(side) is int and SIDES_PX[0] <= side <= SIDES_PX[1] for side in sides):
        raise RefusedError(f"was exported with {width}x{height} pixels; expected {SIDES_PX[0]} to {SIDES_PX[1]} a side")
    return (height, width), bool(sizes[2] == sizes[3] == 0)


def _node(node: Any) -> dict[str, Any]:
    """Return one step of a program, without its notes."""
    target = node["target"]
    aten = _ATEN.fullmatch(target)
    if str(target).startswith("torch.ops.higher_order."):
        raise RefusedError(
            f"holds a graph inside its graph ({target[23:63]}): no_grad, autocast or if in its forward are not taken"
        )
    if not (aten[1].removesuffix("_") in OPERATORS or aten[1] in OPERATORS if aten else target in _OF_SIZES):
        raise RefusedError(
            f"uses the operator {target[:80]!r}, which is not taken; torch.export.export(...).run_decompositions() may "
            "write it in plain ones"
        )
    inputs, outputs, name = _plain(node["inputs"]), _plain(node["outputs"]), _plain(node.get("name"), "name")
    if any(one["name"] in ("train", "training") and one["arg"] == {"as_bool": True} for one in inputs):
        raise RefusedError("was exported while it trains; call model.eval() before torch.export.export")
    return {"target": target, "inputs": inputs, "outputs": outputs, "metadata": {}, "name": name}


def _plain(value: Any, key: str = "") -> Any:
    """Return values of JSON of which every text is checked, on the CPU."""
    if isinstance(value, dict):
        if key in ("device", "as_device"):
            if value["type"] not in ("cpu", "cuda"):
                raise RefusedError(f"was exported for {str(value['type'])[:20]!r}; export it on the CPU")
            return {"type": "cpu", "index": None}
        for name in _INSIDE:
            if name in value:
                raise RefusedError(f"hands {name[3:]} to an operator, which is not taken; export a model without it")
        return {_plain(one): _plain(value[one], one) for one in value}
    if isinstance(value, list):
        return [_plain(one, key) for one in value]
    if isinstance(value, str):
        if key == "expr_str":
            return _expression(value)
        if not (_NAME if key in ("name", "as_name") else _TEXT if key == "as_string" else _WORD).fullmatch(value):
            raise RefusedError(f"holds {value[:60]!r} where a plain name belongs")
    elif isinstance(value, int) and abs(value) >= 2**63:
        raise RefusedError("holds a number beyond 64 bits")
    return value


def _expression(text: str) -> str:
    """Check and return an expression over sizes, which torch gives to sympy, which evaluates it as Python.

    Raises:
        RefusedError: where it is more than numbers, symbols and known functions of them.
    """
    try:
        if len(text) > MAX_TEXT or not (text.isascii() and text.isprintable()):
            raise RefusedError("")
        _arithmetic(ast.parse(text, mode="eval").body, 0)
        return text
    except (RefusedError, SyntaxError, ValueError, RecursionError, MemoryError):
        raise RefusedError(f"holds the expression {text[:60]!r}, which is not plain arithmetic over sizes") from None


def _arithmetic(node: ast.AST, powers: int) -> None:
    match node:
        case ast.Constant(value=bool()):
            return
        case ast.Constant(value=int() | float() as value) if abs(value) < 2**63:
            return
        case ast.Name(id=name) if _BARE.fullmatch(name):
            return
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            _arithmetic(operand, powers)
            return
        case ast.BinOp(
            left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.FloorDiv() | ast.Mod() | ast.Div(), right=right
        ):
            _arithmetic(left, powers)
            _arithmetic(right, powers)
            return
        case ast.Tuple(elts=several):  # of Piecewise
            for one in several:
                _arithmetic(one, powers)
            return
        case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str() as name)]) if _SYMBOL.fullmatch(name):
            if all(
                word.arg and isinstance(word.value, ast.Constant) and word.value.value is True for word in node.keywords
            ):
                return
        case ast.Call(func=ast.Name(id="Float"), args=[ast.Constant(value=str() as number)]) if _NUMBER.fullmatch(
            number
        ):
            if all(word.arg == "precision" and isinstance(word.value, ast.Constant) for word in node.keywords):
                return
        case ast.Call(func=ast.Name(id=name), args=several, keywords=[]) if name in _FUNCTIONS - {"Symbol", "Float"}:
            if name in ("Pow", "PowByNatural"):  # a tower of them would never end
                powers += 1
                if powers > 2 or len(several) != 2 or not _is_small(several[1]):
                    raise RefusedError("")
            for one in several:
                _arithmetic(one, powers)
            return
    raise RefusedError("")


def _is_small(node: ast.AST) -> bool:
    """Whether an exponent is a whole number of one digit, of either sign."""
    return bool(re.fullmatch(r"Integer\(-?\d\)|-?\d", ast.unparse(node)))


def _value(node: ast.AST, sizes: tuple[int, ...]) -> int | bool:
    """Return what a guard over the sizes of the only input is worth."""
    match node:
        case ast.Constant(value=int() as value):
            return value
        case ast.Subscript(
            value=ast.Call(func=ast.Attribute(attr="size"), args=[], keywords=[]),
            slice=ast.Constant(value=int() as dim),
        ):
            return sizes[dim]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, sizes)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, sizes)
        case ast.BoolOp(op=joined, values=several):
            return (all if isinstance(joined, ast.And) else any)(_value(one, sizes) for one in several)
        case ast.BinOp(left=left, op=done, right=right) if type(done) in _COMPUTED:
            return int(_COMPUTED[type(done)](_value(left, sizes), _value(right, sizes)))
        case ast.Compare(left=left, ops=[done], comparators=[right]) if type(done) in _COMPUTED:
            return bool(_COMPUTED[type(done)](_value(left, sizes), _value(right, sizes)))
        case ast.Call(func=ast.Name(id="Max" | "Min" | "max" | "min" as name), args=several, keywords=[]):
            return (max if name.lower() == "max" else min)(_value(one, sizes) for one in several)
    raise RefusedError("")


def _leaves(tree: Any, name: str = "") -> Iterator[str]:
    """Yield for each answer of a tree of Python types the name that it has in it, or nothing."""
    if tree["type"] is None:
        yield name
        return
    children = tree["children_spec"]
    try:
        names = json.loads(tree["context"])
    except (TypeError, ValueError):
        names = None
    named = isinstance(names, list) and len(names) == len(children)
    for at, child in enumerate(children):
        yield from _leaves(child, str(names[at]) if named else name)


def _tree(kind: str, children: list[Any]) -> dict[str, Any]:
    return {"type": f"builtins.{kind}", "context": "[]" if kind == "dict" else "null", "children_spec": children}


def _tensors(said: Any, folder: str, kind: str, entries: Mapping[str, zipfile.ZipInfo]) -> dict[str, Any]:
    """Return what is said of tensors whose raw numbers are there, in whole."""
    if len(said["config"]) > MAX_TENSORS:
        raise RefusedError(f"holds more than {MAX_TENSORS} tensors")
    for name, one in said["config"].items():
        path, meta = str(one["path_name"]), one["tensor_meta"]
        if one["use_pickle"] is not False or not path.startswith(kind) or meta is None:
            raise RefusedError(f"keeps {name[:60]!r} as a pickle, which can run code when opened; save plain tensors")
        sizes, strides = ([side["as_int"] for side in meta[field]] for field in ("sizes", "strides"))
        width, offset = _BYTES.get(meta["dtype"]), meta["storage_offset"]["as_int"]
        whole = all(type(one) is int and one >= 0 for one in (*sizes, *strides, offset))
        if width is None or meta["layout"] != _STRIDED or len(sizes) != len(strides) or not whole:
            raise RefusedError(f"keeps {name[:60]!r} as numbers of an unknown kind")
        last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        count = math.prod(sizes)
        if count and max(count, last + 1) * width > entries[folder + path].file_size:
            raise RefusedError(f"says that {name[:60]!r} is larger than it is")
    told: dict[str, Any] = _plain(said["config"])
    return told
