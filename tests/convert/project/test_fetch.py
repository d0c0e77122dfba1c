"""`korsal-train fetch`: what is brought from a device, and what is not believed."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest

from convert.project import fetch, folders
from convert.project.__main__ import main
from convert.project.fetch import Executed, FetchError
from convert.project.folders import Project
from train.datasets import project_data

CLIPS = ("doubt-door-1000-5-0-1", "doubt-back-yard-2000-7-1-0")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    list(folders.create(tmp_path / "mine", ["fall"]))
    return folders.read(tmp_path / "mine")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """As a device has it."""
    folder = tmp_path / "state"
    (folder / "roof.teaching").mkdir(parents=True)
    for stem in CLIPS:
        (folder / "roof.teaching" / f"{stem}.mp4").write_bytes(stem.encode())
        (folder / "roof.teaching" / f"{stem}.json").write_text("{}")
    (folder / "roof.history").mkdir()
    (folder / "roof.history" / "doubt-door-1-1-1-1.mp4").write_bytes(b"an event")
    return folder


class Device:
    """Answers ssh with a listing, and copies as scp does."""

    def __init__(self, state: Path, status: int = 0) -> None:
        self.state, self.status = state, status
        self.copied: list[str] = []

    def execute(self, words: Sequence[str]) -> Executed:
        if self.status:
            return Executed(self.status)
        if words[0] == "ssh":
            paths = [path.relative_to(self.state).as_posix() for path in self.state.glob("*.teaching/*")]
            return Executed(0, "\n".join([*paths, "../../etc/passwd", "x.teaching/../doubt-a-1-1-1-1.mp4", ""]))
        *sources, target = words[3:]
        for source in sources:
            host, path = source.split(":", 1)
            assert host == "root@jetson"
            self.copied.append(path)
            (Path(target) / Path(path).name).write_bytes(Path(path).read_bytes())
        return Executed(0)


def videos(project: Project) -> list[str]:
    folder = project.folder / project_data.VIDEOS
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("**/*") if path.is_file())


WHOLE = sorted(f"{camera}/{stem}{end}" for camera, stem in zip(("door", "back-yard"), CLIPS, strict=True)
               for end in (".json", ".mp4"))  # fmt: skip


def test_from_a_device_once(project: Project, state: Path) -> None:
    device = Device(state)
    sentence = fetch.fetch(project, "root@jetson", PurePosixPath(state), device.execute)
    assert sentence.startswith(f"root@jetson:{state}: 2 clips of back-yard, door, 2 of them new, in ")
    assert videos(project) == WHOLE
    assert len(device.copied) == 4
    again = fetch.fetch(project, "root@jetson", PurePosixPath(state), device.execute)
    assert "2 clips of back-yard, door, 0 of them new" in again
    assert len(device.copied) == 4
    assert set(project_data.video_names(project.folder)) == {"door/doubt-door-1000-5-0-1", f"back-yard/{CLIPS[1]}"}


def test_from_a_folder(project: Project, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", str(project.folder), "--folder", str(state)]) == 0
    assert capsys.readouterr().out.endswith(f"Next: korsal-train propose {project.folder}\n")
    assert videos(project) == WHOLE
    assert [path.name for path in project.folder.glob(".incoming*")] == []


@pytest.mark.parametrize(
    "line",
    [
        "../roof.teaching/doubt-door-1-1-1-1.mp4",
        "roof.teaching/doubt-../../x-1-1-1-1.mp4",
        "roof.teaching/doubt-door-1-1-1-1.mp4/../../x",
        "roof.teaching/doubt-door-1-1-1-1.mp4; rm -rf /",
        "/etc/roof.teaching/doubt-door-1-1-1-1.mp4",
        "roof.teaching/doubt-door.mp4",
    ],
)
def test_names_that_lead_elsewhere_are_not_believed(line: str) -> None:
    assert fetch.clips_in([line]) == []


def test_what_cannot_be_fetched(project: Project, state: Path, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="root@jetson: cannot be reached by ssh"):
        fetch.fetch(project, "root@jetson", PurePosixPath(state), Device(state, 255).execute)
    with pytest.raises(FetchError, match=r"holds no clip of a doubt; set keep = true in \[teaching\]"):
        fetch.fetch(project, None, PurePosixPath(tmp_path / "nothing"))
    with pytest.raises(FetchError, match="'-oProxyCommand=x' is no host"):
        fetch.fetch(project, "-oProxyCommand=x")
    assert videos(project) == []


@pytest.mark.parametrize("host", ["root@jetson", None])
def test_a_clip_of_which_nothing_else_is_known_comes_alone(project: Project, state: Path, host: str | None) -> None:
    (state / "roof.teaching" / f"{CLIPS[0]}.json").unlink()
    assert "2 of them new" in fetch.fetch(project, host, PurePosixPath(state), Device(state).execute)
    assert videos(project) == [one for one in WHOLE if one != f"door/{CLIPS[0]}.json"]


def test_what_the_device_deletes_meanwhile_is_said(project: Project, state: Path) -> None:
    """A link that leads nowhere is listed, and cannot be copied."""
    clip = state / "roof.teaching" / f"{CLIPS[0]}.mp4"
    clip.unlink()
    clip.symlink_to(state / "gone")
    with pytest.raises(FetchError, match=r"cannot be copied \(No such file or directory\); fetch again"):
        fetch.fetch(project, None, PurePosixPath(state))
    assert videos(project) == []
