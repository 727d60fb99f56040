"""Small data sets, recipes and models, all made here from a seed, in the real layouts."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglab.labels import SPACES, space
from tests.hostile import exif

HEIGHT, WIDTH = 64, 96
CAMVID = SPACES["camvid-11"]
UNLABELLED = 11
TRAIN_RECORDINGS = ("0001TP", "0006R0", "0016E5")


def street(seed: int, height: int = HEIGHT, width: int = WIDTH) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a ``(H, W, 3)`` RGB picture of plain shapes and its CamVid mask, in which 11 is unlabelled."""
    rng = np.random.default_rng(seed)
    mask = np.full((height, width), CAMVID.names.index("sky"), np.uint8)
    horizon = int(height * rng.uniform(0.35, 0.5))
    mask[horizon:] = CAMVID.names.index("road")
    left = int(width * rng.uniform(0.2, 0.4))
    mask[height // 8 : horizon + 4, :left] = CAMVID.names.index("building")
    mask[horizon - 6 : horizon + 2, width - left :] = CAMVID.names.index("tree")
    x = int(rng.integers(left, width - 28))
    mask[horizon + 4 : horizon + 16, x : x + 24] = CAMVID.names.index("car")
    colours = np.array(CAMVID.colours, np.float32)[np.minimum(mask, 10)]
    image = np.clip(colours + rng.normal(0, 8, colours.shape), 0, 255).astype(np.uint8)
    mask[-3:] = UNLABELLED
    return image, mask


def write_camvid(root: Path, train: int = 6, val: int = 3, upside_down: tuple[int, ...] = ()) -> Path:
    """Write a CamVid of the SegNet tutorial's layout; the stems of train name three recordings.

    Frames ``upside_down`` of both splits have a tag in EXIF that says so; their pixels are as ever.
    """
    for split, count, first in (("train", train, 0), ("val", val, 100)):
        images, masks = root / split, root / f"{split}annot"
        images.mkdir(parents=True)
        masks.mkdir()
        for i in range(count):
            recording = TRAIN_RECORDINGS[i * 3 // count] if split == "train" else "0016E5"
            stem = f"{recording}_{first + i:05d}"
            image, mask = street(first + i)
            cv2.imwrite(str(images / f"{stem}.png"), image[..., ::-1])
            if i in upside_down:
                Image.fromarray(image).save(images / f"{stem}.png", exif=exif(3))
            cv2.imwrite(str(masks / f"{stem}.png"), mask)
    return root


def city_ids(seed: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Return a ``(H, W)`` map in which all 34 raw Cityscapes ids occur, as bands."""
    bands = np.arange(height * width).reshape(height, width) * 34 // (height * width)
    return np.roll(bands, seed * 7, axis=0).astype(np.uint8)


def write_cityscapes(root: Path) -> Path:
    """Write a Cityscapes of the real layout: aachen has raw ids, bochum train ids only."""
    to_train = np.full(256, 255, np.uint8)
    for raw, train_id in space("cityscapes-19").raw_ids.items():
        to_train[raw] = train_id
    for split, cities in (("train", ("aachen", "bochum")), ("val", ("lindau",))):
        for number, city in enumerate(cities):
            images, masks = root / "leftImg8bit" / split / city, root / "gtFine" / split / city
            images.mkdir(parents=True)
            masks.mkdir(parents=True)
            for i in range(2):
                stem = f"{city}_{i:06d}_000019"
                raw = city_ids(2 * number + i)
                cv2.imwrite(str(images / f"{stem}_leftImg8bit.png"), street(i)[0][..., ::-1])
                if city != "bochum":
                    cv2.imwrite(str(masks / f"{stem}_gtFine_labelIds.png"), raw)
                if city != "aachen":
                    cv2.imwrite(str(masks / f"{stem}_gtFine_labelTrainIds.png"), to_train[raw])
    return root


def recipe_values(**changes: Any) -> dict[str, Any]:
    """Return the fields of a recipe that trains a small DeepLabV3+ for two epochs in seconds."""
    values: dict[str, Any] = {
        "experiment": "tiny",
        "variant": "deeplabv3plus",
        "title": "Tiny DeepLabV3+",
        "seed": 42,
        "model": {"key": "deeplabv3plus", "options": {"decoder_channels": 16, "decoder_atrous_rates": [1, 2, 3]}},
        "data": {"crop_px": [32, 64], "rare_classes": [8], "workers": 0},
        "epochs": 2,
        "eval_every": 1,
        "batch_size": 2,
        "precision": "fp32",
        "threads": 1,
    }
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(values.get(name), dict)
        values[name] = values[name] | value if both else value
    return values


def recipe(**changes: Any) -> Any:
    """Return :func:`recipe_values` as a recipe."""
    from trainers.training.recipe import build_recipe

    return build_recipe(recipe_values(**changes))
