"""A user's table of results is imported whole or answered in sentences, whatever it holds."""

import os
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seglab.labels import SPACES, LabelSpace
from seglab.records.imports import grid, names
from seglab.records.imports import table as writer
from seglab.records.imports.problems import SHOWN, Problems
from seglab.records.imports.sheet import MAX_BYTES, MAX_COLUMNS
from seglab.records.imports.table import ImportProblem, parse_csv, write_import
from seglab.records.runs import read_epochs, read_record
from seglab.records.store import RunStore

GOOD = """variant,seed,epoch,mIoU,boundary_f1_mean,trimap_mIoU_mean,traffic light,iou/wall,train_loss,lr
A (CE),42,10,75.75,51.78,40.54,70.1,50.2,0.9,6e-5
A (CE),42,20,76.00,52.00,41.00,,51.2,-0.2,3e-5
A (CE),123,10,75.60,51.70,40.50,70.0,50.0,0.9,6e-5
A (CE),123,20,76.10,52.10,41.10,71.2,51.3,0.8,3e-5
B,42,10,75.91,50.13,41.30,70.3,50.4,0.9,6e-5
"""


def table(*rows: str, header: str = "variant,seed,epoch,mIoU,pixel_accuracy") -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def problems(data: bytes, label_space: str | None = "cityscapes-19", **more: Any) -> list[str]:
    with pytest.raises(ImportProblem) as caught:
        parse_csv(data, label_space, **more)
    assert caught.value.problems
    for problem in caught.value.problems:
        assert "\n" not in problem
        assert len(problem) < 400
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_a_table_becomes_runs_of_fractions_under_the_records_names() -> None:
    read = parse_csv(GOOD.encode(), name="C:\\results\\mine.csv")
    assert (read.label_space, read.unit, read.rows, read.name) == ("cityscapes-19", "percent", 5, "mine.csv")
    assert read.metrics == ("miou", "boundary_f1", "trimap_iou", "iou/traffic light", "iou/wall", "train_loss", "lr")
    assert [(run.variant, run.title, run.seed) for run in read.runs] == [
        ("a-ce", "A (CE)", 42),
        ("a-ce", "A (CE)", 123),
        ("b", "B", 42),
    ]
    lines = list(read.lines(read.runs[0]))
    assert lines[0]["epoch"] == 10
    assert lines[0]["miou"] == 0.7575
    assert lines[0]["iou/traffic light"] == 0.701
    assert (lines[1]["iou/traffic light"], lines[1]["train_loss"], lines[1]["lr"]) == (None, -0.2, 3e-5)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\n", "\n\n,,,,,,,,,\n"),
        lambda text: text.replace("A (CE)", '"A (CE)"'),
        lambda text: text.replace(",", " , "),
        lambda text: text.replace("mIoU,", "MIOU,", 1).replace("traffic light", "Traffic_Light"),
        lambda text: text.replace("42,", "42.0,"),
        lambda text: "\n".join([text.splitlines()[0], *sorted(text.splitlines()[1:], reverse=True)]),
    ],
)
def test_the_ways_that_programs_write_a_csv_are_read_alike(change: Callable[[str], str]) -> None:
    plain, other = parse_csv(GOOD.encode()), parse_csv(change(GOOD).encode())
    assert other.metrics == plain.metrics
    for run in plain.runs:
        (same,) = [one for one in other.runs if (one.variant, one.seed) == (run.variant, run.seed)]
        assert list(other.lines(same)) == list(plain.lines(run))


def test_fractions_stay_as_they_are_and_zeros_fit_both_units() -> None:
    fractions = parse_csv(table("a,1,1,0.71,0.9", "a,1,2,1,0"), "camvid-11")
    assert fractions.unit == "fraction"
    assert list(fractions.lines(fractions.runs[0]))[1] == {"epoch": 2, "miou": 1.0, "pixel_accuracy": 0.0}
    percent = parse_csv(table("a,1,1,0,0", "a,1,2,71.5,0"), "camvid-11")
    assert percent.unit == "percent"
    assert list(percent.lines(percent.runs[0]))[1]["miou"] == 0.715
    assert parse_csv(table("a,1,1,0,0"), "camvid-11").unit == "fraction"
    assert parse_csv(table("a,1,1,,"), "camvid-11").unit == "fraction"


