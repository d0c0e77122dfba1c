"""Every data set that is understood: told by what lies in a folder, or one file of ground truth alone."""

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.annotation_files import COCO, box, coco, written
from tests.support.refusal import refusal
from train.datasets import loader
from train.datasets.annotation_records import AnnotationError, GroundTruthTube, VideoAnnotation
from train.datasets.jhmdb import read_act
from train.datasets.split_lists import group_of, held_out

TUBE = np.array([[3, 10, 20, 40, 60], [4, 11, 20, 41, 60]], np.float32)
ACT: dict[str, Any] = {
    "labels": ["catch", "jump"],
    "train_videos": [["jump/a"], ["catch/b"]],
    "test_videos": [["catch/b"], ["jump/a"]],
    "nframes": {"jump/a": 9, "catch/b": 12},
    "resolution": {"jump/a": (240, 320), "catch/b": (240, 320)},
    "gttubes": {"jump/a": {1: [TUBE]}, "catch/b": {0: [TUBE, TUBE + [[1, 0, 0, 0, 0]] * 2]}},
}


def act(folder: Path, content: Any = ACT) -> Path:
    path = folder / "JHMDB-GT.pkl"
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def test_the_layout_of_act_and_moc(tmp_path: Path) -> None:
    path = act(tmp_path)
    for place in (path, tmp_path):
        data = loader.load(place, 2)
        assert (data.labels, data.title) == (("catch", "jump"), "JHMDB split 2")
        assert [video.name for video in data.test] == ["jump/a"]
        (tube,) = data.test[0].tubes
        assert (tube.label, tube.first_frame, data.test[0].size) == (1, 2, (320, 240))
        assert tube.boxes[0].tolist() == [10, 20, 40, 60]
    with pytest.raises(AnnotationError, match="splits 1 to 2, not 3"):
        loader.load(path, 3)


