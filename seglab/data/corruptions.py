"""The fifteen corruptions: what weather, lens, sensor and processing do to a photo, one at a time, in three severities, seeded.

Each has named parameters for every severity, fixed here, so that two measurements are of the same thing. Lengths are in pixels
of a photo whose shorter side has 360 and grow with the photo. The scene's geometry stays, but for OpticalDistortion, where the
mask is bent along.

Implementation: albumentations 2.0.8 (MIT; its successor is AGPL), imported when a corruption is applied.
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from seglab.labels import VOID

Image = NDArray[np.uint8]
Severity = Literal[1, 2, 3]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
REFERENCE_PX = 360
GREY = (124, 116, 104)  # what lies beyond the frame
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Corruption:
    """One way in which a photo gets worse."""

    key: str
    title: str  # as albumentations calls it
    group: Literal["blur", "tone", "noise", "geometry", "weather"]
    what: str
    levels: tuple[
        Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]
    ]  # parameters by severity, as albumentations names them
    lengths: tuple[str, ...] = ()  # of them: in pixels, to be scaled
    odd: bool = False  # lengths are kernels: odd, at least 3


def _levels(**by_severity: tuple[Any, Any, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]:
    """Turn ``name=(mild, medium, strong)`` into one mapping a severity."""
    one, two, three = ({name: values[i] for name, values in by_severity.items()} for i in range(3))
    return one, two, three


_ALL = (
    Corruption(
        "blur",
        "Blur",
        "blur",
        "every pixel is the mean of a square",
        _levels(blur_limit=(3, 5, 9)),
        ("blur_limit",),
        True,
    ),
    Corruption(
        "gaussian_blur", "GaussianBlur", "blur", "out of focus", _levels(sigma_limit=(1.0, 2.0, 3.5)), ("sigma_limit",)
    ),
    Corruption(
        "glass_blur",
        "GlassBlur",
        "blur",
        "seen through frosted glass",
        _levels(sigma=(0.5, 0.7, 0.9), max_delta=(1, 2, 4), iterations=(1, 1, 2)),
        ("max_delta",),
    ),
    Corruption(
        "motion_blur", "MotionBlur", "blur", "the camera moves", _levels(blur_limit=(5, 9, 15)), ("blur_limit",), True
    ),
    Corruption(
        "clahe",
        "CLAHE",
        "tone",
        "local contrast is raised",
        _levels(clip_limit=(2.0, 4.0, 8.0), tile_grid_size=((8, 8), (8, 8), (8, 8))),
    ),
    Corruption(
        "equalize",
        "Equalize",
        "tone",
        "the histogram is made flat; severity is how much of it is mixed in",
        _levels(mix=(0.4, 0.7, 1.0)),
    ),
    Corruption(
        "color_jitter",
        "ColorJitter",
        "tone",
        "exposure, contrast and saturation are off",
        _levels(
            brightness=(1.15, 1.3, 1.5), contrast=(0.85, 0.7, 0.5), saturation=(0.8, 0.5, 0.2), hue=(0.0, 0.02, 0.05)
        ),
    ),
    Corruption(
        "hue_saturation_value",
        "HueSaturationValue",
        "tone",
        "white balance is off",
        _levels(hue_shift_limit=(8, 16, 30), sat_shift_limit=(15, 30, 50), val_shift_limit=(-10, -20, -40)),
    ),
    Corruption("posterize", "Posterize", "tone", "few levels a channel", _levels(num_bits=(4, 3, 2))),
    Corruption(
        "iso_noise",
        "ISONoise",
        "noise",
        "a sensor at high gain",
        _levels(color_shift=(0.02, 0.05, 0.1), intensity=(0.2, 0.5, 0.9)),
    ),
    Corruption(
        "optical_distortion",
        "OpticalDistortion",
        "geometry",
        "another lens: straight lines bend, the mask with them",
        _levels(distort_limit=(0.1, 0.25, 0.5)),
    ),
    Corruption(
        "rain",
        "RandomRain",
        "weather",
        "streaks of rain, and less light",
        _levels(
            drop_length=(8, 14, 22), drop_width=(1, 1, 2), blur_value=(1, 3, 3), brightness_coefficient=(0.9, 0.8, 0.65)
        ),
        ("drop_length",),
    ),
    Corruption(
        "fog", "RandomFog", "weather", "fog", _levels(fog_coef_range=(0.25, 0.5, 0.8), alpha_coef=(0.08, 0.08, 0.08))
    ),
    Corruption(
        "snow",
        "RandomSnow",
        "weather",
        "snow on bright ground",
        _levels(snow_point_range=(0.1, 0.2, 0.3), brightness_coeff=(1.5, 1.8, 2.2)),
    ),
    Corruption(
        "sun_flare",
        "RandomSunFlare",
        "weather",
        "the sun shines into the lens",
        _levels(src_radius=(100, 200, 320), num_flare_circles_range=((4, 4), (7, 7), (10, 10))),
        ("src_radius",),
    ),
)
CORRUPTIONS: dict[str, Corruption] = {one.key: one for one in _ALL}


def corruption(key: str) -> Corruption:
    """Look up a corruption.

    Raises:
        ValueError: for an unknown key; the message lists the valid ones.
    """
    try:
        return CORRUPTIONS[key]
    except KeyError:
        raise ValueError(f"expected a corruption out of {', '.join(CORRUPTIONS)}, got {key!r}") from None


def parameters(key: str, severity: Severity, shorter_side_px: int = REFERENCE_PX) -> dict[str, Any]:
    """Return a corruption's parameters at a severity, lengths scaled to a photo's shorter side.

    Raises:
        ValueError: for an unknown corruption or severity.

    >>> parameters("blur", 1), parameters("blur", 1, 1080)
    ({'blur_limit': 3}, {'blur_limit': 9})
    """
    one = corruption(key)
    if severity not in SEVERITIES:
        raise ValueError(f"expected a severity out of {', '.join(map(str, SEVERITIES))}, got {severity!r}")
    found = dict(one.levels[severity - 1])
    for name in one.lengths:
        length = found[name] * shorter_side_px / REFERENCE_PX
        if one.odd:
            found[name] = max(3, 2 * round((length - 1) / 2) + 1)
        else:
            found[name] = length if isinstance(found[name], float) else max(1, round(length))
    return found


def corrupt(
    image: Image, key: str, severity: Severity, seed: int = 0, mask: Image | None = None
) -> tuple[Image, Image | None]:
    """Return a photo that has got worse, and its mask, bent along where the corruption bends the scene.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        key: of :data:`CORRUPTIONS`.
        severity: 1 mild, 2 medium, 3 strong.
        seed: of the drops, the noise, the direction: equal seeds give equal bytes.
        mask: ``(H, W)`` uint8 class ids; what comes from beyond the frame is 255.

    Raises:
        ValueError: for an unknown corruption or severity, or an image that is no uint8 RGB.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected an image (H, W, 3) of uint8, got {image.shape} {image.dtype}")
    found = parameters(key, severity, min(image.shape[:2]))
    mix = found.pop("mix", 1.0)
    with _LOCK:  # pipelines are shared, and hold the state of their draws
        transform = _transform(key, tuple(sorted(found.items())))
        transform.set_random_seed(seed)
        out = transform(image=image, mask=mask) if mask is not None else transform(image=image)
    worse = out["image"]
    if mix < 1:
        worse = np.rint(image * (1 - mix) + worse * mix)
    return worse.astype(np.uint8), cast(Image, out["mask"]).astype(np.uint8) if mask is not None else None


@lru_cache(maxsize=128)
def _transform(key: str, found: tuple[tuple[str, Any], ...]) -> Any:
    """Return albumentations' pipeline for given parameters, every range closed to one value."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for a newer version
    import albumentations

    options: dict[str, Any] = dict(found)
    for name in _RANGES & options.keys():
        options[name] = (options[name], options[name])
    if key == "optical_distortion":
        options |= {"border_mode": 0, "fill": GREY, "fill_mask": VOID}
    if key == "gaussian_blur":
        options["blur_limit"] = 0  # the kernel follows sigma
    if key == "rain":
        options["slant_range"] = (-10, 10)
    if key == "sun_flare":
        options |= {"flare_roi": (0, 0, 1, 0.5), "method": "physics_based"}
    return albumentations.Compose([getattr(albumentations, CORRUPTIONS[key].title)(**options, p=1.0)])


_RANGES = {
    "blur_limit",
    "sigma_limit",
    "clip_limit",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "hue_shift_limit",
    "sat_shift_limit",
    "val_shift_limit",
    "color_shift",
    "intensity",
    "distort_limit",
    "fog_coef_range",
    "snow_point_range",
}
