"""A published Mask2Former checkpoint in the hub's format: a local folder, or a name that the hub knows."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seglab.labels import SPACES
from seglab.predict.model import Facts, Model

if TYPE_CHECKING:
    from seglab.models import QueryModel


@dataclass(frozen=True)
class HubSource:
    """A checkpoint that is loaded already: its hash needs the weights."""

    net: "QueryModel"

    @property
    def layers(self) -> Mapping[str, str]:
        """Where Grad-CAM may look."""
        from seglab.models import spec

        return spec("mask2former").cam_layers

    def network(self) -> "QueryModel":
        """Return the network."""
        return self.net


def find(text: str) -> Model:
    """Load a published checkpoint; imports torch.

    Raises:
        ValueError: where it cannot be loaded.
    """
    from seglab.models.mask2former import load_published
    from seglab.models.weights import check_safetensors

    folder = Path(text)
    for file in sorted(folder.glob("*.safetensors")):
        check_safetensors(file)
    return published_model(load_published(text), folder)


def published_model(net: "QueryModel", folder: Path) -> Model:
    """Describe a published checkpoint; its hash is over configuration and weights.

    Raises:
        ValueError: where its classes are none of the label spaces.
    """
    from seglab.models import num_parameters

    label_space = published_space(net)
    config = net.net.config.to_dict()
    for name in ("_name_or_path", "transformers_version"):  # say nothing of the network
        config.pop(name, None)
    total = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, value in sorted(net.state_dict().items()):
        total.update(name.encode())
        total.update(value.contiguous().numpy().tobytes())
    parameters = num_parameters(net)
    return Model(
        key="mask2former",
        title=f"Mask2Former ({folder.name})",
        label_space=label_space,
        sha256=total.hexdigest(),
        network={"key": "mask2former", "size": "published", "parameters": parameters},
        facts=Facts(origin=folder.name, provenance="published", parameters=parameters),
        source=HubSource(net),
    )


def published_space(net: "QueryModel") -> str:
    """Return the label space of a published checkpoint: that of its class names, else the only one with as many classes.

    Names may differ in part, as copies of ADE20K's do; those of another data set with as many classes are refused.

    Raises:
        ValueError: where none or several could be meant.
    """
    fitting = [key for key, one in SPACES.items() if one.num_classes == net.num_classes]
    if not fitting:
        *sizes, last = sorted({one.num_classes for one in SPACES.values()})
        expected = f"{', '.join(map(str, sizes))} or {last} classes"
        raise ValueError(f"expected a checkpoint of {expected}, got {net.num_classes}")
    told = net.net.config.id2label or {}
    names = tuple(str(told.get(i)).lower() for i in range(net.num_classes))
    named = next((key for key in fitting if tuple(map(str.lower, SPACES[key].names)) == names), None)
    if named is None and len(fitting) > 1:
        raise ValueError(f"expected an id2label with the class names of {' or '.join(fitting)}, got other names")
    given = {name.strip() for name in names if not re.fullmatch(r"none|label_\d+", name)}
    known = {name.lower() for name in SPACES[fitting[0]].names}
    if named is None and len(given & known) < len(given) / 2:
        raise ValueError(f"expected an id2label with the class names of {fitting[0]}, got mostly other names")
    return named or fitting[0]
