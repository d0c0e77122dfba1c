"""Checkpoints of CenterNet and KORSAL → ours: the same numbers under our names. Shell over torch.

Read are tensors, nothing is executed; optimizer state is left out. A file must hold all parameters of the network that
it is taken for, in their shapes, and no others but for those that CenterNet itself never reads.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from convert import centernet_names, label_sets
from edge.files import sha256_of
from edge.manifest import INPUT_MULTIPLE, Manifest, labels_problem
from edge.motion_map import MotionKind, MotionSettings
from edge.text import TextError, decode_utf8, to_nfc
from train import checkpoint as checkpoints
from train.checkpoint import Checkpoint, CheckpointError
from train.networks import architectures
from train.safe_reading import torch_file
from train.safe_reading.torch_file import TorchFileError

COUNTER = "num_batches_tracked"  # of batch norms; files of PyTorch before 0.4.1 lack it, and nothing needs it
SIDES_BY_LABELS = {"coco": 512}  # pixels of the input, as these were trained; all others:
DEFAULT_SIDE = 256
MAX_LISTED = 20  # names of parameters in a message
MAX_SIDE = 4096


@dataclass(frozen=True)
class CheckpointOptions:
    """What a checkpoint does not hold itself; None or "" for the default.

    `labels` is a known set's name or a file with one name a line; `size` is (height, width), pixels.
    """

    labels: str | None = None
    architecture: str | None = None
    size: tuple[int, int] | None = None
    motion: MotionKind | None = None
    gap: int = 1
    name: str = ""
    licence: str = ""


def convert(source: Path, output: Path, options: CheckpointOptions) -> Manifest:
    """Write the CenterNet checkpoint `source` as ours to `output`; raises CheckpointError."""
    if output.suffix != ".pt":
        raise CheckpointError(f"{output}: give -o a name that ends with .pt")
    if output.exists() and source.exists() and output.samefile(source):
        raise CheckpointError(f"{output}: is the file to convert itself; give -o another name")
    given, epoch = _read(source)
    architecture = _architecture(given, options, source)
    weights = _fitted(given, architecture, source)
    manifest = _manifest(weights, architecture, options, source, epoch)
    checkpoints.save(Checkpoint(manifest, weights, {}), output)
    return manifest


def size(text: str) -> tuple[int, int]:
    """`256` or `192x256`, height first, as (height, width). Raises ValueError."""
    sides = [int(side) for side in text.lower().split("x")]
    if len(sides) not in (1, 2) or any(not 0 < side <= MAX_SIDE or side % INPUT_MULTIPLE for side in sides):
        raise ValueError(f"{text} is not HEIGHTxWIDTH in multiples of {INPUT_MULTIPLE}, or one number for both")
    return sides[0], sides[-1]


def _read(path: Path) -> tuple[dict[str, Tensor], int | None]:
    """The parameters in a file, without `module.` before their names, and the epoch if it is noted."""
    try:
        content = torch_file.load(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file; give a .pth of CenterNet or KORSAL") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); give a .pth file") from error
    except TorchFileError as error:
        remedy = "give a .pth of CenterNet or KORSAL"
        if error.more:
            remedy = "what else it holds would have to be executed: save its state_dict alone, where you trust it"
        raise CheckpointError(f"{path}: not a checkpoint of tensors alone ({error}); {remedy}") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: holds no state_dict of tensors; give a .pth of CenterNet or KORSAL")
    epoch = content.get("epoch")
    return {str(name).removeprefix("module."): value for name, value in state.items()}, (
        epoch if isinstance(epoch, int) else None
    )


def _architecture(given: Mapping[str, Tensor], options: CheckpointOptions, path: Path) -> str:
    known = options.architecture or centernet_names.recognised(given)
    if known is None:
        raise CheckpointError(
            f"{path}: is none of {', '.join(centernet_names.FIRST)} by the names of its {len(given)} parameters "
            f"({_listed(given, 3)}); other networks of CenterNet are not known here"
        )
    return known


def _fitted(given: Mapping[str, Tensor], architecture: str, path: Path) -> dict[str, Tensor]:
    """The weights under our names, float32. CheckpointError lists all that does not fit."""
    classes = _length(given, "hm.2.weight", 0)
    channels = _length(given, f"{centernet_names.FIRST[architecture]}.weight", 1)
    width = _length(given, "hm.0.weight", 0)
    own = architectures.network(architecture, classes or 1, channels or 3, head_width=width or None).state_dict()
    names = centernet_names.theirs(architecture, own)
    wanted = set(names.values())
    missing = [name for name in names.values() if name not in given and not name.endswith(COUNTER)]
    surplus = [name for name in given if name not in wanted and not name.startswith(centernet_names.UNUSED)]
    present = {ours: given[name] for ours, name in names.items() if name in given}
    odd = [
        f"{names[ours]} {tuple(value.shape)} instead of {tuple(own[ours].shape)}"
        for ours, value in present.items()
        if value.shape != own[ours].shape
    ]
    broken = [names[ours] for ours, value in present.items() if not value.isfinite().all()]
    kinds = {"missing": missing, "surplus": surplus, "of another shape": odd, "not finite": broken}
    faults = [f"{kind}: {_listed(found, MAX_LISTED)}" for kind, found in kinds.items() if found]
    if faults:
        raise CheckpointError(
            f"{path}: does not fit {architecture}; {'; '.join(faults)}; "
            f"give a checkpoint of {', '.join(centernet_names.FIRST)} with the heads hm, wh and reg, or another --arch"
        )
    return {**own, **{ours: value.to(own[ours].dtype) for ours, value in present.items()}}


def _length(given: Mapping[str, Tensor], name: str, axis: int) -> int:
    """Of one axis of a parameter; 0 where it is absent or flat."""
    return given[name].shape[axis] if name in given and given[name].ndim > axis else 0


def _manifest(
    weights: Mapping[str, Tensor], architecture: str, options: CheckpointOptions, source: Path, epoch: int | None
) -> Manifest:
    classes = len(weights["heatmap.2.bias"])
    channels = weights["backbone.stem.0.weight"].shape[1]
    known = options.labels or label_sets.of_size(classes)
    if known is None:
        raise CheckpointError(f"{source}: has {classes} classes, as no known set has; name them with --labels FILE")
    side = SIDES_BY_LABELS.get(known, DEFAULT_SIDE)
    height, width = options.size or (side, side)
    training: dict[str, Any] = {"converted_from": source.name, "sha256": sha256_of(source), "labels": known}
    return Manifest(
        name=options.name or source.stem,
        labels=_labels(known, classes, source),
        height=height,
        width=width,
        motion=_motion(channels, options, source),
        licence=options.licence,
        training=training if epoch is None else {**training, "epoch": epoch},
        architecture=architecture,
    )


def _labels(known: str, classes: int, source: Path) -> tuple[str, ...]:
    names = label_sets.KNOWN.get(known) or _names_in(Path(known))
    if len(names) != classes:
        raise CheckpointError(f"{source}: has {classes} classes, and {known} names {len(names)}; give its own --labels")
    return names


def _names_in(path: Path) -> tuple[str, ...]:
    """One name a line; empty lines do not count."""
    try:
        lines = decode_utf8(path.read_bytes()).splitlines()
    except (OSError, TextError) as error:
        raise CheckpointError(
            f"--labels {path}: cannot be read ({error}); give a text file with one name a line, "
            f"or one of {', '.join(label_sets.KNOWN)}"
        ) from error
    names = tuple(to_nfc(line.strip()) for line in lines if line.strip())
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CheckpointError(f"--labels {path}: names {', '.join(twice)} more than once; give every class its own")
    if problem := labels_problem(names):
        raise CheckpointError(f"--labels {path}: {problem}; give every class a name of letters and figures")
    return names


def _motion(channels: int, options: CheckpointOptions, source: Path) -> MotionSettings:
    """None for three channels; six have a map beside the frame, and the file does not say which."""
    kind = options.motion or ("none" if channels == 3 else "ssim")
    settings = MotionSettings(kind, gap=options.gap)
    if channels not in (3, 6) or (kind == "none") != (channels == 3):
        raise CheckpointError(
            f"{source}: reads {channels} channels, which does not go with --motion {kind}; "
            "three are a frame alone (none), six a frame and its map (ssim, dsim, flow, previous)"
        )
    return settings


def _listed(names: Iterable[str], limit: int) -> str:
    found = list(names)
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return ", ".join(found[:limit]) + more
