"""The Runs page takes a table in and gives its runs away again; nothing is half-imported."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from seglab.evidence.runs.table import template_csv
from seglab.records.imports.table import parse_csv, write_import
from tests.pages.conftest import ROOT, OpenPage, run, said
from tests.synthetic import write_experiment

PAGE = ROOT / "pages" / "runs.py"
ABLATION = "camvid-boundary-ablation"


@pytest.fixture
def own_store(tmp_path: Path) -> Path:
    """Return a small store that a test may change."""
    results = tmp_path / "results"
    write_experiment(results, ABLATION, seeds=[1], epochs=3, counts_at=())
    return results


def listed(page: AppTest) -> list[str]:
    return list(page.dataframe(key="runs-table").value["run"])


def upload(page: AppTest, data: bytes, name: str = "My results (2).csv") -> AppTest:
    turn = page.session_state.get("import-turn") or 0
    page.file_uploader(key=f"import-{turn}").upload(name, data)
    return run(page)


def test_a_file_is_shown_before_it_is_written_then_found_in_the_table(open_in: OpenPage, own_store: Path) -> None:
    page = upload(open_in(own_store, tab="Import and export"), template_csv())
    assert page.text_input(key="import-name").value == "my-results-2"
    assert "4 runs** of 2 variants, 8 rows, 2 epochs from 10 to 20; figures read as **fractions" in said(page)
    assert "label space **CamVid, 11 classes**" in said(page)
    assert not (own_store / "my-results-2").exists()
    page.button(key="import-write").click()
    run(page)
    assert "Imported 4 runs as the experiment **my-results-2**" in said(page)
    assert len(list((own_store / "my-results-2").glob("*/run.json"))) == 4
    assert page.file_uploader(key="import-1").value == [], "the uploader is empty again"
    page.button(key="show-import").click()
    assert {one.split("/")[0] for one in listed(run(page))} == {"my-results-2"}
    assert len(listed(page)) == 4


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the file is empty"),
        (b"a,b\n1,2\n", "the header lacks the column variant"),
        (b"variant,seed,epoch,mIoU\nx,1,1,0.5\n", "no class column tells the label space"),
        (template_csv().replace(b"0.5500", b"wall"), "line 2: column mIoU: expected a number"),
        (template_csv() + b"=cmd(),1,1" + b",0.5" * 15 + b"\n", "line 10: the variant '=cmd()' starts like"),
        (b"\xff\xfe\x00", "UTF-16"),
        (b"PK\x03\x04", "workbook"),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else "",
)
def test_a_file_with_problems_names_them_and_writes_nothing(
    open_in: OpenPage, own_store: Path, data: bytes, problem: str
) -> None:
    page = upload(open_in(own_store, tab="Import and export"), data)
    assert problem in said(page)
    assert "import-write" not in [button.key for button in page.button]
    assert {path.name for path in own_store.iterdir()} <= {ABLATION, ".index"}


def test_the_label_space_can_be_given_where_the_file_does_not_tell(open_in: OpenPage, own_store: Path) -> None:
    data = b"variant,seed,epoch,mIoU\nx,1,1,55.5\nx,2,1,56.5\n"
    page = upload(open_in(own_store, tab="Import and export"), data)
    page.selectbox(key="import-space").set_value("cityscapes-19")
    run(page)
    assert not page.error
    assert "figures read as **percent" in said(page)
    assert list(page.dataframe)[-1].value["mIoU at the last epoch (%)"].tolist() == [pytest.approx(56)]


@pytest.mark.parametrize("name", ["../out", "UPPER", "a b", ".hidden", "a/b", ABLATION])
def test_a_name_that_cannot_be_a_new_folder_is_refused(open_in: OpenPage, own_store: Path, name: str) -> None:
    page = upload(open_in(own_store, tab="Import and export"), template_csv())
    page.text_input(key="import-name").set_value(name)
    page.button(key="import-write").click()
    run(page)
    assert "Nothing was imported" in said(page)
    assert {path.name for path in own_store.iterdir()} <= {ABLATION, ".index"}
    assert page.file_uploader(key="import-0").value, "the file stays for another try"


def test_an_import_can_be_removed_again_and_only_an_import(open_in: OpenPage, own_store: Path) -> None:
    for name in ("mine", "other"):
        write_import(parse_csv(template_csv()), name, own_store)
    page = open_in(own_store, tab="Import and export")
    assert page.selectbox(key="remove-name").options == ["mine", "other"]
    page.button(key="remove-yes").click()
    run(page)
    assert "Removed the experiment **mine** with its 4 runs" in said(page)
    assert not (own_store / "mine").exists()
    assert page.selectbox(key="remove-name").options == ["other"]
    assert (own_store / ABLATION).exists()


def test_what_cannot_be_removed_is_told(open_in: OpenPage, own_store: Path) -> None:
    write_import(parse_csv(template_csv()), "mine", own_store)
    page = open_in(own_store, tab="Import and export")
    (own_store / "mine" / "notes.txt").write_text("mine")
    page.button(key="remove-yes").click()
    run(page)
    assert "'notes.txt', which is no run" in said(page)
    assert (own_store / "mine").exists()


def test_a_run_that_was_chosen_and_removed_leaves_the_page_whole(open_in: OpenPage, own_store: Path) -> None:
    write_import(parse_csv(template_csv()), "mine", own_store)
    page = open_in(own_store, run="mine/a-ce-seed42", experiment=["mine"])
    page.session_state["tab"] = "Import and export"
    run(page)
    page.button(key="remove-yes").click()
    run(page)
    page.session_state["tab"] = "Runs"
    run(page)
    assert not page.subheader
    assert page.selectbox(key="run").value is None


def test_what_a_file_does_not_say_is_asked_and_the_command_line_is_shown(open_in: OpenPage, own_store: Path) -> None:
    page = upload(open_in(own_store, tab="Import and export"), b"Wall time,Step,Value\n1.5,0,0.41\n2.5,1,0.52\n")
    page.selectbox(key="import-space").set_value("camvid-11")
    run(page)
    assert "the header lacks the column variant" in said(page)
    assert "--seed 0 --map Value=mIoU" in page.code[-1].value
    (variant,) = [one for one in page.text_input if one.label == "Variant"]
    variant.set_value("mine")
    (seed,) = [one for one in page.number_input if one.label == "Seed"]
    seed.set_value(3)
    (column,) = [one for one in page.selectbox if one.label == "Column Value"]
    column.set_value("mIoU")
    run(page)
    assert not page.error
    assert "`Value` read as mIoU, as you say" in said(page).replace("\\", "")
    assert page.code[-1].value == (
        "python -m trainers.import_results 'My results (2).csv' --experiment my-results-2 --label-space camvid-11 "
        "--variant mine --seed 3 --map Value=mIoU"
    )
    assert not (own_store / "my-results-2").exists()
    page.button(key="import-write").click()
    run(page)
    (curve,) = (own_store / "my-results-2").glob("*/epochs.jsonl")
    assert curve.read_text() == '{"epoch": 0, "miou": 0.41}\n{"epoch": 1, "miou": 0.52}\n'


def test_several_files_are_one_experiment(open_in: OpenPage, own_store: Path) -> None:
    page = open_in(own_store, tab="Import and export")
    page.selectbox(key="import-space").set_value("camvid-11")
    uploader = page.file_uploader(key="import-0")
    for name in ("A", "B"):
        uploader.upload(f"run-{name}-seed1-tag-road_iou.csv", b"Wall time,Step,Value\n1.5,2,0.4\n")
    run(page)
    assert "2 runs** of 2 variants" in said(page)
