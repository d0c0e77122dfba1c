"""What `korsal-edge check` can know of a source without opening a camera."""

from pathlib import Path

import cv2
import pytest

from edge.__main__ import main
from edge.commands.check import source_problems
from edge.config.config_file import ConfigError, load
from tests.support.video_files import write_video


def configured(folder: Path, *sources: str) -> Path:
    file = folder / "config.toml"
    tables = [f"[cameras.c{number}]\n{source}\n" for number, source in enumerate(sources)]
    file.write_text("".join(tables))
    return file


def found(file: Path) -> list[str]:
    return list(source_problems(load(file).cameras, file.parent))


@pytest.mark.parametrize("loop", ["", "\nloop = true"])
def test_what_is_no_video_is_named_by_its_camera(tmp_path: Path, loop: str) -> None:
    write_video(tmp_path / "good.avi", "MJPG", 5)
    (tmp_path / "notes.txt").write_text("nothing to see\n")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 50)
    names = ["good.avi", "gone.mp4", "notes.txt", "empty.mp4", "noise.mp4", ".", "a" * 300]
    reported = found(configured(tmp_path, *[f'source = "{name}"{loop}' for name in names]))
    expected = [
        f"cameras.c1.source: {tmp_path}/gone.mp4: no such file: check the path (relative paths start at {tmp_path})",
        f"cameras.c2.source: {tmp_path}/notes.txt: is text, not video: give a video file",
        f"cameras.c3.source: {tmp_path}/empty.mp4: is empty: copy it again from its source",
        f"cameras.c4.source: {tmp_path}/noise.mp4: cannot be read as video",
        f"cameras.c5.source: {tmp_path}: is a directory: give a video file in it",
        f"cameras.c6.source: {tmp_path}/{'a' * 300}: cannot be read (File name too long): check the path",
    ]
    assert len(reported) == len(expected)
    assert all(line.startswith(start) for line, start in zip(reported, expected, strict=True)), reported


def test_what_is_no_device(tmp_path: Path) -> None:
    (tmp_path / "video").write_bytes(b"x")
    reported = found(configured(tmp_path, f'source = "v4l2://{tmp_path}/video"', 'source = "v4l2:///dev/null"'))
    assert reported == [
        f"cameras.c0.source: {tmp_path}/video: is not a camera device: write /dev/video0, or a file without v4l2://"
    ]


def test_cameras_are_not_opened(tmp_path: Path) -> None:
    sources = ["rtsp://127.0.0.1:9/live", "/dev/video63", "csi://0", "http://127.0.0.1:9/x"]
    assert found(configured(tmp_path, *[f'source = "{source}"' for source in sources])) == []


@pytest.mark.parametrize("number", ["0", "12"])
def test_a_bare_number_is_not_a_source(tmp_path: Path, number: str) -> None:
    with pytest.raises(ConfigError, match=f"c0.source: {number}: a bare number is not a source: write"):
        load(configured(tmp_path, f'source = "{number}"'))


def test_the_command_reports_all_of_them_and_an_absent_device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    actions = "[actions.Nonsense]\nstart_score = 0.5"
    file = configured(tmp_path, 'source = "gone.mp4"\nfps = 5', f'source = "/dev/video63"\n{actions}')
    assert main(["check", "--config", str(file)]) == 1
    output = capsys.readouterr().err
    assert "cameras.c0.fps: is not for a file" in output
    assert "cameras.c0.source: " in output
    assert "actions.Nonsense: the model knows no such action" in output
    assert main(["check", "--config", str(configured(tmp_path, 'source = "/dev/video63"'))]) == 0
    assert "/dev/video63 (no such device at the moment)" in capsys.readouterr().out


def test_a_camera_with_an_invalid_name_is_checked_under_that_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.toml"
    video = 'source = "gone.mp4"\nactions.Nonsense.cooldown = 1.0\n'
    file.write_text(
        f'[cameras.request]\n{video}[cameras."back door"]\n{video}[cameras.a]\nfps = 0.1\nloop = true\n{video}'
    )
    assert main(["check", "--config", str(file)]) == 1
    output = capsys.readouterr().err
    for name in ("request", "back door", "a"):
        assert f"cameras.{name}.source: {tmp_path}/gone.mp4: no such file" in output
        assert f"cameras.{name}.actions.Nonsense: the model knows no such action" in output
    assert "renamed" not in output


def test_a_csi_camera_and_an_opencv_without_gstreamer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(configured(tmp_path, 'source = "csi://0"'))]) == 0
    reported = "(this OpenCV has no GStreamer, which it needs: use the one of JetPack)" in capsys.readouterr().out
    assert reported is not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER)


@pytest.mark.parametrize(("side", "problems"), [(32, 1), (640, 0)])
def test_too_small_is_what_the_models_own_input_shows_too_little_of(tmp_path: Path, side: int, problems: int) -> None:
    """Of a strip of 160x24 an input 32 wide shows 4.8 rows, one 640 wide all 24; 7 are the least."""
    write_video(tmp_path / "good.avi", "MJPG", 5)
    file = configured(tmp_path, 'source = "good.avi"\nregion = [0.0, 0.0, 1.0, 0.2]')
    reported = list(source_problems(load(file).cameras, tmp_path, (side, side)))
    assert len(reported) == problems, reported


def test_a_camera_is_described_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "good.avi", "MJPG", 5)
    seen = 'source = "good.avi"\nregion = [0.5, 0.0, 0.5, 1.0]\ntiles = "1x2"\nzones.gate = [[0, 0], [1, 0], [1, 1]]'
    file = configured(tmp_path, f'{seen}\nactions.default.required_zones = ["gate"]', 'source = "/dev/video63"')
    assert main(["check", "--config", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (first,) = (place for place, line in enumerate(lines) if line.startswith("  camera c0"))
    assert ", zones: gate, events begin at " in lines[first]
    assert "looks at 1x2 tiles, which share 20% of their sides, of the region from x 0.5 to 1" in lines[first + 1]
    assert "times as large for the network" in lines[first + 1]
    assert lines[first + 2] == "    events begin only in gate"
    assert lines[first + 3].startswith("  camera c1")
