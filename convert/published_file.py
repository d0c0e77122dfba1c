"""Checkpoints that other projects published: what is in such a file, and what it does not say. Shell over torch.

Read are tensors, nothing is executed; optimizer state is left out. A file must hold all parameters of the network that
it is taken for, in their shapes, and no others but for those that its own project never reads.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from convert import label_sets
from edge.files import sha256_of
from edge.manifest import INPUT_MULTIPLE, labels_problem
from edge.motion_map import MotionKind
from edge.text import TextError, decode_utf8, to_nfc
from train.checkpoint import CheckpointError
from train.safe_reading import torch_file
from train.safe_reading.torch_file import TorchFileError

PROJECTS = "CenterNet, KORSAL or YOWO"
COUNTER = "num_batches_tracked"  # of batch norms; files of PyTorch before 0.4.1 lack it, and nothing needs it
PARALLEL = "module."  # before every name in files of training on several GPUs
MAX_LISTED = 20  # names of parameters in a message
MAX_SIDE = 4096


@dataclass(frozen=True)
class CheckpointOptions:
    """What a checkpoint does not hold itself; None or "" for the default.

    `labels` is a known set's name or a file with one name a line; `size` is (height, width), pixels; `frames` are those
    of a clip.
    """

    labels: str | None = None
    architecture: str | None = None
    size: tuple[int, int] | None = None
    motion: MotionKind | None = None
    gap: int = 1
    name: str = ""
    licence: str = ""
    frames: int | None = None


@dataclass(frozen=True, eq=False)
class PublishedFile:
    """The parameters in a file, without `module.` before their names, and the epoch if it is noted."""

    path: Path
    weights: Mapping[str, Tensor]
    epoch: int | None

    def length(self, name: str, axis: int) -> int:
        """Of one axis of a parameter; 0 where it is absent or flat."""
        return self.weights[name].shape[axis] if name in self.weights and self.weights[name].ndim > axis else 0


def size(text: str) -> tuple[int, int]:
    """`256` or `192x256`, height first, as (height, width). Raises ValueError."""
    sides = [int(side) for side in text.lower().split("x")]
    if len(sides) not in (1, 2) or any(not 0 < side <= MAX_SIDE or side % INPUT_MULTIPLE for side in sides):
        raise ValueError(f"{text} is not HEIGHTxWIDTH in multiples of {INPUT_MULTIPLE}, or one number for both")
    return sides[0], sides[-1]


def read(path: Path) -> PublishedFile:
    """What is in the file. Raises CheckpointError."""
    try:
        content = torch_file.load(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file; give a .pth of {PROJECTS}") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); give a .pth file") from error
    except TorchFileError as error:
        remedy = f"give a .pth of {PROJECTS}"
        if error.more:
            remedy = "what else it holds would have to be executed: save its state_dict alone, where you trust it"
        raise CheckpointError(f"{path}: not a checkpoint of tensors alone ({error}); {remedy}") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: holds no state_dict of tensors; give a .pth of {PROJECTS}")
    epoch = content.get("epoch")
    weights = {str(name).removeprefix(PARALLEL): value for name, value in state.items()}
    if len(weights) < len(state):
        twice = next(name for name in map(str, state) if PARALLEL + name in state)
        raise CheckpointError(
            f"{path}: holds {twice} twice, with {PARALLEL} before it and without; give a checkpoint of one training"
        )
    return PublishedFile(path, weights, epoch if isinstance(epoch, int) else None)


def fitted(
    file: PublishedFile, own: Mapping[str, Tensor], names: Mapping[str, str], unused: tuple[str, ...], said: str
) -> dict[str, Tensor]:
    """The file's parameters under our names, in our types: of `own`, which they call as `names` say.

    Those that begin with `unused` may be there too. CheckpointError lists all that does not fit; `said` are the words
    around: what it was taken for, and the remedy, with {faults} between them.
    """
    given, wanted = file.weights, set(names.values())
    missing = [name for name in names.values() if name not in given and not name.endswith(COUNTER)]
    surplus = [name for name in given if name not in wanted and not (unused and name.startswith(unused))]
    present = {ours: given[name] for ours, name in names.items() if name in given}
    odd = [
        f"{names[ours]} {tuple(value.shape)} instead of {tuple(own[ours].shape)}"
        for ours, value in present.items()
        if value.shape != own[ours].shape
    ]
    whole = [
        names[ours]
        for ours, value in present.items()
        if own[ours].is_floating_point() and not value.is_floating_point()
    ]
    broken = [names[ours] for ours, value in present.items() if not value.isfinite().all()]
    kinds = {
        "missing": missing,
        "surplus": surplus,
        "of another shape": odd,
        "not of floating-point numbers": whole,
        "not finite": broken,
    }
    faults = [f"{kind}: {listed(found, MAX_LISTED)}" for kind, found in kinds.items() if found]
    if faults:
        raise CheckpointError(f"{file.path}: {said.format(faults='; '.join(faults))}")
    return {**own, **{ours: value.to(own[ours].dtype) for ours, value in present.items()}}


def labels(file: PublishedFile, classes: int, given: str | None) -> tuple[str, tuple[str, ...]]:
    """The known set's name or the file of labels, and the labels. Raises CheckpointError."""
    known = given or label_sets.of_size(classes)
    if known is None:
        raise CheckpointError(f"{file.path}: has {classes} classes, as no known set has; name them with --labels FILE")
    names = label_sets.KNOWN.get(known) or _names_in(Path(known))
    if len(names) != classes:
        raise CheckpointError(
            f"{file.path}: has {classes} classes, and {known} names {len(names)}; give its own --labels"
        )
    return known, names


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


def origin(file: PublishedFile, labels: str) -> dict[str, Any]:
    """What the manifest of what is made of the file says of its training."""
    noted: dict[str, Any] = {"converted_from": file.path.name, "sha256": sha256_of(file.path), "labels": labels}
    return noted if file.epoch is None else {**noted, "epoch": file.epoch}


def listed(names: Iterable[str], limit: int) -> str:
    """The first of them, and how many more there are."""
    found = list(names)
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return ", ".join(found[:limit]) + more
