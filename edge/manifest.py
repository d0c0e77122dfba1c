"""What a model is: its labels, input, motion map, normalisation, precision and provenance. Pure.

A manifest travels as JSON in the ONNX file's metadata and beside an engine, so that a model explains itself.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core import from_json as parse_json

from edge import clip as clips
from edge import memory_network
from edge.clip import CLIP, CLIP_MAP, NEWEST_MAP, ClipInput
from edge.memory_network import MemoryNetwork
from edge.motion_gap import REFERENCE_RATE, MotionGap
from edge.motion_map import MotionSettings
from edge.text import is_visible_line, sanitized, shortened

VERSION = 1
METADATA_KEY = "korsal_edge"  # of the ONNX file's metadata
INPUT = "image"  # the network's input by name
OUTPUTS = ("boxes", "scores", "labels", "class_scores")  # and its outputs
FRAME, PREVIOUS = "frame", "previous"  # the inputs of a model that prepares frames itself
FITTED, MOTION, SHIFT = "fitted", "motion", "shift"  # and what it gives out beside OUTPUTS
CENTERNET_MEAN = (0.40789654, 0.44719302, 0.47026115)  # BGR, of 0..1
CENTERNET_STD = (0.28863828, 0.27408164, 0.27809835)
INPUT_MULTIPLE = 32
LITE = "lite"  # the network of files that name none
OPTIONAL = frozenset(
    {"architecture", "clip", "memory", "nms_iou", "preprocessing", "rate", "start_scores"}
)  # older files lack them
ADDED = frozenset({"clip", "memory", "nms_iou"})  # written only where they say something
WEIGHTS_KEY = "weights"  # of `training`: a hash of the FP32 weights, the same in every precision made of them
SMALLEST_STD = 1e-6
LARGEST_COLOUR = 1e6  # of a mean or std
LONGEST_NAME = 256  # characters; of the model or of an action
MOST_LABELS = 4096
MOST_PROBLEMS = 20  # in one message
NOT_A_NAME = f"is not a line of up to {LONGEST_NAME} visible characters"


class ManifestError(ValueError):
    """A manifest that is missing, of another version, or wrong."""


def labels_problem(labels: Sequence[str]) -> str:
    """What is wrong with a list of actions, as the end of a sentence; "" where nothing is."""
    if not labels or not all(labels) or len(set(labels)) != len(labels):
        return "is not a list of distinct names"
    if len(labels) > MOST_LABELS:
        return f"has {len(labels)} names, and {MOST_LABELS} are the most"
    wrong = next((label for label in labels if not is_name(label)), None)
    return "" if wrong is None else f"holds {wrong[:40]!r}, which {NOT_A_NAME}"


def is_name(text: str) -> bool:
    """A name stands in the log, in payloads and on pictures."""
    return is_visible_line(text) and len(text) <= LONGEST_NAME


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(NOT_A_NAME)
    return text


def _labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    if problem := labels_problem(labels):
        raise ValueError(problem)
    return labels


Size = Annotated[int, Field(ge=1, le=4096)]
InputSide = Annotated[Size, Field(multiple_of=INPUT_MULTIPLE)]
Mean = Annotated[float, Field(ge=-LARGEST_COLOUR, le=LARGEST_COLOUR, allow_inf_nan=False)]
Std = Annotated[float, Field(ge=SMALLEST_STD, le=LARGEST_COLOUR, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0.1, le=1000, allow_inf_nan=False)]
StartScore = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Overlap = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Preprocessing = Literal["outside", "graph"]
PreprocessingChoice = Literal["auto", "graph", "cuda", "cpu"]  # of a user: by what frames are fitted and compared


@dataclass(frozen=True)
class Manifest:
    """One model. `mean` and `std` are B, G, R of frames from 0 to 1; sizes are pixels of the network's input.

    `rate`: frames per second of the videos that it was trained on, so `motion.gap / rate` seconds lie between the two
    frames of a motion map.

    The limits in the types hold for what `from_json` reads.
    """

    name: Annotated[str, AfterValidator(_name)]
    labels: Annotated[tuple[str, ...], AfterValidator(_labels)]
    height: InputSide
    width: InputSide
    motion: MotionSettings = field(default_factory=MotionSettings)
    mean: tuple[Mean, Mean, Mean] = CENTERNET_MEAN
    std: tuple[Std, Std, Std] = CENTERNET_STD
    stride: Size = 4
    top_k: Size = 100
    precision: str = "fp32"
    licence: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)  # data, split, scores; for people to read
    architecture: str = LITE  # of the network, as korsal-train --arch names it
    start_scores: Mapping[str, StartScore] = field(default_factory=dict)  # of events, for the labels that have one
    rate: Rate = REFERENCE_RATE
    preprocessing: Preprocessing = "outside"  # "graph": the file takes frames, and fits and compares them itself
    clip: ClipInput | None = None  # the clip that it sees beside the frame
    nms_iou: Overlap = 1.0  # boxes of one action that overlap a better one more are dropped; 1: none
    memory: MemoryNetwork | None = None  # the network beside it whose maps it reads too

    @property
    def channels(self) -> int:
        """Of the network's input: three of the frame, three of the motion map where there is one."""
        return 3 if self.motion.kind == "none" else 6

    @property
    def gap(self) -> MotionGap:
        """From one to the other frame of the motion map, as the network was trained."""
        return MotionGap(self.motion.gap / self.rate, self.rate)

    @property
    def input_size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.width, self.height


