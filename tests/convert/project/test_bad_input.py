"""What can be wrong with a project: each is one sentence that names file, track and frame where there are some, and
the cure."""

import gzip
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from convert.project.__main__ import main
from tests.support.made_project import add_video, change, make_project

FIRST_XML = "annotations/hall/Dunk_0.xml"


def edit(name: str, *pairs: tuple[str, str]) -> Callable[[Path], None]:
    """Replaces text of a file of the project, all over; with patterns."""

    def change_file(project: Path) -> None:
        path = project / name
        text = path.read_text()
        for old, new in pairs:
            text, count = re.subn(old, new, text)
            assert count, old
        path.write_text(text)

    return change_file


def remove(*names: str) -> Callable[[Path], None]:
    """Takes files or folders out of the project."""

    def remove_them(project: Path) -> None:
        for name in names:
            path = project / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove_them


def one_scene(project: Path) -> None:
    for label, action in enumerate(("Dunk", "Surf")):
        add_video(project, f"hall/{action}_1", label, 50 + label)
    for kind in ("videos", "annotations"):
        for scene in ("yard", "beach"):
            shutil.rmtree(project / kind / scene)
    change(project, 'scenes = "auto"', 'scenes = "folder"')
    change(project, 'quiet = ["street_*"]', "")
    for number in range(2):
        shutil.rmtree(project / "videos" / f"street_{number}")


