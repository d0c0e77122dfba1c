"""What a model is: labels, input, motion, normalisation, precision, where it comes from. Pure.

It travels as JSON in the ONNX file's metadata and beside an engine, so that a model explains itself.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from edge.motion import MotionSettings
from edge.text import is_visible_line

VERSION = 1
METADATA_KEY = "korsal_edge"  # of the ONNX file's metadata
CENTERNET_MEAN = (0.40789654, 0.44719302, 0.47026115)  # BGR, of 0..1
CENTERNET_STD = (0.28863828, 0.27408164, 0.27809835)
INPUT_MULTIPLE = 32
LITE = "lite"  # the network of files that name none
SMALLEST_STD = 1e-6
LONGEST_NAME = 256  # characters; of the model or of an action
MOST_LABELS = 4096
LARGEST_COLOUR = 1e6  # of a mean or std; nan and infinity are not below it


class ManifestError(ValueError):
    """A manifest that is missing, of another version, or wrong."""


@dataclass(frozen=True)
class Manifest:
    """One model. `mean` and `std` are B, G, R of frames from 0 to 1; sizes are pixels of the network's input."""

    name: str
    labels: tuple[str, ...]
    height: int
    width: int
    motion: MotionSettings = field(default_factory=MotionSettings)
    mean: tuple[float, float, float] = CENTERNET_MEAN
    std: tuple[float, float, float] = CENTERNET_STD
    stride: int = 4
    top_k: int = 100
    precision: str = "fp32"
    licence: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)  # data, split, scores; for people to read
    architecture: str = LITE  # of the network, as korsal-train --arch names it
    start_scores: Mapping[str, float] = field(default_factory=dict)  # of events, 0..1, of the labels that have one

    @property
    def channels(self) -> int:
        """Of the network's input: three of the frame, three of the motion map where there is one."""
        return 3 if self.motion.kind == "none" else 6

    @property
    def input_size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.width, self.height


def to_json(manifest: Manifest) -> str:
    """The manifest as JSON text; `from_json` is its inverse."""
    return json.dumps({"version": VERSION, **asdict(manifest)}, ensure_ascii=False, sort_keys=True)


def from_json(text: str) -> Manifest:
    """Read what `to_json` wrote. Raises ManifestError with every fault of it in one sentence."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"the manifest is not JSON ({error}); export the model again") from error
    if not isinstance(content, dict):
        raise ManifestError("the manifest is not a JSON object; export the model again")
    if not _is_whole(version := content.pop("version", None)) or version != VERSION:
        raise ManifestError(f"the manifest is not of version {VERSION}; export the model again with this korsal-edge")
    content = {"architecture": LITE, "start_scores": {}, **content}  # what older files leave out
    faults = _faults(content)
    if faults:
        raise ManifestError(f"the manifest is wrong: {'; '.join(faults)}; export the model again")
    content["motion"] = MotionSettings(**content["motion"])
    for name in ("labels", "mean", "std"):
        content[name] = tuple(content[name])
    return Manifest(**content)


def _faults(content: Mapping[str, Any]) -> list[str]:
    names = {f.name for f in fields(Manifest)}
    if fault := _unwritable(content):
        return [fault]
    faults = [f"{name} is missing" for name in sorted(names - content.keys())]
    faults += [f"{name} is unknown" for name in sorted(map(str, content.keys() - names))]
    faults = faults or [f"{name} {fault}" for name, check in _CHECKS.items() if (fault := check(content[name]))]
    unknown = () if faults else content["start_scores"].keys() - set(content["labels"])
    return faults or [f"start_scores has {name}, which is no label" for name in sorted(unknown)]


def _is_whole(value: Any) -> bool:
    return type(value) is int  # bool is an int too


def _unwritable(content: Any) -> str:
    """Why it cannot be written as it was read: JSON can say half of a surrogate pair, which UTF-8 cannot."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "it holds half a character"
    except RecursionError:
        return "it is nested too deeply"
    return ""


def _text(value: Any) -> str:
    return "" if isinstance(value, str) else "is no text"


def _name(value: Any) -> str:
    """It stands in the log, in payloads and on pictures."""
    if not isinstance(value, str):
        return "is no text"
    good = is_visible_line(value) and len(value) <= LONGEST_NAME
    return "" if good else f"is no line of up to {LONGEST_NAME} visible characters"


def labels_fault(value: Any) -> str:
    """What is wrong with the names of actions, as the end of a sentence about them; "" where nothing is."""
    good = isinstance(value, list) and value and all(isinstance(v, str) and v for v in value)
    if not good or len(set(value)) != len(value):
        return "is no list of distinct names"
    if len(value) > MOST_LABELS:
        return f"has {len(value)} names, and {MOST_LABELS} are the most"
    return next((f"holds {label[:40]!r}, which {fault}" for label in value if (fault := _name(label))), "")


def _positive(value: Any) -> str:
    return "" if _is_whole(value) and 0 < value <= 4096 else "is no whole number from 1 to 4096"


def _side(value: Any) -> str:
    return _positive(value) or ("" if value % INPUT_MULTIPLE == 0 else f"is no multiple of {INPUT_MULTIPLE}")


def _colour(value: Any) -> str:
    good = isinstance(value, list) and len(value) == 3
    numbers = good and all(type(v) in (int, float) and abs(v) <= LARGEST_COLOUR for v in value)
    return "" if numbers else "is no list of three numbers"


def _spread(value: Any) -> str:
    return _colour(value) or ("" if min(value) >= SMALLEST_STD else f"is below {SMALLEST_STD:g}")


def _motion(value: Any) -> str:
    if not isinstance(value, dict) or value.keys() != {f.name for f in fields(MotionSettings)}:
        return "does not hold kind, shifts and gap"
    if not isinstance(value["shifts"], bool):
        return "shifts is neither true nor false"
    if fault := _positive(value["gap"]):
        return f"gap {fault}"
    try:
        MotionSettings(**value)
    except ValueError as error:
        return f"is wrong: {error}"
    return ""


def _object(value: Any) -> str:
    return "" if isinstance(value, dict) else "is no object"


def _scores(value: Any) -> str:
    """That they are of labels is for `_faults`, which sees both."""
    if not isinstance(value, dict):
        return "is no object"
    good = all(type(score) in (int, float) and 0 <= score <= 1 for score in value.values())
    return "" if good else "holds a score that is no number from 0 to 1"


_CHECKS = {
    "name": _name,
    "labels": labels_fault,
    "height": _side,
    "width": _side,
    "motion": _motion,
    "mean": _colour,
    "std": _spread,
    "stride": _positive,
    "top_k": _positive,
    "precision": _text,
    "licence": _text,
    "training": _object,
    "architecture": _text,
    "start_scores": _scores,
}