def change(**values: Any) -> dict[str, Any]:
    return {**ACT, **values}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (change(nframes={"jump/a": 10**9}), "1000000000 frames are no video"),
        ([], "not a data set of ACT or MOC"),
        (change(gttubes={"jump/a": {1: [TUBE[:, :4]]}}), r"shape \(2, 4\)"),
        (change(gttubes={"jump/a": {2: [TUBE]}}), "no name"),
        (change(gttubes={"jump/a": {1: [TUBE[::-1]]}}), "do not follow each other"),
        (change(gttubes={"jump/a": {1: [TUBE * np.nan]}}), "shape"),
        (change(labels=[1, 2]), "no name"),
        (change(gttubes={"else": {1: [TUBE]}}), "else"),
    ],
)
def test_a_pickle_of_another_format_is_reported(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_act(act(tmp_path, content))


def test_a_listed_video_must_be_annotated(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="jump/c is in a list"):
        loader.load(act(tmp_path, change(test_videos=[["jump/c"], []])))


def own(tmp_path: Path) -> Path:
    (tmp_path / "annotations").mkdir()
    written(tmp_path / "annotations", ("waves", [box(4), box(5)]), ("sits", [box(0)]))
    (tmp_path / "trainlist.txt").write_text("door/one.mp4\n")
    (tmp_path / "testlist.txt").write_text("\ndoor/one\n")
    return tmp_path


def test_ones_own_videos(tmp_path: Path) -> None:
    data = loader.load(own(tmp_path))
    assert (data.labels, data.title) == (("sits", "waves"), "own data")
    assert [video.name for video in (*data.train, *data.test)] == ["door/one"] * 2
    assert [(tube.label, tube.first_frame) for tube in data.train[0].tubes] == [(1, 4), (0, 0)]
    (tmp_path / "videos" / "door").mkdir(parents=True)
    (tmp_path / "videos" / "door" / "one.mkv").touch()
    assert data.video("door/one").name == "one.mkv"
    (tmp_path / "labels.txt").write_text("waves\nsits\njumps\n")
    assert loader.load(tmp_path).labels == ("waves", "sits", "jumps")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("testlist.txt", "door/two\n", r"door/two is not annotated \(annotated: door/one; .*\); annotate it"),
        ("testlist.txt", "one.mp4\n", "testlist.txt: one is not annotated, but door/one is; spell both alike"),
        ("labels.txt", "waves\n", "lacks sits"),
        ("annotations/two.xml", None, "door/one is annotated twice in frames 1 to 50"),
    ],
)
def test_inconsistent_data_are_reported(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    own(tmp_path)
    text = content if content is not None else (tmp_path / "annotations" / "one.xml").read_text()
    (tmp_path / name).write_text(text)
    with pytest.raises(AnnotationError, match=message):
        loader.load(tmp_path)


def test_ground_truth_alone(tmp_path: Path) -> None:
    data = loader.load(written(tmp_path, ("waves", [box(4), box(5)])))
    assert (data.train, [video.frames for video in data.test]) == ((), [50])
    data = loader.load(coco(tmp_path, COCO))
    assert [video.name for video in data.test] == ["one", "two"]
    (tmp_path / "x.csv").touch()
    with pytest.raises(AnnotationError, match="not a file of ground truth"):
        loader.load(tmp_path / "x.csv")
    with pytest.raises(AnnotationError, match="no such folder or file"):
        loader.load(tmp_path / "none")
    with pytest.raises(AnnotationError, match="has one split, not 2"):
        loader.load(coco(tmp_path, COCO), 2)


def test_an_unknown_folder_is_refused_naming_the_known_data_sets(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(AnnotationError) as caught:
        loader.load(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: no data set, it holds none of actions.toml (a project")
    for name in (
        "annotations/*.xml",
        "annotations.json",
        "pyannot.pkl",
        "finalAnnots.mat",
        "hmdb_annots.pkl",
        "*-GT.pkl",
    ):
        assert name in message
    assert "docs/evaluation.md" in message


def test_files_from_windows(tmp_path: Path) -> None:
    """Marks before the text, its line ends, and names in large letters."""
    own(tmp_path)
    (tmp_path / "annotations" / "one.xml").rename(tmp_path / "annotations" / "ONE.XML")
    (tmp_path / "trainlist.txt").write_bytes(b"\xef\xbb\xbfdoor/one.MP4\r\n\r\n")
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfwaves\r\nsits\r\n")
    (tmp_path / "videos" / "door").mkdir(parents=True)
    (tmp_path / "videos" / "door" / "one.MP4").touch()
    data = loader.load(tmp_path)
    assert (data.labels, [video.name for video in data.train]) == (("waves", "sits"), ["door/one"])
    assert data.video("door/one").name == "one.MP4"


def test_no_name_of_ones_own_leaves_the_folder(tmp_path: Path) -> None:
    outside = {**COCO, "videos": [{"id": 7, "name": "../one.mp4"}]}
    with pytest.raises(AnnotationError, match=r"'\.\./one' would lie outside"):
        loader.load(coco(tmp_path, outside))


def test_names_that_a_terminal_obeys_are_refused_and_not_repeated(tmp_path: Path) -> None:
    for change in ({"categories": [{"id": 3, "name": "\x1b[31mwaves"}]}, {"videos": [{"id": 7, "name": "\x1b[2J"}]}):
        with pytest.raises(AnnotationError) as caught:
            loader.load(coco(tmp_path, {**COCO, **change}))
        assert str(caught.value).isprintable()


def test_videos_without_groups_are_held_out_by_fives() -> None:
    tube = GroundTruthTube(0, 0, np.zeros((1, 4), np.float32))
    videos = [VideoAnnotation(f"{n}", 1, (tube,)) for n in range(11)]
    training, validation = held_out(videos)
    assert [video.name for video in validation] == ["4", "9"]
    assert len(training) == 9


def test_of_jhmdb_whole_groups_are_held_out(shared: Path) -> None:
    """And each class keeps four of five videos or more to learn from, and one or more to validate on."""
    for fold in (1, 2, 3):
        training, validation = held_out(loader.load(shared / "jhmdb21", fold).train)
        assert not {group_of(video.name) for video in training} & {group_of(video.name) for video in validation}
        learned, held = (Counter(video.tubes[0].label for video in part) for part in (training, validation))
        assert all(0 < 4 * held[label] <= learned[label] for label in range(21))
        assert len(validation) > 0.17 * (len(training) + len(validation))


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("walk/HP_2_walk_f_cm_np1_fr_med_3", "HP_2"),
        ("brush_hair/Brushing_hair__the_right_way_brush_hair_u_nm_np1_ba_goo_0", "Brushing_hair__the_right_way"),
        ("HP_2_walk_l_nm_np2_le_bad_12", "HP_2_walk"),  # without a folder the action is not known
    ],
)
def test_groups_by_film(name: str, group: str) -> None:
    assert group_of(name) == group


def test_a_group_of_two_actions_is_held_out_for_both_or_neither() -> None:
    """Class 1 has two videos, of which none can be spared, so the film stays, and with it its video of class 0."""
    tubes = [GroundTruthTube(label, 0, np.zeros((1, 4), np.float32)) for label in (0, 1)]
    names = [("sit", 0, "film")] + [("sit", 0, f"other{n}") for n in range(9)] + [("run", 1, "film"), ("run", 1, "b")]
    videos = [VideoAnnotation(f"{a}/{s}_{a}_f_cm_np1_fr_med_0", 1, (tubes[label],)) for a, label, s in names]
    training, validation = held_out(videos)
    assert [group_of(video.name) for video in validation] == ["other3", "other8"]
    assert len(training) == 10


def test_both_files_of_jhmdb_agree(shared: Path) -> None:
    folder = shared / "jhmdb21"
    for fold in (1, 2, 3):
        one, two = loader.load(folder, fold), loader.load(folder / "JHMDB-GT.pkl", fold)
        assert one.labels == two.labels
        assert len(one.labels) == 21
        for part in ("train", "test"):
            mine, theirs = ({video.name: video for video in getattr(data, part)} for data in (one, two))
            assert mine.keys() == theirs.keys()
            for name, video in mine.items():
                other = theirs[name]
                common = min(len(video.tubes[0].boxes), len(other.tubes[0].boxes))
                assert (video.frames, video.tubes[0].label) == (other.frames, other.tubes[0].label)
                np.testing.assert_array_equal(video.tubes[0].boxes[:common], other.tubes[0].boxes[:common])
    with pytest.raises(AnnotationError, match="J-HMDB-21 has splits 1 to 3, not 4"):
        loader.load(folder, 4)


def test_ucf101_24_alone_has_all_its_classes(shared: Path) -> None:
    for name in ("pyannot.pkl", "finalAnnots.mat"):
        data = loader.load(shared / "ucf24" / name)
        assert (len(data.labels), len(data.test), sum(video.frames for video in data.test)) == (24, 910, 159_289)


@given(st.data())
def test_damaged_pickles_are_refused_in_one_sentence_or_read(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(act(tmp_path).read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "JHMDB-GT.pkl"
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    message = refusal(lambda: read_act(path), AnnotationError)
    assert message is None or str(path) in message
