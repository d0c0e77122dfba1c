"""The packed data sets: their folders, a few videos of them, and smaller ones for a rehearsal. Shell."""

from collections.abc import Sequence
from pathlib import Path

from train.datasets import loader
from train.datasets.annotation_records import VideoAnnotation
from train.datasets.split_lists import list_of_names

UCF24, JHMDB21 = "ucf24", "jhmdb21"
MEMORY = "movinet.pt"  # in the pack: the weights of the memory, for candidates with one
LISTS = {UCF24: ("trainlist.txt",), JHMDB21: ("trainlist01.txt", "trainlist02.txt", "trainlist03.txt")}
REHEARSED = 12  # videos of one data set


def some_videos(pack: Path, count: int) -> tuple[list[VideoAnnotation], list[tuple[str, Path]], tuple[str, ...]]:
    """Every so many of UCF24's training videos, `count` in all, with their files, and the labels."""
    found = loader.load(pack / "data" / UCF24)
    chosen = list(found.train[:: max(len(found.train) // count, 1)][:count])
    return chosen, [(video.name, found.video(video.name)) for video in chosen], found.labels


def folders(pack: Path, names: Sequence[str], work: Path, rehearse: bool) -> tuple[str, ...]:
    """Where these data sets are; for a rehearsal a few videos of each, in `work`."""
    if rehearse:
        return tuple(str(_few(pack / "data" / name, work / name, LISTS[name])) for name in names)
    return tuple(str(pack / "data" / name) for name in names)


def _few(source: Path, target: Path, lists: Sequence[str]) -> Path:
    """A data set of the same files, but for its lists of training videos."""
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if not (target / file.name).exists():
            (target / file.name).symlink_to(file.resolve())
    for name in lists:
        listed = list_of_names(source / name)
        first = next(one.partition("/")[0] for one in listed)
        chosen = [one for one in listed if one.startswith(f"{first}/")]
        groups = [one for one in chosen if "_g23_" in one][:2]
        (target / name).unlink()
        (target / name).write_text("".join(f"{one}\n" for one in [*chosen[:REHEARSED], *groups]))
    return target