def test_a_mixture_of_units_names_columns_and_lines() -> None:
    (by_column,) = problems(table("a,1,1,0.70,94.0", "a,1,2,0.71,94.1"))
    assert by_column.startswith(
        "mixed units: the largest value is of mIoU 0.71 (line 3), of pixel_accuracy 94.1 (line 3)"
    )
    (within,) = problems(table("a,1,1,71,94.0", "a,1,2,0.71,94.1", "a,1,3,72,94", "a,1,4,0.72,94"))
    assert within.startswith("lines 3, 5: mixed units: column mIoU")
    (above,) = problems(table("a,1,1,1.02,0.9", "a,1,2,0.71,0.9"))
    assert "of mIoU 1.02 (line 2)" in above


def test_a_unit_that_is_given_decides() -> None:
    rare = table("a,1,1,0.4,30", "a,1,2,2.5,40")
    read = parse_csv(rare, "camvid-11", unit="percent")
    assert [line["miou"] for line in read.lines(read.runs[0])] == [0.004, 0.025]
    assert problems(rare, unit="fraction") == [
        "line 3: column mIoU: expected fractions from 0 to 1",
        "lines 2, 3: column pixel_accuracy: expected fractions from 0 to 1",
    ]
    assert "unit" in problems(rare, unit="points")[0]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("road,tree", "camvid-11"),
        ("traffic sign", "cityscapes-19"),
        ("flat,sky", "cityscapes-8"),
        ("iou/bicyclist,boundary_f1/road,trimap_iou/sky", "camvid-11"),
        ("background,aeroplane,car", "voc-21"),
        ("road,wall,windowpane", "ade20k-150"),
        ("road,traffic sign,parking,polegroup", "cityscapes-34"),
        ("Lane Marking - Crosswalk,Utility Pole,Road,Billboard", "mapillary-65"),
    ],
)
def test_class_columns_tell_the_label_space(header: str, expected: str) -> None:
    cells = ",".join("0.5" for _ in header.split(","))
    read = parse_csv(table(f"a,1,1,{cells}", header=f"variant,seed,epoch,{header}"))
    assert read.label_space == expected
    assert all("/" in key for key in read.metrics)


def test_words_that_other_data_sets_call_classes_mean_nothing_beside_classes_of_ours() -> None:
    """VOC has a background but no road, ADE20K a clock and a step: no space has all, so the table is read as it always was."""
    header = ["variant", "seed", "step", "miou", "road", "tree", "background", "clock"]
    read = names.read_columns(header, ["a", "1", "1", *["0.5"] * 5], Problems(), lenient=True)
    assert read.keys == ["variant", "seed", "epoch", "miou", "iou/road", "iou/tree", "", ""]
    assert read.label_space == "camvid-11"
    named = names.read_columns(
        ["step", "iou/step"], ["1", "0.5"], Problems(), label_space="ade20k-150", given=("variant", "seed")
    )
    assert named.keys == ["epoch", "iou/step"]


def add_space(monkeypatch: pytest.MonkeyPatch, one: LabelSpace) -> None:
    """Let the import know one more label space."""
    spaces = {one.key: one, **SPACES}
    monkeypatch.setattr(names, "SPACES", spaces)
    monkeypatch.setattr(names, "space", spaces.__getitem__)


def test_a_finer_space_that_has_the_same_classes_too_is_not_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    one = SPACES["cityscapes-19"]
    finer = replace(one, key="cityscapes-20", classes=(*one.classes, replace(one.classes[0], name="bridge")))
    add_space(monkeypatch, finer)
    for header, expected in (("traffic sign", "cityscapes-19"), ("traffic sign,terrain,bridge", "cityscapes-20")):
        cells = ",".join("0.5" for _ in header.split(","))
        assert parse_csv(table(f"a,1,1,{cells}", header=f"variant,seed,epoch,{header}")).label_space == expected


