"""Frames that nobody has looked at are neither "no action" nor wrong, from the reader to the last number."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.default_linker import DefaultLinker
from tests.support.annotated_player import BOX, ENGINE, FRAMES, LABELS, PLAYS, tube, write_model, write_video
from tests.support.annotation_files import box, coco, spans, written
from tests.support.coco_files import content
from tests.support.made_detections import QUICK, RATE, seen, true
from tests.support.partial_annotations import task
from train import check
from train.box_tables import FrameBoxes, Tube
from train.datasets import annotated_frames
from train.datasets.annotated_frames import (
    as_text,
    begin_is_known,
    covered,
    end_is_known,
    mask,
    rows_in,
    tubes_in,
    union,
    within,
)
from train.datasets.annotation_records import AnnotationError, DataSet, GroundTruthTube, VideoAnnotation
from train.datasets.coco import read_coco
from train.datasets.contact_sheet import choices
from train.datasets.cvat import read_cvat
from train.datasets.frame_kinds import FrameKinds, counted, frame_kinds, idle, known_frames, not_annotated
from train.evaluate import main
from train.evaluation import detection_file
from train.evaluation.action_lengths import typical_lengths
from train.evaluation.event_counts import EventCounts, total
from train.evaluation.event_metrics import count_events
from train.evaluation.external_formats import Format, VideoIndex, load, save
from train.evaluation.protocols import Protocol
from train.evaluation.report import score_videos
from train.evaluation.video_evaluation import evaluate_video
from train.samples import FrameSampler, background_share, every_nth


def frames(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


FIFTHS = frames(*range(100, 150, 5))


@pytest.mark.parametrize(
    ("annotated", "begin", "boxes"),
    [
        (None, 3, [3, 4, 5, 6]),
        (frames(0, 1, 2, 3, 4, 5, 6, 7), 3, [3, 4, 5, 6]),
        (frames(4, 5, 6, 7, 8), 0, [4, 5, 6]),  # of its frames 3 to 6, which are the first three looked at
        (frames(0, 2, 4, 6, 8), 2, [4, 6]),
        (frames(0, 1, 5), 2, [5]),
    ],
)
def test_a_tube_within_its_annotated_frames(
    annotated: annotated_frames.AnnotatedFrames, begin: int, boxes: list[int]
) -> None:
    whole = Tube(0, 1, 0.5, 3, np.repeat(np.arange(3, 7, dtype=np.float32)[:, None], 4, axis=1))
    (part,) = tubes_in([whole], annotated)
    assert (part.first_frame, part.boxes[:, 0].tolist(), part.label, part.score) == (begin, boxes, 1, 0.5)
    assert tubes_in([whole], frames(0, 9)) == ()
    assert tubes_in([whole], frames()) == ()


def test_masks_and_rows() -> None:
    assert within(None, 3).tolist() == [0, 1, 2]
    assert within(frames(1, 4), 4).tolist() == [1]
    assert mask(frames(1, 4), 4).tolist() == [False, True, False, False]
    # 0 2 4: what lies between is near (2 of 2 times 2); 12 is not (8)
    assert covered(frames(0, 2, 4, 12), 14).tolist() == [True] * 5 + [False] * 7 + [True, False]
    table = FrameBoxes(frames(0, 1, 1, 2), frames(0, 0, 0, 0), np.zeros((4, 4), np.float32), np.zeros(4, np.float32))
    assert rows_in(table, frames(1, 2)).frames.tolist() == [1, 1, 2]
    assert rows_in(table, frames()).frames.tolist() == []
    both = union([frames(3, 4), frames(4, 9)])
    assert both is not None
    assert both.tolist() == [3, 4, 9]
    assert union([None, frames(1)]) is None


@pytest.mark.parametrize(
    ("annotated", "words"),
    [
        (frames(), "none"),
        (frames(7), "8"),
        (frames(*range(100, 150)), "101 to 150"),
        (FIFTHS, "every 5th of 101 to 146"),
        (frames(0, 2, 4), "every 2nd of 1 to 5"),
        (frames(*range(0, 63, 21)), "every 21st of 1 to 43"),
        (frames(*range(0, 36, 12)), "every 12th of 1 to 25"),
        (frames(*range(10), 20, 21, 22), "1 to 10, 21 to 23"),
        (frames(0, 50, 51, 52), "1, 51 to 53"),
        (frames(*(n * n * n for n in range(8))), "1 to 2, 9, 28, 65, 126, 217, and 1 more"),
    ],
)
def test_frames_in_words(annotated: NDArray[np.int64], words: str) -> None:
    assert as_text(annotated) == words


def test_a_begin_is_known_only_where_the_frames_before_are_annotated() -> None:
    assert begin_is_known(None, 7)
    assert begin_is_known(frames(*range(100)), 0)
    assert begin_is_known(frames(*range(100)), 7)
    assert not begin_is_known(frames(*range(50, 100)), 50)
    assert begin_is_known(FIFTHS, 105)
    assert not begin_is_known(FIFTHS, 100)
    assert end_is_known(FIFTHS, 141)
    assert not end_is_known(FIFTHS, 146)
    assert end_is_known(None, 7)


JOB = "<segment><start>{}</start><stop>{}</stop></segment>"
JOBS = f"<segments>{JOB}{JOB}</segments>"


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        (task(0, 149), range(150)),
        (task(100, 149, size=50), range(100, 150)),
        (task(100, 149).replace("task", "job"), range(100, 150)),
        (task(100, 149, "step=5", size=10), range(100, 150, 5)),
        (task(100, 148, "step = 5"), range(100, 150, 5)),
        (task(100, None, "step=5", size=10), range(100, 150, 5)),
        (task(100, None), range(100, 113)),  # to the last box
        (task(None, None, size=120), range(120)),
        (task(None, 120), range(121)),
        (task(0, 0, size=120), range(120)),  # as old versions had it
        ("", range(110, 113)),  # nothing is told: from the first box to the last
        (task(100, 149, size=50, more=JOBS.format(0, 9, 40, 49)), [*range(100, 110), *range(140, 150)]),
        (task(100, 149, size=50, more=JOBS.format(0, 29, 25, 49)), range(100, 150)),  # jobs overlap
        (task(100, 149, size=50, more=JOBS.format(100, 124, 125, 149)), range(100, 150)),  # not counted from the task
    ],
)
def test_frames_of_a_cvat_task(meta: str, expected: range | list[int], tmp_path: Path) -> None:
    boxes = [] if isinstance(expected, list) else [box(110)]
    last = [] if isinstance(expected, list) or len(expected) == 10 else [box(112), box(113, outside=1)]
    video = read_cvat(written(tmp_path, ("waves", boxes + last), meta=meta))
    assert video.annotated_frames is not None
    assert video.annotated_frames.tolist() == list(expected)


@pytest.mark.parametrize(
    ("meta", "frame", "message"),
    [
        (task(100, 149), 0, "a box of track 0 lies in frame 0, and only frames 100 to 149 were annotated"),
        (task(100, 149), 150, "a box of track 0 lies in frame 150, and only frames 100 to 149 were annotated"),
        (
            task(0, 149, "step=5"),
            7,
            "lies in frame 7, and only frames 0 to 149 in steps of 5 were annotated",
        ),
        (task(-3, 149), 7, "its start_frame is -3"),
    ],
)
def test_boxes_outside_the_frames_of_a_task_are_refused(meta: str, frame: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_cvat(written(tmp_path, ("waves", [box(frame)]), meta=meta))


def test_a_track_continues_between_the_frames_of_a_step(tmp_path: Path) -> None:
    boxes = [box(5, x=10), box(10, x=20), box(15, outside=1)]
    assert spans(read_cvat(written(tmp_path, ("waves", boxes), meta=task(0, 49, "step=5")))) == [("waves", 5, 10)]


def test_images_that_coco_does_not_list(tmp_path: Path) -> None:
    """Every tenth frame of one video, with somebody from 10 to 30; of the other two frames somewhere in it."""
    found = content()
    found["images"][:6] = [{"id": n, "video_id": 1, "frame_id": 10 * n} for n in range(6)]
    one = {"category_id": 5, "bbox": [1, 1, 20, 30], "track_id": 1}
    found["annotations"] = [{"id": n, "image_id": n, **one} for n in (1, 2, 3, 5)]
    _, (first, second) = read_coco(coco(tmp_path, found))
    assert first.annotated_frames is not None
    assert second.annotated_frames is not None
    assert (first.annotated_frames.tolist(), second.annotated_frames.tolist()) == ([0, 10, 20, 30, 40, 50], [30, 31])
    assert spans(first) == [("run", 10, 21), ("run", 50, 1)]  # frame 40 was looked at, and nobody was there


def test_a_gap_between_two_parts_is_not_bridged(tmp_path: Path) -> None:
    found = content()
    found["images"] = [{"id": n, "video_id": 1, "frame_id": n} for n in (*range(6), *range(300, 306))]
    found["annotations"] = [
        {"id": n, "image_id": n, "category_id": 5, "bbox": [1, 1, 20, 30], "track_id": 1} for n in (4, 5, 300, 301)
    ]
    _, (first, _) = read_coco(coco(tmp_path, found))
    assert spans(first) == [("run", 4, 2), ("run", 300, 2)]


def part(name: str = "a", first: int = 100, end: int = 120, label: int = 0) -> VideoAnnotation:
    boxes = np.tile(np.array([[10, 10, 30, 40]], np.float32), (end - first, 1))
    return VideoAnnotation(name, 150, (GroundTruthTube(label, first, boxes),), None, FIFTHS)


def test_only_annotated_frames_are_sampled() -> None:
    empty, unseen = replace(part("empty"), tubes=()), replace(part("unseen"), annotated_frames=frames())
    choose = FrameSampler([[part(), empty, unseen, replace(part("none"), frames=0, annotated_frames=frames())]], 2)
    random = np.random.default_rng(0)
    drawn = [choose(random) for _ in range(500)]
    assert {one.frame for one in drawn} == set(FIFTHS.tolist())
    # a class of one video, idle in 6 of its 10 frames, weighs 1.6; all that is empty together 1
    share = sum(one.video is empty for one in drawn) / len(drawn)
    assert share == pytest.approx(1 / 2.6, abs=0.06)
    assert [one.frame for one in every_nth([part(), unseen], 3)] == [100, 115, 130, 145]
    assert background_share([part()]) == pytest.approx(0.6)


def test_kinds_of_frames() -> None:
    kinds = frame_kinds(part(), 200) + frame_kinds(part(), 0)
    assert (kinds.with_action, kinds.empty, kinds.not_annotated) == (8, 12, 190 + 140)
    assert int(idle(part(), 150).sum()) == 6


def test_a_background_video_has_the_frames_of_its_file() -> None:
    quiet = VideoAnnotation("yard", 0, ())
    assert known_frames(counted(quiet, 40)).tolist() == list(range(40))
    assert frame_kinds(quiet, 40) == FrameKinds(0, 40, 0)
    assert frame_kinds(quiet, 0) == FrameKinds()
    assert counted(part(), 40).frames == 150
    assert not_annotated([quiet, part()]) == 140


def test_what_is_found_elsewhere_is_no_false_alarm(tmp_path: Path) -> None:
    """Somebody plays in frames 4 to 19; annotated are frames 12 to 23."""
    write_video(tmp_path / "v.mp4")
    known = np.arange(12, FRAMES)
    annotation = VideoAnnotation("v", FRAMES, (tube(1, range(12, PLAYS.stop)),), None, known)
    result = evaluate_video(annotation, tmp_path / "v.mp4", ENGINE, LABELS, "default")
    assert result.found.frames.tolist() == list(range(12, PLAYS.stop))
    assert result.linked.frames.min() == 12
    scores = score_videos([result], LABELS, Protocol())
    assert scores.frame_map == pytest.approx(1)
    assert scores.video_map["0.75"] == pytest.approx(1)  # 16 frames of which 8 were looked at, and 8 true ones
    unaware = evaluate_video(replace(annotation, annotated_frames=None), tmp_path / "v.mp4", ENGINE, LABELS, "default")
    assert score_videos([unaware], LABELS, Protocol()).video_map["0.75"] == 0


def test_saved_detections_and_tubes_likewise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model sees somebody in all 24 frames, who is annotated in each of the last 12."""
    data = tmp_path / "data"
    (data / "annotations").mkdir(parents=True)
    write_video(data / "videos" / "one.mp4")
    x1, y1, x2, y2 = BOX
    boxes = [f'<box frame="{n}" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"/>' for n in range(12, FRAMES)]
    written(data / "annotations", ("Surfing", boxes), meta=task(12, FRAMES - 1))
    (data / "testlist.txt").write_text("one\n")
    (data / "trainlist.txt").write_text("")
    (data / "labels.txt").write_text("\n".join(LABELS))
    model, found, tubes = write_model(tmp_path / "tiny.onnx"), tmp_path / "found.npz", tmp_path / "tubes.npz"
    out, whole = tmp_path / "steps.json", tmp_path / "whole.json"
    steps = ["detect", str(model), "--data", str(data), "-o", str(found), "--jobs", "1"]
    assert main(steps) == 0
    assert detection_file.load(found).frame_counts.tolist() == [FRAMES]  # the linker sees the whole video
    assert main(["link", str(found), "--data", str(data), "-o", str(tubes)]) == 0
    score = ["score", "--data", str(data), "--detections", str(found), "--tubes", str(tubes), "--json", str(out)]
    assert main(score) == 0
    assert main([str(model), "--data", str(data), "--jobs", "1", "--json", str(whole)]) == 0
    for scores in (json.loads(out.read_text()), json.loads(whole.read_text())):
        surfing = scores["per_class"]["Surfing"]
        assert surfing["frame_ap"]["0.5"] == pytest.approx(100)
        assert surfing["video_ap"]["0.5"] == pytest.approx(100)
        assert surfing["boxes"] == 12
        assert scores["protocol"]["frames_not_annotated"] == 12
    assert capsys.readouterr().out.count("12 frames of these videos are not annotated: they are neither right nor") == 2


