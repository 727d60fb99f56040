"""Whether a stored record may be continued: the same recipe, data and starting points."""

from typing import Any

from trainers.training.errors import TrainingError
from trainers.training.recipe import Recipe


def check_same(old: dict[str, Any], ours: dict[str, Any], name: str) -> None:
    """Refuse to go on with a record of another recipe or other data.

    Args:
        old: the stored record.
        ours: the record that this recipe would start.
        name: of the run, for the message.

    Raises:
        TrainingError: it names what differs and says what to do.
    """
    if not isinstance(old.get("recipe"), dict):
        raise TrainingError(f"{name} was not trained here; choose another variant or seed")
    differing = _differing(old, ours)
    if differing:
        raise TrainingError(
            f"{name} was started with another recipe (differs in {', '.join(differing)}); "
            "choose another variant or seed, or delete that folder"
        )


def check_origins(old: dict[str, Any], ours: dict[str, Any], name: str) -> None:
    """Refuse to go on where the run that lends encoder or teacher has changed; see :func:`check_same`."""
    for origin in ("warm_start", "teacher"):
        if old.get(origin, ours[origin]) != ours[origin]:
            raise TrainingError(
                f"{name} was started with another {origin.replace('_', ' ')}; bring that run back, or "
                "choose another variant or seed"
            )


def _differing(old: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Return what differs; a key that an older version did not write has its default, one that we do not know differs."""
    defaults = _plain(Recipe(experiment="", variant="", title="").as_dict())
    recipe = _plain(ours["recipe"])
    differing = [key for key in old["recipe"] if key not in recipe]
    for key, value in recipe.items():
        stored = old["recipe"].get(key, defaults[key])
        if isinstance(stored, dict) and isinstance(defaults[key], dict):
            stored = defaults[key] | stored
        differing += [key] if stored != value else []
    splits = [{k: (r.get("data") or {}).get(k) for k in ("name", "train", "val")} for r in (old, _plain(ours))]
    for part in ("train", "val"):
        if isinstance(splits[0][part], dict):
            splits[0][part] = {"size_px": splits[1][part]["size_px"]} | splits[0][part]
    return differing or ([] if splits[0] == splits[1] else ["the data"])


def _plain(value: Any) -> Any:
    """Return a value as JSON would give it back, so that tuples equal lists."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
