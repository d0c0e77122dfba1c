"""The official annotation files: right numbers, overflow-proof, and nothing in them is ever executed."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from train.annotations import AnnotationError, at, continuous, held_out, load_ucf24, read_matlab, read_pickle

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


def test_only_the_classes_with_videos_and_their_labels_counted_anew(tmp_path: Path) -> None:
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
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
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


# the real files


def test_both_official_files_say_the_same(shared: Path) -> None:
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
