import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from train import checkpoint as checkpoints
from train import training_step
from train.checkpoint import Checkpoint, CheckpointError
from train.networks.lite import LiteDetector
from train.train_settings import TrainingPrecision, TrainSettings
from train.training_step import TrainingError, TrainingRun

torch.set_num_threads(1)
SETTINGS = TrainSettings(data=("data",), height=64, width=64, samples=1000, batch=2, learning_rate=0.01, warmup=0.1)
MANIFEST = Manifest("tiny", ("TrainingRun",), 64, 64, MotionSettings("none"))


@pytest.fixture
def run() -> TrainingRun:
    return training_step.start(SETTINGS, MANIFEST, torch.device("cpu"))


def batch(seed: int = 0) -> dict[str, Tensor]:
    """Noise, with one person in the middle of each image."""
    centre = torch.zeros(2, 16, 16)
    centre[:, 8, 8] = 1
    return {
        "image": torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed)),
        "heatmap": centre[:, None].clone(),
        "size": 6 * torch.ones(2, 2, 16, 16),
        "size_weight": centre.clone(),
        "offset": torch.zeros(2, 2, 16, 16),
        "centre": centre,
        "annotated": torch.ones(2, 1),
    }


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (0, 0.0001),  # 0.01 · (0 + 1e-3) / 0.1
        (50, 0.0051),  # 0.01 · (0.05 + 1e-3) / 0.1
        (100, 0.01),
        (550, 0.005),  # the middle of the cosine
        (1000, 0.0),
        (1200, 0.0),
    ],
)
def test_learning_rate(samples: int, rate: float) -> None:
    assert training_step.learning_rate(samples, SETTINGS) == pytest.approx(rate)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_learns(precision: TrainingPrecision, run: TrainingRun) -> None:
    run.precision = precision
    settings = replace(SETTINGS, warmup=1e-6, learning_rate=1e-4)
    sums = [sum(training_step.step(run, batch(), settings).read().values()) for _ in range(8)]
    assert sums[-1] < 0.7 * sums[0]
    assert run.samples == 16


@pytest.mark.parametrize("name", ["heatmap", "size", "offset"])
def test_a_loss_that_is_not_finite_stops_and_is_named(name: str, run: TrainingRun) -> None:
    before = {key: value.clone() for key, value in run.network.state_dict().items() if "running" not in key}
    poisoned = batch()
    poisoned[name][:, :, 8, 8] = float("nan")
    with pytest.raises(TrainingError, match=rf"the {name} loss \(nan\) is not finite after 0 samples; lower --learn"):
        training_step.step(run, poisoned, SETTINGS)
    after = run.network.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items() if "num_batches" not in key)


def test_several_losses_are_named_together() -> None:
    with pytest.raises(
        TrainingError, match=r"the heatmap loss \(nan\) and the size loss \(inf\) is not finite after 9"
    ):
        training_step.finite({"heatmap": math.nan, "size": math.inf, "offset": 1.0}, 9)
    assert training_step.finite({"size": 1.0}, 9) == {"size": 1.0}


def test_a_step_depends_on_nothing_else() -> None:
    """Whatever was drawn before, dropout is drawn from the seed and the number of samples."""
    results = []
    for noise in range(2):
        run = training_step.start(SETTINGS, MANIFEST, torch.device("cpu"))
        torch.manual_seed(noise)
        results.append(training_step.step(run, batch(), SETTINGS).read())
    assert results[0] == results[1]


def test_the_average_follows(run: TrainingRun) -> None:
    """After the first of 2 samples it keeps 2 / (2 + 10·2) of itself."""
    name = "heatmap.3.bias"
    start = run.average.state_dict()[name].clone()
    training_step.step(run, batch(), SETTINGS)
    moved = run.network.state_dict()[name]
    expected = start + (1 - 2 / 22) * (moved - start)
    np.testing.assert_allclose(run.average.state_dict()[name], expected, rtol=1e-6)


def test_every_parameter_is_in_one_group(run: TrainingRun) -> None:
    groups = run.optimizer.param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(run.network.parameters()))
    assert [(group["share"], group["weight_decay"]) for group in groups] == [
        (0.3, 0.02),
        (0.3, 0.0),
        (1, 0.02),
        (1, 0.0),
    ]
    assert all((p.ndim > 1) == (group["weight_decay"] > 0) for group in groups for p in group["params"])


def test_what_begins_from_nothing_learns_faster() -> None:
    run = training_step.start(SETTINGS, replace(MANIFEST, motion=MotionSettings("ssim")), torch.device("cpu"))
    fast = {id(p) for group in run.optimizer.param_groups[2:] for p in group["params"]}
    beginners = {name for name, p in run.network.named_parameters() if id(p) in fast}
    assert {name.split(".")[0] for name in beginners} == {"backbone", "neck", "heatmap", "box"}
    assert all(name.startswith("backbone.motion.") for name in beginners if name.startswith("backbone."))


def trained(path: Path, manifest: Manifest = MANIFEST) -> Path:
    """A checkpoint whose weights are all 0.5, for what reads them."""
    weights = {n: torch.full_like(w, 0.5) for n, w in LiteDetector(len(manifest.labels), 3).state_dict().items()}
    checkpoints.save(Checkpoint(manifest, weights, {}), path)
    return path


def test_a_run_begins_with_the_weights_of_another_at_another_size(tmp_path: Path) -> None:
    larger = replace(MANIFEST, height=96, width=128)
    settings = replace(SETTINGS, weights=str(trained(tmp_path / "a.pt")), height=96, width=128)
    started = training_step.start(settings, larger, torch.device("cpu"))
    assert all((weight == 0.5).all() for weight in started.average.state_dict().values() if weight.is_floating_point())


def test_for_other_actions_only_the_classification_layer_is_reinitialised(tmp_path: Path) -> None:
    others = replace(MANIFEST, labels=("Jump", "TrainingRun", "Sit"))
    settings = replace(SETTINGS, weights=str(trained(tmp_path / "a.pt")))
    weights = training_step.start(settings, others, torch.device("cpu")).average.state_dict()
    new = {name for name, weight in weights.items() if weight.is_floating_point() and not (weight == 0.5).all()}
    assert new == {"heatmap.3.weight", "heatmap.3.bias"}
    assert weights["heatmap.3.bias"].shape == (3,)


def test_channels_of_common_actions_keep_their_weights(tmp_path: Path) -> None:
    others = replace(MANIFEST, labels=("Jump", *MANIFEST.labels, "Sit"))
    settings = replace(SETTINGS, weights=str(trained(tmp_path / "a.pt")))
    weights = training_step.start(settings, others, torch.device("cpu")).average.state_dict()["heatmap.3.weight"]
    kept = [bool((channel == 0.5).all()) for channel in weights]
    assert kept == [False, *(True for _ in MANIFEST.labels), False]


def test_weights_for_another_kind_of_input_are_refused(tmp_path: Path) -> None:
    settings = replace(SETTINGS, weights=str(trained(tmp_path / "a.pt")))
    with pytest.raises(CheckpointError, match=r"a\.pt: was trained with motion .*none.*leave that option out"):
        training_step.start(settings, replace(MANIFEST, motion=MotionSettings("ssim")), torch.device("cpu"))
    with pytest.raises(CheckpointError, match="no such file"):
        training_step.start(replace(SETTINGS, weights=str(tmp_path / "b.pt")), MANIFEST, torch.device("cpu"))
