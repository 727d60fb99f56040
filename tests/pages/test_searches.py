"""The Runs page's searches: one study with its figures, several, none, and damaged ones."""

import json
from pathlib import Path
from typing import Any

from tests.pages.conftest import ROOT, OpenPage, said
from tests.synthetic import study_values

PAGE = ROOT / "pages" / "runs.py"
HOSTILE = "<img src=x onerror=alert(1)> ![x](http://evil.example/x.png) [a](javascript:alert(1))"


def write(results: Path, name: str = "v", **changes: Any) -> Path:
    path = results / "exp" / f"{name}.study.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(study_values() | {"variant": name} | changes))
    return path


def test_a_search_shows_its_trials_its_best_and_where_it_comes_from(open_in: OpenPage, tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "exp" / "v-best.yaml").write_text("lr: 0.009\n")
    page = open_in(tmp_path, tab="Searches")
    text = said(page)
    assert "**6 trials**: 4 complete, 1 pruned, 1 failed" in text
    assert "trial 4** with mIoU **40.0 %**" in text
    assert "300 images to learn, 50 of 0006R0 to judge" in text
    assert "commit abcdef1" in text
    assert "what sets the best 2 of 4 complete trials apart; pruned ones are not counted. So few are a hint" in text
    assert len(page.get("plotly_chart")) == 3
    assert page.dataframe[0].value["mIoU (%)"].tolist()[:2] == [20, 35]
    assert not page.error


def test_one_of_several_searches_comes_from_the_link(open_in: OpenPage, tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "w", title="Another")
    page = open_in(tmp_path, tab="Searches", search="exp/w: Another")
    assert page.selectbox(key="search").value == "exp/w"


def test_a_damaged_search_is_named_and_the_others_are_shown(open_in: OpenPage, tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "broken", trials="gone")
    page = open_in(tmp_path, tab="Searches")
    assert "exp/broken.study.json cannot be read as a search" in page.warning[0].value.replace("\\", "")
    assert len(page.get("plotly_chart")) == 3


def test_a_search_without_trials_says_so(open_in: OpenPage, tmp_path: Path) -> None:
    write(tmp_path, trials=[], importance={}, best=None)
    page = open_in(tmp_path, tab="Searches")
    assert "No trial has been evaluated yet." in page.info[0].value
    assert not page.error


def test_words_of_a_study_are_shown_as_text(open_in: OpenPage, tmp_path: Path) -> None:
    write(
        tmp_path,
        title=HOSTILE,
        objective=HOSTILE,
        sampler=HOSTILE,
        environment={"device": HOSTILE, "git_commit": HOSTILE},
    )
    page = open_in(tmp_path, tab="Searches")
    assert not any("![x](" in element.value for element in [*page.markdown, *page.caption])
    assert not page.error
    hostile = {HOSTILE[:90]: {"text": HOSTILE[:90]}, "miou": {"log": True}, "number": {}}
    values = [{HOSTILE[:90]: HOSTILE, "miou": 0, "number": n} for n in range(6)]
    trials = [one | {"params": params} for one, params in zip(study_values()["trials"], values, strict=True)]
    split = {"images": 4, "recordings": 5}
    for environment in ({"data": "x"}, {"data": {"train": 5}}, {"data": {"train": split, "val": split}}):
        changes = {"importance": {HOSTILE[:90]: 1}, "environment": environment, "trial": {"epochs": HOSTILE}}
        write(tmp_path, space=hostile, trials=trials, **changes)
        page = open_in(tmp_path, tab="Searches")
        assert not any("![x](" in element.value for element in [*page.markdown, *page.caption])
        assert not page.error
        assert not page.exception
