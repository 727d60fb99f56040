"""The Convergence page: with results, with none, with a damaged record, and from a link."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from seglab.ui.convergence.sections import early_epoch
from tests.pages.conftest import ROOT, OpenPage, figure, said
from tests.synthetic import write_experiment

PAGE = ROOT / "pages" / "convergence.py"
EXPERIMENT = "camvid-boundary-ablation"
PUBLISHED = "published-boundary-ablation"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    write_experiment(results, epochs=40, counts_at=())
    write_experiment(results, "same-data", epochs=40, counts_at=(), variants={"e-focal": "E: focal", "f-x": "F: x"})
    write_experiment(results, "other-classes", epochs=20, counts_at=(), label_space="cityscapes-8", seeds=[1])
    (results / "printed-points").symlink_to(ROOT / "tests" / "printed" / "printed-points")
    broken = results / EXPERIMENT / "broken-seed1"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    return results


@pytest.fixture(scope="module")
def with_published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with the published ablation beside runs of this project."""
    results = tmp_path_factory.mktemp("published")
    write_experiment(results, epochs=20, counts_at=())
    (results / PUBLISHED).symlink_to(ROOT / "results" / PUBLISHED)
    return results


def names(page: AppTest, number: int = 0) -> list[str]:
    return [trace["name"] for trace in figure(page, number)["data"] if trace.get("name")]


def ranking(page: AppTest, number: int) -> list[str]:
    return page.dataframe[number].value["variant"].tolist()


def test_the_page_shows_each_variant_its_band_and_where_it_comes_from(open_at: OpenPage) -> None:
    page = open_at()
    assert [n for n in names(page) if n[1] == ":"] == [
        "A: CE",
        "B: CE + Dice",
        "C: CE + Dice + 0.2 boundary",
        "D: CE + 0.2 boundary",
    ]
    bands = [trace for trace in figure(page)["data"] if trace.get("fill") == "toself"]
    assert [band["mode"] for band in bands] == ["lines"] * 4, "a band has no dots, however few its points"
    caption = page.caption[0].value
    for part in (
        "Student-t, 95 %",
        "n = 3 seeds",
        "camvid val",
        "24 images",
        "128×96 px",
        "one clip",
        "12 runs",
        "0123456",
    ):
        assert part in caption


def test_the_scrubber_changes_ranking_pairs_and_sentence(open_at: OpenPage) -> None:
    page = open_at()
    early = (ranking(page, 0), page.dataframe[2].value.to_dict(), said(page))
    last = ranking(page, 1)
    page.select_slider(key="epoch").set_value(5).run()
    assert "At epoch 5 C leads" in said(page)
    assert ranking(page, 0)[0].startswith("C:")
    assert (ranking(page, 0), page.dataframe[2].value.to_dict(), said(page)) != early
    assert ranking(page, 1) == last, "the last epoch's ranking stays"
    assert len(page.dataframe[2].value) == 6
    page.select_slider(key="epoch").set_value(40).run()
    assert ranking(page, 0) == last
    assert len(page.dataframe[1].value) == 6, "the last epoch's ranking stands once"


def test_the_page_opens_at_epoch_10_beside_the_last(open_at: OpenPage) -> None:
    page = open_at()
    assert page.select_slider(key="epoch").value == 10
    headings = [one.value for one in page.markdown if one.value.startswith("**Ranking at epoch")]
    assert headings == ["**Ranking at epoch 10** · the scrubber", "**Ranking at epoch 40** · the last epoch"]


@pytest.mark.parametrize(("epochs", "first"), [([1, 5, 12, 40], 12), ([1, 5, 10], 1), ([5], 5), ([20, 40], 20)])
def test_a_reader_begins_near_epoch_10_and_before_the_last(epochs: list[int], first: int) -> None:
    assert early_epoch(epochs) == first


def test_two_epochs_show_the_reversal_in_words_and_lines(open_at: OpenPage) -> None:
    page = open_at()
    assert page.select_slider(key="two").value == (10, 40)
    assert len(figure(page, 1)["data"]) == 4
    assert "epoch 10" in said(page)
    page.select_slider(key="two").set_value((20, 20)).run()
    assert "Choose two different epochs" in page.info[0].value


@pytest.mark.parametrize(("show", "bands", "lines"), [("Band", 4, 4), ("Seeds", 0, 16), ("Both", 4, 16)])
def test_band_seeds_or_both(open_at: OpenPage, show: str, bands: int, lines: int) -> None:
    data = figure(open_at(show=show))["data"]
    assert sum(trace.get("fill") == "toself" for trace in data) == bands
    assert sum(trace.get("mode") == "lines" and not trace.get("fill") for trace in data) == lines


def test_the_published_interval_says_that_it_is_too_narrow(open_at: OpenPage) -> None:
    page = open_at(interval="as published: 1.96·SE")
    assert "1.96·SE" in page.caption[0].value
    assert "81 %" in page.caption[0].value


def test_a_link_reproduces_metric_class_epoch_and_smoothing(open_at: OpenPage) -> None:
    page = open_at(metric="Boundary F1", **{"class": "road"}, epoch="7", smoothing="5 epochs")
    assert page.caption[0].value.startswith("Boundary F1 of road; ")
    assert "moving mean over 5 epochs" in page.caption[0].value
    assert "At epoch 7 " in said(page)


def test_experiments_on_the_same_data_share_the_axis(open_at: OpenPage) -> None:
    page = open_at(experiment=[EXPERIMENT, "same-data"])
    assert not page.warning
    assert "same-data · E: focal" in names(page)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ("other-classes", "they were measured on other classes"),
        ("printed-points", "they were measured on other classes"),
    ],
)
def test_experiments_that_must_not_share_an_axis_are_refused_with_the_reason(
    open_at: OpenPage, other: str, reason: str
) -> None:
    page = open_at(experiment=[EXPERIMENT, other])
    assert "do not share an axis" in page.warning[0].value
    assert reason in page.warning[0].value
    assert len([n for n in names(page) if n[1] == ":"]) == 4


