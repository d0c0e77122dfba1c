"""Tiny runs of a detector with a memory of random weights, and what such a detector sees in the pipeline."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edge import pipeline
from edge.cameras.video_file import read_file
from edge.inference import EngineError
from edge.memory_network import FEATURES, PLACEMENT, TAP
from edge.pipeline import PipelineSettings
from tests.support.tiny_runs import tiny_settings
from tests.support.tiny_videos import FRAMES, write_data_set
from tests.support.untrained_movinet import untrained_movinet, write_untrained_movinet
from train import checkpoint as checkpoints
from train import memory_engine, memory_features, train_options
from train.augment import NO_AUGMENTATION
from train.batches import HostBatches
from train.checkpoint import Checkpoint, CheckpointError
from train.gpu import batches as gpu_batches
from train.memory_features import NO_MEMORY
from train.open_model import ModelError, open_model
from train.samples import TrainingSet
from train.train import TrainingSession, learn, main, prepare
from train.train_settings import TrainSettings

torch.set_num_threads(1)
BATCH = 2
MAPS = (FEATURES, TAP, PLACEMENT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory")
    write_data_set(folder / "data")
    write_untrained_movinet(folder / "movinet.pt")
    return folder


@pytest.fixture(scope="module")
def settings(folder: Path) -> TrainSettings:
    return replace(tiny_settings(folder / "data", 6), memory=str(folder / "movinet.pt"), memory_dropout=0.5)


@pytest.fixture(scope="module")
def finished(settings: TrainSettings, folder: Path) -> TrainingSession:
    session = prepared(settings, folder, "finished")
    learn(session, lambda: False)
    return session


def prepared(settings: TrainSettings, folder: Path, name: str, resume: bool = False) -> TrainingSession:
    return prepare(settings, folder / name, folder / "cache", resume, workers=0)


def learned_from(session: TrainingSession) -> TrainingSet:
    assert isinstance(session.samples, TrainingSet)
    return session.samples


def learned(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return {name: value for name, value in checkpoint.weights.items() if name.startswith("memory.")}


def test_the_checkpoint_says_what_it_takes(finished: TrainingSession, folder: Path) -> None:
    best = checkpoints.load(finished.out / "best.pt")
    assert best.manifest.memory == memory_features.described(untrained_movinet())
    assert best.settings["memory"] == str(folder / "movinet.pt")
    assert learned(best)["memory.coarse.weight"].any()
    assert best.manifest.training["validation_frame_map_50"] >= 0


def test_a_resumed_run_continues_exactly(settings: TrainSettings, finished: TrainingSession, folder: Path) -> None:
    left = iter(range(2))
    learn(prepared(settings, folder, "resumed"), lambda: next(left, None) is None)
    learn(prepared(settings, folder, "resumed", resume=True), lambda: False)
    expected, got = (checkpoints.load(out / "last.pt") for out in (finished.out, folder / "resumed"))
    assert all(torch.equal(got.weights[name], value) for name, value in expected.weights.items())


def test_a_run_goes_on_with_a_memory_that_was_moved(
    settings: TrainSettings, finished: TrainingSession, folder: Path, tmp_path: Path
) -> None:
    """A resumed one where --memory says so; one that begins with its weights finds it beside these."""
    moved = shutil.copy(settings.memory, tmp_path / "movinet.pt")
    again = prepared(replace(settings, memory=str(moved)), folder, "finished", resume=True)
    assert again.run.samples == settings.samples
    best = checkpoints.load(finished.out / "best.pt")
    gone = {**best.settings, "memory": str(tmp_path / "gone" / "movinet.pt")}
    checkpoints.save(replace(best, settings=gone), tmp_path / "best.pt")
    words = ["data", "--weights", str(tmp_path / "best.pt")]
    assert train_options.settings(train_options.parser().parse_args(words)).memory == str(moved)


def test_a_share_of_the_samples_has_nothing_to_remember(finished: TrainingSession) -> None:
    given = [bool(learned_from(finished)[number]["features"].any()) for number in range(len(learned_from(finished)))]
    assert set(given) == {True, False}


def test_without_a_memory_samples_are_as_they_were(finished: TrainingSession) -> None:
    """What is drawn for the memory comes last: it changes nothing else."""
    with_it = learned_from(finished)
    parts = [[video for group in with_it.choose.groups for video in group]]
    one, other = (
        TrainingSet(parts, with_it.packed, with_it.manifest, with_it.settings, 3, 8, memory=memory, forgotten=0.5)
        for memory in (NO_MEMORY, with_it.memory)
    )
    for number in range(8):
        expected, got = one[number], other[number]
        assert got.keys() - expected.keys() == set(MAPS)
        for name, value in expected.items():
            np.testing.assert_array_equal(got[name], value)


def test_a_detector_without_one_can_be_given_a_memory(
    settings: TrainSettings, folder: Path, finished: TrainingSession
) -> None:
    plain = prepared(replace(settings, memory=""), folder, "plain")
    learn(plain, lambda: False)
    begun = prepared(replace(settings, weights=str(plain.out / "last.pt")), folder, "given")
    image = torch.randn(1, 6, 64, 96)
    maps = [torch.randn(1, *shape) for shape in (begun.manifest.memory.features, begun.manifest.memory.tap, (4,))]  # type: ignore[union-attr]
    with torch.inference_mode():
        torch.testing.assert_close(begun.run.average(image, *maps).heatmap, plain.run.average(image).heatmap)


def test_another_memory_is_refused(settings: TrainSettings, folder: Path, finished: TrainingSession) -> None:
    write_untrained_movinet(folder / "other.pt", seed=1)
    weights = str(finished.out / "last.pt")
    unused = folder / "unused"
    for memory in ("", str(folder / "other.pt")):
        with pytest.raises(CheckpointError, match="was trained with another memory; give --memory the weights"):
            prepare(replace(settings, weights=weights, memory=memory), folder / "a", unused, False, workers=0)
        assert not unused.exists()  # nothing was decoded or watched for it
    with pytest.raises(CheckpointError, match="was trained with another memory"):
        prepared(replace(settings, memory=str(folder / "other.pt")), folder, "finished", resume=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--arch", "res_18"), "--memory: only --arch lite and yowo_lite take one, not res_18; leave one of them out"),
        (("--memory-dropout", "1"), "--memory-dropout 1: give 0 to below 1, like 0.15"),
        (("--memory", "gone.pt"), "gone.pt: cannot be read (No such file or directory); give a file that python -m"),
    ],
)
def test_bad_options_are_named(
    options: tuple[str, ...], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(folder / "data"), "--out", str(folder / "bad"), "--cache", str(folder / "cache")]
    assert main([*words, "--memory", str(folder / "movinet.pt"), *options]) == 1
    assert message in capsys.readouterr().err


def test_both_ways_to_compute_samples_give_the_same_maps(finished: TrainingSession) -> None:
    samples, cpu = learned_from(finished), torch.device("cpu")
    on_device = gpu_batches.resident(samples.packed, samples.manifest, cpu, workers=0)
    numbers = range(4)
    (ours,), (theirs,) = (list(made(samples, numbers, 4)) for made in (HostBatches(cpu, 0), on_device))
    for name in MAPS:
        assert torch.equal(ours[name], theirs[name])


def test_training_gets_the_maps_of_the_pipeline(finished: TrainingSession, folder: Path) -> None:
    """Frame by frame as on a device, and cached in clips: the same, but for the rounding of what is kept."""
    seen = []
    engine = memory_engine.engine(checkpoints.load(finished.out / "best.pt"))
    infer = engine.infer
    engine = replace(engine, infer=lambda inputs: (seen.append(dict(inputs)), infer(inputs))[1])
    video = finished.validation[0].frames.choices[0].video
    state = pipeline.initial("video", "seed")
    for frame in read_file(folder / "data" / "videos" / f"{video.name}.avi", "video"):
        state, _ = pipeline.step(state, frame, engine, PipelineSettings())
    assert len(seen) == FRAMES
    known = learned_from(finished).memory[video.name]
    unchanged = TrainingSet([[video]], learned_from(finished).packed, finished.manifest, NO_AUGMENTATION, 0, 1).draw(0)
    for index, inputs in enumerate(seen):
        expected = known.inputs(index, True, unchanged.augmentation, finished.manifest.input_size)
        for name in MAPS:
            np.testing.assert_allclose(inputs[name][0], expected[name], rtol=0.02, atol=0.05)  # frames are kept as JPEG


def test_an_engine_that_has_no_memory_refuses(finished: TrainingSession, folder: Path) -> None:
    engine = checkpoints.engine(checkpoints.load(finished.out / "best.pt"))
    frame = next(iter(read_file(next((folder / "data").rglob("*.avi")), "video")))
    with pytest.raises(EngineError, match="reads the maps of a memory, and was opened without"):
        pipeline.step(pipeline.initial("video", "seed"), frame, engine, PipelineSettings())


def test_a_memory_that_is_gone_or_another_is_named(finished: TrainingSession, folder: Path, tmp_path: Path) -> None:
    best = checkpoints.load(finished.out / "best.pt")
    write_untrained_movinet(folder / "third.pt", seed=3)
    for place, message in (
        ("gone.pt", "needs the memory it was trained with, and .*gone.pt"),
        ("third.pt", "another memory"),
    ):
        moved = replace(best, settings={**best.settings, "memory": str(folder / place)})
        checkpoints.save(moved, tmp_path / "moved.pt")
        with pytest.raises(ModelError, match=message):
            open_model(tmp_path / "moved.pt", threads=1)
