import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.cameras.video_file import CaptureError, read_file
from tests.support.paths import ROOT
from tests.support.tiny_videos import write_video
from train.datasets.packed_video import FrameError, PackedVideo, open_packed, pack, packed_path


def smooth(number: int, frame: int) -> NDArray[np.uint8]:
    """A picture that JPEG keeps nearly as it is."""
    y, x = np.mgrid[:40, :56]
    return np.stack([x * 4, y * 5, np.full_like(x, 10 * frame + number)], axis=2).astype(np.uint8)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "videos" / "a.avi", [smooth(0, frame) for frame in range(6)])


@pytest.fixture
def packed(video: Path, tmp_path: Path) -> Path:
    pack(video, tmp_path / "a.frames")
    return tmp_path / "a.frames"


def test_every_frame_at_random(video: Path, packed: Path) -> None:
    frames = [frame.image for frame in read_file(video, "a")]
    opened = PackedVideo(packed)
    assert (len(opened), opened.size) == (6, (56, 40))
    for index in (5, 0, 3, 3):
        assert opened[index].shape == (40, 56, 3)
        np.testing.assert_allclose(opened[index].astype(int), frames[index], atol=8)  # JPEG, twice


def test_two_trainings_may_pack_the_same_video(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one is done between our writing and our putting in place."""
    target = tmp_path / "cache" / "a.frames"
    script = "import sys, pathlib\nfrom train.datasets.packed_video import pack\npack(*map(pathlib.Path, sys.argv[1:]))"
    write = Path.write_bytes

    def write_first(path: Path, content: bytes) -> int:
        written = write(path, content)
        subprocess.run([sys.executable, "-c", script, video, target], cwd=ROOT, check=True)
        return written

    monkeypatch.setattr(Path, "write_bytes", write_first)
    pack(video, target)
    assert len(PackedVideo(target)) == 6
    assert list(target.parent.iterdir()) == [target]


def test_what_is_packed_is_not_packed_again(video: Path, tmp_path: Path) -> None:
    first = open_packed([("A/a", video)], tmp_path / "cache")["A/a"]
    written = first.path.stat().st_mtime_ns
    assert first.path == packed_path("A/a", video, tmp_path / "cache")
    assert first.path.parent == tmp_path / "cache" / "A"
    assert open_packed([("A/a", video)], tmp_path / "cache")["A/a"].path.stat().st_mtime_ns == written
    assert list(first.path.parent.iterdir()) == [first.path]


def test_a_name_as_long_as_a_disk_takes(video: Path, tmp_path: Path) -> None:
    """Letters of two bytes each, of which none is cut in half."""
    names = [f"A/{'x' * odd}{'é' * 120}{end}" for odd in (0, 1) for end in "ab"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(video, tmp_path / f"{name}.avi")
    opened = open_packed([(name, tmp_path / f"{name}.avi") for name in names], tmp_path / "cache")
    assert [len(opened[name]) for name in names] == [6] * 4
    assert len({one.path for one in opened.values()}) == 4


def test_videos_of_one_name_in_one_cache_are_distinguished(video: Path, tmp_path: Path) -> None:
    """Two data sets may both have a `v0`."""
    other = write_video(tmp_path / "other" / "a.avi", [smooth(0, 9)[:20]])
    sizes = [open_packed([("v0", path)], tmp_path / "cache")["v0"].size for path in (video, other, video)]
    assert sizes == [(56, 40), (56, 20), (56, 40)]


def test_a_replaced_video_is_packed_again(video: Path, tmp_path: Path) -> None:
    """By one of another length, or by one of the same size at another time."""
    first = open_packed([("a", video)], tmp_path / "cache")["a"]
    os.utime(video, ns=(0, 1))
    touched = open_packed([("a", video)], tmp_path / "cache")["a"]
    write_video(video, [smooth(0, frame) for frame in range(3)])
    shorter = open_packed([("a", video)], tmp_path / "cache")["a"]
    assert len({first.path, touched.path, shorter.path}) == 3
    assert (len(first), len(touched), len(shorter)) == (6, 6, 3)
    np.testing.assert_array_equal(first[5], touched[5])  # who reads what was packed before goes on


def test_a_video_by_another_path_is_the_same(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(video.parent)
    monkeypatch.chdir(video.parent)
    ways = [video, tmp_path / "link" / "a.avi", Path("a.avi")]
    assert len({packed_path("a", way, tmp_path / "cache") for way in ways}) == 1


def test_a_cache_file_without_a_source_is_not_used(video: Path, tmp_path: Path) -> None:
    """A cache of before sources were told apart: `<name>.frames`, of whatever video."""
    pack(write_video(tmp_path / "b.avi", [smooth(0, 1)]), tmp_path / "cache" / "a.frames")
    before = (tmp_path / "cache" / "a.frames").read_bytes()
    assert len(open_packed([("a", video)], tmp_path / "cache")["a"]) == 6
    assert (tmp_path / "cache" / "a.frames").read_bytes() == before


@pytest.mark.parametrize("name", ["../a", "A/../../a", "..", "/tmp/a", "a\0b"])
def test_no_name_leaves_the_cache(name: str, video: Path, tmp_path: Path) -> None:
    with pytest.raises(FrameError, match=r"would lie outside of it; name it without \.\. and a leading /"):
        open_packed([(name, video)], tmp_path / "cache")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["videos"]


def test_no_videos(tmp_path: Path) -> None:
    assert open_packed([], tmp_path) == {}


def test_a_video_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"b\.avi"):
        open_packed([("b", tmp_path / "b.avi")], tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written(video: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(FrameError, match=r"cannot be written .* choose another --cache"):
        open_packed([("A/a", video)], tmp_path / "cache")


def test_a_packed_file_cut_short_anywhere(packed: Path) -> None:
    whole = packed.read_bytes()
    for length in [*range(0, 80, 7), len(whole) // 2, len(whole) - 1]:
        packed.write_bytes(whole[:length])
        with pytest.raises(
            FrameError, match=r"a\.frames: is damaged or cut short; delete the file, it is created again"
        ):
            PackedVideo(packed)


@pytest.mark.parametrize(
    "content",
    [
        b"no frames at all, but text that is long enough to be a table of a few numbers",
        bytes(800),
        b"\xff" * 800,  # -1 frames
        np.int64(2**60).tobytes() + bytes(800),  # more frames than memory holds
        np.array([2, 0, 50, 8], np.int64).tobytes() + bytes(8),  # a frame of −42 bytes
        np.array([1, 0, 8], np.int64).tobytes() + bytes(9),  # one byte too many
    ],
)
def test_garbage(content: bytes, packed: Path) -> None:
    packed.write_bytes(content)
    with pytest.raises(FrameError, match="is damaged or cut short; delete the file"):
        PackedVideo(packed)


def test_a_damaged_frame(packed: Path) -> None:
    opened = PackedVideo(packed)
    content = bytearray(packed.read_bytes())
    start = 8 * (6 + 2) + int(opened.offsets[4])
    content[start : start + 20] = bytes(20)
    packed.write_bytes(content)
    assert opened[3].shape == (40, 56, 3)
    with pytest.raises(FrameError, match=r"frame 4 is damaged; delete the file, it is created again"):
        opened[4]


def test_a_file_that_goes_away(packed: Path) -> None:
    opened = PackedVideo(packed)
    packed.unlink()
    with pytest.raises(FrameError, match="cannot be read"):
        opened[0]
    with pytest.raises(FrameError, match="cannot be read"):
        PackedVideo(packed)


def test_a_grey_frame_comes_in_colour(tmp_path: Path) -> None:
    jpeg = cv2.imencode(".jpg", np.full((8, 8), 77, np.uint8))[1].tobytes()
    path = tmp_path / "grey.frames"
    path.write_bytes(np.array([1, 0, len(jpeg)], np.int64).tobytes() + jpeg)
    assert PackedVideo(path)[0].tolist() == np.full((8, 8, 3), 77).tolist()
