import platform
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.support.paths import ROOT

torch = pytest.importorskip("torch")

from edge.manifest import Manifest  # noqa: E402
from edge.motion_map import MotionSettings  # noqa: E402
from train import training_step  # noqa: E402
from train.precision import Machine, PrecisionChoice, StepSeconds, choose, step_seconds  # noqa: E402
from train.train_settings import RequestedPrecision, TrainingPrecision, TrainSettings  # noqa: E402


def takes(float32: float, bfloat16: float) -> StepSeconds:
    return lambda: {"float32": float32, "bfloat16": bfloat16}


def never() -> Mapping[TrainingPrecision, float]:
    raise AssertionError("it was timed")


@pytest.mark.parametrize(
    ("asked", "before", "machine", "precision", "why"),
    [
        # an EPYC of the fourth generation: 2.22 s and 1.09 s
        ("auto", None, Machine("CPU", True, takes(2.22, 1.09)), "bfloat16", "a step in float32 takes 2.0 times as"),
        # the same without AVX-512: 0.22 s and 2.6 s; oneDNN says so, nothing is timed
        ("auto", None, Machine("CPU", False, never), "float32", "no instructions for bfloat16"),
        # with AVX-512, without BF16: oneDNN says yes, and takes longer
        ("auto", None, Machine("CPU", True, takes(0.22, 0.36)), "float32", "bfloat16 takes 1.6 times as long"),
        ("auto", None, Machine("CPU", True, takes(1.09, 1.0)), "float32", "bfloat16 saves 8 % of a step"),
        ("auto", None, Machine("CPU", True, takes(1.1, 1.0)), "bfloat16", "a step in float32 takes 1.1 times as long"),
        ("auto", None, Machine("GPU", True), "bfloat16", "this GPU has instructions for it"),
        ("auto", None, Machine("GPU", False), "float32", "no instructions for bfloat16"),
        ("float32", None, Machine("CPU", True, never), "float32", "as --precision asks"),
        ("bfloat16", None, Machine("CPU", False, never), "bfloat16", "as --precision asks"),
        # a run that goes on: as it began, unless that is slow here
        ("auto", "float32", Machine("CPU", True, never), "float32", "as the run began"),
        ("auto", "bfloat16", Machine("CPU", True, takes(1.0, 1.4)), "bfloat16", "as the run began"),
        ("auto", "bfloat16", Machine("CPU", True, takes(1.0, 1.6)), "float32", "continues in another precision"),
        ("auto", "bfloat16", Machine("CPU", False, never), "float32", "continues in another precision"),
        ("auto", "bfloat16", Machine("GPU", True), "bfloat16", "instructions"),
        ("float32", "bfloat16", Machine("CPU", True, never), "float32", "asks, in bfloat16 until here"),
        ("bfloat16", "bfloat16", Machine("CPU", True, never), "bfloat16", "as --precision asks"),
    ],
)
def test_choose(
    asked: RequestedPrecision,
    before: TrainingPrecision | None,
    machine: Machine,
    precision: TrainingPrecision,
    why: str,
) -> None:
    choice = choose(asked, before, machine)
    assert choice.precision == precision
    assert why in choice.why


def test_a_choice_names_what_changed_only_where_it_did() -> None:
    assert choose("float32", "float32", Machine("CPU", False)) == PrecisionChoice("float32", "as --precision asks")


def test_timing_leaves_the_network_as_it_is() -> None:
    settings = TrainSettings(("data",), height=64, width=64)
    manifest = Manifest("tiny", ("Run",), 64, 64, MotionSettings("none"))
    network = training_step.start(settings, manifest, torch.device("cpu")).network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert {name: value > 0 for name, value in step_seconds(network, (2, 3, 64, 64)).items()} == {
        "float32": True,
        "bfloat16": True,
    }
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())


WITHOUT_BFLOAT16 = """
import torch
from train.networks.architectures import network
from train.precision import choose, this_machine
print(choose("auto", None, this_machine(network("lite", 2, 3), 16, 3, (64, 64))))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the variable is for x86 alone")
def test_a_processor_without_avx_512_is_found() -> None:
    """oneDNN is told to do as if it were on one; what it then says is what it says there."""
    environment = {"ONEDNN_MAX_CPU_ISA": "AVX2", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(
        [sys.executable, "-c", WITHOUT_BFLOAT16], env=environment, capture_output=True, text=True, check=True
    )
    assert "precision='float32'" in finished.stdout
    assert "no instructions for bfloat16" in finished.stdout
