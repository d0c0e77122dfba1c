"""Files of detections and of tubes: round trips, what is refused, and that nothing in them is ever executed."""

import io
import tempfile
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge.motion_gap import REFERENCE_RATE
from tests.support.refusal import refusal
from tests.support.saved_tubes import LABELS, VIDEOS, tubes
from train.box_tables import in_video
from train.evaluation import columns, detection_file, tube_file
from train.evaluation.columns import ColumnError
from train.evaluation.detection_file import SavedDetections
from train.evaluation.tube_file import SavedTubes


def some() -> SavedDetections:
    return SavedDetections(
        VIDEOS,
        LABELS,
        np.array([10, 12]),
        np.array([[320, 240], [640, 480]]),
        video=np.array([0, 0, 1]),
        frames=np.array([0, 9, 4]),
        boxes=np.array([[0, 0, 10, 10], [1.5, 2, 3, 4], [5, 5, 5, 9]], np.float32),
        scores=np.array([0.5, 0.25, 1], np.float32),
        labels=np.array([1, 0, 1]),
        class_scores=np.array([[0.1, 0.5], [0.25, 0.2], [0, 1]], np.float32),
        frame_rates=np.array([29.97, 0]),
    )


def test_detections_come_back(tmp_path: Path) -> None:
    detection_file.save(some(), tmp_path / "made" / "found.npz")
    read = detection_file.load(tmp_path / "made" / "found.npz", dense=True)
    for name in SavedDetections.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(read, name), getattr(some(), name), err_msg=name)
    assert detection_file.load(tmp_path / "made" / "found.npz").class_scores is None
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["found.npz"]


