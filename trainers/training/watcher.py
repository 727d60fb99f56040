"""Who is told of a run while it trains, and what they may see of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from seglab.labels import LabelSpace
from trainers.training.recipe import Recipe


class Watched(Protocol):
    """A run in training, as those see it who watch it."""

    recipe: Recipe
    folder: Path
    device: torch.device
    label_space: LabelSpace
    model: nn.Module
    epoch: int  # done
    opened: dict[str, Any]  # the record


class Watcher(Protocol):
    """What is told of a run: a tracker, or a search that may stop it by raising."""

    def started(self, training: Watched) -> None:
        """Training begins or goes on, after ``training.epoch`` epochs."""

    def evaluated(self, training: Watched, row: Mapping[str, Any]) -> None:
        """An epoch was recorded; ``row`` is its line of ``epochs.jsonl``."""

    def ended(self, training: Watched, record: Mapping[str, Any]) -> None:
        """Training is over, for the reason that ``record["status"]`` says."""
