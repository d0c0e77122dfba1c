"""The official annotation files: right numbers, overflow-proof, and nothing in them is ever executed."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import costly
from tests.support.refusal import refusal
from train.datasets.annotation_records import AnnotationError, DataSet, VideoAnnotation, at
from train.datasets.split_lists import held_out, list_of_names
from train.datasets.ucf24 import continuous, load_ucf24, read_matlab, read_pickle
from train.datasets.video_names import without_suffix

Video = dict[str, Any]


def video(label: int, first: int, boxes: np.ndarray[Any, Any]) -> Video:
    """As `pyannot.pkl` has it: numbers as small as they can be."""
    return {
        "label": label,
        "numf": np.uint8(200),
        "annotations": [
            {"label": np.uint8(label), "sf": np.uint8(first), "ef": np.uint8(first + len(boxes)), "boxes": boxes}
        ],
    }


def write(folder: Path, videos: dict[str, Video], classes: tuple[str, ...] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyannot.pkl").write_bytes(pickle.dumps(videos, protocol=2))
    names = sorted(videos)
    for name in ("testlist.txt", "testlist01.txt"):
        (folder / name).write_text("".join(f"{video}\n" for video in names if "_g01_" in video))
    (folder / "trainlist.txt").write_text("".join(f"{video}\n" for video in names if "_g01_" not in video))
    for class_name in classes or ():
        (folder / "videos" / class_name).mkdir(parents=True)
    return folder


def small(folder: Path, classes: tuple[str, ...] | None = None) -> Path:
    boxes = np.array([[201, 101, 100, 120], [250, 120, 71, 120]], dtype=np.uint8)
    videos = {
        f"{name}/v_{name}_g{group:02}_c01": video(label, 9, boxes)
        for label, name in enumerate(("Basketball", "Biking", "Surfing"))
        for group in (1, 8, 25)
    }
    return write(folder, videos, classes)


def test_boxes_become_continuous_without_overflow() -> None:
    # uint8: 250 + 71 would be 65
    boxes = continuous(np.array([[1, 1, 320, 240]], dtype=np.uint16))
    assert boxes.tolist() == [[0, 0, 320, 240]]
    assert continuous(np.array([[250, 120, 71, 120]], dtype=np.uint8)).tolist() == [[249, 119, 320, 239]]
    assert boxes.dtype == np.float32
    assert continuous(np.zeros((0, 4), dtype=np.uint8)).shape == (0, 4)


def test_only_the_classes_with_videos_and_their_labels_renumbered(tmp_path: Path) -> None:
    data = load_ucf24(small(tmp_path, classes=("Surfing", "Basketball")))
    assert data.labels == ("Basketball", "Surfing")
    assert [video.name for video in data.test] == ["Basketball/v_Basketball_g01_c01", "Surfing/v_Surfing_g01_c01"]
    assert [video.tubes[0].label for video in data.test] == [0, 1]
    assert len(data.train) == 4
    assert data.video("Surfing/v_Surfing_g01_c01").name == "v_Surfing_g01_c01.avi"


def test_all_classes_where_there_are_no_videos(tmp_path: Path) -> None:
    data = load_ucf24(small(tmp_path))
    assert data.labels == ("Basketball", "Biking", "Surfing")
    assert (len(data.train), len(data.test)) == (6, 3)


def test_boxes_at_a_frame(tmp_path: Path) -> None:
    annotation = load_ucf24(small(tmp_path)).test[2]
    boxes, labels = at(annotation, 10)
    assert boxes.tolist() == [[249, 119, 320, 239]]
    assert labels.tolist() == [2]
    for empty in (8, 11):
        boxes, labels = at(annotation, empty)
        assert boxes.shape == (0, 4)
        assert labels.shape == (0,)


def test_first_and_last_frame_do_not_overflow(tmp_path: Path) -> None:
    long = np.tile(np.array([[1, 1, 9, 9]], dtype=np.uint8), (250, 1))
    entry = video(0, 5, long)
    entry["annotations"][0]["ef"] = np.uint16(255)
    entry["annotations"][0]["sf"] = np.uint8(5)
    annotation = read_pickle(write(tmp_path, {"Basketball/v_Basketball_g01_c01": entry}) / "pyannot.pkl")
    (tube,) = annotation["Basketball/v_Basketball_g01_c01"].tubes
    assert (tube.first_frame, tube.end_frame) == (5, 255)
    assert type(tube.first_frame) is int


def test_validation_holds_whole_groups_out(tmp_path: Path) -> None:
    train, validation = held_out(load_ucf24(small(tmp_path)).train, groups=("g25",))
    assert {video.name[-7:-4] for video in validation} == {"g25"}
    assert {video.name[-7:-4] for video in train} == {"g08"}


class Malicious:
    """Makes a folder when it is unpickled by anything that obeys."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_malicious_pickle_executes_nothing(tmp_path: Path) -> None:
    trap = tmp_path / "executed"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "pyannot.pkl").write_bytes(pickle.dumps(Malicious(trap), protocol=protocol))
        with pytest.raises(AnnotationError, match=r"posix\.mkdir"):
            read_pickle(tmp_path / "pyannot.pkl")
        assert not trap.exists()
    pickle.loads((tmp_path / "pyannot.pkl").read_bytes())  # the trap does work
    assert trap.exists()


