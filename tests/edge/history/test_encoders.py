"""Each encoder of this machine makes clips that other players read, with the time of every frame."""

import asyncio
import json
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.history import encoders, gstreamer_encoder, h264
from edge.history.encoder import EncoderError, EncoderFormat, encoded_size, i420
from edge.history.encoders import NO_ENCODER, ORDER, available, first_that_works, open_encoder
from edge.history.mp4 import Sample, VideoTrack, mp4
from tests.support.chromium import PROGRAM, chromium

FORM = EncoderFormat((160, 96))
NVENC_PROPERTIES = {  # of nvv4l2h264enc, as NVIDIA's "Accelerated GStreamer" names them
    "bitrate", "control-rate", "idrinterval", "iframeinterval", "insert-aud", "insert-sps-pps", "insert-vui",
    "maxperf-enable", "num-B-Frames", "peak-bitrate", "preset-level", "profile", "ratecontrol-enable", "vbv-size",
}  # fmt: skip
HERE = tuple(available())


def picture(number: int) -> NDArray[np.uint8]:
    image = np.zeros((96, 160, 3), np.uint8)
    image[30:60, 3 * number : 3 * number + 20] = (40, 200, 90)
    return image


def probed(path: Path) -> dict[str, Any]:
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed: apt-get install ffmpeg")
    entries = "stream=codec_name,pix_fmt,width,height,duration:frame=pts_time"
    words = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "json", str(path)]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    assert found.stderr == ""
    return json.loads(found.stdout)


def written(name: str, path: Path, times: list[float]) -> Path:
    """A clip of frames that are shown at these seconds."""
    with closing(open_encoder(name, FORM)) as encoder:
        frames = [one for number in range(len(times)) for one in encoder.encode(i420(picture(number), FORM.size))]
        frames += encoder.finish()
    assert [place for place, frame in enumerate(frames) if frame.key] == [*range(0, len(times), 25)]
    sps, pps = frames[0].parameters(h264.SPS), frames[0].parameters(h264.PPS)
    assert sps is not None
    assert pps is not None
    samples = [Sample(time + 500, frame.sample(), frame.key) for time, frame in zip(times, frames, strict=True)]
    path.write_bytes(mp4(VideoTrack(FORM.size, sps, pps), samples))
    return path


@pytest.mark.parametrize("name", ORDER)
def test_what_it_encodes_is_played_with_the_time_of_every_frame(name: str, tmp_path: Path) -> None:
    if name not in HERE:
        pytest.skip(f"{name} is not on this machine")
    times = [0.04 * number if number < 30 else 1.2 + (number - 30) / 10 for number in range(40)]
    path = written(name, tmp_path / "clip.mp4", times)
    assert path.read_bytes().index(b"moov") < path.read_bytes().index(b"mdat")  # plays before all of it has come
    found = probed(path)
    (stream,) = found["streams"]
    assert (stream["codec_name"], stream["pix_fmt"], stream["width"], stream["height"]) == ("h264", "yuv420p", 160, 96)
    assert [float(frame["pts_time"]) for frame in found["frames"]] == pytest.approx(times, abs=1e-4)
    assert float(stream["duration"]) == pytest.approx(2.2, abs=1e-3)
    capture = cv2.VideoCapture(str(path))
    shown = [capture.read()[1] for _ in range(40)]
    capture.release()
    assert np.abs(shown[35].astype(int) - picture(35)).mean() < 12


PAGE = """<video id=v src=clip.mp4 muted></video><p id=o></p><script>
v.onerror = () => o.textContent = v.error.message
v.onloadeddata = () => v.currentTime = 1.5
v.onseeked = () => o.textContent = `${v.videoWidth}x${v.videoHeight} at ${v.currentTime} of ${v.duration}`
</script>"""


def test_a_browser_plays_it(tmp_path: Path) -> None:
    if PROGRAM is None or not HERE:
        pytest.skip("chromium or an encoder is not on this machine")
    written(HERE[0], tmp_path / "clip.mp4", [number / 20 for number in range(40)])
    page = tmp_path / "page.html"
    page.write_text(PAGE)

    async def shown() -> Any:
        async with chromium(tmp_path / "profile") as tab:
            await tab.open(page.as_uri())
            return await tab.until("document.querySelector('#o').textContent")

    assert asyncio.run(shown()) == "160x96 at 1.5 of 2"


@pytest.mark.parametrize("count", [1, 2])
def test_a_clip_may_be_very_short(count: int) -> None:
    samples = [Sample(5.0, b"\0\0\0\1x", True)] * count  # their times do not even rise
    assert mp4(VideoTrack((16, 16), b"\x67\x42\xc0\x1e", b"\x68"), samples).endswith(b"\0\0\0\1x" * count)
    with pytest.raises(ValueError, match="begins with a key frame"):
        mp4(VideoTrack((16, 16), b"\x67\x42\xc0\x1e", b"\x68"), samples[:0])


def test_the_first_that_works_is_taken_and_the_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    if not HERE:
        pytest.skip("no encoder is on this machine")
    monkeypatch.setattr(encoders, "available", lambda order: iter(("broken", *HERE)))
    monkeypatch.setitem(gstreamer_encoder.GSTREAMER, "broken", "identity error-after=3")
    told: list[str] = []
    name, encoder = first_that_works(FORM, told.append)
    encoder.close()
    assert name == HERE[0]
    assert len(told) == 1
    assert told[0].startswith("broken:")


def test_without_an_encoder_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(encoders, "find_spec", lambda name: None)
    assert list(available()) == []
    with pytest.raises(EncoderError, match="there is no H\\.264 encoder: install one") as error:
        first_that_works(FORM, lambda text: None)
    assert str(error.value) == NO_ENCODER


@pytest.mark.parametrize(
    ("size", "width", "encoded"),
    [
        ((640, 480), 1280, (640, 480)),
        ((1920, 1080), 1280, (1280, 720)),
        ((641, 361), 1280, (640, 360)),
        ((1, 4000), 1280, (16, 4000)),
        ((4000, 1), 64, (64, 16)),
    ],
)
def test_sizes_are_those_that_encoders_take(size: tuple[int, int], width: int, encoded: tuple[int, int]) -> None:
    assert encoded_size(size, width) == encoded
    assert i420(np.zeros((*size[::-1], 3), np.uint8), encoded).shape == (encoded[1] * 3 // 2, encoded[0])


def test_around_a_jetson_s_encoder_the_pipeline_works_and_its_properties_are_nvidia_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVENC itself cannot run here: plain elements stand in for the Jetson's three, all else is its pipeline."""
    if "x264enc" not in HERE:
        pytest.skip("x264enc is not here: apt-get install gstreamer1.0-tools gstreamer1.0-plugins-ugly")
    text = gstreamer_encoder.GSTREAMER["nvv4l2h264enc"]
    converter, memory, encoder = text.split(" ! ")
    name, *properties = encoder.split()
    assert (converter, memory, name) == ("nvvidconv", "video/x-raw(memory:NVMM),format=NV12", "nvv4l2h264enc")
    assert {one.partition("=")[0] for one in properties} <= NVENC_PROPERTIES
    stand_in = f"videoconvert ! video/x-raw,format=NV12 ! {gstreamer_encoder.GSTREAMER['x264enc']}"
    monkeypatch.setitem(gstreamer_encoder.GSTREAMER, "nvv4l2h264enc", stand_in)
    shown = probed(written("nvv4l2h264enc", tmp_path / "clip.mp4", [number / 10 for number in range(30)]))
    assert len(shown["frames"]) == 30
