"""A table of results as CSV, from outside: bytes in, checked columns out, or sentences that name the lines.

One row is one evaluated epoch of one run: `variant, seed, epoch`, then one column per metric or class.
"""

import csv
import difflib
import io
import math
import re
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seglab.labels import SPACES, space
from seglab.records.imports.problems import ImportProblem, Problems, listed, quoted

MAX_BYTES = 16 * 2**20
MAX_ROWS = 200_000
MAX_COLUMNS = 200
MAX_EPOCH = 1_000_000
MAX_SEED = 2**32 - 1
_KEYS = ("variant", "seed", "epoch")
METRICS = {
    "mIoU": "miou",
    "boundary_f1_mean": "boundary_f1",
    "boundary_f1": "boundary_f1",
    "trimap_mIoU_mean": "trimap_iou",
    "trimap_iou": "trimap_iou",
    "pixel_accuracy": "pixel_accuracy",
    "dice": "dice",
}
PLAIN = ("train_loss", "lr")  # in units of their own
_BY_NAME = {name.lower(): key for name, key in METRICS.items()} | {name: name for name in PLAIN}
_PER_CLASS = ("iou", "boundary_f1", "trimap_iou")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"(\d{1,18})(\.0+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+%?", re.ASCII)
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True)
class Sheet:
    """The rows of a file, checked one by one; nothing is said yet about how they fit together.

    Attributes:
        label_space: key of the label space of the class columns.
        names: the metric columns as the file writes them.
        keys: the same as records write them, such as ``miou`` and ``iou/road``.
        line, variant, seed, epoch: one per row.
        values: ``(rows, columns)`` as the file has them; NaN where the cell is empty.
    """

    label_space: str
    names: tuple[str, ...]
    keys: tuple[str, ...]
    line: list[int]
    variant: list[str]
    seed: list[int]
    epoch: list[int]
    values: NDArray[np.float64]


def read_sheet(data: bytes, label_space: str | None = None) -> Sheet:
    """Return the checked rows of a CSV file.

    Args:
        data: the file; UTF-8, separated by commas, semicolons or tabs.
        label_space: of the class columns; needed where they do not tell it.

    Raises:
        ImportProblem: for a file that is no such table.
    """
    rows = _rows(_text(data))
    header = next(rows, (0, []))[1]
    if not header:
        raise ImportProblem(["the file is empty"])
    columns, key = _columns([cell.strip() for cell in header], label_space)
    at = {name: next(i for i, column in enumerate(columns) if column == name) for name in _KEYS}
    metrics = [i for i, column in enumerate(columns) if column not in _KEYS]
    names = tuple(header[i].strip() for i in metrics)
    sheet = Sheet(key, names, tuple(columns[i] for i in metrics), [], [], [], [], np.empty(0))
    problems, values = Problems(), array("d")
    for line, cells in rows:
        if len(cells) != len(header):
            problems.add(_count(len(header), len(cells)), line)
            continue
        sheet.line.append(line)
        sheet.variant.append(_variant(cells[at["variant"]].strip(), line, problems))
        sheet.seed.append(_whole(cells[at["seed"]].strip(), "seed", 0, MAX_SEED, line, problems))
        sheet.epoch.append(_whole(cells[at["epoch"]].strip(), "epoch", 1, MAX_EPOCH, line, problems))
        for i, name in zip(metrics, names, strict=True):
            values.append(_value(cells[i].strip(), name, columns[i] in PLAIN, line, problems))
    problems.check()
    if not sheet.line:
        raise ImportProblem(["the file has a header and no row below it"])
    table = np.frombuffer(values, np.float64).reshape(len(sheet.line), len(metrics))
    return replace(sheet, values=table)


