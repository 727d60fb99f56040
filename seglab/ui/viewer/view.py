"""A view of the viewer: what a reader has chosen, from a link and back; whatever is impossible in it is dropped."""

import re
from collections.abc import Mapping
from typing import Any

from seglab.labels import VOID

PHOTO = "photo"

MODES = ("overlay", "mask", "photo", "edges", "confidence")
LAYOUTS = ("grid", "swipe")
DEFAULT_VIEW: dict[str, Any] = {"mode": "overlay", "opacity": 55, "hidden": [], "swipe": [], "layout": "grid"}

KEY = re.compile(r"[A-Za-z0-9_.@:+-]{1,64}")
_MAX_TEXT = 1024


def clean_view(view: object, num_classes: int = VOID, keys: set[str] | None = None) -> dict[str, Any]:
    """Return a complete view that holds only possible values; the rest of ``view`` gives way to the defaults.

    Args:
        view: anything at all.
        num_classes: hidden ids from here on are dropped.
        keys: the panels that exist and ``photo``; None accepts every well-formed key.
    """
    got = view if isinstance(view, Mapping) else {}
    clean = {**DEFAULT_VIEW, "hidden": [], "swipe": []}
    for name, choices in (("mode", MODES), ("layout", LAYOUTS)):
        if isinstance(got.get(name), str) and got[name] in choices:
            clean[name] = got[name]
    opacity = got.get("opacity")
    if isinstance(opacity, int | float) and not isinstance(opacity, bool) and 0 <= opacity <= 100:
        clean["opacity"] = round(opacity)
    hidden = got.get("hidden")
    if isinstance(hidden, list | tuple):
        ids = {i for i in hidden if isinstance(i, int) and not isinstance(i, bool)}
        clean["hidden"] = sorted(i for i in ids if 0 <= i < num_classes)
    swipe = got.get("swipe")
    if isinstance(swipe, list | tuple) and len(swipe) == 2 and swipe[0] != swipe[1]:
        known = [isinstance(k, str) and KEY.fullmatch(k) and (keys is None or k in keys) for k in swipe]
        clean["swipe"] = list(swipe) if all(known) else []
    return clean


def parse_view(text: str) -> dict[str, Any]:
    """Read a view out of one query parameter; what cannot be read takes its default.

    >>> parse_view("mask.80.swipe.h3-7~photo~unet")["hidden"]
    [3, 7]
    >>> parse_view("<script>") == DEFAULT_VIEW
    True
    """
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        return clean_view(None)
    head, *swipe = text.split("~")
    view: dict[str, Any] = {"swipe": swipe}
    for word in head.split("."):
        if word in MODES:
            view.setdefault("mode", word)
        elif word in LAYOUTS:
            view.setdefault("layout", word)
        elif re.fullmatch(r"[0-9]{1,3}", word):
            view.setdefault("opacity", int(word))
        elif re.fullmatch(r"h[0-9]{1,3}(-[0-9]{1,3})*", word):
            view.setdefault("hidden", [int(i) for i in word[1:].split("-")])
    return clean_view(view)


def format_view(view: Mapping[str, Any] | None) -> str:
    """Write a view as one short query parameter that ``parse_view`` reads back.

    >>> format_view({"mode": "overlay", "opacity": 55, "hidden": [3, 7], "layout": "grid"})
    'overlay.55.grid.h3-7'
    """
    clean = clean_view(view)
    words = [clean["mode"], str(clean["opacity"]), clean["layout"]]
    if clean["hidden"]:
        words.append("h" + "-".join(map(str, clean["hidden"])))
    return "~".join([".".join(words), *clean["swipe"]])
