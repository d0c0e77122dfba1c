import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge import detector
from edge.cameras.video_file import CaptureError, decodable_frames, probe, read_file
from edge.motion_map import MotionSettings
from edge.video.snapshot import snapshot
from tests.support import video_files
from tests.support.paths import ROOT
from tests.support.spot_model import write_frames, write_jpegs
from tests.support.tiny_model import MANIFEST
from tests.support.waiting import PATIENCE


def write_grey(path: Path, values: list[int], width: int, height: int, rate: str = "25:1") -> Path:
    """An uncompressed grey YUV4MPEG2 file; a value of 16 is black."""
    head = f"YUV4MPEG2 W{width} H{height} F{rate} Cmono\n".encode()
    path.write_bytes(head + b"".join(b"FRAME\n" + bytes([value]) * (width * height) for value in values))
    return path


def shades(number: int, height: int = 48, width: int = 64) -> list[NDArray[np.uint8]]:
    """Frame i has the value 5 i all over."""
    return [np.full((height, width, 3), 5 * index, np.uint8) for index in range(number)]


def values(path: Path) -> list[int]:
    """The mean of each frame read, to the nearest of `shades`."""
    return [round(float(frame.image.mean()) / 5) for frame in read_file(path, "door")]


@pytest.mark.parametrize("name", ["clip.avi", "clip with spaces.avi", "größe.avi", "file:clip.avi", "clip%03d.avi"])
def test_every_frame_comes_in_order(tmp_path: Path, name: str) -> None:
    path = write_frames(tmp_path / name, shades(40))
    assert values(path) == list(range(40))


def test_a_frame_knows_its_place_in_the_file(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "clip.avi", shades(3), fps=10)
    frames = list(read_file(path, "door"))
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.unix_time for frame in frames] == [0.0, 0.1, 0.2]
    assert [frame.monotonic_time for frame in frames] == [0.0, 0.1, 0.2]
    assert {frame.camera for frame in frames} == {"door"}
    assert all(frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous for frame in frames)


def test_a_relative_path_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_frames(tmp_path / "clip.avi", shades(2))
    monkeypatch.chdir(tmp_path)
    assert values(Path("clip.avi")) == [0, 1]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (31, 47), (2160, 3840)])
def test_any_size_is_read(tmp_path: Path, height: int, width: int) -> None:
    path = write_jpegs(tmp_path / "clip.mjpeg", shades(3, height, width))
    assert [frame.image.shape for frame in read_file(path, "door")] == [(height, width, 3)] * 3
    assert values(path) == [0, 1, 2]
    assert probe(path) == (25.0, None, (width, height))


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "clip.avi", shades(1))
    assert probe(path) == (25.0, 1, (64, 48))
    assert values(path) == [0]


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    path = write_grey(tmp_path / "clip.y4m", [16, 66, 116], width=31, height=47)
    images = [frame.image for frame in read_file(path, "door")]
    assert [image.shape for image in images] == [(47, 31, 3)] * 3
    assert all((image[..., 0] == image[..., 2]).all() for image in images)
    assert [int(image.mean()) for image in images] == sorted({int(image.mean()) for image in images})


OPENCV = tuple(int(number) for number in cv2.__version__.split(".")[:2])