def test_published_figures_are_points_with_their_source_and_no_test(open_at: OpenPage) -> None:
    page = open_at(experiment="printed-points")
    assert {trace["mode"] for trace in figure(page)["data"]} == {"markers"}
    assert any(trace["error_y"]["array"] for trace in figure(page)["data"])
    assert "Cassez" in page.caption[0].value
    assert "no test can be repeated" in said(page)
    assert "road" in said(page), "the author's correction is told"
    assert len(page.dataframe) == 2, "two rankings, no table of pairs"


def test_a_metric_that_was_not_measured_is_said_so(open_at: OpenPage) -> None:
    page = open_at(experiment="printed-points", metric="Dice")
    assert "was not measured" in page.info[0].value


def test_a_damaged_record_is_listed_and_hides_no_other(open_at: OpenPage) -> None:
    page = open_at()
    assert "broken-seed1" in said(page)
    assert "cannot be read as JSON" in said(page)


def test_one_seed_promises_nothing(open_at: OpenPage) -> None:
    page = open_at(experiment="other-classes")
    assert "with one seed each" in said(page)
    assert "one seed each: no band" in page.caption[0].value
    assert set(page.dataframe[2].value["beyond noise"]) == {"cannot tell"}


def test_variants_that_share_no_seed_are_tested_unpaired_and_the_page_says_so(
    open_in: OpenPage, tmp_path: Path
) -> None:
    write_experiment(tmp_path, "apart", seeds=[1, 2], epochs=20, counts_at=(), variants={"a": "A: one"})
    write_experiment(tmp_path, "apart", seeds=[7, 8, 9], epochs=20, counts_at=(), variants={"b": "B: two"})
    page = open_in(tmp_path, experiment="apart")
    assert "they share no seed, so unpaired: Welch's t over" in said(page)
    assert page.dataframe[2].value["test"].tolist() == ["unpaired"]
    assert page.dataframe[2].value["seeds in that order"].tolist() == ["not paired"]


def test_without_results_the_page_says_what_makes_them(tmp_path: Path, open_in: OpenPage) -> None:
    page = open_in(tmp_path)
    assert "python -m trainers.ablate" in page.info[0].value


def test_the_data_of_a_chart_has_every_seed(open_at: OpenPage) -> None:
    from seglab.evidence.curves import curves_of
    from seglab.records.store import RunStore
    from seglab.ui.convergence.sections import curve_table

    page = open_at()
    assert [button.label for button in page.download_button] == ["CSV", "CSV", "CSV"]
    from seglab.records import store

    curves = curves_of(RunStore(store.RESULTS).curves(EXPERIMENT, "miou"), "miou")
    table = curve_table(curves)
    assert list(table.columns) == ["variant", "epoch", "mean", "half_width", "n", "seed 42", "seed 123", "seed 456"]
    assert len(table) == 4 * 40


def test_the_page_opens_on_the_published_runs_at_10_against_160(open_in: OpenPage, with_published: Path) -> None:
    page = open_in(with_published)
    assert page.multiselect(key="experiment").value == [PUBLISHED]
    assert page.select_slider(key="epoch").value == 10
    assert page.select_slider(key="two").value == (10, 160)
    told = said(page)
    assert "At epoch 10 C leads D by 1.9 points; this is not distinguishable from noise" in told
    assert "significant after correction: C over A" in told
    assert "At epoch 160 D leads A by 0.40 points; this is not distinguishable from noise" in told
    assert "significant after correction: D over C" in told
    assert "What the source says" in told
    assert "Cassez" in page.caption[0].value
    assert "n = 2 to 3 seeds" in page.caption[0].value
    assert len(page.dataframe[2].value) == 6, "every pair is tested"


def test_a_line_joins_uneven_checkpoints_and_says_n_at_each(open_in: OpenPage, with_published: Path) -> None:
    page = open_in(with_published, show="Both")
    lines = [trace for trace in figure(page)["data"] if trace.get("mode") == "lines" and not trace.get("fill")]
    assert len(lines) == 4 + 12
    assert all(trace["connectgaps"] for trace in lines)
    assert any("n = %{customdata" in trace.get("hovertemplate", "") for trace in lines)
    assert page.select_slider(key="epoch").options[:5] == ["2", "4", "6", "8", "10"]


def test_the_first_contour_figures_say_in_their_name_what_they_measured(
    open_in: OpenPage, with_published: Path
) -> None:
    page = open_in(with_published)
    offered = page.selectbox(key="metric").options
    assert "F1 of the contour of road, as first published" in offered
    page = open_in(with_published, metric="F1 of the contour of road, as first published")
    assert page.caption[0].value.startswith("F1 of the contour of road, as first published; ")
    assert "Boundary F1" not in page.caption[0].value
    page = open_in(with_published, metric="Boundary F1")
    assert "There is one epoch here: 160." in said(page)
    page = open_in(with_published, experiment=EXPERIMENT)
    assert not [name for name in page.selectbox(key="metric").options if "road" in name]


def test_the_picture_to_take_along_carries_its_sentences_and_its_source(
    open_in: OpenPage, with_published: Path
) -> None:
    page = open_in(with_published)
    layout = figure(page, 2)["layout"]
    assert "At epoch 10 the order is C, D, B, A (n = 3)" in layout["title"]["text"].replace("<br>", " ")
    texts = " ".join(note["text"].replace("<br>", " ") for note in layout["annotations"])
    assert "Cassez" in texts
    assert "1. D 81.69" in texts
