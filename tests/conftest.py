"""Fixtures that many tests share. Nothing here imports torch until a test asks for a model."""

import ipaddress
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from seglab.labels import space
from tests import tiny

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported
if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores: one thread each, before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")


LONGEST = ("tests/browser", "tests/trainers", "tests/api", "tests/predict", "tests/pages", "tests/models")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders that take longest, so that no worker has to finish one alone."""

    def turn(item: pytest.Item) -> int:
        return next((n for n, folder in enumerate(LONGEST) if item.nodeid.startswith(folder)), len(LONGEST))

    items.sort(key=turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let a file's tests run on one worker, for its fixtures are made once, and all of the browser's on one."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "browser" if nodeid.startswith("tests/browser/") else nodeid.partition("::")[0]

    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test reach beyond this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] != "localhost" and not _is_local(str(address[0])):
            raise OSError(f"a test tried to reach {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for converted models that all tests share, whichever worker runs them."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "converted"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep converted models out of the user's cache."""
    monkeypatch.setenv("SEGLAB_CACHE", str(cache))
    return cache


@pytest.fixture(scope="session")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of a tiny CamVid: six frames in train, three in val. Read only."""
    return tiny.write_camvid(tmp_path_factory.mktemp("camvid"))


@pytest.fixture(scope="session")
def cityscapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of a tiny Cityscapes: four frames in train, two in val. Read only."""
    return tiny.write_cityscapes(tmp_path_factory.mktemp("cityscapes"))


@pytest.fixture(scope="session")
def tiny_run(camvid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run of two epochs. Read only."""
    from trainers.train import train

    results = tmp_path_factory.mktemp("results")
    train(tiny.recipe(), camvid, results, progress=False)
    return results / "tiny" / "deeplabv3plus-seed42"


@pytest.fixture
def run_copy(tiny_run: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished run that a test may damage."""
    return Path(shutil.copytree(tiny_run, tmp_path / "tiny" / tiny_run.name))


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Mask2Former of 19 classes over a tiny Swin, in the hub's format. Read only."""
    import torch

    import seglab.models  # noqa: F401  (mends torchvision before Transformers asks for it)

    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig  # isort: skip

    swin = SwinConfig(
        embed_dim=24,
        depths=[1, 1, 2, 1],
        num_heads=[1, 2, 4, 8],
        window_size=7,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    narrow = dict.fromkeys(("feature_size", "mask_feature_size", "hidden_dim"), 64)
    shallow = {"encoder_layers": 1, "decoder_layers": 2, "num_attention_heads": 2, "num_queries": 10}
    names = dict(enumerate(space("cityscapes-19").names))
    config = Mask2FormerConfig(
        backbone_config=swin, id2label=names, encoder_feedforward_dim=64, dim_feedforward=64, **narrow, **shallow
    )
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("published") / "mask2former-tiny"
    Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)
    return folder
