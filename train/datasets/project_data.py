"""A project folder as a data set: `actions.toml`, `videos/`, and what CVAT exported into `annotations/`. Shell."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edge.sources import VIDEO_SUFFIXES
from edge.text import to_nfc
from train.datasets import actions_file, own_data, zipped_annotation
from train.datasets.actions_file import ActionsFile
from train.datasets.annotation_records import AnnotationError, DataSet, VideoAnnotation
from train.datasets.cvat import ACTION, read_cvat
from train.datasets.split_lists import list_of_names
from train.datasets.tracks import NamedTube, NamedVideo

VIDEOS = "videos"
FILL = "copy some there, or record them with korsal-edge record"
UNREAD = {  # of data sets without actions.toml, and what to do instead
    "testlist.txt": "name its videos there as test",
    "trainlist.txt": "name there as test what is not to be learned from",
    own_data.COCO_FILE: f"export CVAT for video 1.1 into {own_data.CVAT_FOLDER}/",
}
KEPT = (".json", ".partial")  # beside videos: what `fetch` brings with a clip, and what is not copied whole yet
READ = {  # the endings of what is read in each folder, and what to do with others
    VIDEOS: (VIDEO_SUFFIXES, "convert what is a video, with ffmpeg"),
    own_data.CVAT_FOLDER: ((zipped_annotation.XML, zipped_annotation.SUFFIX), "unpack it, or export it anew"),
}
PERSON = "person"  # the label of somebody who does none of the actions, unless it is one of them


def load(project: Path) -> DataSet:
    """Its videos: annotated or quiet ones to learn from but for those that `test` names. Raises AnnotationError."""
    settings = actions_file.read(project / actions_file.NAME)
    _check_unread(project)
    names = video_names(project)
    files = own_data.cvat_files(project)
    parts = [_known(read_cvat(path), path, names, settings, project) for path in files]
    annotated = own_data.numbered(settings.actions, own_data.whole(project / own_data.CVAT_FOLDER, parts), project)
    by_name = {video.name: video for video in annotated}
    by_name |= _quiet(project, settings, names, by_name)
    if not any(video.tubes for video in by_name.values()):
        raise AnnotationError(_nothing_annotated(project, names, files))
    videos = [_placed(video, settings) for _, video in sorted(by_name.items())]
    for key in ("test", "validation"):
        _check_used(project, key, [video.name for video in videos], names, settings)
    tested = [settings.is_listed(video.name, settings.test) for video in videos]
    _check_scenes(project, settings, names)
    _check_apart(project, settings, [video for video, out in zip(videos, tested, strict=True) if not out])
    train, test = (tuple(v for v, out in zip(videos, tested, strict=True) if out is side) for side in (False, True))
    return DataSet(settings.actions, train, test, project / VIDEOS, settings.name or project.resolve().name)


def video_names(project: Path) -> tuple[str, ...]:
    """The names of its videos, with their folders, without endings. AnnotationError where two have one name."""
    folder = project / VIDEOS
    if not folder.is_dir():
        raise AnnotationError(f"{folder}: no such folder; put the videos there")
    found: dict[str, Path] = {}
    for path in own_data.files_below(folder):
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            continue
        name = name_of(folder, path)
        if name in found:
            raise AnnotationError(f"{path}: has the name of {found[name].name}; rename one of the two")
        found[name] = path
    return tuple(found)


def name_of(videos: Path, path: Path) -> str:
    """The name of a file in the folder of the videos."""
    return to_nfc(path.relative_to(videos).with_suffix("").as_posix())


def _known(video: NamedVideo, path: Path, names: Sequence[str], settings: ActionsFile, project: Path) -> NamedVideo:
    """A video of CVAT, named as its file in the project, with the tubes of known actions alone."""
    unsaid = next((one for one in video.idle if one[1] in settings.actions and one[1] != PERSON), None)
    if unsaid is not None:
        number, label = unsaid
        raise AnnotationError(
            f"{path}: track {number} is labelled {label}, but its attribute {ACTION} says in every frame that nothing "
            "is done, and that counts; set it there, or take the attribute off that label, and export it again"
        )
    tubes = []
    for one in video.tubes:
        if one.label in settings.actions:
            tubes.append(one)
        elif not _is_person(one.label, settings.actions):
            raise AnnotationError(
                f"{path}: track {one.track} is {one.label!r} from frame {one.tube.first_frame} on, which is no action "
                f"of {project / actions_file.NAME}; {_remedy(one.label, settings.actions)}"
            )
        elif said := _said_otherwise(one, settings.actions):
            raise AnnotationError(
                f"{path}: track {one.track}, {PERSON}, says {said} from frame {one.tube.first_frame} on, but what "
                f"somebody does is read from the attribute {ACTION} alone; rename it, and export it again"
            )
    return replace(video, name=_file_name(video.name, path, names), tubes=tuple(tubes))


def _is_person(label: str, actions: Sequence[str]) -> bool:
    """Whether a label is that of people, in whatever capitals, unless an action is spelt almost so."""
    return label.strip().casefold() == PERSON and not any(one.casefold() == PERSON for one in actions)


def _said_otherwise(one: NamedTube, actions: Sequence[str]) -> str:
    """What another attribute says of one of the actions, as a list or as a box to tick; "" where none does."""
    known = {action.casefold() for action in actions}
    for said in one.others:
        name, _, value = said.casefold().partition("=")
        if value in known or (name in known and value == "true"):
            return said
    return ""


def _remedy(label: str, actions: Sequence[str]) -> str:
    by_key = {name.casefold(): name for name in (PERSON, *actions)}
    close = difflib.get_close_matches(label.strip().casefold(), by_key, 1)
    if close:
        return f"name it {by_key[close[0]]!r} in CVAT, or add it there"
    return f"name it in CVAT as one of them, or {PERSON!r} who does none of them, or add it there"


def _file_name(name: str, path: Path, names: Sequence[str]) -> str:
    """The only video that a name in CVAT may stand for. Raises AnnotationError."""
    same = meant(name, names)
    if len(same) > 1:
        raise AnnotationError(f"{path}: its video {name} may be {' or '.join(same)}; give these videos different names")
    if not same:
        endings = " ".join(VIDEO_SUFFIXES)
        odd = f" as one of {endings}" if "." in name.rpartition("/")[2] else ""
        job = "name this file after its video, " if to_nfc(path.stem) == name else ""  # it may name none itself
        if alike := [one for one in names if meant(name.casefold(), [one.casefold()])]:
            raise AnnotationError(
                f"{path}: its video {name} is not in {VIDEOS}/, and {alike[0]} is; spell both alike, if they are one"
            )
        raise AnnotationError(
            f"{path}: its video {name} is not in {VIDEOS}/{odd}; {job}copy it there, or take this file away"
        )
    return same[0]


def meant(name: str, names: Iterable[str]) -> list[str]:
    """The videos of which CVAT may speak: it keeps the name of an uploaded file without its folder.

    One from a shared folder has those above it too.
    """
    same = [one for one in names if f"/{one}".endswith(f"/{name}") or f"/{name}".endswith(f"/{one}")]
    return [name] if "/" in name and name in same else same


def _quiet(
    project: Path, settings: ActionsFile, names: Sequence[str], annotated: Mapping[str, VideoAnnotation]
) -> dict[str, VideoAnnotation]:
    """The videos in which nothing happens; they need no annotation."""
    wanted = quiet_names(project, settings, names)
    busy = next((name for name in wanted if name in annotated and annotated[name].tubes), None)
    if busy is not None:
        raise AnnotationError(f"{project}: {busy} is annotated with actions, but also named as quiet; take one away")
    return {name: replace(annotated.get(name) or VideoAnnotation(name, 0, ()), quiet=True) for name in wanted}


def quiet_names(project: Path, settings: ActionsFile, names: Sequence[str]) -> list[str]:
    """Of the videos those in which nothing happens, as the settings or the list name them. Raises AnnotationError."""
    listed = project / own_data.QUIET_FILE
    wanted = list_of_names(listed) if listed.exists() else []
    for name in wanted:
        if name not in names:
            raise AnnotationError(f"{listed}: {name} is not in {VIDEOS}/; correct the name, or take it off")
    for pattern in settings.quiet:
        if not any(settings.is_listed(name, [pattern]) for name in names):
            cure = _spelling(pattern, names) if names else FILL
            raise AnnotationError(
                f"{project / actions_file.NAME}: quiet names {pattern}, which is no video or scene; {cure}"
            )
    return wanted + [name for name in names if settings.is_listed(name, settings.quiet)]


def unused(project: Path, data: DataSet) -> list[str]:
    """The videos that are neither annotated nor quiet."""
    used = {video.name for video in (*data.train, *data.test)}
    return [name for name in video_names(project) if name not in used]


def nameless(project: Path, data: DataSet) -> list[str]:
    """The videos in whose names the expression for scenes finds none. Raises AnnotationError."""
    names = [video.name for video in (*data.train, *data.test)]
    return actions_file.read(project / actions_file.NAME).nameless(names)


def _nothing_annotated(project: Path, names: Sequence[str], files: Sequence[Path]) -> str:
    if not names:
        return no_video(project)
    folder = project / own_data.CVAT_FOLDER
    if not files:
        of = "the video" if len(names) == 1 else f"the {len(names)} videos"
        cure = "export each task of CVAT there as CVAT for video 1.1, or begin with korsal-train propose"
        others = passed_over(project, own_data.CVAT_FOLDER)
        return f"{folder}: holds no annotation of {of}; {'; '.join([*others, cure])}"
    return (
        f"{folder}: none of its {len(files)} files shows an action; in CVAT give each track its action, as its "
        "label or in its attribute action, then export"
    )


def no_video(project: Path) -> str:
    """That its folder of videos holds none, and what lies there instead."""
    return f"{project / VIDEOS}: holds no video; {'; '.join([*passed_over(project, VIDEOS), FILL])}"


def passed_over(project: Path, folder: str) -> Iterator[str]:
    """Of the videos or the annotations a sentence on the files that are of no ending that is read there, if any are."""
    (read, cure) = READ[folder]
    found = [path for path in own_data.files_below(project / folder) if path.suffix.lower() not in (*read, *KEPT)]
    names = [path.relative_to(project / folder).as_posix() for path in found if not path.name.startswith(".")]
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"{folder}/ holds {names[0]}{more}, which is not read, for it ends with none of {' '.join(read)}: {cure}"


def _placed(video: VideoAnnotation, settings: ActionsFile) -> VideoAnnotation:
    listed = settings.is_listed(video.name, settings.validation) if settings.validation else None
    return replace(video, scene=settings.scene(video.name), validates=listed)


def _check_unread(project: Path) -> None:
    """AnnotationError where a file that divides or annotates other data sets would go unseen."""
    for name, cure in UNREAD.items():
        if (project / name).exists():
            raise AnnotationError(
                f"{project / name}: is not read beside {actions_file.NAME}; {cure}, and take this file away"
            )


def _check_scenes(project: Path, settings: ActionsFile, names: Sequence[str]) -> None:
    """AnnotationError where an expression finds a scene in no name: each video would be a scene of its own."""
    if names and len(settings.nameless(names)) == len(names):
        raise AnnotationError(
            f"{project / actions_file.NAME}: scenes finds nothing in any name, as {names[0]}; correct the expression"
        )


def _check_apart(project: Path, settings: ActionsFile, learned: Sequence[VideoAnnotation]) -> None:
    """AnnotationError where what is to be held out for validation is all for testing."""
    for pattern in settings.validation:
        if not any(settings.is_listed(video.name, [pattern]) for video in learned):
            raise AnnotationError(
                f"{project / actions_file.NAME}: validation names {pattern}, which is for testing; take it off one list"
            )


def _check_used(project: Path, key: str, used: Sequence[str], names: Sequence[str], settings: ActionsFile) -> None:
    """AnnotationError where a pattern is that of no video that is used; `names`: of all that there are."""
    patterns: tuple[str, ...] = getattr(settings, key)
    for pattern in patterns:
        if not any(settings.is_listed(name, [pattern]) for name in used):
            there = any(settings.is_listed(name, [pattern]) for name in names)
            cure = "annotate it, or take it off" if there else _spelling(pattern, used)
            raise AnnotationError(
                f"{project / actions_file.NAME}: {key} names {pattern}, which is no annotated video or scene; {cure}"
            )


def _spelling(pattern: str, names: Sequence[str]) -> str:
    """The cure for a pattern that is that of no video: the name that is most like it."""
    (close,) = difflib.get_close_matches(pattern, names, 1, 0.0)
    return f"names are like {close}, and * stands for any letters"