def test_the_columns_are_the_documented_ones(tmp_path: Path) -> None:
    detection_file.save(some(), tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz", allow_pickle=False) as file:
        names = {"video", "frame", "x1", "y1", "x2", "y2", "score", "label", "class_scores"}
        assert set(file) == {*names, "video_names", "label_names", "frame_counts", "frame_sizes", "frame_rates"}
        assert file["frame"].tolist() == [1, 10, 5]
    tube_file.save(tubes(), tmp_path / "tubes.npz")
    with np.load(tmp_path / "tubes.npz", allow_pickle=False) as file:
        names = {"tube", "video", "label", "frame", "x1", "y1", "x2", "y2", "score", "tube_score"}
        assert set(file) == {*names, "video_names", "label_names"}
        assert file["frame"].tolist() == [4, 5, 1]
        assert file["tube"].tolist() == [1, 1, 2]


def test_a_rate_that_no_file_tells_is_that_of_older_files(tmp_path: Path) -> None:
    assert [some().rate(video) for video in (0, 1)] == [29.97, REFERENCE_RATE]
    detection_file.save(replace(some(), frame_rates=None), tmp_path / "old.npz")
    old = detection_file.load(tmp_path / "old.npz")
    assert [old.rate(video) for video in (0, 1)] == [REFERENCE_RATE] * 2
    assert [old.at_rate(10.0).rate(video) for video in (0, 1)] == [10.0] * 2
    assert old.at_rate(None) is old


@pytest.mark.parametrize("rates", [[25.0], [25.0, -1.0], [25.0, np.nan], [25.0, 1e-9], [25.0, 1e4], ["25", "25"]])
def test_rates_that_no_video_has_are_refused(rates: list[Any], tmp_path: Path) -> None:
    detection_file.save(replace(some(), frame_rates=None), tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as file:
        np.savez(tmp_path / "wrong.npz", **dict(file), frame_rates=np.array(rates))
    with pytest.raises(ColumnError, match="frame_rates"):
        detection_file.load(tmp_path / "wrong.npz")


def test_nothing_found_comes_back(tmp_path: Path) -> None:
    none = replace(some(), class_scores=np.zeros((0, 2), np.float32), video=np.zeros(0, np.int64))
    none = replace(none, frames=none.video, labels=none.video, boxes=none.boxes[:0], scores=none.scores[:0])
    detection_file.save(none, tmp_path / "none.npz")
    assert len(detection_file.load(tmp_path / "none.npz", dense=True).scores) == 0
    tube_file.save(SavedTubes(VIDEOS, LABELS, ()), tmp_path / "tubes.npz")
    assert tube_file.load(tmp_path / "tubes.npz").tubes == ()


def test_boxes_are_counted_as_the_data_counts() -> None:
    table = some().table({"Skiing/v_b": 12, "Surfing/v_a": 9}, ("Surfing",))
    # of video a frame 9 lies beyond its nine frames, and of Skiing nothing is asked
    assert table.frames.tolist() == [int(in_video(np.int64(1), np.array(0))), 4]
    assert table.labels.tolist() == [0, 0]
    assert [(tube.video, tube.label) for tube in tubes().chosen(("Skiing/v_b",), LABELS)] == [(0, 0)]


def test_videos_and_labels_are_numbered_as_given() -> None:
    found = some().numbered_as(("Diving/v_c", "Skiing/v_b", "Surfing/v_a"), ("Surfing", "Diving"))
    assert (found.video.tolist(), found.frames.tolist(), found.labels.tolist()) == ([2, 1], [0, 4], [0, 0])
    assert found.frame_counts.tolist() == [0, 12, 10]
    assert found.frame_sizes.tolist() == [[0, 0], [640, 480], [320, 240]]
    assert (found.rate(0), found.rate(2), found.class_scores) == (REFERENCE_RATE, 29.97, None)
    assert [one.tube.label for one in tubes().numbered_as(("Diving", "Surfing")).tubes] == [1]
    nothing = some().numbered_as((), ())
    assert (len(nothing.scores), nothing.frame_sizes.shape) == (0, (0, 2))


def test_tubes_come_back_in_any_order(tmp_path: Path) -> None:
    tube_file.save(tubes(), tmp_path / "tubes.npz")
    with np.load(tmp_path / "tubes.npz") as file:
        content = {name: file[name] for name in file}
    for name in tube_file.COLUMNS:
        content[name] = content[name][::-1]
    np.savez(tmp_path / "turned.npz", **content)
    first, second = (tube_file.load(tmp_path / name).tubes for name in ("tubes.npz", "turned.npz"))
    for one, two in zip(first, second, strict=True):
        assert (one.tube.video, one.tube.label, one.tube.score) == (two.tube.video, two.tube.label, two.tube.score)
        np.testing.assert_array_equal(one.tube.boxes, two.tube.boxes)
        np.testing.assert_array_equal(one.scores, two.scores)


def changed(path: Path, load: Any, **values: Any) -> str:
    """What is said of a file with other columns; None takes one away."""
    with np.load(path) as file:
        content = {name: file[name] for name in file}
    content.update(values)
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    with pytest.raises(ColumnError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected_message"),
    [
        ({"score": None}, "no column score"),
        ({"label": np.array([0, 1, 2])}, "beyond the 2 label_names"),
        ({"video": np.array([-1, 1, 1])}, "beyond the 2 video_names"),
        ({"frame": np.array([0, 1, 1])}, "count from 1"),
        ({"frame": np.array([1.0, 2.0, 3.5])}, "without fractions"),
        ({"score": np.array([1, np.nan, 1])}, "not finite"),
        ({"x2": np.array([-1.0, 3, 5])}, "x2 before x1"),
        ({"x1": np.array([-1e9, 0, 0])}, "million pixels"),
        ({"y1": np.zeros(2)}, "of shape"),
        ({"video": np.zeros((3, 1), int)}, "of shape"),
        ({"video_names": np.array(["a", "a"])}, "different names"),
        ({"label_names": np.array(["\u00e9", "e\u0301"])}, "different names"),
        ({"class_scores": np.zeros((3, 5), np.float32)}, "class_scores"),
        ({"frame_counts": np.zeros(7, int)}, "frame_counts"),
        ({"label_names": np.array([object(), object()])}, "never unpickled"),
        ({"tube": np.array([1, 1, 2])}, "holds tubes; give it to --tubes"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, values: dict[str, Any], expected_message: str) -> None:
    path = tmp_path / "found.npz"
    detection_file.save(some(), path)
    message = changed(path, lambda place: detection_file.load(place, dense=True), **values)
    assert expected_message in message
    assert str(path) in message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frame": np.array([4, 6, 1])}, "do not follow each other"),
        ({"frame": np.array([4, 4, 1])}, "do not follow each other"),
        ({"label": np.array([0, 1, 1])}, "more than one label"),
        ({"tube_score": np.array([0.5, 0.6, 1])}, "more than one tube_score"),
        ({"tube": None}, "has no column tube; give tubes, which `korsal-evaluate link` makes of"),
        ({"tube_score": None}, "has no column tube_score"),
    ],
)
def test_inconsistent_tubes_are_refused(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    path = tmp_path / "tubes.npz"
    tube_file.save(tubes(), path)
    assert message in changed(path, tube_file.load, **values)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(ColumnError, match="cannot be read"):
            detection_file.load(path)


def test_what_cannot_be_written_is_kept_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours of detecting may have gone into it."""
    (tmp_path / "file").touch()
    (tmp_path / "spare").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spare"))
    with pytest.raises(ColumnError, match=r"cannot be written .* saved as .* instead, move it from there"):
        detection_file.save(some(), tmp_path / "file" / "x.npz")
    [kept] = (tmp_path / "spare").rglob("x.npz")
    assert np.array_equal(detection_file.load(kept).boxes, some().boxes)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(ColumnError, match=r"cannot be written .* choose another path"):
        columns.write(tmp_path / "file" / "x.npz", {})


def test_a_header_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
    with zipfile.ZipFile(path, "w") as archive:
        for name in (*detection_file.COLUMNS, *detection_file.NAMES):
            archive.writestr(f"{name}.npy", header.getvalue())
    with pytest.raises(ColumnError, match="cut short"):
        detection_file.load(path)


def test_what_unpacks_to_far_more_than_the_file_is_refused(tmp_path: Path) -> None:
    for name, packing in (("zeros", zipfile.ZIP_DEFLATED), ("other", zipfile.ZIP_LZMA)):
        with zipfile.ZipFile(tmp_path / f"{name}.npz", "w", packing) as archive, archive.open("a.npy", "w") as member:
            np.lib.format.write_array(member, np.zeros(1 << 27 if name == "zeros" else 9, np.uint8))
    with pytest.raises(ColumnError, match="its columns are more than 64 times as large as the file"):
        columns.read(tmp_path / "zeros.npz", ("a",))
    with pytest.raises(ColumnError, match="it is not compressed as NumPy does"):
        columns.read(tmp_path / "other.npz", ("a",))


@given(st.data())
def test_damaged_files_are_refused_in_one_sentence_or_read(tmp_path: Path, data: st.DataObject) -> None:
    """Any byte may be another, any tail may be missing."""
    path = tmp_path / "found.npz"
    detection_file.save(some(), path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    message = refusal(lambda: detection_file.load(path, dense=True), ColumnError)
    assert message is None or str(path) in message


column = arrays.arrays(
    st.sampled_from([np.int64, np.float32, np.float64, np.uint8, np.bool_, np.complex64]),
    arrays.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4),
)


@given(st.dictionaries(st.sampled_from([*tube_file.COLUMNS, *detection_file.NAMES]), column))
def test_any_columns_are_refused_in_one_sentence_or_read(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "any.npz"
    tube_file.save(tubes(), path)
    with np.load(path) as file:
        whole = {**{name: file[name] for name in file}, **content}
    for load, left_out in ((tube_file.load, ""), (detection_file.load, "tube")):
        np.savez(path, **{name: values for name, values in whole.items() if name != left_out})
        message = refusal(partial(load, path), ColumnError)
        assert message is None or str(path) in message


def test_each_kind_of_file_is_distinguished_from_the_other(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    tube_file.save(tubes(), path)
    with pytest.raises(ColumnError, match="holds tubes; give it to --tubes"):
        detection_file.load(path)
    detection_file.save(some(), path)
    with pytest.raises(ColumnError, match="has no column tube; give tubes"):
        tube_file.load(path)