@pytest.mark.skipif(OPENCV < (4, 13), reason="OpenCV before 4.13 repeats the last picture once the size changes")
def test_frames_that_change_their_size_all_come(tmp_path: Path) -> None:
    frames = [*shades(3, 64, 48), *shades(3, 96, 128), *shades(1, 33, 17)]
    path = write_jpegs(tmp_path / "clip.mjpeg", frames)
    assert values(path) == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize(
    ("rate", "fps", "warnings"),
    [("25:1", 25.0, 0), ("30000:1001", 30000 / 1001, 0), ("1:2", 0.5, 0), ("90000:1", 25.0, 1)],
)
def test_an_absurd_rate_is_taken_as_25(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rate: str, fps: float, warnings: int
) -> None:
    path = write_grey(tmp_path / "clip.y4m", [16, 26], width=8, height=8, rate=rate)
    assert probe(path).fps == pytest.approx(fps)
    assert [frame.unix_time for frame in read_file(path, "door")] == pytest.approx([0, 1 / fps])
    assert len(caplog.records) == warnings


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg, which writes a bare H.264 stream, is not installed")
def test_the_assumed_rate_of_an_untimed_stream_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """FFmpeg's reader of such streams knows no rate, and names 25."""
    source, path = write_frames(tmp_path / "clip.avi", shades(4), fps=30), tmp_path / "clip.h264"
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", source, "-c:v", "libx264", path], check=False, timeout=PATIENCE
    )
    if made.returncode:
        pytest.skip("this ffmpeg has no libx264")
    assert [frame.unix_time for frame in read_file(path, "door")] == pytest.approx([0, 0.04, 0.08, 0.12])
    assert f"{path}: has neither plausible time stamps nor a plausible rate, read at 25 fps" in caplog.text


def test_a_file_cut_short_gives_what_it_has_and_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_frames(tmp_path / "clip.avi", shades(40))
    os.truncate(path, path.stat().st_size // 2)
    found = values(path)
    assert 5 < len(found) < 40
    assert found == list(range(len(found)))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"clip.avi: is truncated: it ends after {len(found)} frames, " in caplog.text


def test_a_whole_file_gives_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values(write_frames(tmp_path / "clip.avi", shades(40)))
    assert caplog.records == []


def make_text(path: Path) -> None:
    path.write_text("This is not a video.\n" * 100)


def make_noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(50_000))


def make_head_only(path: Path) -> None:
    """An MP4 keeps its index at the end: half of it cannot be read at all."""
    write_frames(path, shades(30), code="mp4v")
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.txt", "clip.avi"])
@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda path: None, "no such file: check the path"),
        (lambda path: path.mkdir(), "is a directory: give a video file in it"),
        (lambda path: path.touch(), "is empty: copy it again"),
        (lambda path: os.mkfifo(path), "is not an ordinary file"),
        (make_text, "is text, not video"),
        (make_noise, "cannot be read as video"),
    ],
)
def test_a_file_that_is_not_a_video_gives_a_one_sentence_error(
    tmp_path: Path, name: str, make: Callable[[Path], object], remedy: str
) -> None:
    path = tmp_path / name
    make(path)
    for opens in (probe, lambda path: read_file(path, "door")):
        with pytest.raises(CaptureError, match=remedy) as caught:
            opens(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


PROBE = """
import sys
from edge.cameras.video_file import CaptureError, probe
try:
    probe(sys.argv[1])
except CaptureError as fault:
    sys.exit(str(fault))
"""


@pytest.mark.parametrize("make", [make_noise, make_head_only])
def test_the_libraries_add_nothing_to_our_message(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "clip.mp4")
    command = [sys.executable, "-c", PROBE, str(tmp_path / "clip.mp4")]
    root = str(ROOT)
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}, check=False)
    assert done.returncode == 1
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert "format is unknown or it is truncated" in done.stderr


def test_a_playlist_is_not_followed(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip.avi", shades(2))
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nclip.avi\n#EXT-X-ENDLIST\n")
    with pytest.raises(CaptureError, match="is text"):
        probe(playlist)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "clip.avi", shades(2))
    path.chmod(0)
    with pytest.raises(CaptureError, match="change its permissions"):
        probe(path)


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "clip.avi", shades(2)).rename(tmp_path / "clip\udcff.avi")
    with pytest.raises(CaptureError, match="rename it") as caught:
        probe(path)
    assert str(caught.value).encode()


def test_a_header_without_frames_is_refused_at_the_first_frame(tmp_path: Path) -> None:
    path = write_grey(tmp_path / "clip.y4m", [16], width=64, height=48)
    os.truncate(path, 100)
    with pytest.raises(CaptureError, match=r"clip\.y4m: .*(holds no readable frame|truncated)"):
        list(read_file(path, "door"))