@pytest.mark.parametrize("name", [b"cbuiltins\neval\n", b"cos\nsystem\n", b"cnumpy\nload\n", b"cnumpy\nsave\n"])
def test_names_that_annotations_never_need_are_refused_by_name(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "pyannot.pkl").write_bytes(name + b".")
    with pytest.raises(AnnotationError, match=name[1:].decode().strip().replace("\n", ".")):
        read_pickle(tmp_path / "pyannot.pkl")


@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"not a pickle", pickle.dumps([1, 2]), pickle.dumps({"a": 3})])
def test_a_broken_file_gives_a_one_sentence_error(tmp_path: Path, content: bytes) -> None:
    for name, read in (("pyannot.pkl", read_pickle), ("finalAnnots.mat", read_matlab)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AnnotationError, match=f"{name}: .*UCF101-24"):
            read(tmp_path / name)


def test_boxes_and_frames_that_disagree_are_refused(tmp_path: Path) -> None:
    entry = video(0, 3, np.ones((2, 4), dtype=np.uint8))
    entry["annotations"][0]["ef"] = 9
    with pytest.raises(AnnotationError, match="2 boxes for frames 3 to 9"):
        load_ucf24(write(tmp_path, {"Basketball/v_Basketball_g01_c01": entry}))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="no such folder"):
        load_ucf24(tmp_path / "nowhere")
    with pytest.raises(AnnotationError, match=r"neither pyannot\.pkl nor finalAnnots\.mat"):
        load_ucf24(tmp_path)
    small(tmp_path, classes=("Basketball",))
    (tmp_path / "trainlist.txt").unlink()
    with pytest.raises(AnnotationError, match=r"trainlist\.txt"):
        load_ucf24(tmp_path)
    (tmp_path / "trainlist.txt").write_text("Basketball/v_Basketball_g99_c01\n")
    with pytest.raises(AnnotationError, match="v_Basketball_g99_c01 is in a list but not annotated"):
        load_ucf24(tmp_path)
    (tmp_path / "videos" / "Basketball").rename(tmp_path / "videos" / "Ballet")
    with pytest.raises(AnnotationError, match="no class folder"):
        load_ucf24(tmp_path)


def test_a_name_of_endless_letters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="a name has 1,001 letters; name it with 1,000 at most"):
        DataSet(("a" * 1001,), (), (), tmp_path)


@pytest.mark.parametrize("file", ["v0.mp4", "v0.MP4", "v0.Avi", "v0.WebM"])
def test_endings_are_found_in_any_case(tmp_path: Path, file: str) -> None:
    data = DataSet((), (), (), tmp_path)
    for name in ("v0.txt", "v00.mp4", f"other {file}"):
        (tmp_path / name).touch()
    assert data.video("v0") == tmp_path / "v0.avi"  # which is not there
    (tmp_path / file).touch()
    assert data.video("v0") == tmp_path / file
    assert without_suffix(file) == "v0"
    assert data.video("none/v0") == tmp_path / "none" / "v0.avi"


