"""A run's record survives crashes, and a damaged one is named without hiding the others."""

import errno
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglab.predict.shelf import BUNDLED, EXPERIMENT, bundled_runs
from seglab.records import runs
from seglab.records.files import RunError, check_name, write_atomic
from seglab.records.runs import epochs_with_counts, read_counts, read_epochs, read_record
from seglab.records.store import RunStore
from seglab.records.writer import RunWriter


def record(**changes: Any) -> dict[str, Any]:
    """Return the least that a reader accepts."""
    return {
        "schema_version": 1,
        "experiment": "exp",
        "variant": "one",
        "title": "One",
        "seed": 42,
        "model": {"key": "deeplabv3plus", "size": "bundled"},
        "label_space": "camvid-11",
        "provenance": "trained",
        "status": "finished",
        **changes,
    }


def store(root: Path, **texts: str | dict[str, Any]) -> RunStore:
    """Write one run folder per keyword: its run.json, or its record."""
    for name, content in texts.items():
        folder = root / "exp" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return RunStore(root)


def test_an_atomic_write_leaves_the_old_content_where_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(OSError, match="No space"):
                write_atomic(path, b"new")
        assert path.read_bytes() == b"old"
        assert [p.name for p in tmp_path.iterdir()] == ["file"]
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_record_reads_back_as_plain_json(tmp_path: Path) -> None:
    writer = RunWriter(
        tmp_path / "run", record(where=Path("a/b"), numbers=(np.float32(1.5), np.int64(2), float("nan")))
    )
    writer.update(status="running")
    read = read_record(tmp_path / "run")
    assert read["status"] == "running"
    assert read["where"] == "a/b"
    assert read["numbers"] == [1.5, 2, None]
    assert list(read)[:3] == ["schema_version", "experiment", "variant"]


def test_epochs_read_back_in_order_and_nan_as_none(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, record())
    rows = [{"epoch": e, "miou": float("nan") if e == 1 else e / 10} for e in (1, 2, 3)]
    for row in rows:
        writer.append_epoch(row)
    assert read_epochs(tmp_path) == [{"epoch": 1, "miou": None}, *rows[1:]]


@pytest.mark.parametrize(
    "tail", ['{"epoch": 3, "mi', '{"epoch": 3', "\0\0\0\0", '{"no": 1}', "[3]", "\udcff\udcfe", "[" * 9999]
)
def test_a_last_line_cut_short_is_left_out(tmp_path: Path, tail: str) -> None:
    good = '{"epoch": 1}\n{"epoch": 2}\n'
    (tmp_path / "epochs.jsonl").write_bytes((good + tail).encode(errors="surrogateescape"))
    assert [row["epoch"] for row in read_epochs(tmp_path)] == [1, 2]


def test_a_damaged_line_before_the_last_is_named(tmp_path: Path) -> None:
    (tmp_path / "epochs.jsonl").write_text('{"epoch": 1}\n{"epo\n{"epoch": 3}\n')
    with pytest.raises(RunError, match=r"line 2 of .*epochs\.jsonl"):
        read_epochs(tmp_path)


def test_a_run_without_epochs_has_none(tmp_path: Path) -> None:
    assert read_epochs(tmp_path) == []
    (tmp_path / "epochs.jsonl").touch()
    assert read_epochs(tmp_path) == []


def test_counts_read_back_by_epoch_with_their_image_names(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, record())
    arrays = {e: np.random.default_rng(e).integers(0, 2**32, (3, 4, 4), dtype=np.uint32) for e in (10, 20)}
    for epoch, confusion in arrays.items():
        writer.save_counts(epoch, ["a", "b", "c"], {"confusion": confusion})
    counts = read_counts(tmp_path)
    assert sorted(counts) == ["e10/confusion", "e20/confusion", "stems"]
    assert counts["stems"].tolist() == ["a", "b", "c"]
    for epoch, confusion in arrays.items():
        assert counts[f"e{epoch}/confusion"].dtype == np.uint32
        assert np.array_equal(counts[f"e{epoch}/confusion"], confusion)


def test_rewinding_drops_what_came_after_and_the_half_written_line(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, record())
    for epoch in (5, 10, 15, 20):
        writer.append_epoch({"epoch": epoch})
        writer.save_counts(epoch, ["a"], {"confusion": np.full((1, 2, 2), epoch, np.uint32)})
    with open(tmp_path / "epochs.jsonl", "a") as file:
        file.write('{"epoch": 25, "mi')
    writer.rewind(10)
    assert [row["epoch"] for row in read_epochs(tmp_path)] == [5, 10]
    assert sorted(read_counts(tmp_path)) == ["e10/confusion", "e5/confusion", "stems"]
    writer.append_epoch({"epoch": 15})
    assert [row["epoch"] for row in read_epochs(tmp_path)] == [5, 10, 15]


