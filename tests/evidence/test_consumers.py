"""Who should pick what: a pick needs evidence against every other variant, and no evidence is an answer."""

import numpy as np
import pandas as pd
import pytest

from seglab.evidence.classes import CLASS_METRICS
from seglab.evidence.consumers import CONSUMERS, NO_EVIDENCE, advice, choose, evidence_text
from seglab.labels import SPACES

NAMES = {"a": "A: CE", "b": "B: CE + Dice", "c": "C: both"}
MEANS = {"a": 0.5, "b": 0.6, "c": 0.4}


def pairs(ab: float, ac: float, bc: float, n: int = 3) -> pd.DataFrame:
    """Return the three pairs of MEANS with these corrected p values."""
    rows = [("a", "b", -0.1, ab), ("a", "c", 0.1, ac), ("b", "c", 0.2, bc)]
    return pd.DataFrame(rows, columns=["a", "b", "delta", "p_holm"]).assign(n=n)


@pytest.mark.parametrize("key", CONSUMERS)
def test_a_consumer_names_classes_and_metrics_that_exist(key: str) -> None:
    consumer = CONSUMERS[key]
    assert set(consumer.metrics) <= set(CLASS_METRICS)
    assert consumer.classes.keys() == CONSUMERS["drivable"].classes.keys() <= set(SPACES)
    for space, classes in consumer.classes.items():
        assert set(classes) <= set(SPACES[space].names)


def test_the_best_is_picked_where_it_is_ahead_of_every_other() -> None:
    choice = choose(MEANS, pairs(0.01, 0.5, 0.02))
    assert choice is not None
    assert (choice.best, choice.second, choice.lead, choice.pairs) == ("b", "a", pytest.approx(0.1), 3)
    assert advice(choice, NAMES, "seeds") == "pick B: CE + Dice"
    assert evidence_text(choice, "seeds") == "three seeds, p = 0.010 after Holm over three pairs"
    assert advice(choice, NAMES, "images") == "on these images: B: CE + Dice"


def test_ahead_of_the_next_alone_is_no_pick() -> None:
    choice = choose(MEANS, pairs(0.01, 0.5, 0.2))
    assert choice is not None
    assert not choice.clear
    assert choice.surely == (("b", "a"),)
    assert advice(choice, NAMES, "seeds") == "no evidence for any one recipe"


def test_without_any_significant_pair_there_is_no_evidence_for_any_recipe() -> None:
    choice = choose(MEANS, pairs(0.06, 0.5, 0.2))
    assert choice is not None
    assert advice(choice, NAMES, "seeds") == NO_EVIDENCE == "no evidence for any recipe"


def test_what_was_not_tested_cannot_be_told() -> None:
    choice = choose(MEANS, pairs(np.nan, np.nan, np.nan, n=1))
    assert choice is not None
    assert advice(choice, NAMES, "seeds") == "cannot be told: one seed each"
    assert evidence_text(choice, "seeds") == "one seed, no test"
    assert advice(choice, NAMES, "seeds", printed=True) == "cannot be told: printed means"


def test_a_variant_without_a_figure_is_left_out_and_one_alone_is_no_choice() -> None:
    choice = choose(MEANS | {"b": np.nan}, pairs(0.01, 0.01, 0.01))
    assert choice is not None
    assert (choice.best, choice.others, choice.pairs) == ("a", 1, 1)
    assert choose({"a": 0.5, "b": np.nan}, pairs(0.01, 0.01, 0.01)) is None
