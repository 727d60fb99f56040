"""One sentence on a scene: weather, time of day, and the things that can be seen in it."""

import numpy as np

from seglab.data.scenes.canvas import BUILDING, FENCE, POLE, Image
from seglab.data.scenes.street import Stage

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def describe(stage: Stage, mask: Image, time_of_day: str, weather: str) -> str:
    """Name weather, time of day and what can be seen; a thing counts if its middle is in view."""
    canvas, camera = stage.canvas, stage.camera
    counts: dict[str, int] = {}
    for thing in stage.street.things:
        if not thing.noun:
            continue
        (u, v), depth = camera.street([thing.look])[0].astype(int), max(thing.look[2], 1.0)
        if not (0 <= u < canvas.width and 0 <= v < canvas.height) or not (mask == thing.label).any():
            continue
        if canvas.mask[v, u] == thing.label and abs(canvas.nearness[v, u] * depth - 1) < 0.3:
            counts[thing.noun] = counts.get(thing.noun, 0) + 1
    present = set(np.unique(mask).tolist())
    found = [
        f"{_NUMBERS[n] if n < len(_NUMBERS) else 'many'} {noun}{'' if n == 1 else 'es' if noun == 'bus' else 's'}"
        for noun in ("car", "van", "bus", "pedestrian", "cyclist", "traffic light", "sign", "tree")
        if (n := counts.get(noun, 0))
    ]
    found += [
        noun for noun, label in (("houses", BUILDING), ("a fence", FENCE), ("lamp posts", POLE)) if label in present
    ]
    sky = {"clear": "Clear", "overcast": "Overcast", "rain": "Rainy", "fog": "Foggy"}[weather]
    time = {"day": "day", "golden hour": "golden hour", "dusk": "dusk", "night": "night"}[time_of_day]
    listed = ", ".join(found[:-1]) + (" and " if len(found) > 1 else "") + found[-1] if found else "an empty road"
    return f"{sky} {time} on a procedural street with {listed}."
