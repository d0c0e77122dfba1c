"""What a network is trained in, float32 or bfloat16: whichever is quicker here. Shell: reads the clock.

A CPU without instructions for bfloat16 takes some ten times as long in it as in float32, and some that have AVX-512
take one and a half times as long: oneDNN then converts back and forth. GPUs are asked, not timed.
"""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import get_args

import torch
from torch import nn

from train.train_settings import RequestedPrecision, TrainingPrecision

IMAGES = 4  # in a step that is timed, at most
ROUNDS = 3  # steps that are timed in each, in turns, of which the quickest counts; one more comes before them
GAIN = 1.1  # so many times as fast must bfloat16 be: less is not worth its rounding
TOLERATED = 1.5  # a run that began in bfloat16 stays in it unless float32 is so many times as fast

StepSeconds = Callable[[], Mapping[TrainingPrecision, float]]  # that a step takes in each


@dataclass(frozen=True)
class PrecisionChoice:
    """A precision, and why this one, in words."""

    precision: TrainingPrecision
    why: str


@dataclass(frozen=True)
class Machine:
    """What computes: whether it has instructions for bfloat16 that PyTorch uses, and how long steps take, if timed."""

    name: str
    bfloat16: bool
    seconds: StepSeconds | None = None


def choose(requested: RequestedPrecision, before: TrainingPrecision | None, machine: Machine) -> PrecisionChoice:
    """For a run on this machine, with the reason; `before`: the precision of a resumed run so far."""
    if requested != "auto":
        changed = f", in {before} until here" if before not in (None, requested) else ""
        return PrecisionChoice(requested, f"as --precision asks{changed}")
    if before == "float32":
        return PrecisionChoice("float32", "as the run began")
    changed = ", so the run continues in another precision than it began in" if before else ""
    if not machine.bfloat16:
        return PrecisionChoice(
            "float32", f"this {machine.name} has no instructions for bfloat16 that PyTorch uses{changed}"
        )
    if machine.seconds is None:
        return PrecisionChoice("bfloat16", f"this {machine.name} has instructions for it")
    seconds = machine.seconds()
    faster = seconds["float32"] / seconds["bfloat16"]
    if faster >= (1 / TOLERATED if before else GAIN):
        kept = "as the run began; " if before else ""
        return PrecisionChoice(
            "bfloat16", f"{kept}a step in float32 takes {faster:.1f} times as long on this {machine.name}"
        )
    if faster > 1:
        return PrecisionChoice(
            "float32", f"bfloat16 saves {100 - 100 / faster:.0f} % of a step on this {machine.name}, too little"
        )
    return PrecisionChoice(
        "float32", f"a step in bfloat16 takes {1 / faster:.1f} times as long on this {machine.name}{changed}"
    )


def this_machine(network: nn.Module, batch: int, channels: int, size: tuple[int, int]) -> Machine:
    """The one that `network` lies on; steps would be of so many images of `size` (width, height), or of IMAGES."""
    device = next(network.parameters()).device
    if device.type == "cuda":
        return Machine("GPU", torch.cuda.is_bf16_supported(including_emulation=False))
    shape = (min(batch, IMAGES), channels, size[1], size[0])
    # asked of oneDNN: False without AVX-512 (x86) or BF16 (Arm); True also where it only converts, hence the timing
    supported = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return Machine("processor", supported, partial(step_seconds, network, shape))


def step_seconds(network: nn.Module, shape: tuple[int, int, int, int]) -> Mapping[TrainingPrecision, float]:
    """Seconds that a copy of `network` needs for one training step, by precision.

    It goes forward and back over noise of `shape` (B, C, H, W). In turns, so that what else the machine does falls on
    both alike.
    """
    network = copy.deepcopy(network).train()
    device = next(network.parameters()).device
    image = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last)
    precisions: tuple[TrainingPrecision, ...] = get_args(TrainingPrecision)
    rounds = [[_pass(network, image, precision) for precision in precisions] for _ in range(1 + ROUNDS)]
    return {precision: min(times[1:]) for precision, times in zip(precisions, zip(*rounds, strict=True), strict=True)}


def autocast(device: torch.device, precision: TrainingPrecision) -> torch.autocast:
    """Within it, layers that may be are computed in `precision`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def _pass(network: nn.Module, image: torch.Tensor, precision: TrainingPrecision) -> float:
    began = time.perf_counter()
    with autocast(image.device, precision):
        heads = network(image)
    torch.stack([head.float().mean() for head in heads.answers]).sum().backward()
    return time.perf_counter() - began