def counts_with(
    annotated: annotated_frames.AnnotatedFrames, *truth: GroundTruthTube, at: tuple[int, int] = (20, 60)
) -> EventCounts:
    found = seen([(*at, (20.0, 30.0, 60.0, 110.0), 0, 0.9)])
    video = VideoAnnotation("a", 100, truth, None, annotated)
    return total(count_events(found, {"a": video}, DefaultLinker(), [QUICK])[0])


def test_an_event_outside_the_annotated_frames_is_neither_right_nor_wrong() -> None:
    none = counts_with(np.arange(70, 100))
    assert (none.events, none.wrong, none.false_alarms) == (0, 0, 0)
    assert (none.seconds, none.idle_seconds) == (3.0, 3.0)
    everywhere = counts_with(None)
    assert (everywhere.events, everywhere.wrong, everywhere.false_alarms) == (1, 1, 1)


@pytest.mark.parametrize(
    ("annotated", "truth", "expected"),
    [  # the event lies in frames 20 to 59; events, wrong, false alarms, recalled
        (np.arange(20, 100), [], (1, 1, 1, 0)),
        (np.arange(35, 100), [], (1, 1, 0, 0)),  # wrong, but nobody knows whether it began without an action
        (np.arange(45, 100), [], (0, 0, 0, 0)),  # mostly out of sight: nobody knows
        (np.arange(45, 100), [true(45, 60)], (1, 0, 0, 1)),  # right all the same
        (np.arange(0, 30), [true(30, 60)], (0, 0, 0, 0)),  # a tube in no frame that was looked at is none
        (np.arange(0, 100, 5), [], (1, 1, 1, 0)),  # every fifth frame tells of those between
        (np.arange(0, 100, 5), [true(20, 60)], (1, 0, 0, 1)),
    ],
)
def test_an_event_within_partly_annotated_frames(
    annotated: NDArray[np.int64], truth: list[GroundTruthTube], expected: tuple[int, ...]
) -> None:
    found = counts_with(annotated, *truth)
    assert (found.events, found.wrong, found.false_alarms, found.recalled) == expected
    assert found.seconds == pytest.approx(len(annotated) / RATE)