def test_a_class_is_kept_as_its_space_spells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    one = SPACES["cityscapes-8"]
    mine = replace(one, key="mine", classes=(replace(one.classes[0], name="Lane_Marking"),))
    add_space(monkeypatch, mine)
    for label_space in ("mine", None):
        read = parse_csv(
            table("a,1,1,0.5,0.5", header="variant,seed,epoch,lane marking,Boundary_F1/LANE_MARKING"), label_space
        )
        assert (read.label_space, read.metrics) == ("mine", ("iou/Lane_Marking", "boundary_f1/Lane_Marking"))


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("mIoU", "no class column tells the label space"),
        ("road,sky", "the class columns (road, sky) fit camvid-11 and cityscapes-19"),
        ("flat,traffic sign", "fit no single label space"),
    ],
)
def test_a_label_space_that_cannot_be_told_is_asked_for(header: str, says: str) -> None:
    cells = ",".join("0.5" for _ in header.split(","))
    (problem,) = problems(table(f"a,1,1,{cells}", header=f"variant,seed,epoch,{header}"), None)
    assert says in problem
    assert problem.endswith(f"say which it is: {', '.join(SPACES)}")


@pytest.mark.parametrize(
    "epochs", [[5], [10, 160], [1, 2, 4], [10, 20, 25], [0, 500, 1500], [1, 2, 1_000_000], [3, 2, 1]]
)
def test_a_run_has_the_epochs_that_its_file_gives(epochs: list[int]) -> None:
    read = parse_csv(table(*(f"a,1,{epoch},0.5,0.5" for epoch in epochs)), "camvid-11")
    assert read.runs[0].epochs == tuple(sorted(epochs))
    assert not read.notes


def test_seeds_of_unequal_length_are_told() -> None:
    rows = [f"a,{seed},{epoch},0.5,0.5" for seed, last in ((1, 6), (2, 4)) for epoch in range(1, last + 1)]
    read = parse_csv(table(*rows), "camvid-11")
    assert [len(run.epochs) for run in read.runs] == [6, 4]
    assert read.notes == ("runs have different epochs: a seed counts at the epochs it has",)


def test_variants_may_differ_in_their_epochs() -> None:
    assert len(parse_csv(table("a,1,1,0.5,0.5", "a,1,2,0.5,0.5", "b,1,1,0.5,0.5"), "camvid-11").runs) == 2


def test_a_row_given_twice_names_both_lines() -> None:
    assert problems(table("a,1,1,0.5,0.5", "b,1,1,0.5,0.5", "a,1,1,0.6,0.5")) == [
        "line 4: variant 'a', seed 1, epoch 1 stands in line 2 already"
    ]


@pytest.mark.parametrize(
    ("variant", "slug"),
    [
        ("A: CE + 1.0 Dice", "a-ce-1.0-dice"),
        ("Größe/été", "groe-ete"),
        ("..\\..\\etc", "etc"),
        ("a..b", "a.b"),
        ("x" * 80, "x" * 56),
        ("CON", "con"),
        ("<b>bold</b>", "b-bold-b"),
    ],
)
def test_a_variant_is_given_a_safe_folder_and_keeps_its_name(variant: str, slug: str, tmp_path: Path) -> None:
    read = parse_csv(table(f'"{variant}",1,1,0.5,0.5'), "camvid-11")
    assert (read.runs[0].variant, read.runs[0].title) == (slug, variant)
    (folder,) = write_import(read, "mine", tmp_path)
    assert folder == tmp_path / "mine" / f"{slug}-seed1"


