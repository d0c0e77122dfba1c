"""Training of networks that see a clip: by the command, on tiny videos, and what is frozen when."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edge.clip import ClipInput
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from tests.support.tiny_videos import LABELS, write_data_set, write_hmdb
from tests.support.untrained_movinet import untrained_movinet, write_untrained_movinet
from train import checkpoint as checkpoints
from train import clip_training, run_losses, train_options, train_settings, training_step
from train.checkpoint import Checkpoint, CheckpointError
from train.clips.samples import AUGMENTATION
from train.clips.settings import ClipTraining
from train.networks.movinet_weights import MovinetError
from train.networks.yowo.lite import YowoLite
from train.train import main, prepare
from train.train_settings import TrainSettings
from train.training_step import TrainingError

torch.set_num_threads(1)
SMALL = ("--height", "64", "--width", "96", "--frames", "2", "--batch", "4", "--learning-rate", "0.02")
SETTINGS = TrainSettings(
    ("data",),
    motion=MotionSettings("none"),
    architecture="yowo_lite",
    height=64,
    width=96,
    samples=90,
    batch=4,
    clips=ClipTraining(frames=2, weights="movinet.pt"),
)
MANIFEST = Manifest("tiny", LABELS, 64, 96, MotionSettings("none"), architecture="yowo_lite", clip=ClipInput(2))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("clips") / "data")


def batch() -> dict[str, torch.Tensor]:
    """Noise, with a person in each image."""
    return {
        "image": torch.randn(4, 3, 64, 96),
        "clip": torch.randn(4, 3, 2, 64, 96),
        "boxes": torch.tensor([[[20.0, 10, 50, 50]]]).repeat(4, 1, 1),
        "labels": torch.zeros(4, 1).long(),
        "annotated": torch.ones(4, 2),
    }


def test_a_few_steps_reduce_the_loss(data: Path, tmp_path: Path) -> None:
    clips = ClipTraining(frames=2, release_2d=0.0)
    settings = replace(SETTINGS, data=(str(data),), samples=64, learning_rate=0.03, warmup=0.1, clips=clips)
    session = prepare(settings, tmp_path / "run", tmp_path / "cache", resume=False, workers=0)
    batches = session.batches(session.samples, range(settings.samples), settings.batch)
    found = [sum(training_step.step(session.run, made, settings).read().values()) for made in batches]
    assert len(found) == 16
    assert sum(found[-3:]) < 0.8 * sum(found[:3])


def test_the_command_and_its_checkpoint(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, cache = tmp_path / "run", tmp_path / "cache"
    folders = ("--out", str(out), "--cache", str(cache), "--workers", "0")
    words = (str(data), "--arch", "yowo_lite", *SMALL, "--samples", "8", "--validate-every", "8", *folders)
    assert main([*words, "--frame-step", "2", "--no-squeeze"]) == 0
    told = capsys.readouterr().out
    assert "network: yowo_lite, 96x64 pixels, clips of 2 frames, 2 apart, at 25 frames per second, 2 actions" in told
    assert "priors, by k-means over 28 boxes: 24 × 36, " in told
    assert "precision: float32 (with clips bfloat16 is not tried; --precision asks for it)" in told
    assert f"Next: korsal-convert export {out / 'best.pt'} -o {out / 'best.onnx'}" in told
    assert (out / "log.csv").read_text().startswith("samples,learning_rate,box_loss,confidence_loss,classes_loss,")
    saved = checkpoints.load(out / "best.pt")
    assert (saved.manifest.clip, saved.manifest.nms_iou) == (ClipInput(2, step=2), 0.4)
    assert saved.settings["clips"]["squeeze"] is False
    network = checkpoints.detector(saved)
    assert isinstance(network, YowoLite)
    assert network.get_buffer("priors")[0, 0].tolist() == pytest.approx([24, 36], abs=1e-3)
    with torch.inference_mode():
        answer = network(torch.zeros(1, 3, 64, 96), torch.zeros(1, 3, 2, 64, 96))
    assert all(torch.isfinite(x).all() for x in answer.maps)
    _resumes(out, data, folders)
    _begins_with_its_weights(out / "best.pt", tmp_path)


def _resumes(out: Path, data: Path, folders: tuple[str, ...]) -> None:
    """A run that is over stays as it is."""
    before = checkpoints.load(out / "last.pt")
    assert main([str(data), *folders, "--resume"]) == 0
    after = checkpoints.load(out / "last.pt")
    assert after.settings == before.settings
    assert all(torch.equal(after.weights[name], before.weights[name]) for name in before.weights)


def _begins_with_its_weights(weights: Path, tmp_path: Path) -> None:
    """On other actions: all is taken over but the layers that name them, and parts are its own."""
    other = write_hmdb(tmp_path / "hmdb", ("jump", "run", "walk"))
    words = (str(other), "--weights", str(weights), "--samples", "4", "--batch", "4", "--learning-rate", "1e-9")
    folders = ("--out", str(tmp_path / "other"), "--cache", str(tmp_path / "cache"), "--workers", "0")
    assert main([*words, *folders]) == 0
    old, new = checkpoints.load(weights), checkpoints.load(tmp_path / "other" / "last.pt")
    assert new.manifest.clip == old.manifest.clip
    assert new.settings["clips"]["squeeze"] is False
    learned = {name for name, value in old.weights.items() if value.is_floating_point() and "running" not in name}
    changed = {
        name
        for name in learned
        if value_shape(new.weights[name]) != value_shape(old.weights[name])
        or not torch.allclose(new.weights[name], old.weights[name], atol=1e-6)
    }
    assert changed - {"priors"} == {f"fusion.heads.{i}.1.{leaf}" for i in range(3) for leaf in ("weight", "bias")}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> TrainSettings:
    """Settings that begin with the weights of MANIFEST, of random numbers."""
    path = tmp_path_factory.mktemp("begun") / "a.pt"
    checkpoints.save(Checkpoint(MANIFEST, YowoLite(2).state_dict(), {}), path)
    return replace(SETTINGS, weights=str(path), clips=ClipTraining(frames=2))


@pytest.mark.parametrize(("labels", "new"), [(LABELS, False), (("jump", "walk"), True)])
def test_priors_are_those_of_the_weights_only_with_the_layers_that_were_learnt_with_them(
    labels: tuple[str, ...], new: bool, begun: TrainSettings
) -> None:
    run = training_step.start(begun, replace(MANIFEST, labels=labels), torch.device("cpu"))
    assert run.new_heads is new


@pytest.mark.parametrize(
    ("changes", "has"), [({"scales": 1}, "--scales 1 --squeeze"), ({"squeeze": False}, "--scales 3 --no-squeeze")]
)
def test_weights_of_other_parts_are_refused(changes: "dict[str, Any]", has: str, begun: TrainSettings) -> None:
    settings = replace(begun, clips=replace(begun.clips, **changes))
    said = f"{begun.weights}: was trained with --scales 3 --squeeze, this run has {has}; leave these options out"
    with pytest.raises(CheckpointError) as caught:
        training_step.start(settings, MANIFEST, torch.device("cpu"))
    assert str(caught.value) == said


def value_shape(value: torch.Tensor) -> tuple[int, ...]:
    return tuple(value.shape)


def test_another_network_does_not_take_the_clips_of_the_weights(data: Path, tmp_path: Path) -> None:
    """They are no options that were given; what is wrong are the weights."""
    clip = replace(MANIFEST, clip=ClipInput(3, every=2))
    file = tmp_path / "weights.pt"
    checkpoints.save(Checkpoint(clip, YowoLite(len(LABELS)).state_dict(), {}), file)
    words = [str(data), "--weights", str(file), "--arch", "lite"]
    found = train_options.settings(train_options.parser().parse_args(words))
    assert train_settings.faults(found, 1) == []
    with pytest.raises(CheckpointError, match="was trained with architecture yowo_lite, this run has lite; leave that"):
        prepare(found, tmp_path / "run", tmp_path / "cache", resume=False, workers=0)
    refused = train_options.settings(train_options.parser().parse_args([*words, "--frames", "4"]))
    assert train_settings.faults(refused, 1) == ["options of clips go with --arch yowo or yowo_lite alone, not lite"]


@pytest.mark.parametrize(
    ("weights", "movinet", "samples", "still"),
    [
        ("", "", 0, ("backbone_2d",)),  # ImageNet's; the other begins with nothing
        ("", "m.pt", 0, ("backbone_2d", "backbone_3d")),
        ("", "m.pt", 29, ("backbone_2d", "backbone_3d")),
        ("", "m.pt", 30, ("backbone_2d",)),  # a third of 90
        ("", "m.pt", 60, ()),
        ("a.pt", "", 0, ("backbone_2d", "backbone_3d")),
    ],
)
def test_what_is_frozen_when(weights: str, movinet: str, samples: int, still: tuple[str, ...]) -> None:
    clips = ClipTraining(frames=2, weights=movinet)
    assert clip_training.frozen(replace(SETTINGS, weights=weights, clips=clips), samples) == still


def test_the_whole_network_begins_with_nothing() -> None:
    whole = replace(SETTINGS, architecture="yowo", clips=ClipTraining())
    assert clip_training.frozen(whole, 0) == ()
    assert clip_training.frozen(replace(whole, weights="a.pt"), 0) == ("backbone_2d", "backbone_3d")


def test_a_frozen_branch_stays_and_the_rest_learns() -> None:
    """Its batch norms too."""
    settings = replace(SETTINGS, clips=ClipTraining(frames=2, release_3d=0.0), learning_rate=0.01, warmup=0.0)
    run = training_step.start(settings, MANIFEST, torch.device("cpu"))
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    training_step.step(run, batch(), settings)
    changed = {name for name, value in run.network.state_dict().items() if not torch.equal(value, before[name])}
    assert not any(name.startswith("backbone_2d.") for name in changed)
    assert any(name.startswith("backbone_3d.") for name in changed)
    assert any(name.startswith("fusion.heads.2.") for name in changed)
    assert "priors" not in changed
    run.samples = 80  # of 90: all are released
    training_step.step(run, batch(), settings)
    late = {name for name, value in run.network.state_dict().items() if not torch.equal(value, before[name])}
    assert any(name.startswith("backbone_2d.") for name in late)
    assert isinstance(run.optimizer, torch.optim.SGD)
    assert run.optimizer.param_groups[0]["momentum"] == 0.937


def test_another_optimizer() -> None:
    options = train_options.parser().parse_args(["data", "--arch", "yowo_lite", "--optimizer", "adamw"])
    assert train_options.settings(options).clips == ClipTraining(optimizer="adamw")
    settings = replace(SETTINGS, clips=ClipTraining(frames=2, optimizer="adamw"))
    made = clip_training.optimizer([{"params": [torch.nn.Parameter(torch.zeros(1))]}], settings)
    assert isinstance(made, torch.optim.AdamW)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"motion": MotionSettings("ssim")}, "--motion ssim: yowo_lite sees a clip instead; leave --motion out"),
        ({"architecture": "yowo"}, "--clip-weights: only --arch yowo_lite takes them"),
        ({"weights": "a.pt"}, "--clip-weights: with --weights the 3-D branch has its own; leave one of them out"),
        ({"clips": ClipTraining(frames=0)}, "--frames 0: give 1 to 64"),
        ({"clips": ClipTraining(step=101)}, "--frame-step 101: give 1 to 100"),
        ({"clips": ClipTraining(every=0)}, "--clip-every 0: give 1 to 100"),
        ({"clips": ClipTraining(scales=2)}, "--scales 2: give 3, or 1 for the coarsest map alone"),
        ({"clips": ClipTraining(drop_block=1.5)}, "--drop-block 1.5: give 0 to 1"),
        ({"clips": ClipTraining(release_2d=-1)}, "--release-2d -1: give 0 to 1"),
        (
            {"clips": ClipTraining(frames=16), "architecture": "lite"},
            "options of clips go with --arch yowo or yowo_lite alone, not lite",
        ),
    ],
)
def test_what_a_run_may_not_be(changes: "dict[str, object]", message: str) -> None:
    assert [one for one in train_settings.faults(replace(SETTINGS, **changes), 1) if one.startswith(message)]  # type: ignore[arg-type]


def test_a_run_of_several_processes_is_refused() -> None:
    assert "--arch yowo_lite is trained by one process; start it without torchrun" in train_settings.faults(SETTINGS, 2)
    assert train_settings.faults(SETTINGS, 1) == []


def test_the_3d_branch_begins_with_movinets_weights(tmp_path: Path) -> None:
    path = write_untrained_movinet(tmp_path / "movinet.pt", seed=3)
    settings = replace(SETTINGS, clips=replace(SETTINGS.clips, weights=str(path)))
    network = YowoLite(2)
    clip_training.load_pretrained(network, MANIFEST, settings.clips)
    assert network.backbone_3d is not None
    for name, value in untrained_movinet(3).state_dict().items():
        assert torch.equal(network.backbone_3d.state_dict()[name], value)


def test_weights_that_are_not_movinets(data: Path, tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(b"nothing")
    settings = replace(SETTINGS, data=(str(data),), clips=replace(SETTINGS.clips, weights=str(tmp_path / "m.pt")))
    with pytest.raises(MovinetError, match=r"m\.pt: "):
        prepare(settings, tmp_path / "out", tmp_path / "cache", False, 0)


def test_the_paper_is_what_a_run_begins_with(data: Path, tmp_path: Path) -> None:
    options = train_options.parser().parse_args(
        [str(data), "--arch", "yowo", "--frames", "16", "--loss", "cross_entropy"]
    )
    settings = train_options.settings(options)
    assert (settings.height, settings.width, settings.learning_rate) == (224, 224, 1e-4)
    assert (settings.clips.frames, settings.clips.loss, settings.clips.momentum) == (16, "cross_entropy", 0.937)
    assert (settings.augment, settings.motion.kind) == (AUGMENTATION, "none")
    lite = train_options.settings(train_options.parser().parse_args([str(data)]))
    assert (lite, lite.clips) == (TrainSettings((str(data),)), ClipTraining())


def test_samples_of_clips_are_computed_on_the_cpu(data: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, data=(str(data),), clips=ClipTraining(frames=2))
    with pytest.raises(TrainingError, match="--samples-on device: clips are computed on the CPU; leave it out"):
        prepare(settings, tmp_path / "out", tmp_path / "cache", False, 0, samples_on="device")


def test_without_boxes_the_priors_stay() -> None:
    network = YowoLite(2)
    before = network.get_buffer("priors").clone()
    told = clip_training.set_priors([network], [], {}, MANIFEST)
    assert told == "priors: YOLOv3's, for no box has an area"
    assert torch.equal(network.get_buffer("priors"), before)


def test_a_step_in_bfloat16() -> None:
    settings = replace(SETTINGS, clips=ClipTraining(frames=2))
    run = training_step.start(settings, MANIFEST, torch.device("cpu"))
    run.precision = "bfloat16"
    terms = training_step.step(run, batch(), settings).read()
    assert set(terms) == set(run_losses.terms(settings))


def test_clips_that_no_device_has_room_for_are_refused_before_training() -> None:
    large = replace(SETTINGS, height=192, width=256, clips=ClipTraining(frames=64, step=40))
    (fault,) = train_settings.faults(large, 1)
    assert fault.startswith("--frames 64 --frame-step 40: a device keeps up to 5603 frames of 256x192 for each camera")
    assert fault.endswith("; give less of both")
    assert train_settings.faults(replace(SETTINGS, clips=ClipTraining(frames=64)), 1) == []
