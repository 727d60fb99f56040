"""What a column is, told from its name: a key (variant, seed, epoch), a metric, a class, or nothing that is known."""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from seglab.labels import SPACES, space
from seglab.records.imports.problems import ImportProblem, Problems, listed, quoted

KEYS = ("variant", "seed", "epoch")
METRICS = {
    "mIoU": "miou",
    "boundary_f1_mean": "boundary_f1",
    "boundary_f1": "boundary_f1",
    "trimap_mIoU_mean": "trimap_iou",
    "trimap_iou": "trimap_iou",
    "pixel_accuracy": "pixel_accuracy",
    "dice": "dice",
}
PLAIN = ("train_loss", "lr", "seconds")  # in units of their own
SKIP = "skip"
_BY_NAME = {name.lower(): key for name, key in METRICS.items()} | {name: name for name in PLAIN}
_SYNONYMS = {
    "mean iou": "miou",
    "m iou": "miou",
    "iou mean": "miou",
    "iou": "miou",
    "jaccard": "miou",
    "mean jaccard": "miou",
    "aacc": "pixel_accuracy",
    "pixel acc": "pixel_accuracy",
    "overall accuracy": "pixel_accuracy",
    "mdice": "dice",
    "mean dice": "dice",
    "loss": "train_loss",
    "train loss epoch": "train_loss",
    "learning rate": "lr",
    "base lr": "lr",
}
_KEY_SYNONYMS = {
    "variant": ("method", "model", "run", "run name", "run id", "loss"),
    "seed": ("random seed",),
    "epoch": ("step", "iteration", "iter", "global step"),
}
_LEFT_OUT = ("experiment", "provenance", "timestamp", "wall time", "walltime", "time", "date", "global step", "step")
_STAGES = ("val", "valid", "validation", "eval", "test")
_LOSSES = tuple(f"{stage} loss" for stage in _STAGES)
_PER_CLASS = ("iou", "boundary_f1", "trimap_iou")
_OTHERWISE = {*_LEFT_OUT, *_LOSSES, *_SYNONYMS, *(one for some in _KEY_SYNONYMS.values() for one in some)}
_FIRST = ("camvid-11", "cityscapes-19", "cityscapes-8")  # of the data that the trainers read: meant where they fit
_SIGN = re.compile(r"\s*[(\[]?\s*%\s*[)\]]?$|\s+\(?percent\)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Columns:
    """What each column is.

    Attributes:
        keys: one a column: ``variant``, ``seed``, ``epoch``, a metric's key such as ``iou/road``, or empty: left out.
        label_space: of the class columns.
        percent: the column whose name says percent; empty where none does.
        notes: the readings that are not literal.
    """

    keys: list[str]
    label_space: str
    percent: str
    notes: list[str]


def spelt(name: str) -> str:
    """Return a name as headers may spell it: in any case, with one blank for whatever joins its words.

    >>> spelt("IoU/Traffic_Light")
    'iou traffic light'
    """
    return re.sub(r"[\s_./()\[\]:-]+", " ", name.lower()).strip()


def read_columns(
    header: Sequence[str],
    first: Sequence[str],
    problems: Problems,
    *,
    label_space: str | None = None,
    mapping: Mapping[str, str] | None = None,
    given: Collection[str] = (),
    lenient: bool = False,
) -> Columns:
    """Return what each column is; what cannot be told is added to the problems.

    Args:
        header: the names.
        first: cells of the first row.
        problems: what is wrong is added here.
        label_space: of the class columns; told by them where it is not given.
        mapping: name of a column to what it is, such as ``{"Value": "mIoU"}``; ``skip`` leaves it out.
        given: keys that the file need not have.
        lenient: leave out what is not known, as exports hold much else.

    Raises:
        ImportProblem: for a label space that there is none of.
    """
    mapping = mapping or {}
    words = [mapping.get(name, name) for name in header]
    try:
        classes = {spelt(name) for name in space(label_space).names} if label_space is not None else _classes_of(words)
    except ValueError as error:
        raise ImportProblem([str(error)]) from None
    notes, left, keys, percent = [], [], [], ""
    for name in mapping:
        if name not in header:
            problems.add(f"the file has no column {quoted(name)}; it has {listed([quoted(one) for one in header], 8)}")
    for number, (name, said) in enumerate(zip(header, words, strict=True), 1):
        key, sign = ("", False) if said == SKIP else _key(said, classes)
        if name in mapping and said != SKIP:
            if not key:
                problems.add(
                    f"{quoted(said)} is no meaning; expected {', '.join((*KEYS, *METRICS, *PLAIN, SKIP))} or a class"
                )
            notes.append(f"`{name}` read as {said}, as you say")
        elif key and not _literal(name, classes):
            notes.append(f"`{name}` read as {_shown(key)}")
        percent = percent or (name if sign and key else "")
        keys.append(key)
        if not key and name not in mapping:
            left.append((number, name))
    left = _find_keys(header, first, keys, left, given, notes)
    out = [name for _, name in left if name and (lenient or spelt(name) in (*_LEFT_OUT, *_LOSSES))]
    if out:
        notes.append(f"left out: {listed([f'`{name}`' for name in out], 8)}")
    for number, _ in (one for one in left if not one[1] and _is_idle(first, one[0] - 1)):
        notes.append(f"left out: column {number}, which has no name")
    left = [one for one in left if one[1] or not _is_idle(first, one[0] - 1)]
    metrics = {*keys} - {*KEYS, *PLAIN, ""}
    problems.unknown += out
    unknown = [(number, name) for number, name in left if name not in out]
    for number, name in unknown:
        _unknown(number, name, classes, bool(metrics), problems)
    for key in KEYS:
        if key not in keys and key not in given:
            _missing(key, problems)
    if "epoch" not in keys and "epoch" not in given:
        number = next((n for n, name in unknown if name and _is_number(first, n - 1)), 0)
        _suggest(header[number - 1] if number else "", problems)
    seen: dict[str, str] = {}
    for name, key in zip(header, keys, strict=True):
        if key and key in seen:
            problems.add(f"the columns {quoted(seen[key])} and {quoted(name)} are the same; leave one of them out")
            problems.unknown += [seen[key], name]
            if name != seen[key]:
                problems.flags += ["--map", f"{name}={SKIP}"]
        seen[key] = name
    if not metrics and not unknown:
        problems.add(f"the header has no metric; expected one such as {', '.join(METRICS)} or a class name")
        if out:
            problems.flags += ["--map", f"{out[0]}=mIoU"]
    of = {key.partition("/")[2] for key in keys if "/" in key}
    found = label_space or _guessed(of, problems)
    own = {spelt(name): name for name in space(found).names} if found else {}
    parts = [key.partition("/") for key in keys]
    return Columns([f"{a}/{own.get(b, b)}" if slash else a for a, slash, b in parts], found, percent, notes)


def _key(name: str, classes: Collection[str]) -> tuple[str, bool]:
    """Return what a column is, empty where its name does not tell, and whether it says percent."""
    bare = _SIGN.sub("", name)
    words = spelt(bare)
    for stage in ("", *_STAGES):
        if stage and not words.startswith(stage + " "):
            continue
        rest = words[len(stage) :].strip()
        plain = rest.replace(" ", "_")
        if plain in KEYS or plain in _BY_NAME:
            return _BY_NAME.get(plain, plain), bare != name
        if rest in classes and rest not in _OTHERWISE:  # ADE20K has a class step
            return f"iou/{rest}", bare != name
        for metric in _PER_CLASS[::-1]:
            by = metric.replace("_", " ")
            for of in (rest.removeprefix(by + " "), rest.removesuffix(" " + by)):
                if of != rest and of in classes:
                    return f"{metric}/{of}", bare != name
        if rest in _SYNONYMS and rest != "loss":
            return _SYNONYMS[rest], bare != name
    return "", False


def _literal(name: str, classes: Collection[str]) -> bool:
    plain = name.lower().replace(" ", "_")
    metric, _, of = name.lower().rpartition("/")
    known = of.replace("_", " ") in classes and metric in ("", *_PER_CLASS)
    return known or plain in KEYS or plain in _BY_NAME


def _shown(key: str) -> str:
    metric, slash, of = key.partition("/")
    return f"{metric} of {of}" if slash else {"miou": "mIoU"}.get(key, key)


def _find_keys(
    header: Sequence[str],
    first: Sequence[str],
    keys: list[str],
    left: list[tuple[int, str]],
    given: Collection[str],
    notes: list[str],
) -> list[tuple[int, str]]:
    """Take synonyms for the keys that no column is called; return the columns that are still left."""
    for key, synonyms in _KEY_SYNONYMS.items():
        if key in keys:
            continue
        found = [(n, name) for n, name in left if spelt(name) in synonyms]
        if key == "variant":
            found = [(n, name) for n, name in found if spelt(name) != "loss" or not _is_number(first, n - 1)]
        if len(found) == 1 and key not in given:
            number, name = found[0]
            keys[number - 1] = key
            notes.append(f"`{name}` read as {key}")
            left = [one for one in left if one[0] != number]
    for number, name in left:
        if spelt(name) == "loss" and _is_number(first, number - 1) and "train_loss" not in keys:
            keys[number - 1] = "train_loss"
            notes.append(f"`{name}` read as train_loss")
    return [one for one in left if not keys[one[0] - 1]]


def _is_number(cells: Sequence[str], at: int) -> bool:
    cell = cells[at].strip() if at < len(cells) else ""
    return not cell or (cell[:1] in "+-.0123456789" and re.fullmatch(r"[-+.,\deE]+", cell, re.ASCII) is not None)


def _unknown(number: int, name: str, classes: Collection[str], metrics: bool, problems: Problems) -> None:
    if not name:
        problems.add(f"column {number} has no name; name it or leave it out")
        return
    known = {one.lower(): one for one in (*KEYS, *METRICS, *PLAIN, *sorted(classes))}
    of_training = spelt(name).startswith("train ")  # none of these is a score of validation
    close = [] if of_training else difflib.get_close_matches(name.lower()[:80], known, 1)
    hint = (
        f"did you mean {known[close[0]]}?" if close else f"expected {', '.join(METRICS)} or a class of the label space"
    )
    problems.add(f"column {number}, {quoted(name)}, is not known; {hint}")
    problems.unknown.append(name)
    first = not of_training and not metrics and not any(flag.endswith("=mIoU") for flag in problems.flags)
    problems.flags += ["--map", f"{name}={known[close[0]] if close else 'mIoU' if first else SKIP}"]


def _is_idle(first: Sequence[str], at: int) -> bool:
    """Return whether a column without a name is a table's index, or empty as at the end of a spreadsheet's rows."""
    cell = first[at].strip() if at < len(first) else ""
    return not cell or (at == 0 and cell in ("0", "1"))


def _suggest(name: str, problems: Problems) -> None:
    """Suggest a column as the epoch, and no other meaning for it; one epoch for all figures where none may be it."""
    if not name:
        problems.flags += ["--epoch", "1"]
        return
    pairs = list(zip(problems.flags[::2], problems.flags[1::2], strict=True))
    kept = [pair for pair in pairs if not pair[1].startswith(f"{name}=")]
    problems.flags = [word for pair in [*kept, ("--map", f"{name}=epoch")] for word in pair]


def _missing(key: str, problems: Problems) -> None:
    how = {
        "variant": "say it with --variant",
        "seed": "say it with --seed",
        "epoch": "say which it is, --map COLUMN=epoch, or of which one all figures are, --epoch N",
    }
    problems.add(
        f"the header lacks the column {key}; {how[key]}, or give it variant, seed, epoch and one column per metric"
    )
    if key != "epoch":
        problems.flags += {"variant": ["--variant", ""], "seed": ["--seed", "0"]}[key]


def _names_of() -> dict[str, set[str]]:
    return {key: {spelt(name) for name in one.names} for key, one in SPACES.items()}


def _classes_of(words: Sequence[str]) -> set[str]:
    """Return the class names that columns may have where nobody says the label space.

    They are those of the first spaces. The hundreds of others are words that a table may have for anything; they count only
    where one space has all the classes that the columns would then be.
    """
    names_of = _names_of()
    every = set().union(*names_of.values())
    first = set().union(*(names_of[key] for key in _FIRST))
    found = {key.partition("/")[2] for word in words if word != SKIP and "/" in (key := _key(word, every)[0])}
    return first if found <= first else first.union(*(names for names in names_of.values() if found <= names))


def _guessed(classes: set[str], problems: Problems) -> str:
    fit = {key: names for key, names in _names_of().items() if classes and classes <= names}
    fit = {key: fit[key] for key in _FIRST if key in fit} or fit
    fitting = [key for key, names in fit.items() if not any(other < names for other in fit.values())]  # no finer one
    if len(fitting) != 1:
        why = "no class column tells the label space"
        if classes:
            some = listed(sorted(classes), 5)
            why = f"the class columns ({some}) fit {' and '.join(fitting) if fitting else 'no single label space'}"
        problems.add(f"{why}; say which it is: {', '.join(SPACES)}")
        problems.flags += ["--label-space", (fitting or _FIRST)[0]]
    return fitting[0] if fitting else ""
