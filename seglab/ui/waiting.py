"""Waiting for models without holding up the page: a bar that looks again until all have answered."""

from collections.abc import Callable, Sequence

import streamlit as st

POLL_S = 0.4


def wait_for(ask: Callable[[], Sequence[object | None]], doing: str) -> bool:
    """Show how many answers are there and look again until all are; return whether they are."""
    done = sum(answer is not None for answer in ask())
    pending = done < len(ask())
    st.fragment(_progress, run_every=POLL_S if pending else None)(ask, doing, done)
    return not pending


def _progress(ask: Callable[[], Sequence[object | None]], doing: str, before: int) -> None:
    answers = ask()
    done = sum(answer is not None for answer in answers)
    if done > before:
        st.rerun()  # what has come is shown
    if done < len(answers):
        st.progress(done / len(answers), text=f"{doing}: {done} of {len(answers)} answers are there")
