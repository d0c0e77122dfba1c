"""The command line as somebody types it: a process, its exit status, and what it says."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.__main__ import main
from edge.manifest import METADATA_KEY
from tests.support.paths import ROOT
from tests.support.spot_model import MANIFEST, spot, write_jpegs, write_spot_model, write_spot_video
from tests.support.waiting import PATIENCE, wait_for

CONFIG = """
[model]
path = "spot.onnx"
[cameras.door]
source = "video.avi"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a video, and a configuration that names both."""
    folder = tmp_path_factory.mktemp("folder")
    write_spot_model(folder / "spot.onnx")
    write_spot_video(folder / "video.avi")
    (folder / "config.toml").write_text(CONFIG)
    return folder


def korsal_edge(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command that cannot do its job says: without a trace, on stderr, with exit status 1."""
    status = main([str(argument) for argument in arguments])
    output = capsys.readouterr().err
    assert status == 1, output
    assert "Traceback" not in output
    return output


@pytest.mark.parametrize("command", ["run", "check", "doctor", "replay", "bench", "demo"])
def test_help_is_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"korsal-edge {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["replay"], ["bench", "video.avi", "--frames", "0"], ["bench", "video.avi", "--threads", "two"]],
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: korsal-edge" in capsys.readouterr().err


@pytest.mark.parametrize(("package", "name"), [("cv2", "OpenCV"), ("lap", "lap")])
def test_a_missing_package_is_one_sentence_with_its_remedy(package: str, name: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from edge.__main__ import main; sys.exit(main(['check']))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith(f"korsal-edge: {name} is not installed: ")
    assert len(run.stderr.splitlines()) == 1


def test_check_explains_a_configuration(folder: Path) -> None:
    done = korsal_edge("check", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "config.toml is valid" in done.stdout
    assert "camera door: " in done.stdout
    assert "Basketball, Surfing" in done.stdout
    assert "broker localhost:1883, MQTT 5, no TLS" in done.stdout


def test_check_prints_the_start_scores(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "scores.toml"
    file.write_text(CONFIG)
    assert main(["check", "--config", str(file)]) == 0
    assert "events begin at 0.2\n" in capsys.readouterr().out
    file.write_text(CONFIG + "[actions.Surfing]\nstart_score = 0.6\n")
    assert main(["check", "--config", str(file)]) == 0
    assert "events begin at 0.2 (Basketball), 0.6 (Surfing)\n" in capsys.readouterr().out


def test_check_names_every_problem_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '[model]\nthreads = "two"\n[cameras.door]\nsuorce = "video.avi"\n[mqtt]\nport = 70000\n[outbx]\n'
    (tmp_path / "config.toml").write_text(text)
    output = refusal(capsys, "check", "--config", tmp_path / "config.toml")
    for key in ("model.threads", "cameras.door.suorce", "cameras.door.source", "mqtt.port", "outbx"):
        assert key in output
    assert len(output.splitlines()) == 5


def test_check_names_unknown_actions_and_scores_beside_other_problems(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "wrong.toml"
    text = CONFIG + "zones.all = [[0, 0], [64, 0], [64, 48]]\nactions.Jumpp.cooldown = 1\n[mqtt]\nport = 0\n"
    file.write_text(f"{text}[actions.default]\nkeep_score = 0.9\nstart_score = 0.2\n[actions.Swim]\ncooldown = 2\n")
    output = [line.split(": ")[2] for line in refusal(capsys, "check", "--config", file).splitlines()]
    assert output == [
        "cameras.door.zones.all",
        "actions.default.keep_score",
        "actions.Swim.keep_score",
        "mqtt.port",
        "actions.Swim",
        "cameras.door.actions.Jumpp",
    ]


def test_check_names_an_action_that_the_model_does_not_know(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "typo.toml"
    file.write_text(CONFIG + "[actions.Basketbal]\nstart_score = 0.6\n")
    assert "actions.Basketbal" in refusal(capsys, "check", "--config", file)


def test_a_missing_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("check", "run"):
        assert "no such file; copy the shipped" in refusal(capsys, command, "--config", tmp_path / "config.toml")


BAD_SOURCES = (
    *("missing", "a folder", "empty", "a text", "noise", "cut after its head"),
    *("a camera", "an unknown scheme", "nothing"),
)


def bad_sources(folder: Path) -> dict[str, tuple[Path | str, str]]:
    """By name: a source that cannot be played, and words of the sentence that says so."""
    video = (folder / "video.avi").read_bytes()
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("not a video at all\n" * 40)
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(20_000))
    (folder / "head.avi").write_bytes(video[:3000])
    return {
        "missing": (folder / "nowhere.mp4", "no such file"),
        "a folder": (folder, "is a directory"),
        "empty": (folder / "empty.mp4", "is empty"),
        "a text": (folder / "text.mp4", "is text"),
        "noise": (folder / "noise.mp4", "cannot be read as video"),
        "cut after its head": (folder / "head.avi", "copy it again"),
        "a camera": ("/dev/video0", "takes a video file; try korsal-edge demo"),
        "an unknown scheme": ("ftp://host/video.mp4", "unknown kind of source"),
        "nothing": ("", "the source is empty"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "missing",
        "a folder",
        "empty",
        "a text",
        "noise",
        "cut after its head",
        "a camera",
        "an unknown scheme",
        "nothing",
    ],
)
@pytest.mark.parametrize("command", ["replay", "bench"])
def test_bad_sources(folder: Path, command: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    source, words = bad_sources(folder)[name]
    output = refusal(capsys, command, source, "--model", folder / "spot.onnx")
    assert words in output
    assert len(output.splitlines()) == 1


def bad_models(folder: Path) -> dict[str, tuple[Path, str]]:
    """By name: a model that cannot be run, and words of the sentence that says so."""
    good = (folder / "spot.onnx").read_bytes()
    (folder / "corrupt.onnx").write_bytes(good[: len(good) // 2])
    (folder / "text.onnx").write_text("no model")
    other = good.replace(METADATA_KEY.encode(), b"korsal_egde")
    (folder / "other.onnx").write_bytes(other)
    labels = replace(MANIFEST, labels=("One", "Two", "Three"))
    return {
        "missing": (folder / "nowhere.onnx", "no such model"),
        "corrupt": (folder / "corrupt.onnx", "corrupt.onnx"),
        "a text": (folder / "text.onnx", "text.onnx"),
        "of another key": (folder / "other.onnx", "no korsal-edge manifest"),
        "no manifest": (write_spot_model(folder / "plain.onnx", described=False), "no korsal-edge manifest"),
        "three channels": (write_spot_model(folder / "three.onnx", channels=3), "export it again"),
        "labels": (write_relabelled(folder / "labels.onnx", good, labels), "export"),
    }


def write_relabelled(path: Path, model: bytes, manifest: object) -> Path:
    """The model with a manifest that names more labels than it scores."""
    import onnx

    from edge.manifest import Manifest, to_json

    assert isinstance(manifest, Manifest)
    loaded = onnx.load_from_string(model)
    onnx.helper.set_model_props(loaded, {METADATA_KEY: to_json(manifest)})
    onnx.save(loaded, str(path))
    return path


@pytest.mark.parametrize(
    "name", ["missing", "corrupt", "a text", "of another key", "no manifest", "three channels", "labels"]
)
def test_bad_models(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    model, words = bad_models(folder)[name]
    output = refusal(capsys, "replay", folder / "video.avi", "--model", model)
    assert words in output
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [
        ("--events", "nowhere/events.jsonl", "cannot be written"),
        ("--events", "video.avi", "is the source itself"),
        ("--video", "nowhere/out.mp4", "its folder does not exist"),
        ("--video", "out.txt", "is not a format that can be written"),
        ("--video", "video.avi", "is the source itself"),
        ("--camera", "window", "give one of replay"),
    ],
)
def test_bad_outputs(folder: Path, option: str, name: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "video.avi").read_bytes()
    value = name if option == "--camera" else folder / name
    assert words in refusal(capsys, "replay", folder / "video.avi", "--model", folder / "spot.onnx", option, value)
    assert (folder / "video.avi").read_bytes() == before


FRAMES = {
    "one frame": [spot(20)],
    "1x1": [np.full((1, 1, 3), 255, np.uint8)] * 30,
    "odd sizes": [spot(20, (161, 97))] * 30,
    "a sliver": [spot(20, (640, 2))] * 30,
    "4K": [spot(200, (3840, 2160))] * 3,
    "grey": [spot(20)[..., 0]] * 30,
}


@pytest.mark.parametrize("name", FRAMES)
def test_unusual_videos_are_played(tmp_path: Path, folder: Path, name: str) -> None:
    frames = FRAMES[name]
    video = write_jpegs(tmp_path / "odd.mjpeg", frames)
    out = tmp_path / "out.mp4"
    status = main(["replay", str(video), "--model", str(folder / "spot.onnx"), "--video", str(out)])
    assert status == 0
    assert int(cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT)) == len(frames)


def test_changing_frame_sizes_are_played(tmp_path: Path, folder: Path) -> None:
    sizes = [(160, 120)] * 12 + [(320, 200)] * 12
    video = write_jpegs(tmp_path / "sizes.mjpeg", [spot(20, size) for size in sizes])
    out = tmp_path / "out.mp4"
    assert main(["replay", str(video), "--model", str(folder / "spot.onnx"), "--video", str(out)]) == 0
    assert int(cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT)) == 24


@pytest.mark.parametrize(
    ("words", "following"),
    [
        (["--model", "spot.onnx"], "korsal-edge replay video.avi --model spot.onnx --video annotated.webm"),
        (
            ["--config", "config.toml", "--camera", "door"],
            "korsal-edge replay video.avi --config config.toml --camera door --video annotated.webm",
        ),
        (
            ["--region", "0,0,0.75,1", "--tiles", "2x1"],
            "korsal-edge replay video.avi --region 0,0,0.75,1 --tiles 2x1 --video annotated.webm",
        ),
        (["--config", "config.toml", "--video", "a.avi"], "korsal-edge check --config config.toml"),
        (
            ["--model", "spot.onnx", "--video", "a.avi"],
            "cameras, broker and thresholds in config.toml, then korsal-edge check",
        ),
    ],
)
def test_a_replay_names_the_next_steps(
    words: list[str],
    following: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    assert main(["replay", "video.avi", *words]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == f"Next: {following}"


def test_frames_of_a_truncated_video_are_kept(tmp_path: Path, folder: Path) -> None:
    video = tmp_path / "cut.avi"
    whole = (folder / "video.avi").read_bytes()
    video.write_bytes(whole[: len(whole) * 3 // 4])
    done = korsal_edge("replay", video, "--model", folder / "spot.onnx", "--events", tmp_path / "e.jsonl", cwd=tmp_path)
    assert done.returncode == 0
    assert "truncated" in done.stderr
    assert "Traceback" not in done.stderr
    kinds = [json.loads(line)["type"] for line in (tmp_path / "e.jsonl").open()]
    assert (kinds[0], kinds[-1]) == ("new", "end")


def test_a_full_disk_keeps_what_was_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    output = refusal(capsys, "replay", folder / "video.avi", "--model", folder / "spot.onnx", "--events", full)
    assert "/dev/full: cannot be written (No space left on device); free space there" in output


def test_ctrl_c_keeps_what_was_found(tmp_path: Path, folder: Path) -> None:
    lines = tmp_path / "events.jsonl"
    video = write_jpegs(tmp_path / "long.mjpeg", [spot(20)] * 5000)
    command = [sys.executable, "-m", "edge", "replay", video, "--model", folder / "spot.onnx", "--events", lines]
    with subprocess.Popen(list(map(str, command)), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE) as process:
        wait_for(lambda: lines.exists() and lines.stat().st_size, "the first event")
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130, output
    found = [json.loads(line) for line in lines.open()]
    assert found[0]["type"] == "new"
    assert (found[-1]["type"], found[-1]["reason_ended"]) == ("end", "shutdown")


def test_a_reader_that_goes_away_is_no_crash(folder: Path) -> None:
    command = f"{sys.executable} -m edge replay video.avi --model spot.onnx | true"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr


def test_a_wrong_command_line_model_ends_run(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f'[model]\npath = "text.onnx"\n[cameras.door]\nsource = "{folder}/video.avi"')
    (tmp_path / "text.onnx").write_text("no model")
    done = korsal_edge("run", cwd=tmp_path)
    assert done.returncode == 1
    assert "text.onnx" in done.stderr
    assert "Traceback" not in done.stderr
