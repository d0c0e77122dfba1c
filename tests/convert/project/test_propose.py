"""`korsal-train propose`: people found in videos, as files that CVAT and `check` read."""

import json
import os
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from convert.project import folders, propose, run_folders
from convert.project.__main__ import main
from convert.project.command_line import ACTOR_MODEL
from edge.config.config_file import SHIPPED_MODEL
from edge.shipped_files import asset_path
from tests.support.full_disk import full_disk
from tests.support.made_project import make_project
from tests.support.tiny_model import LABELS, write_tiny_model
from tests.support.tiny_videos import write_video
from tests.support.yolo_file import write_detector
from train.datasets.cvat import read_cvat

ACTOR = asset_path(ACTOR_MODEL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """One video without annotation, in which the light goes on; the tiny model then sees one person who shines."""
    folder = tmp_path / "mine"
    list(folders.create(folder, ["Shine"]))
    pictures = [np.full((64, 96, 3), 255 if 10 <= n < 30 else 0, np.uint8) for n in range(40)]
    write_video(folder / "videos" / "door" / "été 1.avi", pictures)
    return folder


def proposed(project: Path) -> Path:
    return project / "proposals" / "door" / "été 1.xml"


def test_a_model_of_ours_proposes_people_and_what_they_do(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_tiny_model(tmp_path / "tiny.onnx")
    assert main(["propose", str(project), "--detector", str(model), "-q"]) == 0
    out = capsys.readouterr().out
    assert f"{proposed(project)}: 1 person in 40 frames, 1 of them with a guessed action, " in out
    assert out.splitlines()[-1] == f"Next: korsal-train check {project}"
    video = read_cvat(proposed(project))
    assert (video.name, video.frames, video.size) == ("door/été 1", 40, (96, 64))
    (tube,) = video.tubes
    assert tube.label == LABELS[0]
    assert 10 <= tube.tube.first_frame < 16
    (label,) = json.loads((project / "proposals" / "labels.json").read_text())
    assert label["attributes"][0]["values"] == ["none", "Shine"]


def test_a_detector_of_others_guesses_no_action(project: Path, tmp_path: Path) -> None:
    detector = write_detector(tmp_path / "yolo.onnx")
    assert main(["propose", str(project), "--detector", str(detector), "-q"]) == 0
    text = proposed(project).read_text(encoding="utf-8")
    assert read_cvat(proposed(project)).tubes == ()
    assert text.count("<track ") == 1
    assert text.count("<box ") == 3  # where it begins, its last box, and that it is gone


def test_after_a_run_its_model_guesses_what_people_of_another_detector_do(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole picture is somebody to the detector, and shines to the model while the light is on."""
    made = run_folders.begin(folders.read(project), "mark", {}).with_all_done()
    known = write_tiny_model(made.path / "mine.onnx")
    detector = write_detector(tmp_path / "yolo.onnx")
    assert main(["propose", str(project), "--detector", str(detector), "-q"]) == 0
    out = capsys.readouterr().out
    assert f"People are found by {detector}, and what they do is guessed by {known}\n" in out
    assert "of them with a guessed action" in out
    (tube, *_) = read_cvat(proposed(project)).tubes
    assert tube.label == LABELS[0]
    assert 10 <= tube.tube.first_frame < 16
    assert main(["propose", str(project), "--again", "-q"]) == 0
    assert f"People are found by {ACTOR}, and what they do is guessed by {known}\n" in capsys.readouterr().out
    (tube,) = read_cvat(proposed(project)).tubes  # the light is nobody, but to the model
    assert tube.label == LABELS[0]


@pytest.mark.parametrize(("action", "guessing"), [("Basketball", True), ("fall", False)])
def test_before_any_run_the_shipped_files_find_people_and_guess_what_they_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str, guessing: bool
) -> None:
    list(folders.create(tmp_path / "mine", [action]))
    shutil.copy(asset_path("demo/basketball.mp4"), tmp_path / "mine" / "videos")
    assert main(["propose", str(tmp_path / "mine"), "-q"]) == 0
    begin = f"People are found by {ACTOR}"
    guessed = f"{begin}, and what they do is guessed by {asset_path(SHIPPED_MODEL)}"
    assert capsys.readouterr().out.splitlines()[0] == (guessed if guessing else begin)
    video = read_cvat(tmp_path / "mine" / "proposals" / "basketball.xml")
    assert {tube.label for tube in video.tubes} == ({action} if guessing else set())
    text = (tmp_path / "mine" / "proposals" / "basketball.xml").read_text(encoding="utf-8")
    tracks = [person.findall("box") for person in ElementTree.fromstring(text).findall("track")]
    shown = max(int(boxes[-1].get("frame", 0)) - int(boxes[0].get("frame", 0)) for boxes in tracks)
    assert shown > 150  # of 333 frames, of the man who plays


def test_proposals_and_annotations_are_never_written_over(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(write_tiny_model(tmp_path / "tiny.onnx"))
    assert main(["propose", str(project), "--detector", model, "-q"]) == 0
    first = proposed(project).read_text(encoding="utf-8")
    proposed(project).write_text(first + "<!-- mine -->", encoding="utf-8")
    capsys.readouterr()
    assert main(["propose", str(project), "--detector", model, "-q"]) == 0
    assert "every video is annotated, quiet, or has a proposal; --again writes them anew" in capsys.readouterr().out
    assert proposed(project).read_text(encoding="utf-8").endswith("<!-- mine -->")
    for expected in ("; the one before is now été 1.xml.before", " boxes to look at"):  # the second time it is the same
        assert main(["propose", str(project), "--detector", model, "-q", "--again"]) == 0
        assert proposed(project).read_text(encoding="utf-8") == first
        (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith(str(proposed(project))))
        assert line.endswith(expected)
    kept = sorted(proposed(project).parent.glob("*.before*"))
    assert [path.read_text(encoding="utf-8") for path in kept] == [first + "<!-- mine -->"]
    (project / "annotations" / "a.xml").write_text(first, encoding="utf-8")
    assert propose.missing(folders.read(project), again=True) == {}
    write_video(project / "videos" / "yard" / "été 1.avi", [np.zeros((64, 96, 3), np.uint8)])
    write_video(project / "videos" / "yard" / "street.avi", [np.zeros((64, 96, 3), np.uint8)])
    (project / "quietlist.txt").write_text("yard/street\n")
    assert list(propose.missing(folders.read(project))) == ["yard/été 1"]  # named alike in another folder


@pytest.mark.parametrize(
    ("spoil", "size", "fault"),
    [
        ("nothing", (64, 96), "was of another video"),
        ("without a digest", (96, 64), "was of another video than this of 64x96 pixels"),
        ("without a digest", (64, 96), "was older than the video"),
        ("cut short", (64, 96), "could not be read"),
    ],
)
def test_a_proposal_of_a_video_that_was_replaced_is_put_aside(
    spoil: str, size: tuple[int, int], fault: str, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second video of that name is darker, and older than the proposal unless that is all that could tell."""
    words = ["propose", str(project), "--detector", str(write_tiny_model(tmp_path / "tiny.onnx")), "-q"]
    assert main(words) == 0
    text = proposed(project).read_text(encoding="utf-8")
    if spoil == "without a digest":
        text = re.sub("<sha256>.*</sha256>", "<!-- mine -->", text)
    proposed(project).write_text(text[:600] if spoil == "cut short" else text, encoding="utf-8")
    old = proposed(project).read_bytes()
    video = project / "videos" / "door" / "été 1.avi"
    write_video(video, [np.zeros((*size, 3), np.uint8)] * 20)
    later = 60 if fault == "was older than the video" else -60
    os.utime(video, (proposed(project).stat().st_mtime + later,) * 2)
    proposed(project).with_name("été 1.xml.before").touch()
    with full_disk(500):
        status = main(words)
    assert status == 1
    assert f"{fault}, and cannot be kept beside a new one (File too large); free space" in capsys.readouterr().err
    assert proposed(project).read_bytes() == old
    assert main(words) == 0
    (said,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{proposed(project)}: ")]
    assert " in 20 frames, " in said
    assert said.endswith(f" to look at; the one before {fault}, and is now été 1.xml.before-2")
    assert proposed(project).with_name("été 1.xml.before-2").read_bytes() == old
    assert read_cvat(proposed(project)).frames == 20
    assert propose.missing(folders.read(project)) == {}


def test_a_proposal_of_a_video_that_was_copied_again_is_kept(project: Path, tmp_path: Path) -> None:
    assert main(["propose", str(project), "--detector", str(write_tiny_model(tmp_path / "tiny.onnx")), "-q"]) == 0
    video = project / "videos" / "door" / "été 1.avi"
    os.utime(video, (proposed(project).stat().st_mtime + 60,) * 2)
    assert propose.missing(folders.read(project)) == {}
    video.write_bytes(b"no video")
    assert list(propose.missing(folders.read(project))) == ["door/été 1"]  # so that it is named as unreadable
    text = proposed(project).read_text(encoding="utf-8")
    proposed(project).write_text(re.sub("<sha256>.*</sha256>", "", text), encoding="utf-8")
    assert propose.missing(folders.read(project)) == {}


def test_a_corrected_proposal_is_checked_and_quiet_videos_need_none(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(write_tiny_model(tmp_path / "tiny.onnx"))
    assert main(["propose", str(project), "--detector", model, "-q"]) == 0
    (project / "annotations" / "task 7.xml").write_bytes(proposed(project).read_bytes())
    capsys.readouterr()
    assert main(["check", str(project), "-q"]) == 0
    out = capsys.readouterr().out
    assert "Shine has one tube in all: it cannot be learned and validated" in out
    assert out.splitlines()[-1] == f"Next: korsal-train run {project}"
    made = folders.read(make_project(tmp_path / "other"))
    assert propose.missing(made) == {}


def test_what_cannot_be_opened(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list(folders.create(tmp_path / "empty", ["fall"]))
    assert main(["propose", str(tmp_path / "empty")]) == 1
    assert "videos: holds no video; copy some there, or record them" in capsys.readouterr().err
    (tmp_path / "empty" / "videos" / "a.gif").touch()
    assert main(["propose", str(tmp_path / "empty")]) == 1
    assert "videos: holds no video; videos/ holds a.gif, which is not read, for it ends" in capsys.readouterr().err
    assert main(["propose", str(project), "--detector", str(tmp_path / "none.onnx")]) == 1
    assert "none.onnx: cannot be opened" in capsys.readouterr().err
    (project / "videos" / "broken.mp4").write_bytes(b"no video")
    assert main(["propose", str(project), "--detector", str(write_tiny_model(tmp_path / "t.onnx")), "-q"]) == 1
    assert "broken.mp4: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a\nb", "its name holds a character that CVAT's files cannot have: rename it"),
        ("a\\b", "its name holds a character that CVAT's files cannot have: rename it"),
        ("a\ufffeb", "its name holds a character that CVAT's files cannot have: rename it"),
        ("\u00e9" * 120, "its name is longer than 230 bytes: shorten it"),
    ],
    ids=["line", "backslash", "none", "long"],
)
def test_a_video_that_cvat_could_not_name_does_not_stop_the_others(
    name: str, problem: str, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(project / "videos" / "door" / "été 1.avi", project / "videos" / "door" / f"{name}.avi")
    assert main(["propose", str(project), "--detector", str(write_tiny_model(tmp_path / "tiny.onnx")), "-q"]) == 1
    assert f"{problem}; all others have their proposals\n" in capsys.readouterr().err
    assert [path.name for path in proposed(project).parent.iterdir()] == [proposed(project).name]


def test_what_lies_in_the_place_of_a_proposal(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "proposals").touch()
    assert main(["propose", str(project)]) == 1
    said = f"{project}/proposals/labels.json: cannot be written (File exists); take away what lies in its place\n"
    assert said in capsys.readouterr().err


def test_a_video_that_cannot_be_read_does_not_stop_the_others(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.mp4", "b.mov"):
        (project / "videos" / name).write_bytes(b"")
    assert main(["propose", str(project), "--detector", str(write_tiny_model(tmp_path / "t.onnx")), "-q"]) == 1
    said = capsys.readouterr()
    assert f"{proposed(project)}: 1 person in 40 frames" in said.out
    assert "a.mp4: is empty" in said.err
    assert "; 1 more video cannot be read; all others have their proposals\n" in said.err
    assert proposed(project).exists()
