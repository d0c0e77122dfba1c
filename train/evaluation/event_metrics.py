"""Saved detections → the events that the daemon would publish, counted against the true actions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edge.default_linker import for_events
from edge.event_settings import KEEP_RATIO, ActionSettings, EventSettings
from edge.linker import Linker
from train.datasets.annotation_records import VideoAnnotation
from train.evaluation.detection_file import SavedDetections, indices_in
from train.evaluation.event_counts import EventCounts
from train.evaluation.event_judgement import Judgement, LinkedVideo, Truth, judge, linked_videos, published_events


def truth_by_video(videos: Sequence[VideoAnnotation], labels: Sequence[str], found: SavedDetections) -> Truth:
    """The truth of `videos`, whose labels are those of `labels`, with the labels of the detections.

    Actions that the model does not know are no truth for any label, but where one is, it is no idle time.
    """
    numbers = indices_in(labels, found.label_names).tolist()
    return {
        video.name: replace(video, tubes=tuple(replace(tube, label=numbers[tube.label]) for tube in video.tubes))
        for video in videos
    }


def settings_at(start_score: float) -> EventSettings:
    """The default settings with another start score, and keep_score in proportion to it."""
    return EventSettings(ActionSettings(start_score=start_score, keep_score=KEEP_RATIO * start_score))


def settings_by_action(start_scores: Mapping[str, float]) -> EventSettings:
    """The default settings with other start scores for some actions."""
    return EventSettings(actions={action: settings_at(score).default for action, score in start_scores.items()})


def count_events(
    found: SavedDetections,
    truth: Truth,
    linker: Linker,
    rules: Sequence[EventSettings],
    after_each: Callable[[], object] = lambda: None,
) -> tuple[tuple[EventCounts, ...], ...]:
    """For each of `rules` the counts of each label; every video is linked once for all that need the same linker."""
    labels = found.label_names
    counts = [[EventCounts()] * len(labels) for _ in rules]
    linkers = [for_events(linker, rule, labels) for rule in rules]
    different = [one for place, one in enumerate(linkers) if one not in linkers[:place]]
    for versions in zip(*(linked_videos(found, truth, one) for one in different), strict=True):
        for row, rule, one in zip(counts, rules, linkers, strict=True):
            video = versions[different.index(one)]
            published = published_events(video, labels, rule)
            for label, action in enumerate(labels):
                judged = judge(video, published, label, action)
                row[label] += counts_of(video, judged, label, rule.for_action(action).start_score)
        after_each()
    return tuple(map(tuple, counts))


def counts_of(video: LinkedVideo, judged: Judgement, label: int, start_score: float) -> EventCounts:
    """The counts of one video and one action."""
    seconds, idle_seconds = (int(frames.sum()) / video.frame_rate for frames in (video.annotated, video.idle))
    return EventCounts(
        seconds,
        idle_seconds,
        len(judged.actions),
        sum(one.reported is not None for one in judged.actions),
        tuple(one.delay for one in judged.actions if one.delay is not None),
        sum(one.right or one.wrong for one in judged.events),
        sum(one.wrong for one in judged.events),
        sum(one.false_alarm for one in judged.events),
        _above_start_score(video, label, start_score),
    )


def _above_start_score(video: LinkedVideo, label: int, start_score: float) -> int:
    return sum(
        bool(tube.class_scores[label] >= start_score)
        for frame in np.flatnonzero(video.idle).tolist()
        for tube in video.tubes[frame]
        if tube.observed
    )
