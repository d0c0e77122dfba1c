"""`actions.toml` of a project folder: the actions to learn, and which videos show one scene. Shell."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from edge.manifest import NOT_A_NAME, is_name, labels_problem, sentences
from edge.text import TextError, decode_utf8, near_duplicates, to_nfc
from train.datasets.annotation_records import AnnotationError
from train.datasets.cvat import NOTHING
from train.datasets.scenes import matches
from train.datasets.video_names import without_suffix

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "actions.toml"
EVERY = "default"  # whose table of config.toml is for all actions
LARGEST = 65_536  # bytes; more is no file of this kind
BY_NAME, BY_FOLDER = "auto", "folder"
_LISTED = Annotated[tuple[str, ...], Field(max_length=4096)]
_ACTIONS = Annotated[_LISTED, AfterValidator(lambda given: tuple(map(to_nfc, given)))]  # as CVAT's are read
_PATTERNS = Annotated[_LISTED, AfterValidator(lambda given: tuple(map(_of_names, given)))]


def _of_names(pattern: str) -> str:
    """A pattern without the ending of a video. ValueError for one without letters."""
    if not pattern.strip():
        raise ValueError("names a video by nothing; name it, or take that off the list")
    return without_suffix(pattern)


def _pattern(text: str) -> str:
    """ValueError where a text is neither a word for a rule nor a pattern with one group; it is to fit names in NFC."""
    text = to_nfc(text)
    if text in (BY_NAME, BY_FOLDER):
        return text
    try:
        groups = re.compile(text).groups
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is no regular expression ({error}); give auto, folder, or one with a group") from error
    if groups != 1:
        raise ValueError(f"has {groups} groups; put what names the scene into one pair of brackets, as (.+)_\\d+")
    return text


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ActionsFile:
    """What a project says of itself.

    `scenes`: auto, by folder and name; folder; or a regular expression whose group names a video's scene.
    `validation`, `test`, `quiet`: patterns of names of videos or scenes, with `*` and `?`, without endings.
    """

    actions: _ACTIONS
    name: str = ""
    start: str = "shipped"
    scenes: Annotated[str, AfterValidator(_pattern)] = BY_NAME
    validation: _PATTERNS = ()
    test: _PATTERNS = ()
    quiet: _PATTERNS = ()

    def scene(self, video: str) -> str | None:
        """The scene of a video by its name; None where names are to be compared."""
        if self.scenes == BY_NAME:
            return None
        if self.scenes == BY_FOLDER:
            return video.rpartition("/")[0] or video
        return self._found(video) or video

    def nameless(self, videos: Sequence[str]) -> list[str]:
        """Of the videos those in whose names the expression, if there is one, finds no scene."""
        return [] if self.scenes in (BY_NAME, BY_FOLDER) else [one for one in videos if not self._found(one)]

    def _found(self, video: str) -> str | None:
        found = re.search(self.scenes, video)
        return found[1] if found else None

    def is_listed(self, video: str, patterns: Sequence[str]) -> bool:
        """Whether a pattern is that of the video, or of its scene."""
        return matches(video, patterns) or matches(self.scene(video) or video, patterns)


def is_in(folder: Path) -> bool:
    """Whether a folder is a project's. Raises AnnotationError where its file is named almost so, as Windows may do."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return False
    near = next((name for name in names if name.casefold() in (NAME, f"{NAME}.txt")), None)
    if near is not None and NAME not in names:
        raise AnnotationError(f"{folder / near}: is not read under this name; name it {NAME}")
    return near is not None


def read(path: Path) -> ActionsFile:
    """The file of a project. Raises AnnotationError, which lists everything that is wrong."""
    try:
        content = path.read_bytes()
        if len(content) > LARGEST:
            raise AnnotationError(f"{path}: has {len(content):,} bytes, which is no list of actions; write it anew")
        found = TypeAdapter(ActionsFile).validate_python(tomllib.loads(decode_utf8(content)))
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); korsal-train new writes one") from error
    except TextError as error:
        raise AnnotationError(f"{path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise AnnotationError(f"{path}: is not TOML ({error}); correct that line") from error
    except RecursionError as error:
        raise AnnotationError(f"{path}: is nested too deeply; korsal-train new writes an example") from error
    except ValidationError as error:
        raise AnnotationError(f"{path}: {'; '.join(sentences(error))}; korsal-train new writes an example") from error
    if not found.actions:
        raise AnnotationError(f'{path}: names no action; write them as actions = ["fall", "climb"]')
    if problem := actions_problem(found.actions):
        raise AnnotationError(f"{path}: {problem}")
    if not is_name(name := found.name or path.parent.resolve().name):
        raise AnnotationError(f"{path}: the model's name {name[:40]!r} {NOT_A_NAME}; give another one as name")
    return found


def actions_problem(actions: Sequence[str]) -> str:
    """What is wrong with a list of actions, and the cure; "" where nothing is."""
    for one, other in near_duplicates(actions):
        return f"the actions {one!r} and {other!r} are one but for their spelling; keep one"
    if problem := labels_problem(actions):
        return f"its list of actions {problem}; name each with letters and figures"
    for one in actions:
        if one.strip().lower() in NOTHING:
            return f"the action {one!r} means in CVAT that nothing is done; name it otherwise"
        if one == EVERY:
            return f"the action {one!r} means in config.toml all actions at once; name it otherwise"
        if one != one.strip():
            return f"the action {one!r} begins or ends with a blank, which CVAT leaves out; take it away"
    return ""
