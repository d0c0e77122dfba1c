"""A second look is learnt from what a run learned from, and from nothing else of it."""

import pickle
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from tests.support.tiny_runs import tiny_settings
from tests.support.tiny_videos import write_data_set
from tests.support.untrained_movinet import write_untrained_movinet
from train import checkpoint as checkpoints
from train import trained_on
from train.batches import loaded
from train.networks.decoder import Heads
from train.networks.lite import LiteDetector
from train.networks.second_look import PREFIX, SecondLook
from train.samples import Samples
from train.second_look_training import (
    FOUND,
    MOVED,
    TRUE_BOXES,
    BoxedSamples,
    at_middles,
    examples,
    learn,
    overlap,
    tightness,
)
from train.train import learn as learn_run
from train.train import main, prepare

torch.set_num_threads(1)
BATCH = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs that held out videos: one with a memory and its classifier, one without."""
    folder = tmp_path_factory.mktemp("look")
    write_data_set(folder / "data")
    write_untrained_movinet(folder / "movinet.pt")
    settings = tiny_settings(folder / "data", 2)
    for name, memory in (("plain", ""), ("memory", str(folder / "movinet.pt"))):
        run = prepare(replace(settings, memory=memory), folder / name, folder / "cache", False, workers=0)
        learn_run(run, lambda: False)
    words = ["classifier", str(folder / "memory/best.pt"), "-o", str(folder / "memory/classified.pt"), "--gain", "0.5"]
    assert main([*words, "--cache", str(folder / "cache")]) == 0
    return folder


def looked(folder: Path, given: str, name: str, *options: str) -> Path:
    words = ["second-look", str(folder / given), "-o", str(folder / name), "--cache", str(folder / "cache")]
    assert main([*words, "--samples", "6", *options]) == 0
    return folder / name


@pytest.mark.parametrize("given", ["plain/best.pt", "memory/best.pt", "memory/classified.pt"])
def test_it_joins_a_detector_that_stays_as_it_is(given: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = checkpoints.load(looked(folder, given, "out.pt"))
    printed = capsys.readouterr().out
    assert "learnt from 6 samples" in printed
    assert "korsal-convert export" in printed
    before = checkpoints.load(folder / given)
    assert {name for name in made.weights if not name.startswith(PREFIX)} == set(before.weights)
    assert all(torch.equal(made.weights[name], value) for name, value in before.weights.items())
    assert made.weights[f"{PREFIX}last.weight"].abs().sum() > 0
    network = checkpoints.detector(made)
    assert isinstance(network, LiteDetector)
    assert network.second_look is not None


def test_it_is_learnt_the_same_again_and_by_another_seed_another(folder: Path) -> None:
    one, same, other = (
        checkpoints.load(looked(folder, "plain/best.pt", f"{name}.pt", "--seed", seed)).weights
        for name, seed in (("one", "0"), ("same", "0"), ("other", "1"))
    )
    assert all(torch.equal(one[name], value) for name, value in same.items())
    assert not torch.equal(one[f"{PREFIX}last.weight"], other[f"{PREFIX}last.weight"])


def test_it_can_be_learnt_anew(folder: Path) -> None:
    once = looked(folder, "plain/best.pt", "once.pt")
    again = checkpoints.load(looked(folder, once.name, "again.pt")).weights
    assert all(torch.equal(again[name], value) for name, value in checkpoints.load(once).weights.items())


def test_a_run_that_begins_with_it_begins_without_it(folder: Path) -> None:
    given = looked(folder, "memory/classified.pt", "begun.pt")
    settings = replace(trained_on.settings_of(checkpoints.load(given)), weights=str(given))
    run = prepare(settings, folder / "begun", folder / "cache", False, workers=0).run
    assert set(run.network.state_dict()) == set(checkpoints.load(folder / "memory" / "best.pt").weights)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"architecture": "res_18"}, "only --arch lite has a second look at its boxes"),
        ({"labels": ("Basketball", "Diving")}, "was trained with other labels than .* has now; train it again"),
    ],
)
def test_a_checkpoint_that_has_none_is_named(
    changed: dict[str, object], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = checkpoints.load(folder / "plain" / "best.pt")
    checkpoints.save(replace(best, manifest=replace(best.manifest, **changed)), tmp_path / "x.pt")  # type: ignore[arg-type]
    words = ["second-look", str(tmp_path / "x.pt"), "-o", str(tmp_path / "y.pt"), "--cache", str(folder / "cache")]
    assert main(words) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"korsal-train: {tmp_path / 'x.pt'}: ")
    assert re.search(message, printed)
    assert not (tmp_path / "y.pt").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lateral.1.0.weight", torch.zeros(3)),
        ("lateral.1.0.weight", torch.zeros(16, 7, 1, 1)),  # of maps that no detector has
        ("last.weight", torch.zeros(3, 3)),
    ],
)
def test_weights_of_one_that_cannot_be_are_named(name: str, value: torch.Tensor, folder: Path, tmp_path: Path) -> None:
    made = checkpoints.load(looked(folder, "plain/best.pt", "whole.pt"))
    checkpoints.save(replace(made, weights={**made.weights, f"{PREFIX}{name}": value}), tmp_path / "broken.pt")
    message = rf"broken\.pt: the weights are of another network .*{PREFIX}{name}"
    with pytest.raises(checkpoints.CheckpointError, match=message):
        checkpoints.detector(checkpoints.load(tmp_path / "broken.pt"))


def test_what_cannot_be_is_refused_before_a_video_is_decoded(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best, out, cache = folder / "plain" / "best.pt", tmp_path / "out.pt", tmp_path / "cache"
    saved = checkpoints.load(best)
    other, cut = tmp_path / "other.pt", tmp_path / "cut.pt"
    checkpoints.save(replace(saved, settings={**saved.settings, "architecture": "res_18"}), other)
    checkpoints.save(replace(saved, weights=dict(list(saved.weights.items())[:-1])), cut)
    for given, wanted, message in (
        (best, best, "is the checkpoint to add to, which stays as it is; give -o another name"),
        (best, tmp_path / "out.onnx", "give -o a name that ends in .pt"),
        (cut, out, "the weights are of another network than its manifest says"),
        (other, out, "was trained as res_18, and its manifest says lite"),
    ):
        assert main(["second-look", str(given), "-o", str(wanted), "--cache", str(cache)]) == 1
        assert message in capsys.readouterr().err
    assert not cache.exists()


def test_samples_without_a_person_teach_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "data", tmp_path / "data")
    videos = pickle.loads((tmp_path / "data" / "pyannot.pkl").read_bytes())
    for video in videos.values():
        video["annotations"][0]["boxes"][:, 2:] = 1
    (tmp_path / "data" / "pyannot.pkl").write_bytes(pickle.dumps(videos))
    words = ["second-look", str(folder / "plain" / "best.pt"), "-o", str(tmp_path / "out.pt"), "--samples", "6"]
    assert main([*words, "--cache", str(folder / "cache"), "--data", str(tmp_path / "data")]) == 1
    assert "no sample shows a person of 4 pixels or more" in capsys.readouterr().err
    assert not (tmp_path / "out.pt").exists()


def test_it_ends_in_one_sentence_when_it_is_stopped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("train.second_look_training.learn", interrupted)
    words = ["second-look", str(folder / "plain" / "best.pt"), "-o", str(tmp_path / "out.pt")]
    assert main([*words, "--cache", str(folder / "cache")]) == 130
    assert capsys.readouterr().err == "korsal-train: stopped\n"
    assert list(tmp_path.iterdir()) == []


def test_examples_are_found_boxes_near_a_true_one_and_true_ones_moved() -> None:
    torch.manual_seed(0)
    truth = torch.zeros(2, TRUE_BOXES, 4)
    truth[0, 1] = torch.tensor([10.0, 10.0, 30.0, 50.0])  # the second picture shows nobody
    boxes = torch.tensor([[12.0, 12.0, 30.0, 50.0], [60.0, 10.0, 80.0, 50.0], [8.0, 10.0, 30.0, 48.0]]).repeat(2, 3, 1)
    scores = torch.linspace(0.9, 0.1, 9).repeat(2, 1)
    there, goal, weight = examples(truth, boxes, scores)
    assert there.shape == goal.shape == (2, FOUND + MOVED, 4)
    assert weight[1].sum() == 0
    assert weight[0].tolist() == [1.0] * 6 + [0.0] * (FOUND - 6) + [1.0] * MOVED
    assert torch.equal(there[0, :2], boxes[0, [0, 2]])  # the best first
    assert (goal[0][weight[0] > 0] == truth[0, 1]).all()
    moved = overlap(there[0, FOUND:], truth[0, 1].expand(MOVED, 4))
    assert 0.2 < moved.mean() < 0.95
    assert len(set(moved.tolist())) == MOVED


def test_what_is_seen_in_the_middle_of_a_box() -> None:
    maps = torch.arange(12.0).reshape(1, 1, 3, 4)
    boxes = torch.tensor([[[0.0, 0.0, 3.0, 3.0], [-9.0, -9.0, -5.0, -5.0], [2.0, 1.0, 9.0, 9.0]]])
    assert at_middles(maps, boxes)[0, :, 0].tolist() == [5.0, 0.0, 11.0]


class Pictures:
    """Squares of 6 to 10 cells, as `Samples`."""

    def __init__(self, count: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        corner = random.integers(2, 12, (count, 2))
        self.cells = np.concatenate([corner, corner + random.integers(6, 11, (count, 2))], axis=1)

    def __len__(self) -> int:
        return len(self.cells)

    def draw(self, number: int) -> Any:
        return SimpleNamespace(boxes=self.cells[number : number + 1].astype(np.float32) * 4, labels=np.array([0]))

    def __getitem__(self, number: int) -> dict[str, NDArray[np.float32]]:
        x1, y1, x2, y2 = self.cells[number]
        image = np.zeros((1, 24, 24), np.float32)
        image[0, y1:y2, x1:x2] = 1
        return {"image": image}


class OneSize(torch.nn.Module):
    """Finds squares, and takes all for eight cells wide and high."""

    def forward(self, image: torch.Tensor) -> Heads:
        filled = F.avg_pool2d(image, 9, 1, 4)
        peaks = 8 * (filled / filled.amax(dim=(2, 3), keepdim=True) - 0.9) * 10
        ones = torch.ones_like(image).repeat(1, 2, 1, 1)
        return Heads(peaks, 8 * ones, 0.5 * ones, (image,))


def test_boxes_become_tighter_where_the_maps_show_the_person() -> None:
    network, look = cast(LiteDetector, OneSize()), SecondLook((1,), 1)
    torch.manual_seed(0)
    learned, others = Pictures(4000, 0), Pictures(100, 1)
    steps = len(learned) // 16
    learn(network, look, loaded(BoxedSamples(cast(Samples, learned)), range(len(learned)), 16, 0), steps)
    before, after = tightness(network, look, cast(Samples, others))
    assert len(before) == len(after) > 90
    assert before.mean() < 0.75
    assert after.mean() > before.mean() + 0.08
