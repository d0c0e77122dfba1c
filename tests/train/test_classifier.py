"""`korsal-train classifier` on a tiny run."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edge import pipeline
from edge.cameras.video_file import read_file
from edge.pipeline import PipelineSettings
from tests.support.tiny_runs import tiny_settings
from tests.support.tiny_videos import FRAMES, write_data_set
from tests.support.untrained_movinet import write_untrained_movinet
from train import checkpoint as checkpoints
from train import classifier, memory_engine, trained_on
from train.networks.lite import LiteDetector
from train.networks.memory_classifier import PREFIX
from train.networks.second_look import PREFIX as LOOK
from train.networks.second_look import SecondLook
from train.train import learn, main, prepare

torch.set_num_threads(1)
BATCH = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs with a memory: one that held out videos, one that learnt from all."""
    folder = tmp_path_factory.mktemp("classifier")
    write_data_set(folder / "data")
    write_untrained_movinet(folder / "movinet.pt")
    settings = replace(tiny_settings(folder / "data", 2), memory=str(folder / "movinet.pt"))
    for name, everything in (("held", False), ("all", True)):
        chosen = replace(settings, all_groups=everything)
        learn(prepare(chosen, folder / name, folder / "cache", False, workers=0), lambda: False)
    return folder


def learnt(folder: Path, run: str, name: str, *options: str) -> Path:
    out = folder / name
    assert (
        main(["classifier", str(folder / run / "best.pt"), "-o", str(out), "--cache", str(folder / "cache"), *options])
        == 0
    )
    return out