def test_a_delay_needs_a_known_beginning() -> None:
    assert counts_with(np.arange(100), true(20, 60)).delays == counts_with(None, true(20, 60)).delays != ()
    assert counts_with(np.arange(30, 100), true(30, 60)).delays == ()
    assert len(counts_with(np.arange(0, 100, 5), true(20, 60)).delays) == 1


def test_truncated_actions_give_no_length() -> None:
    whole = [replace(part(f"{n}", 110, 131), annotated_frames=np.arange(100, 150)) for n in range(7)]
    cut = [replace(part(f"c{n}", 100, 150), annotated_frames=np.arange(100, 150)) for n in range(7)]
    assert typical_lengths(DataSet(("waves",), tuple(whole), (), Path()))["waves"].median == pytest.approx(21 / 25)
    assert typical_lengths(DataSet(("waves",), tuple(cut), (), Path())) == {}


def test_the_sheet_shows_annotated_frames() -> None:
    (shown,) = choices(DataSet(("waves",), (part(first=100, end=117),), (), Path()), 5)
    assert shown.frame == 110  # the middle is 108


def test_check_counts_frames_of_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "annotations").mkdir()
    written(tmp_path / "annotations", ("waves", [box(12), box(15), box(16, outside=1)]), meta=task(10, 19))
    write_video(tmp_path / "videos" / "one.mp4")
    (tmp_path / "trainlist.txt").write_text("one\n")
    (tmp_path / "testlist.txt").write_text("")
    check.main([str(tmp_path)])
    output = capsys.readouterr().out
    assert "frames for training: 4 with action, 6 annotated empty, 14 not annotated" in output
    assert "note: one: 14 of 24 frames are not annotated and count as nothing; annotated: 11 to 20" in output
    check.main([str(tmp_path), "--no-videos"])
    assert "4 with action, 6 annotated empty, 10 not annotated\n" in capsys.readouterr().out


