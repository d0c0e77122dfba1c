"""Where what lies in a project folder, and how a new one is begun. Shell."""

import errno
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge import files
from edge.config.config_file import SHIPPED_MODEL
from edge.manifest import NOT_A_NAME, is_name
from edge.shipped_files import asset_path
from edge.text import to_nfc
from train.datasets import actions_file, own_data, project_data
from train.datasets.actions_file import ActionsFile
from train.datasets.annotation_records import AnnotationError

SHIPPED = "shipped"  # as weights to begin with: the shipped detector's
IMAGENET = ""  # likewise: the backbone's from ImageNet alone

ACTIONS = """\
# What this model is to know. korsal-train reads this file; nothing else has to be configured.

# The actions, as CVAT names them.
actions = {actions}

# Weights to begin with: "shipped", a .pt or FP32 .onnx of your own (from this folder), or "" for ImageNet's alone.
start = "shipped"

# Which videos show one scene (one place, one afternoon): only whole scenes are held out to see how good the model is.
# "auto": videos in one folder of videos/, or named alike but for a number (kitchen_01, kitchen_02);
# "folder": the folder alone; or a regular expression whose brackets hold the scene's name, as '(.+)_\\d+'.
scenes = "auto"

# Scenes or videos to hold out, with * and ?, instead of about every fifth scene:
# validation = ["kitchen", "hall_*"]

# Scenes or videos that are never learned from, for figures to believe in the end:
# test = ["garage"]

# Videos in which nothing happens. They need no annotation, and keep false alarms away:
# quiet = ["street/*"]
"""

README = """\
# {name}

| | |
|---|---|
| `actions.toml` | the actions, and which videos show one scene |
| `videos/` | the videos, in a folder for each scene if you like |
| `proposals/` | people that were found, for CVAT: `korsal-train propose` writes it |
| `annotations/` | what CVAT exported, as *CVAT for video 1.1*, a ZIP or XML file for each video |
| `runs/` | what was taught: each run has its model, scores and log |

1. Videos into `videos/`: at least two scenes, and of each action some seconds before and after it.
2. `korsal-train propose .`, then in CVAT a task for each video with the labels of `proposals/labels.json`
   (*Raw*), *Upload annotations* with its XML file. Give each person its `action` where it begins, `none` where it
   ends; correct boxes; export as *CVAT for video 1.1* into `annotations/`.
3. `korsal-train check .`
4. `korsal-train run .`
5. `korsal-train deploy . root@device`
"""


CURES = {
    errno.ENAMETOOLONG: "shorten the video's name",
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free space on the disk"),
    **dict.fromkeys((errno.EEXIST, errno.EISDIR, errno.ENOTDIR), "take away what lies in its place"),
}


def cure(error: OSError) -> str:
    """What helps where a file of a project cannot be written."""
    return CURES.get(error.errno or 0, "make its folder writable")


@dataclass(frozen=True)
class Project:
    """A project folder and what its `actions.toml` says."""

    folder: Path
    settings: ActionsFile

    @property
    def name(self) -> str:
        """Of the model."""
        return self.settings.name or self.folder.resolve().name

    @property
    def proposals(self) -> Path:
        """The folder of what `propose` writes, never mistaken for annotations."""
        return self.folder / "proposals"

    @property
    def runs(self) -> Path:
        """The folder of all runs."""
        return self.folder / "runs"

    @property
    def own_start(self) -> Path | None:
        """The file of weights of one's own to begin with; None for the shipped ones and ImageNet's."""
        return None if self.settings.start in (SHIPPED, IMAGENET) else self.folder / self.settings.start

    def start(self) -> str:
        """The weights to begin with, as `--weights` takes them; "" for ImageNet's. Raises AssetError."""
        if self.own_start is not None:
            return str(self.own_start)
        return str(asset_path(SHIPPED_MODEL)) if self.settings.start else ""


def read(folder: Path) -> Project:
    """The project in a folder. Raises AnnotationError."""
    path = folder / actions_file.NAME
    if not actions_file.is_in(folder):
        raise AnnotationError(f"{folder}: is no project, it has no {path.name}; korsal-train new {folder} begins one")
    return Project(folder, actions_file.read(path))


def _lacking(path: Path, actions: Sequence[str]) -> str:
    """Which of the actions a file that is kept does not list; "" where it lists all."""
    try:
        known = actions_file.read(path).actions
    except AnnotationError:  # as where it lists none yet
        known = ()
    missing = [one for one in actions if to_nfc(one) not in known]
    return f", and does not list {', '.join(missing)}; add that to its actions" if missing else ""


def create(folder: Path, actions: Sequence[str]) -> Iterator[str]:
    """Write what the folder lacks; yields a sentence on each thing. What is there stays. Raises AnnotationError."""
    actions_file.is_in(folder)  # under another name it would not be seen, and written a second time
    if actions and (problem := actions_file.actions_problem(actions)):
        raise AnnotationError(problem)
    if not is_name(folder.resolve().name):
        raise AnnotationError(f"{folder}: the name of this folder {NOT_A_NAME}; choose another")
    contents = {
        actions_file.NAME: ACTIONS.format(actions=json.dumps(list(actions), ensure_ascii=False)),
        "README.md": README.format(name=folder.resolve().name),
    }
    try:
        for name in (project_data.VIDEOS, own_data.CVAT_FOLDER):
            known = (folder / name).is_dir()
            (folder / name).mkdir(parents=True, exist_ok=True)
            yield f"{folder / name}/: {'kept' if known else 'new'}"
        for name, text in contents.items():
            if (folder / name).exists():
                yield f"{folder / name}: kept" + _lacking(folder / name, actions) * (name == actions_file.NAME)
            else:
                files.write_new(folder / name, text.encode())
                yield f"{folder / name}: new"
    except OSError as error:
        raise AnnotationError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error
