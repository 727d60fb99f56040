"""Options that several trainers have, spelt and explained once. Imports no torch: help is quick."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from seglab.cli import among

TRACKERS = ("mlflow", "tensorboard")

DataRoot = Annotated[Path, Option("--data", metavar="DIR", help="The data set's root folder.")]
Overrides = Annotated[list[str], Option("--set", metavar="KEY=VALUE", help="Override a recipe's key; repeatable.")]
Results = Annotated[
    Path, Option(metavar="DIR", help="Where records are written.", show_default="results/ of this project")
]
Runs = Annotated[
    list[Path], Argument(metavar="RUN", help="A run's folder with weights.safetensors; several are done in turn.")
]
Threads = Annotated[int, Option(help="CPU threads; 0: all cores.")]
Track = Annotated[list[str], Option(help="Tell a tracker of every run, too; repeatable.", **among(TRACKERS))]
