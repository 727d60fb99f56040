"""What a model's owner says of it in a small YAML file: its classes and how it wants an image.

```yaml
label_space: cityscapes-19     # or the classes by name, in the model's own order:
classes: [road, sidewalk, sky]
map: {kerb: road, tram: train} # of single classes of the model, what they are in label_space; ~ for none
mean: [0.485, 0.456, 0.406]    # optional, of values in 0 to scale
std: [0.229, 0.224, 0.225]
scale: 1                       # 1 or 255
colour: rgb                    # or bgr
output: logits                 # of an ONNX or .pt2 file: logits, scores (sum to 1) or labels
```

It is ``seglab.yaml`` in a folder, ``NAME.yaml`` beside ``NAME.onnx`` or ``NAME.pt2``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seglab.labels import SPACES, VOID
from seglab.labels.matching import Matching, match, match_to
from seglab.labels.strict_yaml import MAX_BYTES, read_yaml

if TYPE_CHECKING:
    from seglab.models.adapted import Input

FIELDS = ("label_space", "classes", "map", "mean", "std", "scale", "colour", "output")
OUTPUTS = ("logits", "scores", "labels")


@dataclass(frozen=True)
class Told:
    """What the file says; what it does not say is none or empty."""

    label_space: str | None = None
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    scale: float | None = None
    bgr: bool | None = None
    output: str = ""
    given: bool = False
    map: Mapping[str, str | None] = field(default_factory=dict)

    def matched(self, names: Sequence[str]) -> Matching:
        """Return what a model's classes are: by ``map`` where it names them, else by their own names.

        Raises:
            ValueError: where ``map`` names no class of the model, or no label space fits.
        """
        if not self.map:
            return match(names, self.label_space)
        if strange := [name for name in self.map if name not in names]:
            some = ", ".join(names[:12])
            raise ValueError(f"map in the YAML file: {strange[0][:60]!r} is no class of the model ({some}, …)")
        target = SPACES[str(self.label_space)]
        by_name = match_to(names, target)
        to = {name: VOID if other is None else target.names.index(other) for name, other in self.map.items()}
        ids = tuple(to.get(name, at) for name, at in zip(names, by_name, strict=True))
        other = tuple(name for name, at in zip(names, ids, strict=True) if at == VOID)
        return Matching(target.key, ids, other, f"{len(self.map)} of its classes are read as the YAML file says")

    def applied(self, wants: "Input") -> "Input":
        """Return what a network wants with what is said put in its place."""
        said = {"mean": self.mean, "std": self.std, "scale": self.scale, "bgr": self.bgr}
        return replace(wants, **{key: value for key, value in said.items() if value is not None})  # type: ignore[arg-type]


def told_beside(path: Path) -> Told:
    """Return what a file says; nothing where there is none.

    Raises:
        ValueError: where the file cannot be used; one sentence that names the field.
    """
    if not path.is_file():
        return Told()
    with open(path, "rb") as file:
        values = read_yaml(file.read(MAX_BYTES + 1), path.name)
    if not isinstance(values, dict) or any(key not in FIELDS for key in values):
        raise ValueError(f"{path.name}: expected a mapping with fields out of {', '.join(FIELDS)}")

    def wrong(field: str, expected: str) -> ValueError:
        return ValueError(f"{path.name}, {field}: expected {expected}, got {str(values[field])[:60]!r}")

    label_space, classes = values.get("label_space"), values.get("classes", [])
    if label_space is not None and label_space not in SPACES:
        raise wrong("label_space", f"one of {', '.join(SPACES)}")
    fits = isinstance(classes, list) and len(classes) < VOID
    if not fits or not all(isinstance(name, str) and 0 < len(name) <= 80 and name.isprintable() for name in classes):
        raise wrong("classes", "a list of at most 254 short names")
    maps = values.get("map", {})
    if not isinstance(maps, dict) or len(maps) > VOID or not all(isinstance(name, str) for name in maps):
        raise wrong("map", "the model's classes by name, each with a class of label_space")
    if maps and label_space is None:
        raise ValueError(f"{path.name}, map: expected label_space beside it, of whose classes it speaks")
    for name, other in maps.items():
        known = SPACES[str(label_space)].names
        if other is not None and other not in known:
            names = ", ".join(known[:24])
            raise ValueError(
                f"{path.name}, map, {name[:60]!r}: expected a class out of {names}, got {str(other)[:60]!r}"
            )
    triples = {}
    for triple in ("mean", "std"):
        value = values.get(triple)
        if value is not None:
            if not (isinstance(value, list) and len(value) == 3 and all(isinstance(one, int | float) for one in value)):
                raise wrong(triple, "three numbers")
            if triple == "std" and min(value) <= 0:
                raise wrong(triple, "three numbers above 0")
            triples[triple] = tuple(map(float, value))
    scale, colour, output = values.get("scale"), values.get("colour"), values.get("output", "")
    if scale not in (None, 1, 255):
        raise wrong("scale", "1 or 255")
    if colour not in (None, "rgb", "bgr"):
        raise wrong("colour", "rgb or bgr")
    if output not in ("", *OUTPUTS):
        raise wrong("output", f"one of {', '.join(OUTPUTS)}")
    return Told(
        label_space,
        tuple(classes),
        triples.get("mean"),
        triples.get("std"),
        None if scale is None else float(scale),
        None if colour is None else colour == "bgr",
        str(output),
        True,
        maps,
    )
