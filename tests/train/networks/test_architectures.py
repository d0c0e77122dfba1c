"""Every network that there is: what it says before it has learnt, and one step of training."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from edge.manifest import LITE, Manifest, from_json, to_json
from edge.motion_map import MotionSettings
from tests.support.tiny_videos import write_data_set
from train import checkpoint as checkpoints
from train import training_step
from train.checkpoint import Checkpoint, CheckpointError
from train.evaluate import main as evaluate
from train.networks import architectures
from train.networks.architectures import ARCHITECTURES
from train.networks.centernet import PRIOR_PROBABILITY
from train.networks.lite import INITIAL_SIZE
from train.train import main as train
from train.train_settings import CENTERNET_LOSSES, TrainSettings

torch.set_num_threads(1)
OURS = [name for name in ARCHITECTURES if name != LITE]
MANIFEST = Manifest("tiny", ("Run", "Jump"), 64, 64, MotionSettings("none"), top_k=5)


def settings(name: str) -> TrainSettings:
    return TrainSettings(
        data=("data",),
        height=64,
        width=64,
        samples=100,
        batch=2,
        learning_rate=1e-3,
        losses=CENTERNET_LOSSES,
        architecture=name,
    )


def batch() -> dict[str, Tensor]:
    """Noise, with one person in the middle of each image."""
    centre = torch.zeros(2, 16, 16)
    centre[:, 8, 8] = 1
    return {
        "image": torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)),
        "heatmap": torch.stack([centre, 0 * centre], dim=1),
        "size": 6 * torch.ones(2, 2, 16, 16),
        "size_weight": centre.clone(),
        "offset": torch.zeros(2, 2, 16, 16),
        "centre": centre,
        "annotated": torch.ones(2, 2),
    }


@pytest.mark.parametrize("name", OURS)
def test_outputs_before_training(name: str) -> None:
    torch.manual_seed(0)
    network = architectures.network(name, 4, 6)
    with torch.inference_mode():
        heads = network.train()(torch.randn(2, 6, 64, 96))  # norms by the batch's own statistics
    assert heads.heatmap.shape == (2, 4, 16, 24)
    assert heads.size.shape == heads.offset.shape == (2, 2, 16, 24)
    assert heads.heatmap.sigmoid().mean().item() == pytest.approx(PRIOR_PROBABILITY, rel=0.2)
    assert heads.size.mean().item() == pytest.approx(INITIAL_SIZE, rel=0.05)
    assert heads.offset.mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", OURS)
def test_one_step_teaches_every_parameter(name: str) -> None:
    run = training_step.start(settings(name), replace(MANIFEST, architecture=name), torch.device("cpu"))
    before = {key: value.clone() for key, value in run.network.named_parameters()}
    terms = training_step.step(run, batch(), settings(name)).read()
    assert all(np.isfinite(value) for value in terms.values())
    assert terms["size"] == pytest.approx(0.1 * abs(INITIAL_SIZE - 6), rel=0.1)  # mean L1, a tenth of it counts
    still = [key for key, value in run.network.named_parameters() if torch.equal(before[key], value)]
    assert still == []


@pytest.mark.parametrize("name", OURS)
def test_without_pretrained_weights_all_learn_alike(name: str) -> None:
    run = training_step.start(settings(name), replace(MANIFEST, architecture=name), torch.device("cpu"))
    assert [len(group["params"]) for group in run.optimizer.param_groups[:2]] == [0, 0]


def saved(path: Path, name: str, head_width: int) -> Path:
    network = architectures.network(name, 2, 3, head_width=head_width)
    weights = {key: torch.full_like(value, 0.5) for key, value in network.state_dict().items()}
    checkpoints.save(Checkpoint(replace(MANIFEST, architecture=name), weights, {}), path)
    return path


def test_a_checkpoint_names_its_network_and_width(tmp_path: Path) -> None:
    network = checkpoints.detector(checkpoints.load(saved(tmp_path / "a.pt", "res_18", 96)))
    assert network.state_dict()["heatmap.0.weight"].shape == (96, 256, 3, 3)


def test_a_run_begins_with_the_weights_of_a_checkpoint_as_wide_as_that_is(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", "res_18", 32)
    manifest = replace(MANIFEST, labels=("Sit", "Stand", "Lie"), architecture="res_18")
    run = training_step.start(replace(settings("res_18"), weights=str(path)), manifest, torch.device("cpu"))
    weights = run.average.state_dict()
    new = {key for key, weight in weights.items() if weight.is_floating_point() and not (weight == 0.5).all()}
    assert new == {"heatmap.2.weight", "heatmap.2.bias"}
    assert weights["heatmap.2.weight"].shape == (3, 32, 1, 1)
    assert [group["share"] for group in run.optimizer.param_groups if group["params"]] == [0.3, 0.3, 1, 1]


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", "res_18", 64)
    started = replace(settings("dla_34_plain"), weights=str(path))
    with pytest.raises(CheckpointError, match=r"a\.pt: was trained with architecture res_18, this run has dla_34_pl"):
        training_step.start(started, replace(MANIFEST, architecture="dla_34_plain"), torch.device("cpu"))


def test_a_network_that_is_not_known(tmp_path: Path) -> None:
    checkpoints.save(Checkpoint(replace(MANIFEST, architecture="hourglass"), {}, {}), tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"a\.pt: its network is hourglass, and known are lite, res_18, .*update"):
        checkpoints.engine(checkpoints.load(tmp_path / "a.pt"))


def test_files_without_a_word_about_it_are_lite(tmp_path: Path) -> None:
    """All of before 0.2."""
    text = to_json(MANIFEST).replace('"architecture": "lite", ', "")
    assert "architecture" not in text
    assert from_json(text) == MANIFEST


def test_a_run_whose_settings_name_no_network_can_be_resumed() -> None:
    """Its settings did not name the network."""
    lite = replace(settings(LITE), losses=TrainSettings(()).losses)
    run = training_step.start(lite, MANIFEST, torch.device("cpu"))
    training_step.step(run, batch(), lite)
    known = {key: value for key, value in asdict(lite).items() if key != "architecture"}
    saved = Checkpoint(MANIFEST, run.average.state_dict(), known, training_step.progress(run))
    training_step.resume(run, saved, lite, MANIFEST.labels)
    assert run.samples == 2


@pytest.mark.slow
def test_the_commands_train_and_evaluate_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plain DLA, which is the quickest of the large ones; a step of each is above."""
    data = write_data_set(tmp_path / "data")
    sizes = ("--height", "64", "--width", "64", "--samples", "4", "--batch", "2", "--validate-every", "4")
    folders = ("--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache"), "--workers", "0")
    assert train([str(data), "--arch", "dla_34_plain", *sizes, *folders]) == 0
    made = checkpoints.load(tmp_path / "run" / "best.pt")
    assert (made.manifest.name, made.manifest.architecture) == ("korsal-dla_34_plain", "dla_34_plain")
    assert made.settings["losses"] == asdict(CENTERNET_LOSSES)
    capsys.readouterr()
    best = str(tmp_path / "run" / "best.pt")
    assert evaluate([best, "--data", str(data), "--split", "validation", "--jobs", "1"]) == 0
    assert capsys.readouterr().out.startswith("korsal-dla_34_plain on UCF101-24 split 1, validation: 2 of 2 videos")