@pytest.mark.parametrize(("width", "height"), [(40000, 16), (16, 40000), (8224, 8224)])
def test_images_that_are_too_large_are_refused_before_one_is_decoded(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "clip.y4m"
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F25:1 Cmono\nFRAME\n".encode())
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + width * height)
    with pytest.raises(CaptureError, match=f"has pictures of {width}x{height}, and .*: scale it down"):
        read_file(path, "door")


@pytest.mark.parametrize(("width", "height"), [(16384, 1), (1, 16384), (1, 1)])
def test_the_largest_and_the_smallest_sides_go_through_the_pipeline(width: int, height: int) -> None:
    manifest = replace(MANIFEST, motion=MotionSettings("ssim"))
    normalised = detector.normalise(np.full((height, width, 3), 90, np.uint8), manifest)
    assert normalised.shape == (manifest.height, manifest.width, 3)
    assert np.isfinite(normalised).all()
    assert len(snapshot(np.zeros((height, width, 3), np.uint8), None)) > 0


def test_an_iterator_left_early_gives_the_file_back(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "clip.avi", shades(10))
    frames = read_file(path, "door")
    assert next(frames).index == 0
    frames.close()  # type: ignore[attr-defined]
    assert not any(os.path.exists(link) and os.path.samefile(link, path) for link in Path("/proc/self/fd").iterdir())


def numbers_and_times(path: Path) -> tuple[list[int], list[int], list[float]]:
    """Of every frame: its index, which of `video_files.shades` it shows, its time."""
    found = [
        (frame.index, video_files.shade(frame.image), round(frame.unix_time, 3)) for frame in read_file(path, "door")
    ]
    indices, seen, times = zip(*found, strict=True)
    return list(indices), list(seen), list(times)


def test_times_are_the_frames_own_whatever_rate_is_announced(tmp_path: Path) -> None:
    """As browsers record: 1000 frames a second announced, 25 there, and some left out."""
    times = [i / 25 for i in range(40) if i not in (7, 8, 20)]
    path = video_files.write_matroska(
        tmp_path / "clip.webm", video_files.jpegs(video_files.shades(37)), times, announced_fps=1000
    )
    assert numbers_and_times(path) == (list(range(37)), list(range(37)), times)
    assert probe(path).fps == pytest.approx(25)