def _text(data: bytes) -> str:
    if not data.strip():
        raise ImportProblem(["the file is empty"])
    if len(data) > MAX_BYTES:
        raise ImportProblem([f"the file is larger than {MAX_BYTES // 2**20} MiB; import its experiments one by one"])
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ImportProblem(["the file is a workbook, not CSV; save it as 'CSV UTF-8'"])
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ImportProblem(["the file is UTF-16 text; save it as 'CSV UTF-8'"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ImportProblem([f"line {line}: the text is not UTF-8; save the file as 'CSV UTF-8'"]) from None
    if "\0" in text:
        raise ImportProblem([f"line {text[: text.index(chr(0))].count(chr(10)) + 1}: a NUL byte; the file is no text"])
    if not text.strip():
        raise ImportProblem(["the file is empty"])
    return text


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of the header and of each row; blank lines are passed over."""
    first = next(line for line in io.StringIO(text) if line.strip())
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    count, before = 0, 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            why = (
                "a cell is far too long"
                if "limit" in str(error)
                else "a quotation mark is not closed, or stands inside a cell"
            )
            raise ImportProblem([f"line {before + 1}: {why}"]) from None
        line, before = before + 1, reader.line_num
        if before > line:
            raise ImportProblem([f"line {line}: a quoted cell runs over several lines; keep each row on one line"])
        if "".join(cells).strip():
            count += 1
            if len(cells) > MAX_COLUMNS and count == 1:
                raise ImportProblem([f"the header has {len(cells)} columns; at most {MAX_COLUMNS} are read"])
            if count > MAX_ROWS + 1:
                raise ImportProblem([f"line {line}: more than {MAX_ROWS} rows; import the experiments one by one"])
            yield line, cells


def _count(expected: int, got: int) -> str:
    hint = "; write decimals with a point, 0.71, if these have commas" if got > expected else ""
    return f"expected {expected} cells as in the header, got {got}{hint}"


def _columns(header: Sequence[str], label_space: str | None) -> tuple[list[str], str]:
    """Return what each column is (variant, seed, epoch, or a metric's key), and the label space."""
    problems = Problems()
    try:
        spaces = [space(label_space)] if label_space is not None else list(SPACES.values())
    except ValueError as error:
        raise ImportProblem([str(error)]) from None
    classes = {_spelt(name) for one in spaces for name in one.names}
    columns = [_column(name, number, classes, problems) for number, name in enumerate(header, 1)]
    for name in _KEYS:
        if name not in columns:
            problems.add(f"the header lacks the column {name}; expected variant, seed, epoch and one column per metric")
    seen: dict[str, str] = {}
    for name, column in zip(header, columns, strict=True):
        if column and column in seen:
            problems.add(f"the columns {quoted(seen[column])} and {quoted(name)} are the same")
        seen[column] = name
    problems.check()
    if not seen.keys() - {*_KEYS, *PLAIN}:
        problems.add(f"the header has no metric; expected one such as {', '.join(METRICS)} or a class name")
    key = label_space or _guessed({column.partition("/")[2] for column in columns if "/" in column}, problems)
    problems.check()
    own = {_spelt(name): name for name in space(key).names}
    parts = [column.partition("/") for column in columns]
    return [f"{metric}/{own[of]}" if slash else metric for metric, slash, of in parts], key


def _spelt(name: str) -> str:
    """Return a class name as headers may spell it: in any case, with _ for spaces."""
    return name.lower().replace("_", " ")


def _column(name: str, number: int, classes: Collection[str], problems: Problems) -> str:
    """Return what a column is; empty, and a problem, where that cannot be told."""
    plain = name.lower()
    metric, _, of = plain.rpartition("/")
    words = _spelt(of)
    if words in classes and metric in ("", *_PER_CLASS):
        return f"{metric or 'iou'}/{words}"
    plain = plain.replace(" ", "_")
    if plain in _KEYS or plain in _BY_NAME:
        return _BY_NAME.get(plain, plain)
    if not name:
        problems.add(f"column {number} has no name; name it or leave it out")
        return ""
    known = {one.lower(): one for one in (*_KEYS, *METRICS, *PLAIN, *sorted(classes))}
    close = difflib.get_close_matches(name.lower(), known, 1)
    hint = (
        f"did you mean {known[close[0]]}?" if close else f"expected {', '.join(METRICS)} or a class of the label space"
    )
    problems.add(f"column {number}, {quoted(name)}, is not known; {hint}")
    return ""


def _guessed(classes: set[str], problems: Problems) -> str:
    names_of = {key: {_spelt(name) for name in one.names} for key, one in SPACES.items()}
    fit = {key: names for key, names in names_of.items() if classes and classes <= names}
    fitting = [key for key, names in fit.items() if not any(other < names for other in fit.values())]  # no finer one
    if len(fitting) != 1:
        why = "no class column tells the label space"
        if classes:
            some = listed(sorted(classes), 5)
            why = f"the class columns ({some}) fit {' and '.join(fitting) if fitting else 'no single label space'}"
        problems.add(f"{why}; say which it is: {', '.join(SPACES)}")
    return fitting[0] if fitting else ""


def _variant(cell: str, line: int, problems: Problems) -> str:
    if not cell:
        problems.add("the variant is empty", line)
    elif cell.startswith(_FORMULA):
        problems.add(f"the variant {quoted(cell)} starts like a spreadsheet's formula; start it with a letter", line)
    elif len(cell) > 80 or not cell.isprintable():
        problems.add(f"expected a variant of at most 80 printable characters, got {quoted(cell)}", line)
    return cell


def _whole(cell: str, name: str, least: int, most: int, line: int, problems: Problems) -> int:
    match = _WHOLE.fullmatch(cell)
    if match and least <= int(match[1]) <= most:
        return int(match[1])
    problems.add(f"expected {name} as a whole number from {least} to {most}, got {quoted(cell)}", line)
    return least


def _value(cell: str, name: str, plain: bool, line: int, problems: Problems) -> float:
    """Return a cell's number; NaN where it is empty, and with a problem where it is none."""
    if not cell:
        return math.nan
    if not _NUMBER.fullmatch(cell):
        problems.add(f"column {name}: {_no_number(cell)}", line)
        return math.nan
    value = float(cell)
    if not math.isfinite(value) or (not plain and not 0 <= value <= 100):
        limits = "a finite number" if plain else "0 to 1, or 0 to 100 in percent"
        problems.add(f"column {name}: expected {limits}, got {quoted(cell)}", line)
    return value


def _no_number(cell: str) -> str:
    if _DECIMAL_COMMA.fullmatch(cell):
        return f"{quoted(cell)} has a decimal comma; write decimals with a point"
    if cell.endswith("%"):
        return f"{quoted(cell)} has a percent sign; leave the sign out"
    return f"expected a number, or an empty cell where nothing counts, got {quoted(cell)}"
