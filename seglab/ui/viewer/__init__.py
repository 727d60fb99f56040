"""A photo and several models' masks in the browser: panels that share opacity, mode, zoom, legend and crosshair, or a
swipe.

``component`` sends the pixels once and returns the reader's settled view, ``view`` is that view in a link, ``parts``
joins what the browser gets. In ``js/`` one file has one idea: ``state`` (what is given and chosen), ``decode``,
``colours`` and ``paint`` (pixels), ``toolbar``, ``panels``, ``legend`` and ``swipe`` (what one sees), ``zoom``,
``pointer`` and ``keyboard`` (what one does), ``readout`` (what is said), ``dom`` (small things); ``viewer`` puts them
together. ``css/`` likewise. A button is added in ``toolbar``, a mode in ``MODES`` there and in ``view``.
"""

from seglab.ui.viewer.component import MAX_PANELS, MAX_SIDE_PX, Panel, display_size, payload, viewer
from seglab.ui.viewer.view import DEFAULT_VIEW, LAYOUTS, MODES, clean_view, format_view, parse_view

__all__ = [
    "DEFAULT_VIEW",
    "LAYOUTS",
    "MAX_PANELS",
    "MAX_SIDE_PX",
    "MODES",
    "Panel",
    "clean_view",
    "display_size",
    "format_view",
    "parse_view",
    "payload",
    "viewer",
]