def test_an_announced_length_is_not_trusted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As where the sound is longer, or an edit list hides the beginning: nothing is damaged."""
    frames = video_files.jpegs(video_files.shades(30))
    longer = video_files.write_matroska(
        tmp_path / "a.mkv", frames, [i / 10 for i in range(30)], announced_fps=30, seconds=60
    )
    hidden = video_files.write_mp4(tmp_path / "b.mp4", frames, [40] * 30, hidden=12)
    assert probe(longer).announced is None  # 1800, which are not there
    assert decodable_frames(longer) == tuple(range(30))
    assert numbers_and_times(longer)[2] == [i / 10 for i in range(30)]
    assert probe(hidden).announced == 30
    assert decodable_frames(hidden) == tuple(range(18))
    assert numbers_and_times(hidden) == (list(range(18)), list(range(12, 30)), [round(0.04 * i, 3) for i in range(18)])
    assert caplog.records == []


def test_frames_of_many_lengths_keep_their_times(tmp_path: Path) -> None:
    """As phones record: at the rate that the light allows."""
    steps = [33, 33, 34, 50, 66, 66, 33, 900, 33, 33]
    path = video_files.write_mp4(tmp_path / "clip.mp4", video_files.jpegs(video_files.shades(10)), steps)
    assert numbers_and_times(path)[2] == [sum(steps[:i]) / 1000 for i in range(10)]


def test_a_stream_without_time_stamps_runs_by_its_rate(tmp_path: Path) -> None:
    path = write_jpegs(tmp_path / "clip.mjpeg", video_files.shades(10))
    assert numbers_and_times(path)[2] == [round(i / 25, 3) for i in range(10)]


def test_a_concatenated_file_is_played_to_its_end(tmp_path: Path) -> None:
    once = write_frames(tmp_path / "once.ts", video_files.shades(30), code="mp4v")
    (tmp_path / "twice.ts").write_bytes(2 * once.read_bytes())
    times = [frame.unix_time for frame in read_file(tmp_path / "twice.ts", "door")]
    assert len(times) == 60
    assert np.diff(times) == pytest.approx(0.04, abs=0.01)


def test_an_animation_runs_by_its_delays(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install 'korsal-edge[train]'")
    first, *others = (image.fromarray(one) for one in video_files.shades(6))
    first.save(tmp_path / "clip.gif", save_all=True, append_images=others, duration=[200, 200, 500, 100, 0, 100])
    # 0 is taken as 0.1 s, as browsers do
    assert numbers_and_times(tmp_path / "clip.gif")[2] == [0.0, 0.2, 0.4, 0.9, 1.0, 1.1]


@pytest.mark.parametrize("damaged", [[20], [10, 11, 30], [0], [0, 1, 2], list(range(5, 35))])
@pytest.mark.parametrize("container", ["avi", "mkv", "mp4"])
def test_a_damaged_frame_costs_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damaged: list[int], container: str
) -> None:
    path = tmp_path / f"clip.{container}"
    frames = video_files.jpegs(video_files.shades(40), damaged)
    if container == "avi":
        write_frames(path, video_files.shades(40))
        spoil(path, damaged)
    elif container == "mkv":
        video_files.write_matroska(path, frames, [i / 25 for i in range(40)])
    else:
        video_files.write_mp4(path, frames, [40] * 40)
    whole = [i for i in range(40) if i not in damaged]
    assert numbers_and_times(path) == (whole, whole, [round(i / 25, 3) for i in whole])
    assert decodable_frames(path) == tuple(whole)
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: {len(damaged)} of 40 frames cannot be decoded and are skipped"
    ]


def spoil(path: Path, damaged: list[int]) -> None:
    """Zero the JPEGs of an AVI behind their first two bytes."""
    content = bytearray(path.read_bytes())
    starts = [found.start() for found in re.finditer(b"\xff\xd8\xff", content)]
    for number in damaged:
        end = content.index(b"\xff\xd9", starts[number])
        content[starts[number] + 2 : end] = bytes(end - starts[number] - 2)
    path.write_bytes(content)


def test_frames_that_come_unevenly_are_numbered_past_a_damaged_one(tmp_path: Path) -> None:
    stamps = [round(0.001 * i * i + 0.01 * i, 3) for i in range(40)]
    path = video_files.write_matroska(
        tmp_path / "clip.mkv", video_files.jpegs(video_files.shades(40), [20, 21]), stamps
    )
    whole = [i for i in range(40) if i not in (20, 21)]
    assert numbers_and_times(path) == (whole, whole, [stamps[i] for i in whole])


def test_a_video_without_a_whole_frame_is_refused(tmp_path: Path) -> None:
    path = video_files.write_mp4(tmp_path / "clip.mp4", video_files.jpegs(video_files.shades(5), range(5)), [40] * 5)
    for reads in (decodable_frames, lambda path: list(read_file(path, "door"))):
        with pytest.raises(CaptureError, match=r"clip\.mp4: holds no readable frame"):
            reads(path)


@pytest.mark.parametrize("matrix", video_files.MATRICES)
def test_a_phone_video_is_upright(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    image = video_files.corners()
    path = video_files.write_mp4(tmp_path / "clip.mp4", video_files.jpegs([image] * 3), [40] * 3, matrix=matrix)
    shown = video_files.moved(image, matrix)
    for frame in read_file(path, "door"):
        assert frame.image.shape == shown.shape
        assert video_files.quarters(frame.image) == video_files.quarters(shown)
        assert frame.image.flags.c_contiguous
    assert probe(path).size == (shown.shape[1], shown.shape[0])
