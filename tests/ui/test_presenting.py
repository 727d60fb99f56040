"""Presenting: the tour's file, its steps as ordinary links, and every page with its controls folded away."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from seglab.ui import presenting
from tests.pages.conftest import ROOT, said

STEPS = presenting.read_tour(presenting.TOUR.read_text())
GOOD = "- {title: a, page: compare, link: {}, say: b}"


def test_the_tour_has_six_steps_over_the_pages_and_no_number_of_a_result() -> None:
    assert [step.page for step in STEPS] == ["compare", "compare", "gradcam", "convergence", "classes", "robustness"]
    for step in STEPS:
        assert (ROOT / "pages" / f"{step.page}.py").is_file()
        assert not re.search(r"[0-9]", step.say), "the pages compute the figures and say them"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "YAML"),
        ("{}", "list of steps"),
        ("[]", "list of steps"),
        ("- 1", "step 1"),
        ("- {title: a, page: compare, link: {}}", "step 1"),
        (GOOD.replace("compare", "../../etc"), "page of step 1"),
        (GOOD.replace("link: {}", "link: {epoch: 10}"), "in quotes"),
        (GOOD.replace("say: b", "say: 3"), "as texts"),
        (GOOD + "\n" + GOOD.replace("say: b", "say: b, more: c"), "step 2"),
    ],
)
def test_a_bad_tour_is_told_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        presenting.read_tour(text)


@pytest.mark.parametrize("wanted", ["this", "4", "0", "99", "-1", "\x00", "1" * 500])
def test_a_page_is_presented_whatever_the_link_says(wanted: str) -> None:
    page = AppTest.from_file(str(ROOT / "pages" / "convergence.py"), default_timeout=120)
    page.query_params["present"] = wanted
    page.run()
    assert not page.exception
    assert page.toggle(key="present-controls").value is False
    assert "A lead counts only" not in said(page), "the question is folded away too"
    assert "At epoch 10 " in said(page)
    assert ("no such step" in said(page)) == (wanted in ("0", "99", "-1", "1" * 500))
    assert (f"4 of {len(STEPS)} · The reversal" in said(page)) == (wanted == "4")
    assert {button.key for button in page.button} & {"present-next-4"} == (
        {"present-next-4"} if wanted == "4" else set()
    )


@pytest.mark.parametrize("name", ["classes", "runs"])
def test_every_page_with_results_alone_is_presented(name: str) -> None:
    page = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=120)
    page.query_params["present"] = "this"
    page.run()
    assert not page.exception
    assert page.toggle(key="present-controls").value is False
    folded = [one.proto.body for one in page.get("html") if "display: none}" in one.proto.body]
    assert any("stElementContainer]:has([data-testid=stSelectbox])" in rules for rules in folded)
    page.toggle(key="present-controls").set_value(True).run()
    assert not any("stSelectbox" in one.proto.body for one in page.get("html"))


def walk(block: Any) -> Iterator[Any]:
    """Yield a block and all that is in it, in the order of the page."""
    yield block
    for child in getattr(block, "children", {}).values():
        yield from walk(child)


def test_what_stands_below_the_first_picture_comes_first_where_the_link_says_so() -> None:
    page = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120)
    page.query_params["present"] = "2"
    page.query_params["front"] = "yes"
    page.run()
    order = [one.type for one in walk(page.main)]
    assert order.index("tab") < order.index("bidi_component")
    page.button(key="present-back-2").click().run()
    assert not page.exception
    assert "front" not in page.query_params, "a step's order ends with it"


def test_an_ordinary_page_offers_the_way_in() -> None:
    page = AppTest.from_file(str(ROOT / "pages" / "convergence.py"), default_timeout=120).run()
    assert {"present-this", "present-tour"} <= {button.key for button in page.button}
    page.button(key="present-this").click().run()
    assert not page.exception
    assert page.query_params["present"] == "this"
    page.button(key="present-end").click().run()
    assert "present" not in page.query_params


def test_a_broken_tour_leaves_the_page_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "tour.yaml"
    broken.write_text("{}")
    monkeypatch.setattr(presenting, "TOUR", broken)
    page = AppTest.from_file(str(ROOT / "pages" / "runs.py"), default_timeout=120).run()
    assert not page.exception
    assert "There is no tour: expected the tour as a list of steps" in said(page)


def test_steps_of_one_page_set_its_widgets_and_go_on_by_one() -> None:
    page = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120)
    page.query_params["present"] = "1"
    page.run()
    assert not page.exception
    page.button(key="present-next-1").click().run()
    assert not page.exception
    assert page.query_params["present"] == "2"
    assert page.session_state["tab"] == STEPS[1].link["tab"]
