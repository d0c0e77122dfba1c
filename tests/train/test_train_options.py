"""What `korsal-train` trains where options are left out."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

torch = pytest.importorskip("torch")

from edge.engines import onnxruntime_engine  # noqa: E402
from edge.manifest import LITE, Manifest  # noqa: E402
from edge.motion_map import MotionSettings  # noqa: E402
from train import checkpoint as checkpoints  # noqa: E402
from train import train_options, train_settings  # noqa: E402
from train.checkpoint import Checkpoint, CheckpointError  # noqa: E402
from train.networks import architectures  # noqa: E402
from train.train_settings import CENTERNET_LOSSES, LossWeights, TrainSettings  # noqa: E402
from train.training_step import TrainingError  # noqa: E402

SHIPPED = ROOT / "models" / "korsal-lite-ucf24x5-jhmdb21.onnx"


def settings(*words: str) -> TrainSettings:
    return train_options.settings(train_options.parser().parse_args(["data", *words]))


def weights(path: Path, **changes: Any) -> str:
    """A checkpoint of a network that has learned nothing."""
    usual = Manifest("other", ("Run",), 96, 160, MotionSettings("dsim", False, 3))
    manifest = replace(usual, **changes)
    network = architectures.network(manifest.architecture, 1, manifest.channels)
    checkpoints.save(Checkpoint(manifest, network.state_dict(), {}), path)
    return str(path)


def test_without_options_network_and_motion_map_are_the_shipped_models() -> None:
    shipped = onnxruntime_engine.load(SHIPPED).manifest
    found = settings()
    assert (found.architecture, found.motion) == (shipped.architecture, shipped.motion)
    assert found == TrainSettings(("data",))


def test_weights_bring_their_motion_gap_and_size(tmp_path: Path) -> None:
    file = weights(tmp_path / "a.pt")
    found = settings("--weights", file)
    assert found.motion == MotionSettings("dsim", False, 3)
    assert (found.height, found.width, found.weights) == (96, 160, file)
    assert found.samples == TrainSettings.samples


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (("--height", "128"), {"height": 128}),
        (("--gap", "1"), {"motion": MotionSettings("dsim", False, 1)}),
        (("--gap", "2", "1", "3"), {"motion": MotionSettings("dsim", False, 2), "other_gaps": (1, 3)}),
        (("--shifts",), {"motion": MotionSettings("dsim", True, 3)}),
        (("--motion", "ssim"), {"motion": MotionSettings("ssim", False, 3)}),
        (("--arch", "res_18"), {"architecture": "res_18", "losses": CENTERNET_LOSSES}),
        (("--box-loss", "2"), {"losses": LossWeights(box=2.0)}),
    ],
)
def test_an_option_takes_precedence_over_the_weights(
    words: tuple[str, ...], changes: dict[str, Any], tmp_path: Path
) -> None:
    file = weights(tmp_path / "a.pt")
    assert settings("--weights", file, *words) == replace(settings("--weights", file), **changes)


def test_weights_of_centernet_bring_their_network_and_losses(tmp_path: Path) -> None:
    found = settings("--weights", weights(tmp_path / "a.pt", architecture="res_18"))
    assert (found.architecture, found.losses) == ("res_18", CENTERNET_LOSSES)
    assert settings("--arch", LITE).losses == LossWeights()


def resumable(folder: Path, began: TrainSettings) -> str:
    file = folder / "last.pt"
    weights(file)
    checkpoints.save(replace(checkpoints.load(file), settings=asdict(began)), file)
    return str(folder)


def test_a_resumed_run_keeps_its_options(tmp_path: Path) -> None:
    began = replace(
        TrainSettings(("data",), weights="w.pt", motion=MotionSettings("none"), height=64, width=96, samples=500),
        seed=3, all_groups=True, precision="float32", learning_rate=0.01,
    )  # fmt: skip
    words = ("--resume", "--out", resumable(tmp_path, began))
    assert settings(*words) == replace(began, precision="auto")
    assert settings(*words, "--samples", "7") == replace(began, precision="auto", samples=7)


def test_a_run_of_an_earlier_version_can_be_resumed(tmp_path: Path) -> None:
    old = asdict(TrainSettings(("data",), height=64))
    for name in ("architecture", "all_groups", "fold", "precision"):
        del old[name]
    del old["losses"]["box"]
    folder = resumable(tmp_path, TrainSettings(("data",)))
    file = tmp_path / "last.pt"
    checkpoints.save(replace(checkpoints.load(file), settings=old), file)
    assert settings("--resume", "--out", folder) == TrainSettings(("data",), height=64)


def test_a_checkpoint_without_settings_cannot_be_resumed(tmp_path: Path) -> None:
    weights(tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"last\.pt: does not say how it was trained"):
        settings("--resume", "--out", str(tmp_path))


def test_several_data_sets_have_folds_and_shares_of_their_own() -> None:
    found = train_options.settings(train_options.parser().parse_args(["a", "b", "--fold", "1,3", "--share", "2, 0.5"]))
    assert (found.data, found.fold, found.shares) == (("a", "b"), (1, 3), (2.0, 0.5))
    with pytest.raises(SystemExit):
        train_options.parser().parse_args(["a", "b", "--fold", "1,x"])


def test_mistakes_are_reported() -> None:
    with pytest.raises(TrainingError, match="at least 1 frame back"):
        settings("--gap", "0")
    with pytest.raises(CheckpointError, match="no such file"):
        settings("--weights", "nowhere.pt")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--backbone-rate", "0"), "--backbone-rate: yowo_lite has --release-2d and --release-3d instead, "),
        (("--gap", "3"), "--gap: yowo_lite has no motion map; leave it out"),
        (("--no-shifts",), "--shifts: yowo_lite has no motion map; leave it out"),
    ],
)
def test_what_changes_nothing_of_a_network_that_sees_a_clip_is_refused(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(TrainingError, match=f"^{sentence}"):
        settings("--arch", "yowo_lite", *words)
    assert settings("--arch", "lite", *words).architecture == LITE


def test_what_was_saved_is_read_back() -> None:
    one = TrainSettings(
        ("data",), motion=MotionSettings("flow", False, 2), losses=CENTERNET_LOSSES, precision="float32"
    )
    assert train_settings.from_saved(asdict(one)) == one
