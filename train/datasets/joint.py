"""Several data sets as one: the labels of all, and which of them each set's annotators looked for."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge.text import near_duplicates
from train.datasets import split_lists
from train.datasets.annotation_records import AnnotationError, DataSet, GroundTruthTube, VideoAnnotation

BETWEEN = " + "  # the titles of several data sets


@dataclass(frozen=True, eq=False)
class JointPart:
    """The training videos of one of the data sets, and the labels that it annotates, numbered among those of all."""

    title: str
    labels: tuple[int, ...]
    videos: tuple[VideoAnnotation, ...]


@dataclass(frozen=True, eq=False)
class JointData:
    """Data sets to train on together; no two videos have one name, and `files` are theirs."""

    labels: tuple[str, ...]
    parts: tuple[JointPart, ...]
    files: Mapping[str, Path]

    @property
    def title(self) -> str:
        """For reports."""
        return BETWEEN.join(part.title for part in self.parts)

    def shared_labels(self) -> list[tuple[str, tuple[str, ...]]]:
        """The labels of several data sets, each with the titles of these."""
        owners = [
            (name, tuple(part.title for part in self.parts if label in part.labels))
            for label, name in enumerate(self.labels)
        ]
        return [(name, titles) for name, titles in owners if len(titles) > 1]


def notes(data: JointData) -> Iterator[str]:
    """What is worth knowing of the labels, a sentence each."""
    for label, titles in data.shared_labels():
        yield f"{label}: annotated in {' and in '.join(titles)}, and taken for one action"


def trained_and_tested(sets: Sequence[DataSet]) -> Iterator[tuple[str, str]]:
    """Names of videos that one data set has for testing and another for training, each with a sentence."""
    titles = _titles(sets)
    for data, title in zip(sets, titles, strict=True):
        tested = {video.name for video in data.test}
        for other, its_title in zip(sets, titles, strict=True):
            common = [video.name for video in other.train if video.name in tested] if other is not data else []
            yield from ((name, f"for training in {its_title} and for testing in {title}") for name in common)


def learned_and_validated(sets: Sequence[DataSet]) -> Iterator[tuple[str, str]]:
    """Names of videos that one data set holds out to validate on and another learns from, each with a sentence."""
    titles = _titles(sets)
    parts = [[{video.name for video in part} for part in split_lists.held_out(one.train)] for one in sets]
    for place, (_, held) in enumerate(parts):
        for other, (learned, _) in enumerate(parts):
            text = f"learned from in {titles[other]} and validated on in {titles[place]}"
            common = sorted(held & learned) if place != other and sets[place].labels else []
            yield from ((name, f"{text}: if it is one video, that scores too high") for name in common)


def joined(sets: Sequence[DataSet]) -> JointData:
    """The data sets as one; equal names of labels are one action. AnnotationError where two are nearly equal."""
    labels = tuple(dict.fromkeys(label for one in sets for label in one.labels))
    titles = _titles(sets)
    for one, other in near_duplicates(labels):
        raise AnnotationError(
            f"{' and '.join(titles)}: the actions {one!r} and {other!r} differ in capitals or blanks alone; "
            "spell them alike in all where they are one action, else name them apart"
        )
    files: dict[str, Path] = {}
    parts = []
    for number, (data, title) in enumerate(zip(sets, titles, strict=True), 1):
        own = tuple(map(labels.index, data.labels))
        names = _names(data, number, files)
        files |= {names[video.name]: data.video(video.name) for video in data.train}
        parts.append(JointPart(title, own, tuple(_renumbered(video, names[video.name], own) for video in data.train)))
    return JointData(labels, tuple(parts), files)


def _titles(sets: Sequence[DataSet]) -> list[str]:
    """Of each data set; with its folder where two are alike."""
    count = Counter(one.title for one in sets)
    return [f"{one.title} ({one.videos.parent.name})" if count[one.title] > 1 else one.title for one in sets]


def _names(data: DataSet, number: int, taken: Mapping[str, Path]) -> dict[str, str]:
    """By the name of a training video its name among those of all: in a folder of its data set if it is taken."""
    return {video.name: f"set {number}/{video.name}" if video.name in taken else video.name for video in data.train}


def _renumbered(video: VideoAnnotation, name: str, own: tuple[int, ...]) -> VideoAnnotation:
    tubes = tuple(GroundTruthTube(own[tube.label], tube.first_frame, tube.boxes) for tube in video.tubes)
    return replace(video, name=name, tubes=tubes, annotated_labels=None if video.quiet else own)
