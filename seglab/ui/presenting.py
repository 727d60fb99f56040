"""Presenting: a page in large type with its controls folded away, alone or as a step of the tour (``tour.yaml``).

``present`` in the link turns it on: a number is a step of the tour, any other value shows this page alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from seglab.labels.strict_yaml import read_yaml

TOUR = Path(__file__).with_name("tour.yaml")
KEY = "present"
FRONT = "front"  # of a link: what is chosen below the page's first picture stands first
_PENDING = "present-pending"
PAGES = ("compare", "convergence", "classes", "gradcam", "robustness", "runs")
_WIDGETS = (
    *("Selectbox", "MultiSelect", "ButtonGroup", "Slider", "FileUploader"),
    *("Checkbox", "TextInput", "NumberInput", "DownloadButton"),
)
_CONTENT = ("Markdown", "FullScreenFrame", "Heading", "Alert", "Progress", "Tabs")
_LARGE = """
<style>
  [data-testid=stHeader] {display: none}
  [data-testid=stMainBlockContainer] {padding-top: 1.2rem}
  [data-testid=stMain] p, [data-testid=stMain] li {font-size: 1.25rem; line-height: 1.5}
  [data-testid=stMain] h1 {font-size: 2.2rem}
  [data-testid=stMain] h4 {font-size: 1.35rem}
</style>
"""


@dataclass(frozen=True)
class Step:
    """A step of the tour."""

    title: str
    page: str  # of :data:`PAGES`
    link: Mapping[str, str]
    say: str


def read_tour(text: str) -> tuple[Step, ...]:
    """Return the steps that a tour's text describes.

    Raises:
        ValueError: one sentence on what is wrong with which step.
    """
    found = read_yaml(text.encode(), TOUR.name)
    if not isinstance(found, list) or not found:
        raise ValueError("expected the tour as a list of steps, each with title, page, link and say")
    steps = []
    for number, one in enumerate(found, 1):
        if not isinstance(one, dict) or set(one) != {"title", "page", "link", "say"}:
            raise ValueError(f"expected title, page, link and say in step {number} of the tour, and nothing else")
        if one["page"] not in PAGES:
            raise ValueError(f"expected the page of step {number} as one of {', '.join(PAGES)}, got {one['page']!r}")
        link = one["link"]
        if not isinstance(link, dict) or not all(isinstance(part, str) for pair in link.items() for part in pair):
            raise ValueError(f"expected the link of step {number} as texts by name; put numbers in quotes")
        if not all(isinstance(one[key], str) for key in ("title", "say")):
            raise ValueError(f"expected title and say of step {number} as texts")
        steps.append(Step(one["title"], one["page"], link, one["say"]))
    return tuple(steps)


@lru_cache(maxsize=4)
def _tour(changed: float) -> tuple[Step, ...]:
    return read_tour(TOUR.read_text(encoding="utf-8"))


def asked() -> str:
    """Return what the link says of presenting; empty where the page is an ordinary one."""
    return str(st.query_params.get(KEY, ""))


def _folded() -> list[str]:
    """Return the selectors of what is folded away: widgets, what opens on a click, and rows that are left without content."""
    strip = ":not(.st-key-present-strip, .st-key-present-strip *, :has(.st-key-present-strip))"
    content = ", ".join(f"[data-testid=st{name}]" for name in _CONTENT)
    return [
        *(
            f"[data-testid=stMain] [data-testid=stElementContainer]:has([data-testid=st{one}]){strip}"
            for one in _WIDGETS
        ),
        f"[data-testid=stMain] [data-testid=stLayoutWrapper]:has(> [data-testid=stPopover], > [data-testid=stExpander]){strip}",
        f"[data-testid=stMain] [data-testid=stLayoutWrapper]:not(:has({content})){strip}",
    ]


def front() -> bool:
    """Return whether the link asks for what a page shows below its first picture (``front=yes``) to stand first."""
    return bool(asked() and st.query_params.get(FRONT))


def begin() -> None:
    """Show the way in, or where the page is being presented its strip, and fold the controls away."""
    wanted = asked()
    if (pending := st.session_state.pop(_PENDING, None)) is not None:
        _set_link(pending)
    try:
        tour = _tour(TOUR.stat().st_mtime)
    except (OSError, ValueError) as error:
        st.warning(
            f"There is no tour: {error}." if isinstance(error, ValueError) else "There is no tour: its file is gone."
        )
        tour = ()
    if not wanted:
        with st.container(horizontal=True, gap="small", key="present-ways"):
            if st.button("Present", icon=":material/slideshow:", type="tertiary", key="present-this"):
                st.query_params[KEY] = "this"
                st.rerun()
            if tour and st.button("Tour", icon=":material/tour:", type="tertiary", key="present-tour"):
                _go(tour, 1)
        return
    st.html(_LARGE)
    number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 4 else 0
    step = tour[number - 1] if 1 <= number <= len(tour) else None
    with st.container(horizontal=True, vertical_alignment="center", key="present-strip"):
        if step is not None:
            _move(
                tour,
                number,
                number - 1,
                label="Back",
                icon=":material/arrow_back:",
                key=f"present-back-{number}",
                shortcut="Left",
            )
            _move(
                tour,
                number,
                number + 1,
                label="Next",
                icon=":material/arrow_forward:",
                key=f"present-next-{number}",
                shortcut="Right",
            )
        if st.button("End", icon=":material/close:", key="present-end", shortcut="Escape"):
            del st.query_params[KEY]
            st.rerun()
        shown = st.toggle("Controls", key="present-controls")
    if wanted.lstrip("-").isdigit() and step is None and tour:
        st.caption(f"The tour has no such step: its steps are 1 to {len(tour)}. This page is shown alone.")
    if step is not None:
        st.markdown(f"**{number} of {len(tour)} · {step.title}.** {step.say}")
    if not shown:
        rules = ", ".join(_folded())
        st.html(f"<style>{rules} {{display: none}}</style>")


def _go(tour: tuple[Step, ...], number: int) -> None:
    step = tour[number - 1]
    page = f"pages/{step.page}.py"
    for name in step.link:  # what another page's widget of that name was set to must not outlive the link
        st.session_state.pop(name, None)
    try:
        st.switch_page(page, query_params={**step.link, KEY: str(number)})
    except StreamlitAPIException:  # a widget of this page owns a name of that link: begin() sets it over there
        st.session_state[_PENDING] = dict(step.link)
        st.switch_page(page, query_params={KEY: str(number)})


def _set_link(link: Mapping[str, str]) -> None:
    """Set a page's link before its widgets read it; a widget that owns a name already is set itself."""
    for name, value in link.items():
        try:
            st.query_params[name] = value
        except StreamlitAPIException:
            st.session_state[name] = value


def _stay(step: Step, number: int) -> None:
    """Go to a step of the same page: its widgets own their part of the link, so they are set, and not the link."""
    st.session_state.update({name: value for name, value in step.link.items() if name != FRONT})
    for name, value in ((FRONT, step.link.get(FRONT, "")), (KEY, str(number))):
        if value:
            st.query_params[name] = value
        elif name in st.query_params:
            del st.query_params[name]


def _move(tour: tuple[Step, ...], here: int, to: int, **button: Any) -> None:
    """Show the button from one step to another."""
    there = tour[to - 1] if 1 <= to <= len(tour) else None
    stays = there is not None and there.page == tour[here - 1].page
    pressed = st.button(
        **button, disabled=there is None, on_click=_stay if stays else None, args=(there, to) if stays else None
    )
    if pressed and there is not None and not stays:
        _go(tour, to)