def test_variants_that_would_share_a_folder_are_refused() -> None:
    assert problems(table("A,1,1,0.5,0.5", "a,2,1,0.5,0.5")) == [
        "line 3: the variants 'A' and 'a' would both be named a; rename one"
    ]


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "blank": (b" \r\n\n", "the file is empty"),
    "only a mark": (b"\xef\xbb\xbf", "the file is empty"),
    "only commas": (b",,,\n,,,\n", "the file is empty"),
    "header only": (table(), "the file has a header and no row below it"),
    "too large": (b"a" * (MAX_BYTES + 1), "larger than 16 MiB"),
    "too many columns": (table(header="variant,seed,epoch" + ",mIoU" * MAX_COLUMNS), "203 columns; at most 200"),
    "nul": (table("a,1,1,0.5,0.5", "a\0,1,2,0.5,0.5"), "line 3: a NUL byte"),
    "no encoding": (
        b"variant,seed,epoch,mIoU\n\xff\x81,1,1,0.5\n",
        "line 2: the text is neither UTF-8 nor Windows-1252",
    ),
    "half of utf-16": (b"\xff\xfe\x00", "the file starts as UTF-16 text and is none"),
    "workbook": (b"PK\x03\x04" + bytes(99), "a workbook, not CSV"),
    "open quote": (table('"a,1,1,0.5,0.5', "a,1,2,0.5,0.5"), "line 2: a quotation mark is not closed"),
    "quote inside": (table('"a"b,1,1,0.5,0.5'), "line 2: a quotation mark is not closed, or stands inside a cell"),
    "quoted newline": (table("b,1,1,0.5,0.5", '"a\nb",1,1,0.5,0.5'), "line 3: a quoted cell runs over several lines"),
    "quoted newline in the header": (b'"variant\n",seed,epoch,mIoU\na,1,1,0.5\n', "line 1: a quoted cell runs over"),
    "endless cell": (table("a" * 200_000 + ",1,1,0.5,0.5"), "line 2: a cell is far too long"),
    "no seed": (b"variant,epoch,mIoU\na,1,0.5\n", "the header lacks the column seed"),
    "no header": (b"a,1,1,0.5,0.5\n", "the header lacks the column variant"),
    "no metric": (b"variant,seed,epoch,lr\na,1,1,0.5\n", "the header has no metric"),
    "unknown column": (b"variant,seed,epoch,mIuO\na,1,1,0.5\n", "column 4, 'mIuO', is not known; did you mean mIoU?"),
    "misspelt class": (b"variant,seed,epoch,trafic light\na,1,1,0.5\n", "did you mean traffic light?"),
    "far from any": (b"variant,seed,epoch,zzzzzz\na,1,1,0.5\n", "'zzzzzz', is not known; expected mIoU"),
    "odd class metric": (b"variant,seed,epoch,recall/road\na,1,1,0.5\n", "'recall/road', is not known"),
    "unnamed column": (b",variant,seed,epoch,mIoU\nx,a,1,1,0.5\n", "column 1 has no name"),
    "same column twice": (b"variant,seed,epoch,mIoU,miou\na,1,1,0.5,0.5\n", "'mIoU' and 'miou' are the same"),
    "two names of one metric": (
        b"variant,seed,epoch,boundary_f1,boundary_f1_mean\na,1,1,0.5,0.5\n",
        "'boundary_f1' and 'boundary_f1_mean' are the same",
    ),
    "class twice": (b"variant,seed,epoch,road,iou/road\na,1,1,0.5,0.5\n", "'road' and 'iou/road' are the same"),
    "short row": (table("a,1,1,0.5", "a,1,2,0.5,0.5"), "line 2: expected 5 cells as in the header, got 4"),
    "decimal commas": (
        table("a,1,1,0,71,0,9"),
        "line 2: expected 5 cells as in the header, got 7; write decimals with",
    ),
    "decimal comma": (
        table("a;1;1;0,71;0.9", header="variant;seed;epoch;mIoU;dice"),
        "line 2 has a decimal comma and line 2 a decimal point",
    ),
    "percent sign among fractions": (table("a,1,1,71%,0.9"), "mixed units"),
    "only a percent sign": (table("a,1,1,%,0.9"), "got '%'"),
    "word": (table("a,1,1,good,0.5"), "line 2: column mIoU: expected a number, or an empty cell"),
    "infinity": (table("a,1,1,inf,0.5"), "got 'inf'"),
    "overflow": (table("a,1,1,1e999,0.5"), "column mIoU: expected 0 to 1, or 0 to 100 in percent, got '1e999'"),
    "loss overflow": (b"variant,seed,epoch,mIoU,train_loss\na,1,1,0.5,1e999\n", "train_loss: expected a finite number"),
    "negative": (table("a,1,1,-0.1,0.5"), "expected 0 to 1, or 0 to 100 in percent, got '-0.1'"),
    "above 100": (table("a,1,1,100.1,50"), "got '100.1'"),
    "underscore": (table("a,1,1,0_5,0.5"), "got '0_5'"),
    "other digits": (table("a,1,1,\u0660.5,0.5"), "expected a number"),
    "hexadecimal": (table("a,1,1,0x1,0.5"), "got '0x1'"),
    "formula": (table("a,1,1,=1+1,0.5"), "got '=1+1'"),
    "formula as variant": (table("\"=cmd|' /C calc'!A0\",1,1,0.5,0.5"), "starts like a spreadsheet's formula"),
    "at sign": (table("@sum(a1),1,1,0.5,0.5"), "starts like a spreadsheet's formula"),
    "empty variant": (table(" ,1,1,0.5,0.5"), "line 2: the variant is empty"),
    "long variant": (table("x" * 81 + ",1,1,0.5,0.5"), "at most 80 printable characters"),
    "escape in variant": (table("a\x1b[31m,1,1,0.5,0.5"), "printable characters, got 'a\\x1b[31m'"),
    "right to left": (table("a\u202eb,1,1,0.5,0.5"), "printable characters"),
    "no letter": (table("雪,1,1,0.5,0.5"), "no letter a to z or digit"),
    "seed word": (table("a,one,1,0.5,0.5"), "line 2: expected seed as a whole number"),
    "seed half": (table("a,1.5,1,0.5,0.5"), "expected seed as a whole number"),
    "seed negative": (table("a,-1,1,0.5,0.5"), "expected seed as a whole number"),
    "seed huge": (table("a,1" + "0" * 30 + ",1,0.5,0.5"), "expected seed as a whole number"),
    "seed empty": (table("a,,1,0.5,0.5"), "expected seed as a whole number from 0 to 4294967295, got ''"),
    "epoch negative": (table("a,1,-1,0.5,0.5"), "expected epoch as a whole number from 0 to 100000000, got '-1'"),
    "epoch huge": (table("a,1,100000001,0.5,0.5"), "expected epoch as a whole number"),
    "class of another space": (b"variant,seed,epoch,bicyclist\na,1,1,0.5\n", "did you mean bicycle?"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_of_results_is_answered_in_a_sentence(name: str) -> None:
    data, says = REFUSED[name]
    assert any(says in problem for problem in problems(data)), problems(data)


def test_an_unknown_label_space_lists_the_valid_ones() -> None:
    assert ", ".join(SPACES) in problems(GOOD.encode(), "coco")[0]


def test_many_problems_are_counted_and_lines_with_the_same_one_are_told_together() -> None:
    told = problems(table(*(f"a,1,{epoch},bad{epoch},0.5" for epoch in range(1, 101))))
    assert len(told) == SHOWN + 1
    assert told[-1] == "and 80 more"
    (same,) = problems(table(*(f"a,1,{epoch},bad,0.5" for epoch in range(1, 101))))
    assert same.startswith("lines 2, 3, 4, 5, 6 and 95 more: column mIoU")


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"a,1,{epoch},0.5,0.5" for epoch in range(1, 12)]
    monkeypatch.setattr(grid, "MAX_ROWS", 10)
    assert problems(table(*rows)) == ["line 12: more than 10 rows; import the experiments one by one"]
    assert parse_csv(table(*rows[:-1]), "camvid-11").rows == 10


