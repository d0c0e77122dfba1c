"""Whether a run is resumed with the settings that it began with. Shell: resolves paths."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from train.clips.settings import ClipTraining
from train.train_settings import SEVERAL, LossWeights, TrainSettings, several


def changed(before: Mapping[str, Any], settings: TrainSettings) -> list[str]:
    """The names of the settings that are others than `before`, as a checkpoint holds them; precision may change."""
    now = asdict(settings)
    del now["precision"]
    return [key for key, value in now.items() if _place(key, before.get(key)) != _place(key, value)]


def same_places(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether settings that name files or folders name those that a checkpoint's do."""
    return all(_place(key, before.get(key)) == _place(key, value) for key, value in now.items())


def _place(key: str, value: Any) -> Any:
    """A setting as it is compared: a file or folder by its resolved path."""
    if key == "data":
        return [Path(one).resolve() for one in several(value)]
    if key in SEVERAL:
        return several(value)
    if key == "losses":
        return {**asdict(LossWeights()), **(value or {})}  # earlier versions had fewer
    if key == "clips":
        clips = {**asdict(ClipTraining()), **(value or {})}  # likewise
        return {**clips, "weights": _place("weights", clips["weights"])}
    if key == "memory":
        return bool(value)  # it is known by its hash, wherever it lies
    return Path(value).resolve() if key == "weights" and value else value
