"""What to film or annotate next, by rules on a run's numbers, in plain words."""

from collections.abc import Iterator

import numpy as np

from convert.report.results import RunResults, Scores

FEW_SCENES = 4  # to learn an action from
FEW_SCORED = 3  # to score it on
WIDE = 0.25  # of an interval of average precision: the figure is hardly known
OFTEN_MISSED = 0.7  # recall below it
OFTEN_WRONG = 0.7  # precision below it
CONFUSED = 0.2  # share of an action's boxes that are taken for another
LOOSE = 0.2  # share of average precision that is lost to boxes in the wrong place
MOST_NAMES = 3  # of scenes, in a sentence


def advice(results: RunResults) -> list[str]:
    """Sentences, what matters most first; one says so where nothing stands out."""
    found = [*_scarce(results), *(_of_scores(results, results.scores) if results.scores else ())]
    if not results.quiet_videos:
        found.append(
            "No video shows nothing: film an hour of the usual, and name it as quiet in actions.toml. Only there do "
            "false alarms show."
        )
    if results.scores is None:
        found.append("Nothing was held out, so nothing here tells how good the model is.")
    return found or ["Nothing stands out. More scenes still help more than more minutes of the same."]


def _scarce(results: RunResults) -> Iterator[str]:
    for label, shown in results.scenes.items():
        if not shown.learned_tubes:
            yield f"{label} is in no scene that was learned from: film or annotate it in {FEW_SCENES} at least."
        elif shown.learned_scenes < FEW_SCENES:
            yield (
                f"{label} is learned from {_counted(shown.learned_scenes, 'scene')} "
                f"({_counted(shown.learned_tubes, 'tube')}): film it in other places, with other people."
            )


def _of_scores(results: RunResults, scores: Scores) -> Iterator[str]:
    for place, one in enumerate(scores.report.classes):
        label, counts = one.label, scores.events[place]
        shown = results.scenes[label].scored_scenes
        if shown < FEW_SCORED:
            yield f"{label} is scored on {_counted(shown, 'scene')}: its figures say little; hold out more of them."
        elif scores.intervals[place].high - scores.intervals[place].low > WIDE:
            yield f"How well {label} is found is known roughly only, as scenes differ: hold out more of them."
        if counts.actions and counts.recall < OFTEN_MISSED:
            found = f"{counts.recalled} of {_counted(counts.actions, 'action')} {label} got an event"
            yield (
                f"{found}{_where_missed(scores, label)}: film more of it as it looks there, at that distance and "
                "angle, in that light."
            )
        if counts.events and counts.precision < OFTEN_WRONG:
            yield (
                f"{counts.wrong} of {counts.events} events of {label} are wrong: film what looks like it but is not, "
                "as the pictures of false events show, and annotate no action there."
            )
        yield from _of_boxes(scores, place)


def _of_boxes(scores: Scores, place: int) -> Iterator[str]:
    """What the confusion matrix and the errors of one class say."""
    one, labels = scores.report.classes[place], scores.report.labels
    row = scores.report.confusion[place, : len(labels)].astype(float)
    total = scores.report.confusion[place].sum()
    row[place] = 0
    if total and row.max() / total > CONFUSED:
        other = labels[int(row.argmax())]
        yield (
            f"{one.label} is taken for {other} in {100 * row.max() / total:.0f} % of its boxes: film both in the same "
            "scenes, and look whether they are annotated alike."
        )
    if not np.isnan(one.errors.localisation) and one.errors.localisation > LOOSE:
        yield f"Boxes of {one.label} lie beside the person or are loose: correct them in CVAT, keyframe by keyframe."


def _where_missed(scores: Scores, label: str) -> str:
    """The scenes in which most of its actions were missed."""
    missed = [scores.scene_of[one.video] for one in scores.incidents.missed if one.action == label]
    by_count = sorted(set(missed), key=lambda scene: (-missed.count(scene), scene))
    if not by_count:
        return ""
    more = f" and {len(by_count) - MOST_NAMES} more" if len(by_count) > MOST_NAMES else ""
    return f"; missed in {', '.join(by_count[:MOST_NAMES])}{more}"


def _counted(number: int, what: str) -> str:
    return f"{'one' if number == 1 else number or 'no'} {what}{'' if number == 1 else 's'}"
