"""What is wrong with annotations, and the contact sheet."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.annotated_player import write_video
from tests.support.annotation_files import box, written
from train import check
from train.box_tables import Tube
from train.datasets import annotation_faults
from train.datasets.annotation_faults import FileFacts, faults
from train.datasets.annotation_records import DataSet, GroundTruthTube, VideoAnnotation
from train.datasets.contact_sheet import SheetError, choices, write_sheet
from train.overlap import tube_iou

GOOD = np.tile(np.array([10, 10, 50, 90], np.float32), (10, 1))


def data(
    *tubes: GroundTruthTube, train: tuple[VideoAnnotation, ...] | None = None, videos: Path = Path("none")
) -> DataSet:
    video = VideoAnnotation("a", 20, tubes, (96, 64 * 2))
    other = VideoAnnotation("b", 20, (GroundTruthTube(0, 0, GOOD),), (96, 128))
    return DataSet(("waves",), (other,) if train is None else train, (video,), videos)


def tube(boxes: np.ndarray = GOOD, first: int = 0) -> GroundTruthTube:
    return GroundTruthTube(0, first, boxes.astype(np.float32))


def fault_texts(found: DataSet, files: dict[str, FileFacts] | None = None) -> str:
    return "; ".join(f"{fault.video}: {fault.text}" for fault in faults(found, files or {}))


def with_box(place: int, *corners: float) -> np.ndarray:
    boxes = GOOD.copy()
    boxes[place] = corners
    return boxes


@pytest.mark.parametrize(("rates", "noted"), [((25, 30), False), ((10, 25), True), ((0, 25), False), ((25,), False)])
def test_videos_of_other_frame_rates(rates: tuple[float, ...], noted: bool) -> None:
    names = "bcd"[: len(rates)]
    found = data(train=tuple(VideoAnnotation(name, 20, ()) for name in names))
    files = {name: FileFacts(20, rate=rate) for name, rate in zip(names, rates, strict=True)}
    text = "frames a second are 10 (b) to 25 (c), and motion is learned from frame to frame in all videos: film at one"
    assert (text in fault_texts(found, files)) is noted
    assert "frames a second" not in fault_texts(replace(found, rate=25.0), files)
    assert "frames a second" not in fault_texts(found)


@pytest.mark.parametrize(
    ("tubes", "expected"),
    [
        ([tube()], ""),
        ([tube(with_box(3, 10, 10, 10, 90))], "a: waves in frames 1 to 10: a box without area in frame 4"),
        ([tube(with_box(3, 10, 10, 12, 90))], "a side below 4 pixels in frame 4"),
        ([tube(with_box(3, -5, 10, 50, 90))], "leaves the frame in frame 4"),
        ([tube(with_box(3, 10, 10, 99, 90))], "leaves the frame in frame 4"),
        ([tube(with_box(3, 60, 10, 90, 90))], "does not touch the one before in frame 4 and 1 more"),
        ([tube(first=15)], "continues after the last frame, 20"),
        ([tube(), tube(GOOD + 1)], "waves is annotated twice from frame 1 on"),
        ([tube(GOOD[:0])], "no box; delete it"),
        ([], "no tube of waves for test; annotate some, or take that off the actions"),
    ],
)
def test_faults_of_tubes(tubes: list[GroundTruthTube], expected: str) -> None:
    assert expected in fault_texts(data(*tubes))
    assert bool(expected) == bool(fault_texts(data(*tubes)))


@pytest.mark.parametrize(("single", "noted"), [(4, False), (5, True)])
def test_shapes_instead_of_tracks_are_noted(single: int, noted: bool) -> None:
    """Every fifth frame was looked at, and a shape ends where the next frame was looked at."""
    annotated = np.arange(0, 50, 5)
    shapes = tuple(GroundTruthTube(0, 5 * n, GOOD[:5]) for n in range(single))
    found = faults(data(train=(VideoAnnotation("c", 46, shapes, (96, 128), annotated),)), {})
    expected = f"{single} of {single} tubes have one box: draw each action as one track, not as shapes"
    assert [(fault.text, fault.serious) for fault in found if "one box" in fault.text] == [(expected, False)] * noted


def test_faults_of_lists_and_files() -> None:
    video = VideoAnnotation("a", 20, (tube(),), (96, 128))
    both = data(tube(), train=(video, video))
    assert "a: twice in the list for train; take one line away" in fault_texts(both)
    assert "a: for training and for testing; take it off one list" in fault_texts(both)
    assert "no video for train" in fault_texts(data(tube(), train=()))
    other = "copy the video that was annotated, or annotate this one"
    longer, lower = FileFacts(30, (96, 128)), FileFacts(21, (96, 64))
    assert f"20 frames are annotated, the file has 30; {other}" in fault_texts(data(tube()), {"a": longer})
    assert f"annotated at 96x128, the file is 96x64; {other}" in fault_texts(data(tube()), {"a": lower})
    assert fault_texts(data(tube()), {"a": FileFacts(unreadable="gone")}) == "a: gone"
    assert fault_texts(data(tube()), {"a": FileFacts(None, None)}) == ""


@pytest.mark.parametrize("labels", [(), ("waves",)])
def test_a_data_set_without_any_action(labels: tuple[str, ...]) -> None:
    video = VideoAnnotation("a", 20, (), (96, 128))
    found = faults(DataSet(labels, (video,), (replace(video, name="b"),), Path()), {})
    assert ("no video shows any action; check what was exported", True) in [(one.text, one.serious) for one in found]


def test_every_class_gets_equally_many_images() -> None:
    many = [VideoAnnotation(f"{n}", 20, (GroundTruthTube(n % 2, 0, GOOD),)) for n in range(9)]
    few = VideoAnnotation("z", 20, (GroundTruthTube(2, 4, GOOD),))
    shown = choices(DataSet(("a", "b", "c", "d"), tuple(many), (few,), Path()), 6)
    labels = [one.video.tubes[0].label for one in shown]
    assert sorted(labels) == [0, 0, 1, 1, 2]
    assert {one.frame for one in shown if one.video.name == "z"} == {9}
    assert len({one.video.name for one in shown}) == len(shown)


def test_labels_outside_ascii_differ_on_the_sheet(tmp_path: Path) -> None:
    boxes = np.tile(np.array([20, 10, 44, 50], np.float32), (10, 1))
    gone = VideoAnnotation("gone", 24, (GroundTruthTube(0, 5, boxes),), (96, 64))
    sheets = []
    for label in ("投篮", "扣篮"):
        write_sheet(DataSet((label,), (), (gone,), tmp_path), tmp_path / "sheet.png")
        sheets.append((tmp_path / "sheet.png").read_bytes())
    assert sheets[0] != sheets[1]


def test_the_sheet_shows_the_boxes_where_they_are(tmp_path: Path) -> None:
    boxes = np.tile(np.array([20, 10, 44, 50], np.float32), (10, 1))
    seen = VideoAnnotation("v", 24, (GroundTruthTube(0, 5, boxes),), (96, 64))
    gone = VideoAnnotation("gone", 24, (GroundTruthTube(0, 5, boxes),), (96, 64))
    write_video(tmp_path / "videos" / "v.mp4")
    made = DataSet(("Surfing",), (seen,), (gone,), tmp_path / "videos")
    assert write_sheet(made, tmp_path / "made" / "sheet.png") == 2
    sheet = cv2.imread(str(tmp_path / "made" / "sheet.png"))
    assert sheet is not None
    assert sheet.shape == (262, 640, 3)
    first, second = sheet[:, :320].astype(int), sheet[:, 320:].astype(int)
    scale = 320 / 96
    middle, left = (int(32 * scale), int(30 * scale)), (int(32 * scale), int(20 * scale))
    assert first[middle[1], middle[0]].min() > 200  # the bright person
    assert first[left[0] + 20, left[1]].tolist() == [64, 220, 64]  # the box's edge
    assert second[middle[1], middle[0]].tolist() == [96, 96, 96]  # grey: no video
    with pytest.raises(SheetError, match="no video has a tube"):
        write_sheet(DataSet(("a",), (), (), tmp_path), tmp_path / "x.png")
    with pytest.raises(SheetError, match=r"has no ending of a picture format; let it end in \.jpg, \.jpeg or \.png"):
        write_sheet(made, tmp_path / "x.nonsense")
    (tmp_path / "folder.PNG").mkdir()
    with pytest.raises(SheetError, match=r"folder\.PNG: cannot be written \(Is a directory\); give a place"):
        write_sheet(made, tmp_path / "folder.PNG")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "annotations").mkdir()
    written(tmp_path / "annotations", ("waves", [box(4), box(5)]))
    for name in ("trainlist.txt", "testlist.txt"):
        (tmp_path / name).write_text("door/one\n")
    assert check.main([str(tmp_path), "--sheet", str(tmp_path / "sheet.jpg")]) == 1
    output = capsys.readouterr().out
    assert "wrong: door/one: for training and for testing" in output
    assert "no such file" in output
    assert (tmp_path / "sheet.jpg").stat().st_size > 1000
    assert check.main([str(tmp_path / "none")]) == 1
    assert "no such folder or file" in capsys.readouterr().err


def test_one_thing_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "annotations").mkdir()
    written(tmp_path / "annotations", ("waves", [box(4), box(5)]))
    (tmp_path / "trainlist.txt").write_text("door/one\ndoor/one\n")
    (tmp_path / "testlist.txt").touch()
    assert check.main([str(tmp_path), "--no-videos", "--most", "0"]) == 1
    assert "… and 4 more; --most shows them\n1 thing is wrong\n" in capsys.readouterr().out


def test_impossible_requests_are_refused_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Here even before the data set is looked for, which is not there."""
    assert check.main([str(tmp_path / "none"), "--sheet", str(tmp_path / "sheet")]) == 1
    assert "sheet: has no ending of a picture format; let it end in .jpg, .jpeg or .png" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        check.main([str(tmp_path / "none"), "--most", "-1"])
    assert ended.value.code == 2
    assert "--most: -1: give a whole number, 0 or more" in capsys.readouterr().err


