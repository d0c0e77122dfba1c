from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge.clip import ClipInput
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from tests.support.tiny_videos import FIRST, LABELS, write_data_set
from train.batches import HostBatches
from train.clips.samples import ClipValidationFrames
from train.datasets.annotation_records import VideoFrame
from train.datasets.packed_video import open_packed
from train.datasets.ucf24 import load_ucf24
from train.networks.decoder import Heads
from train.networks.yowo.decoder import PriorMaps, split_maps
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


class PriorOracle(nn.Module):
    """Sees clips; says each true box with all three priors of the finest map, in every second frame more surely."""

    def __init__(self, frames: ClipValidationFrames) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.frames, self.next = frames, 0

    def forward(self, image: Tensor, clip: Tensor) -> PriorMaps:
        assert clip.shape == (len(image), 3, 2, 64, 96)
        maps = [torch.full((len(image), 3 * 7, 64 // stride, 96 // stride), -12.0) for stride in (32, 16, 8)]
        priors = torch.tensor([[30.0, 30]] * 9).reshape(3, 3, 2)
        for i in range(len(image)):
            sample = self.frames[self.next + i]
            for box, label in zip(sample["boxes"], sample["labels"], strict=True):
                if label >= 0:
                    self._say(maps[2][i].view(3, 7, 8, 12), torch.from_numpy(box), int(label), 4.0 * (i % 2))
        self.next += len(image)
        return split_maps(maps, priors, (32, 16, 8))

    @staticmethod
    def _say(x: Tensor, box: Tensor, label: int, more: float) -> None:
        middle, size = (box[:2] + box[2:]) / 16, box[2:] - box[:2]  # in cells of 8 pixels
        column, row = middle.long().tolist()
        x[:, :2, row, column] = torch.logit(middle - middle.long(), eps=1e-4)
        x[:, 2:4, row, column] = (size / 30).log()
        x[:, 4, row, column] = torch.tensor([3.0, 2.0, 1.0]) + more
        x[:, 5 + label, row, column] = 9.0


@pytest.mark.parametrize("nms_iou", [0.4, 1.0])
def test_boxes_that_are_doubles_count_once_where_the_manifest_says_so(nms_iou: float, frames: ValidationFrames) -> None:
    """Two of three boxes of each person are false where nothing drops them."""
    manifest = replace(MANIFEST, architecture="yowo_lite", clip=ClipInput(2), nms_iou=nms_iou)
    seen = ClipValidationFrames(frames.choices, frames.packed, manifest)
    batches = HostBatches(torch.device("cpu"), 0)
    found = frame_average_precision(PriorOracle(seen), seen, manifest, batches)
    if nms_iou < 1:
        assert found == pytest.approx([100, 100])
    else:
        assert all(50 < value < 90 for value in found)
