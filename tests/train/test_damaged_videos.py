"""Videos of a data set some of whose frames cannot be decoded: all others keep their numbers, and so their boxes."""

from pathlib import Path

import numpy as np
import pytest

from convert import calibration
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from tests.support import video_files
from tests.support.annotated_player import BOX, ENGINE, FRAMES, HEIGHT, LABELS, PLAYS, WIDTH, tube
from tests.support.annotation_files import META, box, written
from train import check, train
from train.datasets.annotation_records import VideoAnnotation
from train.datasets.packed_video import FrameError, PackedVideo, pack
from train.evaluation.detection import DetectionTask, detect_video
from train.evaluation.protocols import Protocol
from train.evaluation.report import score_videos
from train.evaluation.video_evaluation import evaluate_video
from train.samples import FrameSampler, ValidationFrames, decoded, every_nth

DAMAGED = [3, 9, 10]


def write_test_video(path: Path, damaged: list[int] = DAMAGED, count: int = 20) -> Path:
    """Frame i is `video_files.shades` number i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return video_files.write_mp4(path, video_files.jpegs(video_files.shades(count), damaged), [40] * count)


def packed(tmp_path: Path, damaged: list[int] = DAMAGED) -> PackedVideo:
    pack(write_test_video(tmp_path / "a.mp4", damaged), tmp_path / "a.frames")
    return PackedVideo(tmp_path / "a.frames")


def annotation(frames: int = 20, looked: list[int] | None = None) -> VideoAnnotation:
    known = None if looked is None else np.array(looked, np.int64)
    return VideoAnnotation("a", frames, (tube(0, range(2, 15)),), None, known)


@pytest.mark.parametrize("damaged", [[], DAMAGED, [0, 1], [18]])
def test_every_frame_lies_under_its_own_number(tmp_path: Path, damaged: list[int]) -> None:
    opened = packed(tmp_path, damaged)
    whole = [number for number in range(20) if number not in damaged]
    assert opened.held.tolist() == whole
    assert [video_files.shade(opened[number]) for number in whole] == whole
    for number in (*damaged, 20, -1):
        with pytest.raises(FrameError, match=rf"a\.frames: has no frame {number}: it could not be decoded, or lies"):
            opened[number]


def test_motion_uses_the_previous_frames_of_the_pipeline(tmp_path: Path) -> None:
    opened = packed(tmp_path)
    # held are 0 1 2 4 5 6 7 8 11 12 …
    assert [opened.before(index, 1) for index in (0, 1, 4, 11)] == [None, 0, 2, 8]
    assert [opened.before(index, 3) for index in (2, 4, 11, 12)] == [0, 0, 6, 7]
    assert packed(tmp_path / "b", [0, 1]).before(2, 1) is None


def test_what_cannot_be_decoded_is_not_learnt(tmp_path: Path) -> None:
    """Annotated are 24 frames, the file has 20, of which three are damaged."""
    (video,) = decoded([annotation(frames=24)], {"a": packed(tmp_path)})
    whole = [number for number in range(20) if number not in DAMAGED]
    assert [choice.frame for choice in every_nth([video], 1)] == whole
    random, choose = np.random.default_rng(1), FrameSampler([[video]], 1)
    assert {choose(random).frame for _ in range(400)} == set(whole)
    (part,) = decoded([annotation(looked=[2, 3, 4, 9, 12])], {"a": packed(tmp_path)})
    assert [choice.frame for choice in every_nth([part], 1)] == [2, 4, 12]


def test_a_whole_video_stays_as_it_is(tmp_path: Path) -> None:
    whole = annotation()
    assert decoded([whole], {"a": packed(tmp_path, [])}) == (whole,)


def test_a_sample_holds_its_frame_and_the_previous_one(tmp_path: Path) -> None:
    manifest = Manifest("tiny", LABELS, 64, 96, MotionSettings("previous"), top_k=1)
    opened = packed(tmp_path)
    (video,) = decoded([annotation()], {"a": opened})
    frames = ValidationFrames(every_nth([video], 1), {"a": opened}, manifest)
    seen = {choice.frame: frames[number]["image"] for number, choice in enumerate(frames.choices)}
    middle = {number: float(image[0, 32, 48]) for number, image in seen.items()}
    before = {number: float(image[3, 32, 48]) for number, image in seen.items()}
    assert list(middle.values()) == sorted(middle.values())
    assert (before[4], before[11]) == (pytest.approx(middle[2]), pytest.approx(middle[8]))


def scene(path: Path, damaged: list[int]) -> Path:
    """A bright rectangle at BOX on black while somebody plays."""
    images = [np.zeros((HEIGHT, WIDTH, 3), np.uint8) for _ in range(FRAMES)]
    x1, y1, x2, y2 = map(int, BOX)
    for number in PLAYS:
        images[number][y1:y2, x1:x2] = 255
    return video_files.write_mp4(path, video_files.jpegs(images, damaged), [40] * FRAMES, (WIDTH, HEIGHT))


def test_a_perfect_network_scores_100_past_the_damage(tmp_path: Path) -> None:
    damaged = [2, 8, 9, 19]
    path = scene(tmp_path / "v.mp4", damaged)
    result = evaluate_video(VideoAnnotation("v", FRAMES, (tube(1),)), path, ENGINE, LABELS, "default")
    assert result.found.frames.tolist() == [number for number in PLAYS if number not in damaged]
    scores = score_videos([result], LABELS, Protocol())
    assert scores.frame_map == pytest.approx(1.0)
    assert scores.video_map["0.75"] == pytest.approx(1.0)
    found = detect_video(ENGINE, DetectionTask(VideoAnnotation("v", FRAMES, ()), path, 0.1)).found
    assert len(found) == FRAMES
    assert [number for number, one in enumerate(found) if len(one.scores)] == result.found.frames.tolist()


def data_set(tmp_path: Path, damaged: list[int], meta_frames: int = 50) -> Path:
    (tmp_path / "annotations").mkdir()
    written(tmp_path / "annotations", ("waves", [box(4), box(5), box(6, outside=1)]))
    write_test_video(tmp_path / "videos" / "door" / "one.mp4", damaged, count=40)
    (tmp_path / "trainlist.txt").write_text("door/one\n")
    (tmp_path / "testlist.txt").write_text("")
    return tmp_path


def test_check_counts_decoded_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """50 frames are annotated, as the container may announce them."""
    data_set(tmp_path, [5, 6, 30])
    assert check.main([str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert "note: door/one: 3 of 40 frames cannot be decoded and count as nothing: 6 to 7, 31" in output
    assert "wrong: door/one: 50 frames are annotated, the file has 40" in output


def test_check_reports_a_truncated_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data_set(tmp_path, [])
    frames = video_files.jpegs(video_files.shades(40, 640, 360))
    path = video_files.write_matroska(
        tmp_path / "videos" / "door" / "one.mkv", frames, [i / 25 for i in range(40)], (640, 360)
    )
    (tmp_path / "videos" / "door" / "one.mp4").unlink()
    path.write_bytes(path.read_bytes()[:-1000])
    assert check.main([str(tmp_path)]) == 1
    assert "wrong: door/one: the file is cut short, 1000 bytes too soon: copy it again" in capsys.readouterr().out


def test_calibration_takes_as_many_as_are_asked_for(tmp_path: Path) -> None:
    """The container announces 40 frames, of which an edit list hides 15 and two are damaged."""
    path = video_files.write_mp4(
        tmp_path / "a.mp4", video_files.jpegs(video_files.shades(40), [20, 21]), [40] * 40, hidden=15
    )
    manifest = Manifest("tiny", LABELS, 64, 96, MotionSettings("none"))
    assert len(list(calibration.inputs([path], manifest, count=20))) == 20
    assert len(list(calibration.inputs([path], manifest, count=99))) == 23


def test_training_on_videos_that_cannot_be_decoded_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody waves in frames 5 and 6, which are damaged, and nobody looked at any other."""
    folder = tmp_path / "data"
    (folder / "annotations").mkdir(parents=True)
    for name in ("one", "two"):
        meta = META.replace("door/one.mp4", f"{name}.mp4").replace("<start_frame>0", "<start_frame>4")
        meta = meta.replace("<stop_frame>49", "<stop_frame>5").replace("<size>50", "<size>2")
        written(folder / "annotations", ("waves", [box(4), box(5)]), meta=meta).rename(
            folder / "annotations" / f"{name}_.xml"
        )
        write_test_video(folder / "videos" / f"{name}.mp4", [4, 5], count=20)
    (folder / "trainlist.txt").write_text("one\ntwo\n")
    (folder / "testlist.txt").write_text("")
    options = ["--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache"), "--all-groups", "--motion", "none"]
    assert train.main([str(folder), *options]) == 1
    assert "own data: no annotated frame can be decoded; copy the videos again" in capsys.readouterr().err