def test_a_failed_write_of_counts_keeps_the_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RunWriter(tmp_path, record())
    writer.save_counts(1, ["a"], {"confusion": np.ones((1, 2, 2), np.uint32)})

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        writer.save_counts(2, ["a"], {"confusion": np.ones((1, 2, 2), np.uint32)})
    assert sorted(read_counts(tmp_path)) == ["e1/confusion", "stems"]
    assert not list(tmp_path.glob("*.tmp*"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nonsense" * 99, b"an array"])
def test_damaged_counts_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "counts.npz"
    path.write_bytes(content)
    if content == b"an array":
        with open(path, "wb") as file:
            np.save(file, np.ones(3))
    for read in (read_counts, epochs_with_counts):
        with pytest.raises(RunError, match=r"counts\.npz cannot be read"):
            read(tmp_path)


def test_one_array_is_read_without_unpacking_the_others_and_odd_names_are_no_epochs(tmp_path: Path) -> None:
    arrays = {
        name: np.ones((1, 2, 2), np.uint32)
        for name in ("e10/confusion", "e20/confusion", "e5/confusion/x", "ex/confusion")
    }
    np.savez_compressed(tmp_path / "counts.npz", allow_pickle=False, **arrays)
    content = bytearray((tmp_path / "counts.npz").read_bytes())
    at = content.index(b"e20/confusion.npy") + 30
    content[at : at + 8] = b"\0" * 8
    (tmp_path / "counts.npz").write_bytes(content)
    assert epochs_with_counts(tmp_path) == (10, 20)
    assert list(read_counts(tmp_path, ["e10/confusion"])) == ["e10/confusion"]
    with pytest.raises(RunError, match="cannot be read"):
        read_counts(tmp_path)


def test_an_archive_that_lies_about_its_size_is_damage_like_any_other(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<u4", "fortran_order": False, "shape": (10**14,)})
    with zipfile.ZipFile(tmp_path / "counts.npz", "w") as file:
        file.writestr("e1/confusion.npy", header.getvalue())
    with pytest.raises(RunError, match=r"counts\.npz cannot be read"):
        read_counts(tmp_path)


def test_counts_that_unpack_to_too_much_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RunWriter(tmp_path, record()).save_counts(1, ["a"], {"confusion": np.zeros((99, 9, 9), np.uint32)})
    monkeypatch.setattr(runs, "MAX_COUNTS_BYTES", 10_000)
    with pytest.raises(RunError, match="unpacks to more than"):
        read_counts(tmp_path)


DAMAGED = {
    "empty": "",
    "half": json.dumps(record())[:60],
    "list": "[1, 2]",
    "number": "3",
    "deep": "[" * 200_000,
    "infinity": '{"schema_version": 1e999}',
    "no_fields": "{}",
    "future": record(schema_version=2),
    "no_size": record(model={"key": "deeplabv3plus"}),
    "model_text": record(model="deeplabv3plus"),
    "weights_text": record(weights="abc"),
    "status_list": record(status=["finished"]),
    "space_null": record(label_space=None),
    "title_number": record(title=3),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_run_is_listed_with_one_sentence_and_hides_no_other(tmp_path: Path, name: str) -> None:
    listed = list(store(tmp_path, aaa=record(), **{name: DAMAGED[name]}, zzz=record()))
    assert [run.folder.name for run in listed] == sorted(["aaa", name, "zzz"])
    problems = {run.folder.name: run.problem for run in listed}
    assert problems["aaa"] is problems["zzz"] is None
    assert problems[name]
    assert name in str(problems[name])
    assert "\n" not in str(problems[name])
    assert not next(run for run in listed if run.folder.name == name).servable


def test_a_run_json_that_is_no_text_or_too_large_is_listed_as_damaged(tmp_path: Path) -> None:
    found = store(tmp_path, good=record(), large=" " * (runs.MAX_JSON_BYTES + 1), binary="x")
    (tmp_path / "exp" / "binary" / "run.json").write_bytes(b"\xff\xfe\0{")
    (tmp_path / "exp" / "folder" / "run.json").mkdir(parents=True)
    problems = {run.folder.name: run.problem for run in found}
    assert problems["good"] is None
    assert "larger than 4 MiB" in str(problems["large"])
    assert "cannot be read" in str(problems["binary"])
    assert "cannot be read" in str(problems["folder"])


@pytest.mark.parametrize("field", runs._REQUIRED)
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    (tmp_path / "run.json").write_text(json.dumps({k: v for k, v in record().items() if k != field}))
    with pytest.raises(RunError, match=f"lacks {field}"):
        read_record(tmp_path)


def test_only_finished_runs_with_weights_are_served_in_the_order_of_their_folders(tmp_path: Path) -> None:
    found = store(tmp_path, b=record(), a=record(), c=record(status="running"), d=record(), e="{")
    for name in ("a", "b", "c", "e"):
        (tmp_path / "exp" / name / "weights.safetensors").touch()
    assert [run.folder.name for run in found.servable("exp")] == ["a", "b"]
    assert [run.name for run in found.servable("exp")] == ["exp/a", "exp/b"]
    assert found.servable("other") == []


def test_a_store_without_a_folder_is_empty(tmp_path: Path) -> None:
    assert list(RunStore(tmp_path / "nowhere")) == []


@pytest.mark.parametrize("name", ["a", "mask2former", "fpn_convnextv2-seed42", "0.5x", "a" * 80])
def test_plain_names_are_accepted(name: str) -> None:
    assert check_name(name, "a name") == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "../up", "a..b", "/root", "A", "a b", "é", "a\n", "-a", ".a", "a\0", "a" * 81, "C:\\x"],
)
def test_names_that_are_no_plain_folder_are_refused(name: str) -> None:
    with pytest.raises(RunError, match="expected a name of lower-case letters"):
        check_name(name, "a name")


def test_only_the_bundled_seed_stands_for_a_model_and_the_panels_order_is_kept(tmp_path: Path) -> None:
    for key in (*reversed(BUNDLED), "unet"):
        for seed in (42, 7):
            folder = tmp_path / EXPERIMENT / f"{key}-seed{seed}"
            folder.mkdir(parents=True)
            text = record(model={"key": key, "size": "bundled"}, seed=seed)
            (folder / "run.json").write_text(json.dumps(text))
            (folder / "weights.safetensors").touch()
    assert {key: run.folder.name for key, run in bundled_runs(tmp_path).items()} == {k: f"{k}-seed42" for k in BUNDLED}
    assert tuple(bundled_runs(tmp_path)) == BUNDLED
    assert bundled_runs(tmp_path / "nowhere") == {}