def test_check_names_the_videos_whose_frames_it_cannot_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "annotations").mkdir()
    written(tmp_path / "annotations", ("waves", [box(12), box(15), box(16, outside=1)]), meta=task(10, 19))
    write_video(tmp_path / "videos" / "yard.mp4")
    (tmp_path / "trainlist.txt").write_text("one\nyard\n")
    (tmp_path / "testlist.txt").write_text("")
    (tmp_path / "quietlist.txt").write_text("yard\n")
    check.main([str(tmp_path), "--no-videos"])
    kinds = "4 with action, 6 annotated empty, 10 not annotated"
    unknown = "without 1 of the videos, whose length is not known here"
    assert f"frames for training: {kinds}; {unknown}\n" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["road", "moc", "yowo"])
def test_exports_hold_annotated_frames_only(kind: Format, tmp_path: Path) -> None:
    found = seen([(3, 9, (20.0, 30.0, 60.0, 110.0), 0, 0.9)], frames=12)
    path = tmp_path / ("found.pkl" if kind == "moc" else "found")
    save(found, path, kind, (frames(0, 5, 6, 10),))
    cast = VideoIndex(found.video_names, found.label_names, found.frame_counts, found.frame_sizes)
    back = load(path, cast)
    assert sorted(set(back.frames.tolist())) == [5, 6]
    if kind == "road":
        assert sorted(file.name for file in path.rglob("*.mat")) == ["00001.mat", "00006.mat", "00007.mat", "00011.mat"]
    save(found, tmp_path / "all" / path.name, kind)
    assert len(load(tmp_path / "all" / path.name, cast).scores) == 6
