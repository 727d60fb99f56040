"""Records as rows of text, and what differs between two: by hand-made records, real ones, and hostile ones."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from seglab.evidence.runs.diff import (
    DIFF_COLUMNS,
    MAX_DEPTH,
    MAX_ROWS,
    diff,
    facts,
    flat_table,
    flatten,
    resumes,
    verdict,
)
from seglab.records.fields import ABSENT, at, clean, number_at
from seglab.records.runs import read_record

RESULTS = Path(__file__).resolve().parents[3] / "results"
BUNDLED = sorted((RESULTS / "camvid-architectures").glob("*-seed42"))
RECORD: dict[str, Any] = {
    "seed": 42,
    "title": "A",
    "model": {"key": "m", "size": "s", "parameters": 5},
    "label_space": "camvid-11",
    "data": {"name": "camvid", "val": {"split": "val", "images": 101}},
    "recipe": {
        "variant": "a",
        "title": "A",
        "seed": 42,
        "lr": 1e-3,
        "model": {"key": "m"},
        "data": {"crop_px": [192, 256]},
    },
    "environment": {"git_commit": "0" * 40, "packages": {"torch": "2.13"}},
    "provenance": "trained",
    "metrics": {"miou": 0.5},
    "started": "2026-01-01",
}


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"end": 1}
    for _ in range(levels):
        value = {"in": value}
    return value


def changed(**changes: Any) -> dict[str, Any]:
    """Return the record with changes at dotted paths (two underscores for a dot)."""
    record = deepcopy(RECORD)
    for path, value in changes.items():
        *way, last = path.split("__")
        part = record
        for key in way:
            part = part[key]
        part[last] = value
    return record


def differing(left: dict[str, Any], right: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    table = diff(left, right)
    assert list(table.columns) == list(DIFF_COLUMNS)
    rows = table[table["differs"]].drop(columns="differs")
    return [tuple(row) for row in rows.to_numpy().tolist()]


def test_a_record_does_not_differ_from_itself_nor_by_its_names_or_outcome() -> None:
    other = changed(
        recipe__variant="b", recipe__title="B", title="B", metrics={"miou": 0.9}, started="later", status="x"
    )
    for right in (RECORD, other):
        assert differing(RECORD, right) == []
        assert verdict(diff(RECORD, right)).startswith("Nothing differs: same recipe")


def test_another_seed_alone_is_told_as_that() -> None:
    assert differing(RECORD, changed(seed=7, recipe__seed=7)) == [("recipe", "seed", "42", "7")]
    assert verdict(diff(RECORD, changed(seed=7, recipe__seed=7))) == "Nothing differs but the seed."


def test_nested_settings_are_dotted_and_counted_by_part() -> None:
    other = changed(recipe__lr=5e-4, recipe__data={"crop_px": [96, 128]}, environment__packages={"torch": "2.14"})
    assert differing(RECORD, other) == [
        ("recipe", "lr", "0.001", "0.0005"),
        ("recipe", "data.crop_px", "[192, 256]", "[96, 128]"),
        ("environment", "packages.torch", "2.13", "2.14"),
    ]
    assert verdict(diff(RECORD, other)) == "3 settings differ: 2 in the recipe, 1 in the environment."
    assert verdict(diff(RECORD, changed(recipe__lr=1))) == "1 setting differs: 1 in the recipe."


def test_a_setting_that_only_one_has_is_not_one_that_is_none() -> None:
    other = changed(recipe__loss=None, recipe__note="")
    assert differing(RECORD, other) == [("recipe", "loss", ABSENT, "none"), ("recipe", "note", ABSENT, "(empty)")]


@pytest.mark.parametrize(("one", "two", "same"), [(1, 1.0, True), (1, True, False), (float("nan"), float("nan"), True)])
def test_numbers_are_compared_by_value(one: object, two: object, same: bool) -> None:
    assert (differing(changed(recipe__x=one), changed(recipe__x=two)) == []) == same


def test_the_model_of_the_recipe_is_told_once_and_what_only_the_record_knows_as_well() -> None:
    other = changed(recipe__model={"key": "n"}, model={"key": "n", "size": "s", "parameters": 6})
    assert differing(RECORD, other) == [("recipe", "model.key", "m", "n"), ("model", "parameters", "5", "6")]


def test_two_sides_swap() -> None:
    left, right = RECORD, changed(recipe__lr=2, recipe__extra=[1], environment__precision="bf16")
    swapped = [(part, key, b, a) for part, key, a, b in differing(left, right)]
    assert sorted(differing(right, left)) == sorted(swapped)


def test_a_run_that_was_resumed_differs_in_its_environment() -> None:
    resumed = [{"epoch": 14, "environment": {"git_commit": "abcdef0123"}}]
    assert differing(RECORD, changed(resumed=resumed)) == [
        ("environment", "resumed at", ABSENT, "epoch 14 (commit abcdef0)")
    ]


@pytest.mark.parametrize("folder", BUNDLED, ids=lambda folder: folder.name)
def test_every_value_of_a_bundled_record_stands_in_its_table(folder: Path) -> None:
    record = read_record(folder)
    shown = dict(zip(*(flat_table(record)[name] for name in ("setting", "value")), strict=True))
    assert {key: clean(value) for key, value in flatten(record)} == shown
    assert shown["metrics.iou/road"] == clean(record["metrics"]["iou/road"])
    told = dict(zip(*(facts(record)[name] for name in ("fact", "value")), strict=True))
    assert told["commit"] == record["environment"]["git_commit"]
    assert told["val fingerprint"] == record["data"]["val"]["fingerprint"]
    assert str(record["peak_memory_mib"]) == told["peak memory (MiB)"]


HOSTILE: dict[str, Any] = {
    "nothing": {},
    "text for every part": dict.fromkeys(RECORD, "text"),
    "lists for every part": {key: [1, [2], {"a": 3}] for key in RECORD},
    "numbers for every part": dict.fromkeys(RECORD, 10**400),
    "none for every part": dict.fromkeys(RECORD),
    "half a surrogate pair": changed(title="\ud800", recipe={"\udfff": "\ud800"}),
    "very deep": changed(recipe=deep(900)),
    "very long": changed(recipe={"text": "x" * 3_000_000, "y" * 100_000: 1}),
    "very many": changed(recipe={str(i): i for i in range(20_000)}),
    "very many resumes": changed(resumed=[{"epoch": i} for i in range(5_000)]),
    "keys that meet": changed(recipe={"a.b": 1, "a": {"b": 2}}),
    "infinite": changed(seconds_per_epoch=float("inf"), epochs=float("nan"), recipe={"lr": float("-inf")}),
    "lines": changed(recipe={"a\nb": "c\r\n\x00d"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_a_record_holds_becomes_short_text_that_can_be_sent(name: str) -> None:
    record = HOSTILE[name]
    for table in (
        flat_table(record),
        flat_table(record, "recipe"),
        facts(record),
        diff(record, RECORD),
        diff(RECORD, record),
    ):
        assert len(table) <= 2 * MAX_ROWS + 2
        for column in table.columns.drop("differs", errors="ignore"):
            for text in table[column]:
                text.encode()
                assert len(text) <= 90 * MAX_DEPTH
                assert text.isprintable()
    assert isinstance(verdict(diff(record, RECORD)), str)
    assert len(resumes(record)) < 2_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("<b>x</b>", "<b>x</b>"),
        (True, "true"),
        (None, "none"),
        (0.1, "0.1"),
        ({"a": 1}, '{"a": 1}'),
        ("a" * 400, "a" * 299 + "…"),
    ],
)
def test_clean_text_says_what_stands_there(value: object, text: str) -> None:
    assert clean(value) == text


def test_paths_through_other_kinds_lead_nowhere() -> None:
    assert at(RECORD, "data.val.images") == 101
    for path in ("data.val.images.more", "title.x", "nothing.at.all"):
        assert at(RECORD, path) is None
    assert number_at(RECORD, "data.val.images") == 101
    for value in (True, "5", None, float("nan"), float("inf"), 10**400):
        assert number_at({"x": value}, "x") is None


def test_json_of_a_real_record_goes_through_unchanged() -> None:
    record = read_record(BUNDLED[0])
    assert differing(record, json.loads(json.dumps(record))) == []
