"""Fixtures of the trainers' tests."""

import shutil
from pathlib import Path

import pytest

from tests.training import NAME, THREE, run


@pytest.fixture(scope="session")
def reference(camvid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of three epochs that nothing disturbed. Read only."""
    results = tmp_path_factory.mktemp("reference")
    run(THREE, camvid, results)
    return results / NAME


@pytest.fixture
def own(camvid: Path, tmp_path: Path) -> Path:
    """Return a copy of the tiny CamVid that a test may damage."""
    return Path(shutil.copytree(camvid, tmp_path / "camvid"))
