"""Writes docs/gpu.md from what `benchmarks/gpu/run.py` brought back.

python -m benchmarks.gpu.report FOLDER [-o docs/gpu.md]
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Results = Mapping[str, Mapping[str, Any]]
GOAL = 0.30  # of a frame's time may be spent outside the network
TOLERANCE = 1e-3
TITLES = {
    "samples": "Training samples on the GPU",
    "preprocess": "cv2.cuda against the CPU",
    "latency": "Latency of the networks",
    "daemon": "The daemon's pipeline",
    "daemon_cv2": "The daemon's pipeline with cv2.cuda",
    "candidates": "Training side by side",
}
NOTES = {
    "samples": "Largest differences between what the GPU and the CPU compute for the same draw, and samples a second.",
    "preprocess": "Largest differences, frame by frame; `off`: motion maps that differ by more than 1e-3.",
    "latency": "Milliseconds for a batch, the median; networks with random weights and 26 actions at 288×224, "
    "MoViNet at 172×172. FP32 without TF32.",
    "daemon": "Torch in FP16 with CUDA graphs in the place of TensorRT, one frame of each camera in a batch, frames of "
    "640×360 already decoded; networks with random weights, which detect nobody. It is no figure of a Jetson, nor of "
    f"TensorRT. The goal is at most {GOAL:.0%} outside the network.",
    "daemon_cv2": "The same, cv2.cuda fitting and comparing frames; where it runs, all of it is outside the network.",
    "candidates": "Frame-mAP@0.5 on held-out training videos (percent), weights and detections in the bundle. A few "
    "minutes each: to be compared with each other, not with the shipped model.",
}
COLUMNS = {
    "equality": ("motion", "width", "height", "image", "targets", "frame", "map", "maps_off", "frames", "failed"),
    "speed": ("samples", "batch", "made_per_second", "learned_per_second"),
    "latency": ("network", "precision", "batch", "graph_ms", "eager_ms", "failed"),
    "pipeline": ("preparation", "cameras", "fps", "outside_network", "ms_per_frame", "failed"),
    "candidates": ("name", "architecture", "batch", "samples_per_second", "samples", "frame_map_50", "status"),
}


def main() -> None:
    """Read, write."""
    parser = argparse.ArgumentParser(description="Writes docs/gpu.md from the results of a run.")
    parser.add_argument("folder", type=Path, help="with results.json")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/gpu.md"))
    options = parser.parse_args()
    options.output.write_text(page(json.loads((options.folder / "results.json").read_text())))
    print(options.output)


def page(results: Results) -> str:
    """The document."""
    lines = ["# On a GPU", "", *_machine(results.get("machine", {})), ""]
    for name, title in TITLES.items():
        if name in results:
            lines += [f"## {title}", "", NOTES[name], "", *_step(results[name]), ""]
    missing = [title for name, title in TITLES.items() if name not in results]
    if missing:
        lines += [f"Not run: {', '.join(missing)}.", ""]
    lines += [*_bundle(results.get("bundle", {}))]
    lines += ["Made by [benchmarks/gpu](../benchmarks/gpu/README.md)."]
    return "\n".join(lines) + "\n"


def _machine(found: Mapping[str, Any]) -> Iterator[str]:
    """On what, and when."""
    if found.get("rehearsal"):
        yield "**A rehearsal on a CPU with small numbers: none of these figures is one of a GPU.**"
        yield ""
    known = {name: found.get(name, "unknown") for name in ("gpu", "date", "cores", "torch", "cuda", "opencv", "python")}
    yield (
        "Measured on {gpu}, {cores} processor cores, on {date}: PyTorch {torch}, CUDA {cuda}, OpenCV {opencv}, "
        "Python {python}."
    ).format(**known)


def _step(found: Mapping[str, Any]) -> Iterator[str]:
    """What a step says in sentences, then its tables."""
    for kind, sentence in (("skipped", "Skipped: {}."), ("failed", "**Not whole: {}.**"), ("cut", "Cut short: {}.")):
        if found.get(kind):
            yield sentence.format(str(found[kind]).rstrip("."))
            yield ""
    for name, columns in COLUMNS.items():
        rows = found.get(name)
        if rows:
            yield from table(rows, columns)
            yield ""
    yield from _verdict(found)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[str]:
    """Rows as a table, of the columns that any of them has."""
    shown = [column for column in columns if any(column in row for row in rows)]
    yield "| " + " | ".join(column.replace("_", " ") for column in shown) + " |"
    yield "|" + "---|" * len(shown)
    for row in rows:
        yield "| " + " | ".join(_cell(row.get(column, "")) for column in shown) + " |"


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(part)}" for name, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "/")


def _verdict(found: Mapping[str, Any]) -> Iterator[str]:
    """Whether what was to be held is held."""
    shares = [row["outside_network"] for row in found.get("pipeline", ()) if "outside_network" in row]
    if shares:
        reached = f"{sum(share <= GOAL for share in shares)} of {len(shares)} reach the goal"
        yield f"Outside the network: {min(shares):.0%} to {max(shares):.0%}; {reached}."
    measured = [row for row in found.get("equality", ()) if "failed" not in row]
    differences = [float(row[name]) for row in measured for name in ("image", "targets", "frame", "map") if name in row]
    if differences:
        held = "is held" if max(differences) <= TOLERANCE else "is **not** held"
        yield f"Equality within {TOLERANCE:g} {held}: the largest difference is {max(differences):.2g}."


def _bundle(found: Mapping[str, Any]) -> Iterator[str]:
    if found.get("left_out"):
        yield f"Too large to come back: {', '.join(found['left_out'])}."
        yield ""


if __name__ == "__main__":
    main()
