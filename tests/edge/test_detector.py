from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge import detector, letterbox
from edge.manifest import Manifest
from edge.motion_map import MotionSettings

MANIFEST = Manifest("tiny", ("Run", "Jump"), height=64, width=96, motion=MotionSettings("none"), top_k=3)
SIZES = [(96, 64), (320, 240), (1, 1), (31, 47), (3840, 2160), (7, 500), (192, 128)]  # (width, height)


def noise(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def outputs(boxes: list[list[float]], scores: list[float], labels: list[int]) -> dict[str, NDArray[np.generic]]:
    """As the network answers for one image; class score c of row i is (i + c) / 10."""
    rows = np.arange(len(scores), dtype=np.float32)[:, None] / 10
    return {
        "boxes": np.array(boxes, np.float32).reshape(1, -1, 4),
        "scores": np.array([scores], np.float32),
        "labels": np.array([labels], np.int64),
        "class_scores": (rows + np.array([[0.0, 0.1]], np.float32))[None].astype(np.float32),
    }


@pytest.mark.parametrize("size", SIZES)
def test_any_frame_fits_the_input(size: tuple[int, int]) -> None:
    fitted = detector.fit(noise(*size), MANIFEST)
    assert fitted.shape == (64, 96, 3)
    assert fitted.dtype == np.uint8


def test_a_frame_of_the_input_size_stays_as_it_is() -> None:
    image = noise(96, 64)
    np.testing.assert_array_equal(detector.fit(image, MANIFEST), image)


def test_the_rest_of_the_input_is_black() -> None:
    # 32 × 64 in 96 × 64: scale 1, 32 columns of black on either side
    fitted = detector.fit(np.full((64, 32, 3), 200, np.uint8), MANIFEST)
    assert not fitted[:, :32].any()
    assert (fitted[:, 33:63] == 200).all()
    assert not fitted[:, 65:].any()


def test_normalisation_is_the_formula() -> None:
    manifest = replace(MANIFEST, mean=(0.1, 0.4, 0.7), std=(0.2, 0.5, 1.5))
    image = noise(96, 64)
    expected = (image / 255 - np.array([0.1, 0.4, 0.7])) / np.array([0.2, 0.5, 1.5])  # B, G, R
    normalised = detector.normalise(image, manifest)
    assert normalised.dtype == np.float32
    np.testing.assert_allclose(normalised, expected, atol=1e-5)


def test_network_input_holds_frame_then_motion() -> None:
    frame = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    alone = detector.network_input(frame, None)
    assert alone.shape == (1, 3, 2, 4)
    both = detector.network_input(frame, -frame)
    assert both.shape == (1, 6, 2, 4)
    assert both.dtype == np.float32
    assert both.flags.c_contiguous
    for channel in range(3):
        np.testing.assert_array_equal(both[0, channel], frame[:, :, channel])
        np.testing.assert_array_equal(both[0, 3 + channel], -frame[:, :, channel])


@pytest.mark.parametrize("size", SIZES)
def test_boxes_come_back_to_where_they_were(size: tuple[int, int]) -> None:
    width, height = size
    truth = np.array([[0.1, 0.2, 0.5, 0.9], [0.0, 0.0, 1.0, 1.0]], np.float32) * (width, height, width, height)
    seen = letterbox.transform(truth.astype(np.float32), letterbox.affine(size, MANIFEST.input_size))
    found = detector.detections(outputs(seen.tolist(), [0.9, 0.8], [0, 1]), size, MANIFEST, 0.5)
    np.testing.assert_allclose(found.boxes, truth, rtol=1e-4, atol=1e-3)


def test_a_painted_rectangle_matches_its_box() -> None:
    """Pixels and boxes take the same way: 320 × 240 in 96 × 64 is a scale of 4/15, with black bars at the sides."""
    image = np.zeros((240, 320, 3), np.uint8)
    image[60:180, 90:240] = 255
    box = letterbox.transform(np.array([[90, 60, 240, 180]], np.float32), letterbox.affine((320, 240), (96, 64)))[0]
    x, y, width, height = cv2.boundingRect((detector.fit(image, MANIFEST)[:, :, 0] > 127).astype(np.uint8))
    np.testing.assert_allclose([x, y, x + width, y + height], box, atol=1.01)


def test_detections_are_filtered_and_clipped() -> None:
    raw = outputs([[-5, -5, 20, 20], [10, 10, 30, 30], [40, 40, 99, 50]], [0.9, 0.5, 0.3], [1, 0, 1])
    found = detector.detections(raw, (96, 64), MANIFEST, minimum_score=0.5)
    np.testing.assert_allclose(found.boxes, [[0, 0, 20, 20], [10, 10, 30, 30]])
    assert found.scores.tolist() == pytest.approx([0.9, 0.5])
    assert found.labels.tolist() == [1, 0]
    np.testing.assert_allclose(found.class_scores, [[0, 0.1], [0.1, 0.2]], atol=1e-6)
    kinds = (found.boxes.dtype, found.scores.dtype, found.labels.dtype, found.class_scores.dtype)
    assert kinds == (np.float32, np.float32, np.int64, np.float32)


@pytest.mark.parametrize(
    "box",
    [
        [-30, 10, -10, 20],  # left of the frame
        [10, 10, 10, 20],  # no width
        [20, 10, 10, 30],  # turned inside out
        [float("nan")] * 4,
        [100, 10, 120, 20],  # in the black bar: the frame ends at column 80 of the input
    ],
)
def test_boxes_without_area_in_the_frame_are_dropped(box: list[float]) -> None:
    found = detector.detections(outputs([box], [0.9], [0]), (64, 64), MANIFEST, 0.1)
    assert found.boxes.shape == (0, 4)
    assert found.class_scores.shape == (0, 2)


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("boxes", (1, 2), NAN),
        ("boxes", (1, 2), INFINITE),  # clipped it would be the frame's edge
        ("boxes", (1, 0), -INFINITE),
        ("scores", (1,), NAN),
        ("scores", (1,), INFINITE),
        ("scores", (1,), 1.5),
        ("scores", (1,), -0.1),
        ("labels", (1,), 2),  # there are two
        ("labels", (1,), -1),
        ("class_scores", (1, 0), NAN),
        ("class_scores", (1, 1), INFINITE),
        ("class_scores", (1, 1), -INFINITE),
    ],
)
@pytest.mark.parametrize("precision", [np.float32, np.float16])
def test_what_no_network_may_answer_is_left_out_and_counted(
    name: str, place: tuple[int, ...], value: float, precision: type[np.floating]
) -> None:
    raw = outputs([[1, 1, 20, 20], [10, 10, 30, 30], [40, 10, 50, 30]], [0.9, 0.8, 0.7], [0, 1, 1])
    raw = {key: array if key == "labels" else array.astype(precision) for key, array in raw.items()}
    raw[name][(0,) + place] = value  # noqa: RUF005 -- Python 3.10
    found = detector.detections(raw, (96, 64), MANIFEST, 0.1)
    assert found.boxes[:, 0].tolist() == [1, 40]
    assert found.invalid == 1


