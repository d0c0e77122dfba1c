"""Whether a run is resumed with the settings that it began with. Shell: resolves paths."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from train.clips.settings import ClipTraining
from train.train_settings import SEVERAL, LossWeights, TrainSettings, several

Resolved = Callable[[str], object]  # what is compared of a path


def changed(before: Mapping[str, Any], settings: TrainSettings) -> list[str]:
    """The names of the settings that are others than `before`, as a checkpoint holds them; precision may change.

    Data and weights may have been moved since, to another machine too, or be named from another folder: their own names
    are compared.
    """
    now = asdict(settings)
    del now["precision"]
    return [key for key, value in now.items() if _compared(key, before.get(key), _name) != _compared(key, value, _name)]


def same_places(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether settings that name files or folders name those that a checkpoint's do."""
    return all(_compared(key, before.get(key), _place) == _compared(key, value, _place) for key, value in now.items())


def _place(path: str) -> object:
    return Path(path).resolve()


def _name(path: str) -> object:
    return Path(path).resolve().name


def _compared(key: str, value: Any, resolved: Resolved) -> Any:
    if key == "data":
        return [resolved(one) for one in several(value)]
    if key in SEVERAL:
        return several(value)
    if key == "losses":
        return {**asdict(LossWeights()), **(value or {})}  # earlier versions had fewer
    if key == "clips":
        clips = {**asdict(ClipTraining()), **(value or {})}  # likewise
        return {**clips, "weights": _compared("weights", clips["weights"], resolved)}
    if key == "memory":
        return bool(value)  # it is known by its hash, wherever it lies
    return resolved(value) if key == "weights" and value else value
