"""What decides how a training run turns out, and what it may not be. Pure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from edge.clip import room_problem
from edge.manifest import INPUT_MULTIPLE, LITE
from edge.motion_map import MotionSettings
from train.augment import AugmentSettings
from train.clips import settings as clip_settings
from train.clips.settings import ClipTraining
from train.networks.yowo.names import TRAINED, YOWO_LITE

TrainingPrecision = Literal["float32", "bfloat16"]
RequestedPrecision = Literal[
    "auto", "float32", "bfloat16"
]  # "auto": whichever is quicker on the machine, see `train.precision`

SMALLEST_SIDE = 64  # pixels; below it the grid has fewer cells than the decoder takes peaks
LARGEST_RATE = 10.0  # of the backbone, as a share of the learning rate
LARGEST_SEED = 2**63 - 1  # of torch's random numbers
LARGEST_SIDE = 4096  # pixels, as manifests allow
EARLIER_DEFAULTS: Mapping[str, Any] = {
    "architecture": LITE,
    "all_groups": False,
    "clips": asdict(ClipTraining()),
    "fold": 1,
    "memory": "",
    "memory_dropout": 0.0,
    "one_class": "",
    "other_gaps": (),
    "patience": 0,
    "precision": "bfloat16",
    "shares": (),
}  # of what earlier versions did not save


@dataclass(frozen=True)
class LossWeights:
    """What each term counts in the sum."""

    heatmap: float = 1.0
    size: float = 2.0
    offset: float = 0.5
    box: float = 0.0  # `box_loss`, counted with the size


CENTERNET_LOSSES = LossWeights(heatmap=1.0, size=0.1, offset=1.0)  # Zhou et al. 2019, for `centernet_losses`


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides how a run turns out; saved inside its checkpoints."""

    data: tuple[str, ...]  # data sets
    fold: tuple[int, ...] = (1,)  # the split of each data set, where it has several; one number for all
    weights: str = ""  # checkpoint to begin with; "": ImageNet's backbone
    motion: MotionSettings = MotionSettings(gap=2)  # as the shipped model has it
    height: int = 224  # of the network's input, pixels
    width: int = 288
    samples: int = 110_000  # in the whole run
    batch: int = 16  # per process
    learning_rate: float = 2.5e-3  # of what begins from nothing, after warm-up, falling to 0 along a cosine
    backbone_rate: float = 0.3  # of what ImageNet taught, as a share of `learning_rate`
    weight_decay: float = 0.02
    warmup: float = 0.04  # share of the run
    average: float = 0.998  # decay of the weights' moving average, which is what is saved and validated
    dropout: float = 0.0
    clip: float = 10.0  # largest norm of a gradient
    validate_every: int = 27_500  # samples
    patience: int = 0  # validations in a row without a better score that end the run; 0: none does
    validation_stride: int = 16  # every n-th frame of the validation videos; more where these are few
    seed: int = 0
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    losses: LossWeights = field(default_factory=LossWeights)
    architecture: str = LITE
    precision: RequestedPrecision = "auto"  # in checkpoints what it came to, which is never "auto"
    all_groups: bool = False  # learn from the validation videos too, which leaves nothing to validate on
    other_gaps: tuple[int, ...] = ()  # one of these and of `motion.gap` is drawn for each sample, in frames
    shares: tuple[float, ...] = ()  # how many of the samples are of each data set, in proportion; (): by their classes
    clips: ClipTraining = field(default_factory=ClipTraining)  # for networks that see a clip
    memory: str = ""  # weights of the streaming network whose maps the detector takes; "": none
    memory_dropout: float = 0.15  # share of the samples that have zeros for these maps
    one_class: str = ""  # the label of all actions together; "": each is its own


def from_saved(saved: Mapping[str, Any]) -> TrainSettings:
    """Settings from what `dataclasses.asdict` made of them, of earlier versions too.

    Raises KeyError, TypeError, ValueError for others.
    """
    saved = {**EARLIER_DEFAULTS, **saved}
    plain: dict[str, Any] = {one.name: saved[one.name] for one in fields(TrainSettings)}
    plain |= {name: several(plain[name]) for name in SEVERAL}
    return TrainSettings(**{**plain, **{name: kind(**plain[name]) for name, kind in _PARTS.items()}})