def test_a_score_that_rounding_puts_above_1_is_1() -> None:
    found = detector.detections(outputs([[1, 1, 20, 20]], [1.0004], [0]), (96, 64), MANIFEST, 0.1)
    assert (found.scores.tolist(), found.invalid) == ([1.0], 0)


def test_no_detection_at_all() -> None:
    raw = {**outputs([], [], []), "class_scores": np.zeros((1, 0, 2), np.float32)}
    found = detector.detections(raw, (320, 240), MANIFEST, 0.1)
    assert (found.boxes.shape, found.scores.shape, found.class_scores.shape) == ((0, 4), (0,), (0, 2))


def test_half_precision_outputs_become_single() -> None:
    raw = {
        name: a.astype(np.float16) if a.dtype == np.float32 else a
        for name, a in outputs([[1, 2, 3, 4]], [0.5], [0]).items()
    }
    assert detector.detections(raw, (96, 64), MANIFEST, 0.1).boxes.dtype == np.float32


OVERLAPPING = (
    [[10.0, 10.0, 30.0, 30.0], [11.0, 10.0, 31.0, 30.0], [10.0, 11.0, 30.0, 31.0], [60.0, 10.0, 80.0, 30.0]],
    [0.5, 0.9, 0.6, 0.2],
)


@pytest.mark.parametrize(
    ("labels", "threshold", "scores"),
    [
        ([0, 0, 0, 0], 1.0, [0.5, 0.9, 0.6, 0.2]),  # as a network of peaks answers: all, in its order
        ([0, 0, 0, 0], 0.4, [0.9, 0.2]),
        ([0, 0, 1, 0], 0.4, [0.9, 0.6, 0.2]),  # a person may do two things
        ([1, 0, 1, 0], 0.95, [0.9, 0.6, 0.5, 0.2]),  # too unlike, by falling score
    ],
)
def test_boxes_of_one_action_in_one_place_are_one(labels: list[int], threshold: float, scores: list[float]) -> None:
    found = detector.detections(
        outputs(OVERLAPPING[0], OVERLAPPING[1], labels), (96, 64), replace(MANIFEST, nms_iou=threshold), 0.0
    )
    assert found.scores.tolist() == pytest.approx(scores)
    for box, score in zip(found.boxes, found.scores, strict=True):  # every column in the same order
        row = OVERLAPPING[1].index(round(float(score), 3))
        assert box.tolist() == pytest.approx(OVERLAPPING[0][row], abs=1e-3)


def test_weak_boxes_suppress_nobody_and_none_is_none() -> None:
    manifest = replace(MANIFEST, nms_iou=0.4)
    boxes = OVERLAPPING[0][:2]
    assert detector.detections(outputs(boxes, [0.01, 0.02], [0, 0]), (96, 64), manifest, 0.02).scores.tolist() == [
        pytest.approx(0.02)
    ]
    assert len(detector.detections(outputs(boxes, [0.01, 0.02], [0, 0]), (96, 64), manifest, 0.5).scores) == 0
