"""Which videos show one scene, and which scenes are held out for validation. Arithmetic on shells' records.

Videos of one scene are alike: a network that has learned from some of them knows the others, and their score says
nothing of a place that it has not seen.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from edge.text import to_nfc
from train.datasets.annotation_records import VideoAnnotation

HELD_OUT = 5  # one of so many scenes, at least one of two
NO_ACTION = -1  # the class of videos that show none
UCF101_NAME = re.compile(r"(?:.*/)?v_\w+_(g\d\d)_c\d\d")
COUNTERS = re.compile(r"(?:[ _.-]*(?:(?:clip|part|take|c)[ _-]*)?\(?\d+\)?)+$", re.IGNORECASE)  # as of kitchen_clip_03


@dataclass(frozen=True)
class HeldOut:
    """For each video whether it is held out; `note`: what to know of how that was chosen, a sentence or ""."""

    held: tuple[bool, ...]
    note: str = ""


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name is that of one of the patterns, in which `*` and `?` stand for others, or lies in its folder."""
    plain = [to_nfc(pattern).rstrip("/").replace("[", "[[]") for pattern in patterns]
    return any(fnmatchcase(name, one) or fnmatchcase(name, f"{one}/*") for one in plain)


def classes_of(video: VideoAnnotation) -> frozenset[int]:
    """The labels that it shows; NO_ACTION where it shows none."""
    return frozenset(tube.label for tube in video.tubes) or frozenset((NO_ACTION,))


def of_scenes(videos: Sequence[VideoAnnotation], scenes: Sequence[str]) -> tuple[bool, ...]:
    """Whole scenes: about one of five in which a class is shown, at least one of two, none of one alone."""
    shown: dict[str, frozenset[int]] = {}
    for video, scene in zip(videos, scenes, strict=True):
        shown[scene] = shown.get(scene, frozenset()) | classes_of(video)
    held = held_scenes(shown, Counter(scenes))
    return tuple(scene in held for scene in scenes)


def held_scenes(shown: Mapping[str, frozenset[int]], videos: Mapping[str, int]) -> frozenset[str]:
    """The scenes to hold out, by what each shows and how many videos it has; every class keeps one to learn from."""
    total = Counter(label for labels in shown.values() for label in labels)
    wanted = {label: max(count // HELD_OUT, 1) for label, count in total.items() if count > 1}
    held: set[str] = set()
    out: Counter[int] = Counter()

    def gain(scene: str) -> int:
        return sum(out[label] < wanted.get(label, 0) for label in shown[scene])

    while True:
        spare = [one for one in shown if one not in held and all(total[c] - out[c] > 1 for c in shown[one])]
        best = min(spare, key=lambda one: (-gain(one), videos[one], one), default=None)
        if best is None or not gain(best):
            return frozenset(held)
        held.add(best)
        out.update(shown[best])


def by_names(videos: Sequence[VideoAnnotation]) -> HeldOut:
    """Scenes as folders and names tell them: by folder, else by name without its counter, else each video is one.

    A division is taken that leaves an action on both sides; folders and names that stand for actions do not.
    Where all names differ by a counter alone there is one scene, and nothing is held out.
    """
    told = next(_groupings(videos), None)
    if told is not None:
        return HeldOut(of_scenes(videos, told))
    stems = _stems(videos)
    if len(set(stems)) == 1 and len(videos) > 1 and stems[0].rpartition("/")[2]:
        return HeldOut(
            (False,) * len(videos), f"all {len(videos)} videos show one scene, {stems[0]}, as their names tell"
        )
    named = len(set(stems)) == len(stems)
    note = "" if named else "folders and names tell no scenes, so each video counts as a scene of its own"
    fifth = every_fifth(videos)
    return HeldOut(fifth if _covers(videos, fifth) else of_scenes(videos, [video.name for video in videos]), note)


def told_by_names(videos: Sequence[VideoAnnotation]) -> tuple[str, ...]:
    """The scene of each video as `by_names` divides them; its own name where folders and names tell none."""
    told, stems = next(_groupings(videos), None), _stems(videos)
    if told is not None:
        return told
    return stems if len(set(stems)) == 1 and stems[0].rpartition("/")[2] else tuple(video.name for video in videos)


def _groupings(videos: Sequence[VideoAnnotation]) -> Iterator[tuple[str, ...]]:
    """Scenes by folder, then by name without its counter, if these leave an action on both sides."""
    for scenes in (tuple(video.name.rpartition("/")[0] for video in videos), _stems(videos)):
        alone = len(set(scenes)) == len(scenes)
        if not alone and _divides(videos, of_scenes(videos, scenes)):
            yield scenes


def _stems(videos: Sequence[VideoAnnotation]) -> tuple[str, ...]:
    return tuple(COUNTERS.sub("", video.name) for video in videos)


def every_fifth(videos: Sequence[VideoAnnotation]) -> tuple[bool, ...]:
    """True for the last of each five videos of one class, which is that of the first tube."""
    seen: Counter[int] = Counter()
    held = []
    for video in videos:
        label = video.tubes[0].label if video.tubes else NO_ACTION
        seen[label] += 1
        held.append(seen[label] % HELD_OUT == 0)
    return tuple(held)


def _divides(videos: Sequence[VideoAnnotation], held: Sequence[bool]) -> bool:
    """Whether an action is shown on both sides."""
    learned, validated = (
        {label for video, out in zip(videos, held, strict=True) if out is side for label in classes_of(video)}
        for side in (False, True)
    )
    return bool(learned & validated - {NO_ACTION})


def _covers(videos: Sequence[VideoAnnotation], held: Sequence[bool]) -> bool:
    """Whether every action of two videos or more is held out somewhere."""
    count = Counter(label for video in videos for label in classes_of(video))
    shown = {label for video, out in zip(videos, held, strict=True) if out for label in classes_of(video)}
    return all(label in shown for label, number in count.items() if number > 1 and label != NO_ACTION)


def divided(names: Sequence[str], scenes: Sequence[str], apart: Sequence[bool]) -> Iterator[tuple[str, str]]:
    """Of each scene with videos on both sides the first one that is set apart, and the first one that is not."""
    sides: dict[str, dict[bool, str]] = {}
    for name, scene, out in zip(names, scenes, apart, strict=True):
        sides.setdefault(scene, {}).setdefault(out, name)
    return ((found[True], found[False]) for found in sides.values() if len(found) > 1)


def lacks(labels: Sequence[str], videos: Sequence[VideoAnnotation], held: Sequence[bool]) -> Iterator[str]:
    """What the division lacks, a sentence for each action that is learned from or held out only."""
    shown = {side: Counter[int]() for side in (False, True)}
    for video, out in zip(videos, held, strict=True):
        shown[out].update(tube.label for tube in video.tubes)
    for label, name in enumerate(labels):
        learned, validated = shown[False][label], shown[True][label]
        if learned + validated == 1:
            yield f"{name} has one tube in all: it cannot be learned and validated; annotate it in other scenes"
        elif learned and not validated:
            yield f"{name} is in no scene that is held out, so nothing tells how well it is found; film another scene"
        elif validated and not learned:
            yield f"{name} is only in scenes that are held out, so it is not learned; hold out others"