def several(value: Any) -> tuple[Any, ...]:
    """A setting of SEVERAL as saved: earlier versions had one data set and one fold."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


SEVERAL = ("data", "fold", "other_gaps", "shares")
_PARTS = {"motion": MotionSettings, "augment": AugmentSettings, "losses": LossWeights, "clips": ClipTraining}


def faults(settings: TrainSettings, processes: int) -> list[str]:
    """What is wrong with the settings of a run by so many processes, each with its remedy."""
    found = [f for name in ("height", "width") if (f := _side(name, getattr(settings, name)))]
    if settings.batch < 1:
        found.append(f"--batch {settings.batch}: give at least 1")
    elif settings.samples < settings.batch * processes:
        found.append(f"--samples {settings.samples}: one step takes {settings.batch * processes}, give at least that")
    if not (math.isfinite(settings.learning_rate) and settings.learning_rate > 0):
        found.append(f"--learning-rate {settings.learning_rate:g}: give a number above 0, like 0.001")
    if settings.validate_every < 1:
        found.append(f"--validate-every {settings.validate_every}: give at least 1 sample")
    if settings.patience < 0:
        found.append(f"--patience {settings.patience}: give 0 or more")
    if not 0 <= settings.backbone_rate <= LARGEST_RATE:
        found.append(f"--backbone-rate {settings.backbone_rate:g}: give 0 to {LARGEST_RATE:g}")
    if not (math.isfinite(settings.losses.box) and settings.losses.box >= 0):
        found.append(f"--box-loss {settings.losses.box:g}: give 0 or more, like 1")
    elif settings.losses.box and settings.architecture != LITE:
        found.append(f"--box-loss: only --arch {LITE} has it, not {settings.architecture}; leave one of them out")
    if not 0 <= settings.seed <= LARGEST_SEED:
        found.append(f"--seed {settings.seed}: give 0 to {LARGEST_SEED}")
    if settings.memory and settings.architecture not in (LITE, YOWO_LITE):
        takers = f"--arch {LITE} and {YOWO_LITE} take"
        found.append(f"--memory: only {takers} one, not {settings.architecture}; leave one of them out")
    if not 0 <= settings.memory_dropout < 1:
        found.append(f"--memory-dropout {settings.memory_dropout:g}: give 0 to below 1, like 0.15")
    return [*found, *_of_several(settings), *clip_settings.faults(settings.clips), *_of_clips(settings, processes)]


def _of_several(settings: TrainSettings) -> list[str]:
    """What is wrong with the numbers for each data set."""
    count = len(settings.data)
    found = []
    if settings.shares and len(settings.shares) != count:
        numbers = ",".join(f"{share:g}" for share in settings.shares)
        found.append(f"--share {numbers}: give one number for each data set, {count} in all, with commas between")
    if not math.isfinite(sum(settings.shares)) or not all(share > 0 for share in settings.shares):
        found.append("--share: give numbers above 0, like 1,2; leave a data set away to take nothing of it")
    return found


def _of_clips(settings: TrainSettings, processes: int) -> Iterator[str]:
    """What goes only with networks that see a clip, and what does not."""
    if settings.clips.weights and settings.architecture != YOWO_LITE:
        yield f"--clip-weights: only --arch {YOWO_LITE} takes them; leave them out"
    if settings.clips.weights and settings.weights:
        yield "--clip-weights: with --weights the 3-D branch has its own; leave one of them out"
    if settings.clips.weights and settings.memory:
        yield "--clip-weights: with --memory there is no clip; leave one of them out"
    if settings.architecture not in TRAINED:
        if settings.clips != ClipTraining():
            yield f"options of clips go with --arch {' or '.join(TRAINED)} alone, not {settings.architecture}"
        return
    if problem := "" if settings.memory else room_problem(settings.clips.clip, settings.height, settings.width):
        yield f"--frames {settings.clips.frames} --frame-step {settings.clips.step}: {problem}; give less of both"
    if settings.motion.kind != "none":
        yield f"--motion {settings.motion.kind}: {settings.architecture} sees a clip instead; leave --motion out"
    if processes > 1:
        yield f"--arch {settings.architecture} is trained by one process; start it without torchrun"


def _side(name: str, value: int) -> str:
    if not SMALLEST_SIDE <= value <= LARGEST_SIDE:
        return f"--{name} {value}: give {SMALLEST_SIDE} to {LARGEST_SIDE} pixels"
    below = value - value % INPUT_MULTIPLE
    if below != value:
        return f"--{name} {value} is no multiple of {INPUT_MULTIPLE}: give {below} or {below + INPUT_MULTIPLE}"
    return ""