def test_it_is_added_with_the_gain_that_scores_best(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = checkpoints.load(learnt(folder, "held", "chosen.pt"))
    printed = capsys.readouterr().out
    assert "gain 0.5: frame-mAP@0.5" in printed
    assert "chosen for Basketball and others: gain" in printed
    assert "examples" in printed
    assert set(made.weights[f"{PREFIX}gain"].tolist()) <= set(classifier.GAINS)
    assert made.weights[f"{PREFIX}groups"].tolist() == [3]  # both actions, and none of them
    before = checkpoints.load(folder / "held" / "best.pt")
    assert all(torch.equal(made.weights[name], value) for name, value in before.weights.items())
    network = checkpoints.detector(made)
    assert isinstance(network, LiteDetector)
    assert network.classifier is not None


def test_a_gain_is_given_taken_over_or_the_usual_one(folder: Path) -> None:
    given = learnt(folder, "held", "given.pt", "--gain", "0.75")
    usual = learnt(folder, "all", "usual.pt")
    taken = learnt(folder, "all", "taken.pt", "--gain-of", str(given))
    for file, gain in ((given, 0.75), (usual, classifier.USUAL_GAIN), (taken, 0.75)):
        assert checkpoints.load(file).weights[f"{PREFIX}gain"].tolist() == [gain] * 2


def test_a_checkpoint_that_has_moved_with_its_data(folder: Path, tmp_path: Path) -> None:
    best = checkpoints.load(folder / "held" / "best.pt")
    gone = {**best.settings, "data": ["/gone/data"], "memory": "/gone/movinet.pt"}
    checkpoints.save(replace(best, settings=gone), tmp_path / "best.pt")
    shutil.copy(folder / "movinet.pt", tmp_path)
    words = ["classifier", str(tmp_path / "best.pt"), "-o", str(tmp_path / "out.pt"), "--cache", str(folder / "cache")]
    assert main([*words, "--gain", "1"]) == 1
    assert main([*words, "--gain", "1", "--data", str(folder / "data")]) == 0
    one, other = (
        checkpoints.load(path) for path in (tmp_path / "out.pt", learnt(folder, "held", "b.pt", "--gain", "1"))
    )
    assert all(torch.equal(one.weights[name], value) for name, value in other.weights.items())


def test_it_is_learnt_the_same_again(folder: Path) -> None:
    one, other = (checkpoints.load(learnt(folder, "held", name, "--gain", "1")) for name in ("one.pt", "other.pt"))
    assert all(torch.equal(one.weights[name], value) for name, value in other.weights.items())


def test_a_run_that_begins_with_it_begins_without_it(folder: Path) -> None:
    given = learnt(folder, "held", "begun.pt", "--gain", "1")
    settings = trained_on.settings_of(checkpoints.load(given))
    run = prepare(replace(settings, weights=str(given)), folder / "begun", folder / "cache", False, workers=0)
    assert not [name for name in run.run.network.state_dict() if name.startswith(PREFIX)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"memory": None}, "only --arch lite trained with --memory has a classifier of it"),
        ({"labels": ("Basketball", "Diving")}, "was trained with other labels than .* has now; train it again"),
    ],
)
def test_a_checkpoint_that_has_none_is_named(
    changed: dict[str, object], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = checkpoints.load(folder / "held" / "best.pt")
    checkpoints.save(replace(best, manifest=replace(best.manifest, **changed)), tmp_path / "x.pt")  # type: ignore[arg-type]
    assert (
        main(["classifier", str(tmp_path / "x.pt"), "-o", str(tmp_path / "y.pt"), "--cache", str(folder / "cache")])
        == 1
    )
    printed = capsys.readouterr().err
    assert printed.startswith(f"korsal-train: {tmp_path / 'x.pt'}: ")
    assert re.search(message, printed)
    assert not (tmp_path / "y.pt").exists()


def test_what_it_reads_is_what_the_pipeline_gives_it(folder: Path) -> None:
    """Frame by frame as on a device, and cached: the same, but for the rounding of what is kept."""
    best, seen = folder / "held" / "best.pt", []
    engine = memory_engine.engine(checkpoints.load(learnt(folder, "held", "read.pt", "--gain", "1")))
    infer = engine.infer
    engine = replace(engine, infer=lambda inputs: (seen.append(dict(inputs)), infer(inputs))[1])
    run = classifier.prepare(best, folder / "cache", 0)
    video = run.validation[0].frames.choices[0].video
    state = pipeline.initial("video", "seed")
    for frame in read_file(folder / "data" / "videos" / f"{video.name}.avi", "video"):
        state, _ = pipeline.step(state, frame, engine, PipelineSettings())
    known = run.validation[0].frames.memory[video.name]
    assert len(seen) == FRAMES
    for index, inputs in enumerate(seen):
        for name, expected in known.outputs(index).items():
            np.testing.assert_allclose(inputs[name][0], expected, rtol=0.02, atol=0.05)  # frames are kept as JPEG


def test_what_cannot_be_is_refused_before_a_video_is_decoded(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without, cache = str(folder / "held" / "best.pt"), tmp_path / "cache"
    words = ["classifier", without, "--cache", str(cache)]
    assert main([*words, "-o", str(folder / "no.pt"), "--gain-of", without]) == 1
    assert "has no classifier of these actions; give what korsal-train classifier wrote" in capsys.readouterr().err
    assert main([*words, "-o", str(tmp_path)]) == 1
    assert f"{tmp_path}: is a folder; give -o a file to write" in capsys.readouterr().err
    write_untrained_movinet(tmp_path / "other.pt", seed=1)
    best = checkpoints.load(folder / "held" / "best.pt")
    other = {**best.settings, "memory": str(tmp_path / "other.pt")}
    checkpoints.save(replace(best, settings=other), tmp_path / "best.pt")
    assert main(["classifier", str(tmp_path / "best.pt"), "-o", str(tmp_path / "out.pt"), "--cache", str(cache)]) == 1
    assert "was trained with other weights of its memory" in capsys.readouterr().err
    assert not cache.exists()


@pytest.mark.parametrize("gain", [torch.zeros(5), torch.full((2,), float("nan")), torch.full((2,), -1.0)])
def test_gains_that_cannot_be_are_not_taken_over(
    gain: torch.Tensor, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = folder / "held" / "best.pt"
    saved = checkpoints.load(best)
    checkpoints.save(replace(saved, weights={**saved.weights, f"{PREFIX}gain": gain}), tmp_path / "other.pt")
    words = ["classifier", str(best), "-o", str(tmp_path / "out.pt"), "--cache", str(folder / "cache")]
    assert main([*words, "--gain-of", str(tmp_path / "other.pt")]) == 1
    assert "other.pt: its gains are not from 0 to 10, one for each action; give --gain" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--gain", "nan"], ["--gain=-1"], ["--gain", "1e38"], ["--seed", str(2**64)]])
def test_numbers_that_cannot_be_are_named(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["classifier", "best.pt", "-o", "out.pt", *wrong])
    assert "give a" in capsys.readouterr().err


def test_a_second_look_is_learnt_after_it(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = checkpoints.load(folder / "held" / "best.pt")
    look = SecondLook((64, 40, 112), 2).state_dict()
    weights = {**saved.weights, **{f"{LOOK}{name}": value for name, value in look.items()}}
    checkpoints.save(replace(saved, weights=weights), tmp_path / "looking.pt")
    assert main(["classifier", str(tmp_path / "looking.pt"), "-o", str(tmp_path / "out.pt")]) == 1
    assert "looking.pt: has a second look, which reads the classifier's scores; give" in capsys.readouterr().err


def test_weights_of_a_classifier_that_cannot_be_are_named(folder: Path, tmp_path: Path) -> None:
    made = checkpoints.load(learnt(folder, "held", "whole.pt", "--gain", "1"))
    broken = replace(made, weights={**made.weights, f"{PREFIX}groups": torch.tensor([9, -1])})
    checkpoints.save(broken, tmp_path / "broken.pt")
    with pytest.raises(checkpoints.CheckpointError, match=r"broken\.pt: the classifier's groups are not"):
        checkpoints.detector(checkpoints.load(tmp_path / "broken.pt"))
