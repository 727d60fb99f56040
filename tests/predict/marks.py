"""Which tests need OpenVINO, and a machine on which it runs."""

import os

import pytest

from seglab.predict import engines

LIMITED = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in engines._TOO_LOW  # by who emulates a lesser processor
needs_openvino = pytest.mark.skipif(
    engines.import_openvino() is None or LIMITED, reason="OpenVINO is not installed, or would crash"
)
