"""The bytes of a file as rows of cells: encoding, separator and caps; nothing is said yet about what a cell means."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from seglab.records.imports.problems import ImportProblem

MAX_BYTES = 16 * 2**20
MAX_ROWS = 200_000
MAX_COLUMNS = 200
_SEPARATORS = {",": "", ";": "`;`", "\t": "a tab"}


@dataclass(frozen=True)
class Grid:
    """A table as text.

    Attributes:
        header: names of the columns.
        rows: number of the line, and its cells.
        notes: how the file was read where that is not literal.
        kind: the export that it is, such as ``an MLflow export``; empty for a plain table.
        word: what the numbers of ``rows`` count.
    """

    header: list[str]
    rows: Iterable[tuple[int, list[str]]]
    notes: tuple[str, ...] = ()
    kind: str = ""
    word: str = "line"


def decode(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Return a file's text, and a note where it is not UTF-8.

    Raises:
        ImportProblem: where it is empty, too large or no text.
    """
    if not data.strip():
        raise ImportProblem(["the file is empty"])
    if len(data) > MAX_BYTES:
        raise ImportProblem([f"the file is larger than {MAX_BYTES // 2**20} MiB; import its experiments one by one"])
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ImportProblem(["the file is a workbook, not CSV; save it as 'CSV UTF-8'"])
    text, note = _decoded(data)
    if "\0" in text:
        raise ImportProblem([f"line {text[: text.index(chr(0))].count(chr(10)) + 1}: a NUL byte; the file is no text"])
    if not text.strip():
        raise ImportProblem(["the file is empty"])
    return text, (note,) if note else ()


def _decoded(data: bytes) -> tuple[str, str]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16"), "the text is UTF-16"
        except UnicodeDecodeError:
            raise ImportProblem(["the file starts as UTF-16 text and is none; save it as 'CSV UTF-8'"]) from None
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
    try:
        return data.decode("cp1252"), f"line {line} is not UTF-8: the text is read as Windows-1252"
    except UnicodeDecodeError:
        raise ImportProblem(
            [f"line {line}: the text is neither UTF-8 nor Windows-1252; save the file as 'CSV UTF-8'"]
        ) from None


def read_grid(text: str, notes: tuple[str, ...] = ()) -> Grid:
    """Return the header and the rows of delimited text; blank lines are passed over.

    Raises:
        ImportProblem: here or while rows are read, where it is no table.
    """
    first = next(line for line in io.StringIO(text) if line.strip())
    told = first.rstrip("\r\n").removeprefix("sep=") if first.startswith("sep=") else ""  # how Excel says it
    separator = told if told in _SEPARATORS else max(_SEPARATORS, key=first.count)
    rows = _rows(text, separator)
    if told:
        next(rows, None)
    header = next(rows, (0, []))[1]
    if not header:
        raise ImportProblem(["the file is empty"])
    named = _SEPARATORS[separator]
    return Grid([cell.strip() for cell in header], rows, (*notes, *([f"{named} separates"] if named else [])))


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
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
