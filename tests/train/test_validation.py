import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from tests.support.tiny_videos import FIRST, LABELS, write_data_set
from train.batches import HostBatches
from train.datasets.annotation_records import VideoFrame
from train.datasets.packed_video import open_packed
from train.datasets.ucf24 import load_ucf24
from train.networks.decoder import Heads
from train.samples import ValidationFrames
from train.validation import BATCH, PartScore, ValidationPart, frame_average_precision, overall, scores

torch.set_num_threads(1)
MANIFEST = Manifest("tiny", LABELS, 64, 96, MotionSettings("none"), top_k=10)


class Oracle(nn.Module):
    """Says the targets of the frames, one batch after the other; `sure` is its logit at centres."""

    def __init__(self, frames: ValidationFrames, sure: float, mirrored: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))  # its device is where batches go
        self.frames, self.sure, self.mirrored, self.next = frames, sure, mirrored, 0

    def forward(self, image: Tensor) -> Heads:
        goals = [self.frames[self.next + i] for i in range(len(image))]
        self.next += len(image)
        heatmap, size, offset = (
            torch.from_numpy(np.stack([g[n] for g in goals])) for n in ("heatmap", "size", "offset")
        )
        heatmap = heatmap.flip(1) if self.mirrored else heatmap
        return Heads(torch.where(heatmap == 1, self.sure, -20.0), size, offset)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> ValidationFrames:
    """All frames of the six videos: more than one batch."""
    folder = write_data_set(tmp_path_factory.mktemp("data"))
    data = load_ucf24(folder)
    packed = open_packed([(v.name, data.video(v.name)) for v in data.train], folder / "cache")
    frames = ValidationFrames([VideoFrame(v, f) for v in data.train for f in range(v.frames)], packed, MANIFEST)
    assert len(frames) > BATCH
    return frames


def score(network: nn.Module, frames: ValidationFrames) -> list[float]:
    return frame_average_precision(network, frames, MANIFEST, HostBatches(torch.device("cpu"), 0))


def test_a_perfect_network_scores_all(frames: ValidationFrames) -> None:
    assert score(Oracle(frames, 10.0), frames) == pytest.approx([100, 100])


def test_a_network_that_swaps_the_actions_scores_zero(frames: ValidationFrames) -> None:
    assert score(Oracle(frames, 10.0, mirrored=True), frames) == pytest.approx([0, 0])


def test_a_silent_network_scores_zero(frames: ValidationFrames) -> None:
    assert score(Oracle(frames, -20.0), frames) == pytest.approx([0, 0])


def test_an_action_without_ground_truth_has_no_score(frames: ValidationFrames) -> None:
    only = [choice for choice in frames.choices if choice.video.tubes[0].label == 0]
    some = ValidationFrames(only, frames.packed, MANIFEST)
    basketball, surfing = score(Oracle(some, 10.0), some)
    assert basketball == pytest.approx(100)
    assert np.isnan(surfing)


def test_frames_without_anybody(frames: ValidationFrames) -> None:
    idle = ValidationFrames([choice for choice in frames.choices if choice.frame < FIRST], frames.packed, MANIFEST)
    assert np.isnan(score(Oracle(idle, 10.0), idle)).all()


def test_each_data_set_is_scored_on_the_labels_that_it_annotates(frames: ValidationFrames) -> None:
    """The oracle is right on both labels; the third data set has no frame for validation."""
    whole, second = ValidationPart("A", (0, 1), frames), ValidationPart("B", (1,), frames)
    empty = ValidationPart("C", (0,), ValidationFrames([], frames.packed, MANIFEST))
    batches = HostBatches(torch.device("cpu"), 0)
    found = [scores(Oracle(frames, 5), [part], MANIFEST, batches)[0] for part in (whole, second, empty)]
    assert [one.precision for one in found[:2]] == [pytest.approx((100, 100)), pytest.approx((100,))]
    assert np.isnan(found[2].precision).tolist() == [True]
    assert list(map(str, found)) == ["A 100.0 %", "B 100.0 %", "C not scored"]


def test_the_mean_of_data_sets_not_of_labels_is_what_counts() -> None:
    nan = float("nan")
    two = [PartScore("A", (80.0,)), PartScore("B", (20.0, 40.0, nan))]
    assert overall(two) == pytest.approx(55)  # (80 + 30) / 2
    assert overall([*two, PartScore("C", (nan,))]) == pytest.approx(55)
    assert overall([PartScore("C", (nan,)), PartScore("D", ())]) == 0