def rewritten(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Changes the bytes of the first annotation."""

    def rewrite(project: Path) -> None:
        (project / FIRST_XML).write_bytes(change((project / FIRST_XML).read_bytes()))

    return rewrite


def still_packed(project: Path) -> None:
    (project / FIRST_XML).rename(project / f"{FIRST_XML}.gz")


def other_endings(project: Path) -> None:
    for name in ("b.GIF", "a.wmv", ".c", "hall/d.json"):
        (project / "videos" / name).touch()


def pipe(project: Path) -> None:
    os.mkfifo(project / "annotations/hall/pipe.xml")


def copied(project: Path) -> None:
    shutil.copy(project / "videos/hall/Dunk_0.avi", project / "videos/street_1/quiet.avi")


CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "one scene only": (
        one_scene,
        "note: Dunk is in no scene that is held out, so nothing tells how well it is found; film another scene",
    ),
    "a class with one tube": (
        remove("annotations/yard/Surf_0.xml", "annotations/beach/Surf_0.xml"),
        "note: Surf has one tube in all: it cannot be learned and validated; annotate it in other scenes",
    ),
    "a label with other capitals": (
        edit(FIRST_XML, (">Dunk<", ">dunk<")),
        "hall/Dunk_0.xml: track 0 is 'dunk' from frame 3 on, which is no action of {project}/actions.toml; "
        "name it 'Dunk' in CVAT, or add it there",
    ),
    "an action in an attribute of another name": (
        edit(FIRST_XML, ('name="action"', 'name="activity"')),
        "hall/Dunk_0.xml: track 0, person, says activity=Dunk from frame 3 on, but what somebody does is read from the "
        "attribute action alone; rename it, and export it again",
    ),
    "an action as a label, whose attribute says none": (
        edit(FIRST_XML, ('label="person"', 'label="Dunk"'), (">Dunk</attribute>", ">none</attribute>")),
        "hall/Dunk_0.xml: track 0 is labelled Dunk, but its attribute action says in every frame that nothing is done",
    ),
    "an action as a box to tick": (
        edit(FIRST_XML, ('name="action">Dunk', 'name="dunk">true')),
        "hall/Dunk_0.xml: track 0, person, says dunk=true from frame 3 on, but what somebody does is read from the",
    ),
    "an action twice with other capitals": (
        edit("actions.toml", (r'"Dunk", ', '"Dunk", "DUNK", ')),
        "actions.toml: the actions 'Dunk' and 'DUNK' are one but for their spelling; keep one",
    ),
    "videos of which none is annotated": (
        remove("annotations/hall", "annotations/yard", "annotations/beach"),
        "{project}/annotations: holds no annotation of the 8 videos; export each task of CVAT there as CVAT for video",
    ),
    "annotations of a video that is not there": (
        remove("videos/hall/Dunk_0.avi"),
        "hall/Dunk_0.xml: its video hall/Dunk_0 is not in videos/; copy it there, or take this file away",
    ),
    "frames beyond the end": (
        edit(
            FIRST_XML,
            (r'frame="10" keyframe="1" outside="1"', 'frame="40" keyframe="1" outside="1"'),
            ("<size>30", "<size>60"),
            ("<stop_frame>29", "<stop_frame>59"),
        ),
        "wrong: hall/Dunk_0: Dunk (Dunk_0.xml, track 0 from CVAT's frame 3) has boxes up to frame 40, and the file "
        "ends with frame 30; end the track there, or copy the whole video",
    ),
    "boxes in frames that were not annotated": (
        edit(FIRST_XML, (r'frame="9"', 'frame="35"'), (r'frame="10"', 'frame="36"')),
        "hall/Dunk_0.xml: not CVAT for video 1.1 (a box of track 0 lies in frame 35, and only frames 0 to 29 were "
        "annotated); export each task by itself",
    ),
    "boxes outside of the picture, of which the file says nothing": (
        edit(FIRST_XML, (r"(?s)<original_size>.*</original_size>", ""), (r'xbr="[^"]*"', 'xbr="300"')),
        "wrong: hall/Dunk_0: Dunk in frames 4 to 10 (Dunk_0.xml, track 0 from CVAT's frame 3): a box that leaves the "
        "frame in frame 4 and 6 more; draw it inside",
    ),
    "videos that nobody has annotated": (
        remove("annotations/hall/Dunk_0.xml", "annotations/yard"),
        "note: 3 videos are neither annotated nor quiet, and not learned from: hall/Dunk_0, yard/Dunk_0, yard/Surf_0",
    ),
    "boxes outside of the picture": (
        edit(FIRST_XML, (r'xtl="[^"]*"', 'xtl="-40"')),
        "wrong: hall/Dunk_0: Dunk in frames 4 to 10 (Dunk_0.xml, track 0 from CVAT's frame 3): a box that leaves the "
        "frame in frame 4 and 6 more; draw it inside",
    ),
    "a scene of which one video is held out": (
        edit("actions.toml", ("# validation = .*", 'validation = ["hall/Dunk_0"]')),
        "note: hall/Dunk_0 is held out, and hall/Surf_0 of the same scene is not, so scores will be too good; "
        "divide by whole scenes, or tell them apart (actions.toml: scenes)",
    ),
    "a video twice under two names": (
        copied,
        "note: street_1/quiet: its file is a copy of that of hall/Dunk_0; take one of the two away",
    ),
    "all held out": (
        edit("actions.toml", ("# validation = .*", 'validation = ["*"]')),
        "wrong: every video for training is held out, so nothing would be learned; shorten validation in actions",
    ),
    "a scene of which one video is for testing": (
        edit("actions.toml", ("# test = .*", 'test = ["beach/Surf_0"]')),
        "note: beach/Surf_0 is for testing, and beach/Dunk_0 of the same scene is not, so scores will be too good",
    ),
    "an expression that finds a scene in some names": (
        edit("actions.toml", ('scenes = "auto"', 'scenes = "^(beach|yard|street)"')),
        "note: scenes finds none in these names, so each counts as a scene of its own: hall/Dunk_0, hall/Surf_0\n",
    ),
    "an expression that finds a scene in none": (
        edit("actions.toml", ('scenes = "auto"', 'scenes = "(garage)?hall|yard|beach|street"')),
        "actions.toml: scenes finds nothing in any name, as beach/Dunk_0; correct the expression",
    ),
    "a later version of CVAT's format": (
        edit(FIRST_XML, ("<version>1.1", "<version>2.0")),
        "hall/Dunk_0.xml: not CVAT for video 1.1 (it is of version '2.0', and 1.1 is read); export each task by itself",
    ),
    "an annotation that is packed by gzip": (
        rewritten(gzip.compress),
        "hall/Dunk_0.xml: not CVAT for video 1.1 (it is packed by gzip; unpack it); export each task by itself",
    ),
    "an annotation without content": (
        rewritten(lambda _: b"\n"),
        "hall/Dunk_0.xml: not CVAT for video 1.1 (it is empty); export each task by itself",
    ),
    "a number of frames that is none": (
        edit(FIRST_XML, ("<size>30", "<size>many")),
        "hall/Dunk_0.xml: not CVAT for video 1.1 (its size is 'many', which is no whole number); export each task by",
    ),
    "a pipe among the annotations": (
        pipe,
        "hall/pipe.xml: is no plain file; take it away",
    ),
    "an annotation of an ending that is not read": (
        still_packed,
        "note: annotations/ holds hall/Dunk_0.xml.gz, which is not read, for it ends with none of .xml .zip: unpack it",
    ),
    "videos of endings that are not read": (
        other_endings,
        "note: videos/ holds a.wmv and 1 more, which is not read, for it ends with none of .mp4 .avi .mkv .mov .webm: "
        "convert what is a video, with ffmpeg\n",
    ),
    "a video with other capitals": (
        edit(FIRST_XML, ("<source>.*</source>", "<source>dunk_0.AVI</source>"), ("hall/", "")),
        "hall/Dunk_0.xml: its video dunk_0 is not in videos/, and beach/Dunk_0 is; spell both alike, if they are one",
    ),
    "a track twice": (
        edit(FIRST_XML, (r"(?s)(<track.*</track>)", r"\1\1")),
        "wrong: hall/Dunk_0: Dunk is annotated twice from frame 4 on (Dunk_0.xml, track 1 from CVAT's frame 3); delete",
    ),
    "a file of which a part is missing": (
        edit(FIRST_XML, (r"(?s)</track>.*", "")),
        "hall/Dunk_0.xml: not CVAT for video 1.1 (",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_said_before_anything_is_taught(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = make_project(tmp_path / "mine", clips=1)
    spoil, sentence = CASES[case]
    spoil(project)
    before = {path: path.read_bytes() for path in project.glob("**/*") if path.is_file()}
    status = main(["check", str(project), "-q"])
    said = capsys.readouterr()
    expected = sentence.format(project=project)
    assert expected in said.out + said.err
    assert status == (0 if expected.startswith("note: ") else 1)
    assert {path: path.read_bytes() for path in project.glob("**/*") if path.is_file()} == before
