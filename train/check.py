"""`korsal-train check`: what is wrong with the annotations of data sets, and contact sheets to inspect. Shell."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edge.cameras.container import bytes_missing
from edge.cameras.video_file import CaptureError, decodable_frames, probe
from edge.files import sha256_of
from edge.terminal import progress
from edge.terminal.arguments import Parser, whole_number, with_commas
from train.datasets import actions_file, joint, loader, project_data, scenes, split_lists
from train.datasets.annotated_frames import mask
from train.datasets.annotation_faults import Fault, FileFacts, faults
from train.datasets.annotation_records import AnnotationError, DataSet, VideoAnnotation
from train.datasets.contact_sheet import SheetError, check_ending, write_sheet
from train.datasets.frame_kinds import FrameKinds, counted, frame_kinds

MOST_NAMED = 12  # videos in a line


def main(arguments: Sequence[str]) -> int:
    """The command line; the exit status is 1 where something is seriously wrong."""
    options = _parser().parse_args(arguments)
    progress.enable(not options.no_progress)
    try:
        if options.sheet:
            check_ending(options.sheet)
        sets = loader.load_all(options.data, options.fold)
        together = _of_all(sets)
        found = [*together, *(fault for place in range(len(sets)) for fault in _of_one(sets, place, options))]
    except (AnnotationError, SheetError) as error:
        print(f"korsal-train: {error}", file=sys.stderr)
        return 1
    if any(fault.serious for fault in found):
        return 1
    print(progress.next_step("korsal-train", *_next_words(options.data)))
    return 0


def _next_words(data: Sequence[Path]) -> Sequence[object]:
    """Of a project the command that teaches it, else the training."""
    project = len(data) == 1 and (data[0] / actions_file.NAME).exists()
    return ("run", data[0]) if project else (*data, "--out", "runs/mine")


def _of_all(sets: Sequence[DataSet]) -> list[Fault]:
    """What concerns several data sets at once; printed. Raises AnnotationError."""
    if len(sets) == 1:
        return []
    data = joint.joined(sets)
    print(f"{data.title}: {len(data.labels)} actions")
    print("".join(f"{note}\n" for note in joint.notes(data)), end="")
    found = [Fault(name, text) for name, text in joint.trained_and_tested(sets)]
    found += [Fault(name, text, serious=False) for name, text in joint.learned_and_validated(sets)]
    if found:
        _print_faults(found, len(found))
    return found


def _of_one(sets: Sequence[DataSet], place: int, options: argparse.Namespace) -> list[Fault]:
    """What is wrong with one of the data sets; printed, and drawn where that is asked for.

    Raises AnnotationError, SheetError.
    """
    data = sets[place]
    files = {} if options.no_videos else _files(data)
    copies = () if options.no_videos else _of_copies(data)
    found = [*faults(data, files), *copies, *_of_division(data), *_of_project(options.data[place], data)]
    print(end="\n" * (len(sets) > 1))
    _print_summary(data, files)
    _print_faults(found, options.most)
    if options.sheet and data.labels:
        sheet: Path = options.sheet
        of_several = sheet.with_stem(f"{sheet.stem}-{place + 1}")
        where = of_several if len(sets) > 1 else sheet
        print(f"{where}: frames of {write_sheet(data, where)} tubes; check that the boxes fit")
    return found


def _files(data: DataSet) -> dict[str, FileFacts]:
    """Of each video, all of whose frames are decoded: what a container claims is not reliable."""
    names = [video.name for video in (*data.train, *data.test)]
    shown = progress.track(names, "decoding", "video", len(names))
    return {name: _facts(data.video(name)) for name in shown}


def _facts(path: Path) -> FileFacts:
    if not path.exists():
        return FileFacts(unreadable=f"{path}: no such file, nor of another ending; copy it there")
    try:
        info, indices = probe(path), decodable_frames(path)
    except CaptureError as error:
        return FileFacts(unreadable=str(error))
    damaged = sorted(set(range(indices[-1] + 1)) - set(indices))
    return FileFacts(indices[-1] + 1, info.size, "", tuple(damaged), bytes_missing(path), info.fps)


def _of_copies(data: DataSet) -> Iterator[Fault]:
    """Videos whose files are one, byte for byte: what is learned from one is no news in the other."""
    by_size: dict[int, dict[str, Path]] = {}
    for video in (*data.train, *data.test):
        path = data.video(video.name)
        if os.access(path, os.R_OK) and path.is_file():  # what cannot be read is told elsewhere
            by_size.setdefault(path.stat().st_size, {})[video.name] = path
    first: dict[str, str] = {}
    for paths in (one for one in by_size.values() if len(one) > 1):
        for name, path in paths.items():
            other = first.setdefault(sha256_of(path), name)
            if other != name:
                yield Fault(name, f"its file is a copy of that of {other}; take one of the two away", serious=False)


def _print_summary(data: DataSet, files: Mapping[str, FileFacts]) -> None:
    count = len(data.train)
    print(f"{data.title}: {count} video{'s' * (count != 1)} for training, {len(data.test)} for testing")
    width = max(map(len, (*data.labels, "class")))
    print(f"{'class':{width}}  train: tubes   boxes  test: tubes   boxes")
    (train_tubes, train_boxes), (test_tubes, test_boxes) = _count(data.train), _count(data.test)
    for number, label in enumerate(data.labels):
        print(
            f"{label:{width}}  {train_tubes[number]:12d} {train_boxes[number]:7d} "
            f"{test_tubes[number]:12d} {test_boxes[number]:7d}"
        )
    held = [video.name for video in split_lists.held_out(data.train)[1]]
    if held:
        named = f": {', '.join(held)}" if len(held) <= MOST_NAMED else ""
        print(f"held out for validation: {len(held)} of {count}{named}")
    for part, videos in (("training", data.train), ("testing", data.test)):
        print(f"frames for {part}: {_kinds(videos, files)}")


def _of_division(data: DataSet) -> list[Fault]:
    """What is worth knowing of what is held out for validation, and of what is for testing."""
    choice = split_lists.choice(data.train)
    if choice.held and all(choice.held):
        listed = f"shorten validation in {actions_file.NAME}, or {split_lists.VALIDATION_FILE}"
        return [Fault("", f"every video for training is held out, so nothing would be learned; {listed}")]
    texts = [choice.note] if choice.note else []
    if any(video.tubes for video in data.train):
        texts += scenes.lacks(data.labels, data.train, choice.held)
    if data.rate is None:  # published data are divided as they were published
        texts += _divided(data, choice.held)
    return [Fault("", text, serious=False) for text in texts]


def _divided(data: DataSet, held: Sequence[bool]) -> Iterator[str]:
    """Scenes of which the lists divide the videos."""
    cure = f"divide by whole scenes, or tell them apart ({actions_file.NAME}: scenes)"
    tested = (False,) * len(data.train) + (True,) * len(data.test)
    for videos, apart, what in ((data.train, held, "held out"), ((*data.train, *data.test), tested, "for testing")):
        names = [video.name for video in videos]
        for one, other in scenes.divided(names, split_lists.scene_names(videos), apart):
            yield f"{one} is {what}, and {other} of the same scene is not, so scores will be too good; {cure}"


def _of_project(folder: Path, data: DataSet) -> list[Fault]:
    """Which videos of a project are not used, and which show no scene by their names. Raises AnnotationError."""
    if not (folder / actions_file.NAME).exists():
        return []
    texts = []
    if left := project_data.unused(folder, data):
        which = "1 video is" if len(left) == 1 else f"{len(left)} videos are"
        texts.append(f"{which} neither annotated nor quiet, and not learned from: {_some(left)}")
    if alone := project_data.nameless(folder, data):
        texts.append(f"scenes finds none in these names, so each counts as a scene of its own: {_some(alone)}")
    for name in project_data.READ:
        texts += project_data.passed_over(folder, name)
    return [Fault("", text, serious=False) for text in texts]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + " …" * (len(names) > MOST_NAMED)


def _kinds(videos: Sequence[VideoAnnotation], files: Mapping[str, FileFacts]) -> str:
    """How many frames there are of each kind."""
    lengths = [files.get(video.name, FileFacts()).frames or 0 for video in videos]
    kinds = sum(map(frame_kinds, videos, lengths), FrameKinds())
    unknown = sum(not counted(*pair).frames for pair in zip(videos, lengths, strict=True))
    left_out = f"; without {unknown} of the videos, whose length is not known here" if unknown else ""
    return (
        f"{kinds.with_action} with action, {kinds.empty} annotated empty, {kinds.not_annotated} not annotated{left_out}"
    )


def _print_faults(found: Sequence[Fault], most: int) -> None:
    for fault in found[:most]:
        kind = "wrong" if fault.serious else "note"
        print(f"{kind}: {fault.video + ': ' if fault.video else ''}{fault.text}")
    if len(found) > most:
        print(f"… and {len(found) - most} more; --most shows them")
    serious = sum(fault.serious for fault in found)
    wrong = "1 thing is wrong" if serious == 1 else f"{serious} things are wrong"
    print(wrong if serious else "nothing is wrong")


def _count(videos: Sequence[VideoAnnotation]) -> tuple[Counter[int], Counter[int]]:
    tubes: Counter[int] = Counter()
    boxes: Counter[int] = Counter()
    for video in videos:
        for tube in video.tubes:
            tubes[tube.label] += 1
            boxes[tube.label] += int(mask(video.annotated_frames, tube.end_frame)[tube.first_frame :].sum())
    return tubes, boxes


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="korsal-train check", description="What is wrong with annotations.")
    parser.add_argument("data", type=Path, nargs="+", help="folders of data sets, or their ground truth alone")
    folds = "their splits, where they have several, like 1,2"
    parser.add_argument("--fold", type=with_commas(whole_number(1)), default=(1,), help=folds)
    sheet = "write a picture of annotated frames: .jpg, .png; of several data sets one each, OUT-1, OUT-2 …"
    parser.add_argument("--sheet", type=Path, metavar="OUT", help=sheet)
    parser.add_argument("--no-videos", action="store_true", help="do not read the video files")
    parser.add_argument("--most", type=whole_number(0), default=50, help="findings to show")
    progress.add_option(parser)
    return parser