def test_too_many_runs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_RUNS", 3)
    assert problems(table(*(f"a,{seed},1,0.5,0.5" for seed in range(4)))) == [
        "the file has 4 runs; at most 3 are read at once"
    ]


def test_no_spoilt_file_ends_in_anything_but_a_table_or_sentences() -> None:
    draw = random.Random(0)
    odd = [
        b"\0",
        b'"',
        b"\r",
        b"\n",
        b",",
        b";",
        b"\t",
        b"-",
        b"=",
        b"nan",
        b"1e999",
        b"\xff",
        "é雪".encode(),
        b"",
        b"%",
    ]
    for _ in range(1500):
        data = bytearray(GOOD.encode())
        for _ in range(draw.randrange(1, 6)):
            at = draw.randrange(len(data))
            data[at : at + draw.randrange(4)] = draw.choice(odd)
        with suppress(ImportProblem):
            parse_csv(bytes(data), draw.choice([None, "cityscapes-19", "camvid-11"]))


def test_random_bytes_are_answered_in_a_sentence() -> None:
    draw = random.Random(1)
    for length in (1, 2, 3, 10, 100, 5000):
        for _ in range(20):
            problems(draw.randbytes(length))


def test_what_is_written_is_what_a_reader_gets(tmp_path: Path) -> None:
    read = parse_csv(GOOD.encode(), name="mine.csv")
    folders = write_import(read, "mine", tmp_path, "My ablation")
    assert [folder.name for folder in folders] == ["a-ce-seed42", "a-ce-seed123", "b-seed42"]
    record = read_record(folders[0])
    assert record["provenance"] == "imported"
    assert (record["title"], record["experiment_title"], record["seed"]) == ("A (CE)", "My ablation", 42)
    assert record["model"] == {"key": "imported", "size": ""}
    assert record["source"] == {
        "sha256": read.sha256,
        "name": "mine.csv",
        "unit": "percent",
        "read": "; ".join(read.notes),
    }
    assert record["metrics"]["miou"] == 0.76
    assert record["metrics"]["iou/traffic light"] is None
    assert "train_loss" not in record["metrics"]
    assert read_epochs(folders[0]) == list(read.lines(read.runs[0]))
    runs = RunStore(tmp_path).runs()
    assert runs["problem"].isna().all()
    assert runs.set_index("run").loc["mine/b-seed42", "miou"] == 0.7591
    curves = RunStore(tmp_path).curves("mine", "miou")
    assert curves["value"].tolist() == [0.756, 0.761, 0.7575, 0.76, 0.7591]
    assert [path.name for path in tmp_path.iterdir() if path.name != ".index"] == ["mine"]