def test_the_command_is_part_of_korsal_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = pytest.importorskip("train.train", reason="torch is not installed (extra `train`)")
    assert train.main(["check", str(tmp_path / "none")]) == 1
    assert "no such folder or file" in capsys.readouterr().err


spans = st.tuples(st.integers(0, 12), st.integers(1, 30), st.integers(0, 3), st.integers(0, 1))


def _tube(annotated: GroundTruthTube) -> Tube:
    return Tube(0, annotated.label, 1.0, annotated.first_frame, annotated.boxes)


@given(st.lists(spans, max_size=6))
def test_tubes_are_duplicates_only_where_they_overlap(given_: list[tuple[int, int, int, int]]) -> None:
    tubes = [
        GroundTruthTube(label, first, np.tile(np.array([shift, 0, 100 + shift, 100], np.float32), (length, 1)))
        for first, length, shift, label in given_
    ]
    tubes.sort(key=lambda one: one.first_frame)
    video = VideoAnnotation("a", 99, tuple(tubes), (200, 200))
    expected = [
        f"{'ab'[two.label]} is annotated twice from frame {two.first_frame + 1} on; delete one of the two"
        for one, two in combinations(tubes, 2)
        if one.label == two.label and tube_iou(_tube(one), _tube(two)) > 0.9
    ]
    found = faults(DataSet(("a", "b"), (), (video,), Path("none")), {})
    assert sorted(fault.text for fault in found if "annotated twice" in fault.text) == sorted(expected)


def test_of_thousands_of_tubes_not_every_pair_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 77 KB took a minute."""
    compared: list[int] = []
    monkeypatch.setattr(annotation_faults, "tube_iou", lambda *_: compared.append(1) or 0.0)
    tubes = [GroundTruthTube(0, n, GOOD[:1] + np.float32(3 * n)) for n in range(3000)]
    assert "annotated twice" not in fault_texts(data(*tubes, *tubes[:7]))
    assert len(compared) == 7


def test_what_is_wrong_in_a_file_of_cvat_names_it_the_track_and_the_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "annotations").mkdir()
    written(tmp_path / "annotations", ("waves", [box(0)]), ("waves", [box(4, x=-20), box(5, x=-20)]))
    (tmp_path / "trainlist.txt").write_text("door/one\n")
    (tmp_path / "testlist.txt").touch()
    assert check.main([str(tmp_path), "--no-videos"]) == 1
    assert (
        "wrong: door/one: waves in frames 5 to 6 (one.xml, track 1 from CVAT's frame 4): a box that leaves the frame "
        "in frame 5 and 1 more; draw it inside\n"
    ) in capsys.readouterr().out
