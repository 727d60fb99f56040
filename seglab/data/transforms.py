"""Augmentation on uint8 images, each stage by the name a recipe gives it; every draw comes from the given generator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from seglab.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from seglab.data.dataset import Sample
from seglab.labels import VOID

Image = NDArray[np.uint8]
Rng = np.random.Generator


@dataclass(frozen=True)
class CropOptions:
    """How a training crop is cut."""

    height: int  # px of the crop that the network sees
    width: int
    scale: tuple[float, float]  # enlargement of the frame, drawn log-uniformly
    rare_frac: float = 0.0  # share of crops centred on a pixel of a rare class
    rare_classes: Sequence[int] = ()


def scale_crop(image: Image, mask: Image, rng: Rng, options: CropOptions) -> Sample:
    """Cut a crop at a random scale and place; outside the frame is grey and ignored."""
    low, high = options.scale
    scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    stretch = float(np.exp(rng.uniform(-0.1, 0.1)))  # other cameras' aspect
    h, w = image.shape[:2]
    ch, cw = options.height / scale, options.width / (scale * stretch)
    cy, cx = _centre(mask, rng, options, ch, cw)
    top, left = _place(cy, ch, h, rng), _place(cx, cw, w, rng)
    matrix = np.array([[scale * stretch, 0, -left * scale * stretch], [0, scale, -top * scale]])
    size = (options.width, options.height)
    flags = cv2.INTER_AREA if scale < 0.7 else cv2.INTER_LINEAR
    if scale < 0.7:  # warpAffine knows no area filter: blur first, as much as the shrinking asks for
        image, flags = cv2.GaussianBlur(image, (0, 0), 0.35 / scale), cv2.INTER_LINEAR
    crop = cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=(124, 116, 104))
    labels = cv2.warpAffine(
        mask, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=VOID
    )
    return crop.astype(np.uint8), labels.astype(np.uint8)


def _centre(mask: Image, rng: Rng, options: CropOptions, ch: float, cw: float) -> tuple[float, float]:
    h, w = mask.shape
    if options.rare_classes and rng.random() < options.rare_frac:
        present = [c for c in options.rare_classes if (mask == c).any()]
        if present:
            ys, xs = np.nonzero(mask == rng.choice(present))
            k = int(rng.integers(len(ys)))
            return ys[k] + rng.uniform(-0.3, 0.3) * ch, xs[k] + rng.uniform(-0.3, 0.3) * cw
    return rng.uniform(0, h), rng.uniform(0, w)


def _place(centre: float, length: float, total: int, rng: Rng) -> float:
    """Return the crop's start: inside the frame where it fits, anywhere around it where it does not."""
    if length >= total:
        return rng.uniform(total - length, 0)
    return float(np.clip(centre - length / 2, 0, total - length))


def flip(image: Image, mask: Image, rng: Rng) -> Sample:
    """Mirror left and right, half of the time."""
    if rng.random() < 0.5:
        return np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    return image, mask


def photometric(image: Image, mask: Image, rng: Rng) -> Sample:
    """Change exposure, contrast, gamma, white balance and saturation, as other cameras would."""
    gain = np.exp(rng.uniform(-0.45, 0.45)) * np.exp(rng.uniform(-0.15, 0.15, 3))  # exposure x white balance
    gamma, contrast, bias = np.exp(rng.uniform(-0.35, 0.35)), rng.uniform(0.7, 1.35), rng.uniform(-18, 18)
    ramp = np.linspace(0, 1, 256)[:, None]
    table = 255 * np.clip(ramp * gain, 0, 1) ** gamma
    table = np.clip((table - 118) * contrast + 118 + bias, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table.reshape(1, 256, 3)).astype(np.uint8)
    saturation = rng.uniform(0.3, 1.5) if rng.random() < 0.9 else 0.0  # one in ten is grey
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, saturation, grey, 1 - saturation, 0).astype(np.uint8), mask


def blur(image: Image, mask: Image, rng: Rng) -> Sample:
    """Blur (defocus or motion), one time in five."""
    if rng.random() < 0.2:
        sigma = rng.uniform(0.4, 1.6)
        image = cv2.GaussianBlur(image, (0, 0), sigma, sigmaY=sigma if rng.random() < 0.5 else 0.3).astype(np.uint8)
    return image, mask


def noise(image: Image, mask: Image, rng: Rng) -> Sample:
    """Add sensor noise, one time in five."""
    if rng.random() < 0.2:
        grain = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(2, 14))
        image = np.clip(image + grain, 0, 255).astype(np.uint8)
    return image, mask


def jpeg(image: Image, mask: Image, rng: Rng) -> Sample:
    """Compress hard, one time in five."""
    if rng.random() < 0.2:
        ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])
        assert ok
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)  # channel order in = channel order out
        assert decoded is not None
        image = decoded.astype(np.uint8)
    return image, mask


def corruption(image: Image, mask: Image, rng: Rng) -> Sample:
    """Apply one of the fifteen corruptions to every image, drawn evenly, at one of three severities."""
    key, severity = str(rng.choice(list(CORRUPTIONS))), SEVERITIES[int(rng.integers(len(SEVERITIES)))]
    worse, bent = corrupt(image, key, severity, int(rng.integers(2**31)), mask)
    assert bent is not None
    return worse, bent


STAGES: dict[str, Callable[[Image, Image, Rng], Sample]] = {
    "flip": flip,
    "photometric": photometric,
    "blur": blur,
    "noise": noise,
    "jpeg": jpeg,
    "corruption": corruption,
}


def augment(image: Image, mask: Image, rng: Rng, stages: Sequence[str], crop: CropOptions | None) -> Sample:
    """Apply the crop (if any), then the named stages in order.

    Raises:
        ValueError: for an unknown stage; the message lists the valid ones.
    """
    if crop is not None:
        image, mask = scale_crop(image, mask, rng, crop)
    for stage in stages:
        if stage not in STAGES:
            raise ValueError(f"expected augmentation stages out of {', '.join(STAGES)}, got {stage!r}")
        image, mask = STAGES[stage](image, mask, rng)
    return image, mask
