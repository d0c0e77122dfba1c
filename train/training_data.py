"""The data sets of a training run: what is learned from, what is validated on, their decoded frames. Shell."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge.manifest import Manifest
from train import processes
from train.datasets import joint, loader, one_class, split_lists
from train.datasets.annotation_records import DataSet, VideoAnnotation
from train.datasets.frame_kinds import known_frames
from train.datasets.frame_rate import frame_rate
from train.datasets.joint import JointData, JointPart, joined
from train.datasets.packed_video import PackedVideo, open_packed
from train.samples import decoded
from train.train_settings import TrainSettings
from train.training_step import TrainingError


@dataclass(frozen=True, eq=False)
class TrainingPart:
    """One data set: its title, the labels that it annotates, and its videos, which name labels among those of all."""

    title: str
    labels: tuple[int, ...]
    training: tuple[VideoAnnotation, ...]
    validation: tuple[VideoAnnotation, ...]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All data sets of a run; `rate` is the frames per second of the first, `notes` what is worth knowing of them."""

    title: str
    labels: tuple[str, ...]
    parts: tuple[TrainingPart, ...]
    files: Mapping[str, Path]
    rate: float
    notes: tuple[str, ...]


def load(settings: TrainSettings) -> TrainingData:
    """What the settings name, without its frames. Raises AnnotationError, CaptureError, TrainingError."""
    sets = loader.load_all([Path(data) for data in settings.data], settings.fold)
    if settings.one_class:
        sets = [one_class.merged(one, settings.one_class) for one in sets]
    data = joined(sets)
    if not data.labels:
        raise TrainingError(f"{data.title}: names no action; annotate one, or add a data set that has some")
    _require_files(data)
    parts = tuple(_part(one, settings.all_groups) for one in data.parts)
    _require_action(data.title, parts, "no training video shows an action in an annotated frame; annotate one")
    rates = [frame_rate(one) for one in sets]
    leaks = () if settings.all_groups else tuple(_leaks(sets))
    return TrainingData(data.title, data.labels, parts, data.files, rates[0], (*leaks, *_notes(data, rates)))


def with_frames(data: TrainingData, cache: Path) -> tuple[TrainingData, dict[str, PackedVideo]]:
    """The data without what cannot be decoded, and the frames of its videos by name, decoded into `cache`.

    Raises CaptureError, FrameError, TrainingError.
    """
    packed = _packed(data.files, cache)
    parts = tuple(
        replace(part, training=decoded(part.training, packed), validation=decoded(part.validation, packed))
        for part in data.parts
    )
    _require_action(data.title, parts, "no annotated frame can be decoded; copy the videos again")
    empty = next((part for part in parts if not any(len(known_frames(video)) for video in part.training)), None)
    if empty is not None:
        raise TrainingError(f"{empty.title}: none of its training videos has an annotated frame; leave it out")
    return replace(data, parts=parts), packed


def scored_columns(data: TrainingData) -> list[str]:
    """Of the log: the labels; of several data sets each one's mean too."""
    scored = [part for part in data.parts if part.labels]
    if len(scored) == 1:
        return [data.labels[label] for label in scored[0].labels]
    owners = Counter(label for part in scored for label in part.labels)
    names: list[str] = []
    for part in scored:
        names.append(f"frame_map_50 {part.title}")
        names += [data.labels[one] + f" {part.title}" * (owners[one] > 1) for one in part.labels]
    return names


def description(manifest: Manifest, other_gaps: tuple[int, ...], data: TrainingData, shares: Sequence[float]) -> str:
    """What is trained, on what; of several data sets a line on each, with its share of the samples."""
    motion, clip = manifest.motion, manifest.clip
    gaps = " or ".join(map(str, (motion.gap, *other_gaps)))
    shifts = "" if motion.shifts or motion.kind == "none" else " without shifts"
    seen = f"motion {motion.kind}{shifts}, gap {gaps}"
    if clip is not None:
        seen = f"clips of {clip.frames} frames, {clip.step} apart,"
    remembers = f"a memory of one frame in {manifest.memory.interval}, " if manifest.memory else ""
    lines = [
        f"network: {manifest.architecture}, {manifest.width}x{manifest.height} pixels, "
        f"{seen} at {manifest.rate:g} frames per second, {remembers}"
        f"{len(manifest.labels)} actions; {_videos(data.parts)}",
        *data.notes,
    ]
    if len(data.parts) > 1:
        lines += [
            f"{part.title}: {len(part.labels)} actions, {_videos([part])}; {share:.0%} of the samples"
            for part, share in zip(data.parts, shares, strict=True)
        ]
    return "\n".join(lines)


def _videos(parts: Sequence[TrainingPart]) -> str:
    learned, held = (sum(len(getattr(part, kind)) for part in parts) for kind in ("training", "validation"))
    return f"{learned} videos to learn from, {held} to validate on"


def _require_files(data: JointData) -> None:
    """One sentence for all missing videos, before any is decoded."""
    for part in data.parts:
        missing = [path for video in part.videos if not (path := data.files[video.name]).exists()]
        if missing:
            raise TrainingError(
                f"{missing[0]}: no such file, nor of another ending ({len(missing)} of the {len(part.videos)} training "
                f"videos of {part.title} are missing); copy the videos there, or take them off its list"
            )


def _part(part: JointPart, all_groups: bool) -> TrainingPart:
    """The videos to learn from, and those to validate on; without any action there is nothing to validate."""
    if all_groups or not any(video.tubes for video in part.videos):
        return TrainingPart(part.title, part.labels, part.videos, ())
    training, validation = split_lists.held_out(part.videos)
    if not training or not validation:
        kind = "training" if not training else "validation"
        why = split_lists.choice(part.videos).note or "whole scenes are held out, and every action keeps one"
        raise TrainingError(
            f"{part.title}: leaves no video for {kind}: {why}; film another scene, name what to hold out in "
            f"{split_lists.VALIDATION_FILE}, or learn from all with --all-groups, which validates on none"
        )
    return TrainingPart(part.title, part.labels, training, validation)


def _require_action(title: str, parts: tuple[TrainingPart, ...], sentence: str) -> None:
    if not any(video.tubes and len(known_frames(video)) for part in parts for video in part.training):
        raise TrainingError(f"{title}: {sentence}")


def _leaks(sets: Sequence[DataSet]) -> Iterator[str]:
    """What two data sets hold in common, one of which validates on it: a sentence for each such pair."""
    names: dict[str, list[str]] = {}
    for name, text in joint.learned_and_validated(sets):
        names.setdefault(text, []).append(name)
    for text, found in names.items():
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        yield f"{found[0]}{others}: {text}; hold it out in both, by {split_lists.VALIDATION_FILE}"


def _notes(data: JointData, rates: list[float]) -> Iterator[str]:
    yield from joint.notes(data)
    for part in data.parts:
        if note := split_lists.choice(part.videos).note:
            yield f"{part.title}: {note}; {split_lists.VALIDATION_FILE} can name others to hold out"
    for part, rate in zip(data.parts, rates, strict=True):
        if rate != rates[0]:
            yield (
                f"{part.title} has {rate:g} frames per second and {data.parts[0].title} {rates[0]:g}, which the model "
                "is for; --gap counts frames in both"
            )


def _packed(files: Mapping[str, Path], cache: Path) -> dict[str, PackedVideo]:
    """The first process decodes what the cache lacks, then all open it."""
    if processes.rank() == 0:
        open_packed(files.items(), cache)
    processes.wait_for_all()
    return open_packed(files.items(), cache)
