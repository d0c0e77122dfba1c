"""The tables of docs/yowo.md from the results of `benchmarks.yowo_ablation`, as far as they are there."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.yowo_runs import ABLATION, BESIDE, PLAIN, RULES, WHOLE, Run

Lines = Sequence[Mapping[str, Any]]
OPPOSITE = (("sit", "stand"),)  # actions that differ in the order of their frames
MOST_CONFUSED = 6  # pairs that are listed
CURVES = (WHOLE, *RULES)
TESTED = ("beside", *(run.name for run in (PLAIN, *BESIDE)))
SCORES = ("frame_map_all", "frame_map_annotated", "video_map_0.2_all", "video_map_0.5_all", "video_map_0.75_all")
EVENTS = ("events", "recall", "precision", "false_alarms")


def tables(lines: Lines) -> str:
    """All that have a result, as Markdown."""
    parts = (_ablation(lines), _curves(lines), _every(lines), _tests(lines), _ensemble(lines), _mistakes(lines))
    return "\n\n".join(part for part in parts if part)


def _ablation(lines: Lines) -> str:
    rows = []
    for run in (*ABLATION, *RULES, *BESIDE):
        found = _of_run(lines, run)
        if found:
            scores = [one["frame_map"] for one in found]
            each = ", ".join(f"{score:.1f}" for score in scores)
            price = [one["ms_a_sample"] for one in found if one["ms_a_sample"]]
            rows.append([run.title, each, f"{np.mean(scores):.1f}", f"{np.mean(price):.0f}" if price else "-"])
    return _table(("trained with", "frame-mAP@0.5 by seed", "mean", "ms of processor a sample"), rows)


def _curves(lines: Lines) -> str:
    """Means over seeds, by samples seen."""
    known = {run.title: _of_run(lines, run) for run in CURVES}
    samples = sorted({at for found in known.values() for one in found for at, _ in one["curve"]})
    rows = []
    for title, found in known.items():
        means = [[score for one in found for at, score in one["curve"] if at == place] for place in samples]
        if found:
            rows.append([title, *(f"{np.mean(values):.1f}" if values else "-" for values in means)])
    return _table(("frame-mAP@0.5 after so many samples", *map(str, samples)), rows)


def _every(lines: Lines) -> str:
    speed = next((line for line in lines if line["of"] == {"speed": "every"}), {})
    rows = []
    for line in lines:
        if (every := line["of"].get("every")) is not None:
            price = speed.get(str(every))
            told = (
                [f"{price['ms']:.1f}", f"{1000 / price['ms']:.0f}", f"{price['of_first']:.2f}"] if price else ["-"] * 3
            )
            rows.append([every, f"{line['frame_map']:.1f}", *told])
    heads = (
        "a map every … frames",
        "frame-mAP@0.5",
        "ms a frame",
        "frames a second, one thread",
        "time, of the first's",
    )
    return _table(heads, rows)


def _tests(lines: Lines) -> str:
    speed = next((line for line in lines if line["of"] == {"speed": "test"}), {})
    known = {line["of"]["test"]: line for line in lines if "test" in line["of"]}
    rows = []
    for name in (name for name in TESTED if name in known):
        line, price = known[name], speed.get(name)
        told = [f"{price['ms']:.1f}", f"{price['of_first']:.2f}"] if price else ["-"] * 2
        rows.append([name, *(_number(line[key]) for key in (*SCORES, *EVENTS)), *told, f"{line['mb']:.1f}"])
    return _table(("on the test videos", *SCORES, *EVENTS, "ms", "of the first's", "MB"), rows)


def _ensemble(lines: Lines) -> str:
    found = [line for line in lines if "validation" in line["of"]]
    rows = [[line["of"]["validation"], *(_number(line[key]) for key in SCORES)] for line in found]
    return _table(("on the validation videos", *SCORES), rows)


def _mistakes(lines: Lines) -> str:
    """The pairs that are taken for each other most, and those that are opposites."""
    rows: list[list[Any]] = []
    for line in lines:
        if "confusion" not in line:
            continue
        of = ", ".join(f"{key} {value}" for key, value in line["of"].items())
        rows += [[of, true, taken, f"{100 * share:.0f} %", count] for share, count, true, taken in _confused(line)]
    return _table(("of", "is", "is taken for", "of its boxes", "boxes"), rows)


def _confused(line: Mapping[str, Any]) -> list[tuple[float, int, str, str]]:
    """Share, boxes and both names; the worst, then what the opposites are taken for."""
    labels, matrix = line["labels"], np.array(line["confusion"])[: len(line["labels"])]
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    pairs = [
        (float(shares[i, j]), int(matrix[i, j]), labels[i], labels[j])
        for i in range(len(labels))
        for j in range(len(labels))
        if i != j
    ]
    worst = sorted((pair for pair in pairs if pair[1]), reverse=True)[:MOST_CONFUSED]
    opposite = [pair for pair in pairs if pair[2:] in OPPOSITE or pair[:1:-1] in OPPOSITE]
    return [*worst, *(pair for pair in opposite if pair not in worst)]


def _of_run(lines: Lines, run: Run) -> list[Mapping[str, Any]]:
    return [line for line in lines if line["of"].get("run") == run.name]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Markdown; nothing without rows."""
    return "\n".join(_lines(heads, rows)) if rows else ""


def _lines(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"
