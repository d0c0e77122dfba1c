"""The actions that a model and a data set both know: on these alone one is scored on the other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge.text import near_duplicates, to_nfc
from train.datasets.annotation_records import DataSet, VideoAnnotation
from train.evaluation.splits import EvaluationError


@dataclass(frozen=True)
class SharedLabels:
    """`labels`: what both know, in the order of the data; `model_only` and `data_only`: the others of each."""

    labels: tuple[str, ...]
    model_only: tuple[str, ...]
    data_only: tuple[str, ...]
    all_of_data: tuple[str, ...]

    def of(self, videos: Iterable[VideoAnnotation]) -> tuple[VideoAnnotation, ...]:
        """The videos of the data with the tubes of these labels alone, numbered as in `labels`."""
        return tuple(self._renumbered(video) for video in videos) if self.data_only else tuple(videos)

    def _renumbered(self, video: VideoAnnotation) -> VideoAnnotation:
        places = {number: self.labels.index(n) for number, n in enumerate(self.all_of_data) if n in self.labels}
        tubes = tuple(replace(one, label=places[one.label]) for one in video.tubes if one.label in places)
        return replace(video, tubes=tubes)

    @property
    def left_out(self) -> dict[str, list[str]]:
        """For reports."""
        return {"of_model": list(self.model_only), "of_data": list(self.data_only)}

    def sentence(self, title: str) -> str:
        """What is left out on either side, for data of this title; "" where nothing is."""
        parts = []
        if self.model_only:
            parts.append(f"the model's {', '.join(self.model_only)}, which {title} does not annotate")
        if self.data_only:
            parts.append(f"the data's {', '.join(self.data_only)}, which the model does not know")
        if not parts:
            return ""
        count = f"the {len(self.labels)} actions" if len(self.labels) > 1 else "the one action"
        alike = [pair for pair in near_duplicates((*self.model_only, *self.data_only)) if pair[0] in self.model_only]
        hint = "".join(f"; {one!r} and {other!r} are one action only if they are spelt alike" for one, other in alike)
        return f"Scored on {count} that both know; left out: {'; '.join(parts)}{hint}."


def shared_labels(known: Sequence[str], data: DataSet, source: Path) -> SharedLabels:
    """What a model, or a file of its detections or tubes, shares with the data.

    `known` are the labels of `source`. Raises EvaluationError where there is none.
    """
    names = tuple(map(to_nfc, known))
    both = tuple(label for label in data.labels if label in names)
    if not both:
        raise EvaluationError(
            f"{source}: knows none of the actions of {data.title} ({', '.join(data.labels) or 'none'}), only "
            f"{', '.join(known) or 'none'}; {_remedy(source)}"
        )
    return SharedLabels(
        both,
        tuple(label for label in names if label not in both),
        tuple(label for label in data.labels if label not in both),
        data.labels,
    )


def _remedy(source: Path) -> str:
    if source.suffix == ".npz":
        return "give the --data whose actions were detected, or detect with a model that was trained on this data"
    return "give --data with some of its actions, name them in both alike, or train it on this data"
