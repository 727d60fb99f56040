"""The command that imports a table says what it did, or what is wrong, one sentence a line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seglab.records.store import RunStore
from trainers.import_results import main

GOOD = "variant,seed,epoch,mIoU,road\nA: CE,1,10,71.5,95\nA: CE,2,10,71.0,94\nB,1,10,70.0,93\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(GOOD)
    return path


def test_the_command_prints_what_it_imported(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "results"
    arguments = [str(file), "--experiment", "mine", "--label-space", "camvid-11", "--results", str(store)]
    assert main([*arguments, "--title", "Mine"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [
        "percent: road 95 > 1 in line 2",
        f"imported into {store / 'mine'}",
        "3 runs, 3 rows, epochs 10 to 10, 2 columns, label space camvid-11, figures read as percent",
        "  a-ce (A: CE): seeds 1, 2",
        "  b (B): seeds 1",
    ]
    assert RunStore(store).runs()["miou"].tolist() == [0.715, 0.71, 0.7]
    assert main(arguments) == 1
    assert capsys.readouterr().err == ("the experiment mine exists already; choose another name or delete its folder\n")


def test_each_problem_is_a_line_on_stderr(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(GOOD + "B,1,20,abc,\nB,x,30,70,\n")
    assert (
        main([str(file), "--experiment", "mine", "--label-space", "camvid-11", "--results", str(tmp_path / "r")]) == 1
    )
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split(":")[0] for line in printed.err.splitlines()] == ["line 5", "line 6"]
    assert not (tmp_path / "r").exists()


def test_the_unit_can_be_given(file: Path, tmp_path: Path) -> None:
    file.write_text("variant,seed,epoch,mIoU\na,1,1,0.5\n")
    arguments = ["--experiment", "mine", "--label-space", "camvid-11", "--results", str(tmp_path / "r")]
    assert main([str(file), *arguments, "--unit", "percent"]) == 0
    assert RunStore(tmp_path / "r").runs()["miou"].tolist() == [0.005]


@pytest.mark.parametrize("name", ["nowhere.csv", "."])
def test_a_file_that_cannot_be_opened_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main([str(tmp_path / name), "--experiment", "mine", "--results", str(tmp_path / "r")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_store_that_cannot_be_made_is_one_sentence(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r").write_text("a file")
    arguments = ["--experiment", "mine", "--label-space", "camvid-11", "--results", str(tmp_path / "r")]
    assert main([str(file), *arguments]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_command_runs_as_documented_and_needs_no_torch(file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "trainers.import_results", str(file), "--experiment", "mine"]
    done = subprocess.run(
        [*command, "--label-space", "camvid-11", "--results", str(tmp_path / "r")],
        cwd=Path(__file__).resolve().parent.parent.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert "imported into" in done.stdout
    assert "| torch" not in done.stderr