def test_an_experiment_that_exists_is_left_alone(tmp_path: Path) -> None:
    read = parse_csv(GOOD.encode())
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    write_import(read, "mine", tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for name in ("mine", "empty", "link"):
        with pytest.raises(ImportProblem, match=f"experiment {name} exists already"):
            write_import(read, name, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["", "..", "../up", "A", "a/b", ".index", "a\0", "x" * 81])
def test_an_experiment_needs_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImportProblem, match="expected an experiment name of lower-case letters"):
        write_import(parse_csv(GOOD.encode()), name, tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("fails", range(1, 7))
def test_an_import_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    count = 0
    fsync = os.fsync

    def full(file: int) -> None:
        nonlocal count
        count += 1
        if count == fails:
            raise OSError(28, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_import(parse_csv(GOOD.encode()), "mine", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_reader_meets_a_half_written_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    write = writer.write_atomic

    def watched(path: Path, data: bytes) -> None:
        write(path, data)
        seen.append(len(list(RunStore(tmp_path))) + len(RunStore(tmp_path).runs()))

    monkeypatch.setattr(writer, "write_atomic", watched)
    write_import(parse_csv(GOOD.encode()), "mine", tmp_path)
    assert seen == [0, 0, 0]
    assert len(RunStore(tmp_path).runs()) == 3


def test_a_table_of_every_size_that_is_let_in_is_read_alike(tmp_path: Path) -> None:
    draw = random.Random(2)
    names = SPACES["cityscapes-19"].names
    rows, expected = [], {}
    for variant in ("a", "b"):
        for seed in (1, 2):
            for epoch in range(1, 41):
                values = [draw.choice([None, draw.randrange(0, 10_000) / 10_000]) for _ in names]
                rows.append(",".join([variant, str(seed), str(epoch), *("" if v is None else repr(v) for v in values)]))
                expected[variant, seed, epoch] = values
    draw.shuffle(rows)
    read = parse_csv(table(*rows, header=",".join(["variant,seed,epoch", *names])))
    for run in read.runs:
        for line in read.lines(run):
            values = expected.pop((run.variant, run.seed, line["epoch"]))
            assert [line[f"iou/{name}"] for name in names] == values
    assert not expected
