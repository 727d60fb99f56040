"""The command line that repeats an import, or would make one possible."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from seglab.records.imports.sheet import Said


def command(files: Sequence[str], experiment: str, said: Said, unit: str = "", flags: Sequence[str] = ()) -> str:
    """Return it, quoted for a shell.

    Args:
        files: as they are given.
        experiment: name of the new experiment.
        said: what is said beside the files.
        unit: of the metrics, where it is said.
        flags: more options; an empty ``--variant`` is named by the file.
    """
    words = ["python", "-m", "trainers.import_results", *files, "--experiment", experiment]
    words += ["--label-space", said.label_space] if said.label_space else []
    words += ["--unit", unit] if unit else []
    words += ["--variant", said.variant] if said.variant else []
    words += ["--seed", str(said.seed)] if said.seed is not None else []
    words += ["--epoch", str(said.epoch)] if said.epoch is not None else []
    words += _maps(said.mapping)
    stem = PurePath(files[0]).stem if files else ""
    return shlex.join([*words, *(flag or stem or "mine" for flag in flags)])


def _maps(mapping: Mapping[str, str]) -> list[str]:
    return [word for name, meaning in mapping.items() for word in ("--map", f"{name}={meaning}")]