def quantisation(manifest: Manifest) -> Mapping[str, Any]:
    """How an INT8 file was made: `target`, `method`, `keep`, and `rest` where what is not quantised is FP16."""
    noted = manifest.training.get("quantisation")
    return noted if isinstance(noted, dict) else {}


def input_shape(manifest: Manifest, batch: int) -> tuple[int, ...]:
    """The shape of INPUT: (B, C, h, w)."""
    return batch, manifest.channels, manifest.height, manifest.width


def input_shapes(manifest: Manifest, batch: int, frame_size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """The shape of each input of the model for a batch of frames of that size (width, height).

    A model with its preprocessing inside takes FRAME, uint8 BGR, and unless it has no motion map PREVIOUS, float32:
    the FITTED frames that it gave out some frames before. A model with a memory takes MEMORY_INPUTS too, one that sees
    clips CLIP_MAP.
    """
    of_memory = {**memory_shapes(manifest, batch), **_clip_map(manifest, CLIP_MAP, batch)}
    if manifest.preprocessing == "outside":
        return {INPUT: input_shape(manifest, batch), **of_memory}
    shapes: dict[str, tuple[int, ...]] = {FRAME: (batch, frame_size[1], frame_size[0], 3)}
    if manifest.motion.kind != "none":
        shapes[PREVIOUS] = (batch, 3, manifest.height, manifest.width)
    return {**shapes, **of_memory}


def memory_shapes(manifest: Manifest, batch: int) -> dict[str, tuple[int, ...]]:
    """The shape of each of MEMORY_INPUTS; none for a model without a memory."""
    return {} if manifest.memory is None else memory_network.detector_shapes(manifest.memory, batch)


def clip_shapes(manifest: Manifest, batch: int) -> dict[str, tuple[int, ...]]:
    """The shape of CLIP, which the other network of a model takes that sees clips; none for other models."""
    clip = manifest.clip
    return {} if clip is None else {CLIP: clips.clip_shape(clip, batch, manifest.height, manifest.width)}


def newest_map_shapes(manifest: Manifest, batch: int) -> dict[str, tuple[int, ...]]:
    """The shape of NEWEST_MAP, which that network gives out; none for other models."""
    return _clip_map(manifest, NEWEST_MAP, batch)


def _clip_map(manifest: Manifest, name: str, batch: int) -> dict[str, tuple[int, ...]]:
    clip = manifest.clip
    return {} if clip is None else {name: clips.map_shape(clip, batch, manifest.height, manifest.width)}


def output_shapes(manifest: Manifest, batch: int) -> dict[str, tuple[int, ...]]:
    """The shape of each output for a batch of that size: of OUTPUTS, and of what a model that fits frames adds."""
    peaks = manifest.top_k
    shapes: dict[str, tuple[int, ...]] = {
        "boxes": (batch, peaks, 4),
        "scores": (batch, peaks),
        "labels": (batch, peaks),
        "class_scores": (batch, peaks, len(manifest.labels)),
    }
    if manifest.preprocessing == "graph":
        image = (batch, 3, manifest.height, manifest.width)
        shapes |= {FITTED: image}
        shapes |= {MOTION: image, SHIFT: (batch,)} if manifest.motion.kind != "none" else {}
    return shapes


def to_json(manifest: Manifest) -> str:
    """The manifest as JSON text; `from_json` is its inverse.

    Models without them say nothing of ADDED keys, so that versions of this package read them which know none.
    """
    usual = {one.name: one.default for one in fields(Manifest) if one.name in ADDED}
    content = {name: value for name, value in asdict(manifest).items() if name not in usual or value != usual[name]}
    return json.dumps({"version": VERSION, **content}, ensure_ascii=False, sort_keys=True)


def from_json(text: str) -> Manifest:
    """Read what `to_json` wrote. Raises ManifestError, which lists everything that is wrong in one sentence."""
    try:
        content = parse_json(text)
    except ValueError as error:
        raise ManifestError(f"the manifest is not JSON ({error}); export the model again") from error
    if not isinstance(content, dict):
        raise ManifestError("the manifest is not a JSON object; export the model again")
    version = content.pop("version", None)
    if type(version) is not int or version != VERSION:  # True == 1
        raise ManifestError(f"the manifest is not of version {VERSION}; export the model again with this korsal-edge")
    if problems := [*_key_problems(content)]:
        raise _refusal(problems)
    try:
        manifest = _adapter().validate_json(text, strict=True)
    except ValidationError as error:
        raise _refusal(sentences(error)) from error
    if unknown := sorted(manifest.start_scores.keys() - set(manifest.labels)):
        raise _refusal([f"start_scores has {name}, which is no label" for name in unknown])
    if problem := _clip_problem(manifest):
        raise _refusal([problem])
    return manifest


def _clip_problem(manifest: Manifest) -> str:
    """What is wrong with a clip, as a sentence; "" where nothing is."""
    if (clip := manifest.clip) is None:
        return ""
    if (manifest.motion.kind, manifest.memory, manifest.preprocessing) != ("none", None, "outside"):
        return "clip is beside a motion map, a memory or preprocessing inside, which no network of ours has together"
    problem = clips.room_problem(clip, manifest.height, manifest.width)
    return problem and f"for clip {problem}; train it with fewer --frames or a smaller --frame-step"


@cache
def _adapter() -> TypeAdapter[Manifest]:
    """Built when first needed: it takes milliseconds."""
    return TypeAdapter(Manifest)


def _key_problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Keys that are missing, those too that have a default, and unknown ones."""
    yield from _differences("", content, {f.name for f in fields(Manifest)} - (OPTIONAL - content.keys()))
    if isinstance(motion := content.get("motion"), dict):
        yield from _differences("motion.", motion, {f.name for f in fields(MotionSettings)})
    if isinstance(clip := content.get("clip"), dict):
        yield from _differences("clip.", clip, {f.name for f in fields(ClipInput)} - (clips.OF_FILES - clip.keys()))
    if isinstance(memory := content.get("memory"), dict):
        named = {f.name for f in fields(MemoryNetwork)} - (memory_network.OPTIONAL - memory.keys())
        yield from _differences("memory.", memory, named)


def _differences(path: str, content: Mapping[str, Any], expected: set[str]) -> Iterator[str]:
    yield from (f"{path}{name} is missing" for name in sorted(expected - content.keys()))
    yield from (f"{path}{name} is unknown" for name in sorted(content.keys() - expected))


def sentences(error: ValidationError) -> list[str]:
    """What pydantic found wrong, each about a key by its path: `motion.gap must be a valid integer`."""
    return [f"{'.'.join(map(str, one['loc']))} {_problem(one)}" for one in error.errors(include_url=False)]


def _problem(error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    said = error["msg"].replace("Input should", "must").replace("a valid tuple", "a list")
    return {"missing": "is missing", "unexpected_keyword_argument": "is unknown"}.get(error["type"], said)


def _refusal(problems: Sequence[str]) -> ManifestError:
    listed = sanitized(shortened("; ".join(problems[:MOST_PROBLEMS])))
    return ManifestError(f"the manifest is wrong: {listed}; export the model again")