@pytest.mark.parametrize(
    "content",
    [
        b"A/a.avi\nb c.MP4\n",
        b"\xef\xbb\xbfA/a\nb c\n",  # as Windows' editor marks UTF-8
        b"\xef\xbb\xbfA/a.AVI\r\n\r\nb c\r\n",
        b"A/a\r\nb c",
        b"\xef\xbb\xbfA/a\r\n\xef\xbb\xbfb c\r\n",  # two lists, one behind the other
    ],
)
def test_lists_from_any_editor(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    assert list_of_names(tmp_path / "list.txt") == ["A/a", "b c"]


def test_a_list_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("A/a\r\n".encode("utf-16"))
    with pytest.raises(AnnotationError, match=r"list\.txt: is saved as UTF-16 .*; save it as UTF-8, one name a line"):
        list_of_names(tmp_path / "list.txt")


@pytest.mark.parametrize("name", ["../a", "/a", "A/../../a"])
def test_no_name_leaves_the_folder_of_the_videos(tmp_path: Path, name: str) -> None:
    for train, test in (((name,), ()), ((), (name,))):
        videos = [tuple(VideoAnnotation(one, 1, ()) for one in part) for part in (train, test)]
        with pytest.raises(AnnotationError, match="would lie outside of it"):
            DataSet((), videos[0], videos[1], tmp_path)


# the real files


def test_both_official_files_agree(shared: Path) -> None:
    from_pickle, from_matlab = (
        read(shared / "ucf24" / name) for read, name in ((read_pickle, "pyannot.pkl"), (read_matlab, "finalAnnots.mat"))
    )
    assert from_pickle.keys() == from_matlab.keys()
    for name, annotation in from_pickle.items():
        other = from_matlab[name]
        assert (annotation.frames, len(annotation.tubes)) == (other.frames, len(other.tubes))
        for tube, twin in zip(annotation.tubes, other.tubes, strict=True):
            assert (tube.label, tube.first_frame) == (twin.label, twin.first_frame)
            assert np.array_equal(tube.boxes, twin.boxes)


def test_the_test_list_has_its_known_size(shared: Path, tmp_path: Path) -> None:
    for name in ("pyannot.pkl", "testlist01.txt"):
        (tmp_path / name).symlink_to(shared.resolve() / "ucf24" / name)
    data = load_ucf24(tmp_path)
    assert len(data.labels) == 24
    assert (len(data.train), len(data.test)) == (2284, 910)
    assert sum(video.frames for video in data.test) == 159_289
    assert sum(len(video.tubes) for video in data.test) == 1315
    for annotation in data.test:
        for tube in annotation.tubes:
            assert 0 <= tube.first_frame < tube.end_frame <= annotation.frames
            assert tube.boxes.min() >= 0
            assert tube.boxes[:, 2].max() <= 320
            assert tube.boxes[:, 3].max() <= 240


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """Some bytes are others, and a tail may be missing."""
    found = bytearray(content)
    for _ in range(data.draw(st.integers(1, 5))):
        found[data.draw(st.integers(0, len(found) - 1))] = data.draw(st.integers(0, 255))
    return bytes(found[: data.draw(st.integers(0, len(found)))])


@given(st.data())
def test_damaged_pickles_are_refused_in_one_sentence_or_read(tmp_path: Path, data: st.DataObject) -> None:
    path = small(tmp_path) / "pyannot.pkl"
    path.write_bytes(damaged(data, path.read_bytes()))
    message = refusal(lambda: read_pickle(path), AnnotationError)
    assert message is None or str(path) in message


@costly(0.3)
@given(st.data())
def test_damaged_matlab_files_are_refused_in_one_sentence_or_read(tmp_path: Path, data: st.DataObject) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="scipy is not installed (extra `train`)")
    path = tmp_path / "finalAnnots.mat"
    tubes = np.zeros((1, 1), dtype=[(name, "O") for name in ("class", "sf", "ef", "boxes")])
    tubes[0, 0] = (1.0, 3.0, 4.0, np.array([[1, 1, 20, 30], [2, 1, 20, 30]], np.uint8))
    annotations = np.zeros((1, 1), dtype=[(name, "O") for name in ("name", "num_imgs", "tubes")])
    annotations[0, 0] = ("Surfing/v_a", 9.0, tubes)
    scipy_io.savemat(path, {"annot": annotations})
    assert read_matlab(path)["Surfing/v_a"].tubes[0].first_frame == 2
    path.write_bytes(damaged(data, path.read_bytes()))
    message = refusal(lambda: read_matlab(path), AnnotationError)
    assert message is None or str(path) in message


@given(st.binary(max_size=60))
def test_any_list_is_refused_in_one_sentence_or_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "testlist.txt"
    path.write_bytes(content)
    message = refusal(lambda: list_of_names(path), AnnotationError)
    assert str(path) in message if message is not None else all(list_of_names(path))
