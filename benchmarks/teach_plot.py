"""The curves of `benchmarks.teach_curves`: how good teaching is over the number of annotated scenes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

PANELS = {
    "frame_map": ("frame-mAP at 0.5", "percent"),
    "recall": ("actions reported", "percent"),
    "precision": ("events that are right", "percent"),
    "alarms_per_hour": ("false alarms", "an hour without an action"),
}
ALL = "all"  # of the scenes; drawn last


def draw(lines: Sequence[Mapping[str, Any]], png_path: Path) -> None:
    """A panel for each figure that is known: each setting a line through its seeds' means, each seed a dot."""
    from matplotlib.figure import Figure

    shown = [name for name in PANELS if any(line[name] is not None for line in lines)]
    figure = Figure(figsize=(4.2 * len(shown), 4.2), layout="constrained")
    scenes = sorted({line["of"]["scenes"] for line in lines}, key=_place)
    for panel, name in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        for number, setting in enumerate(dict.fromkeys(map(_setting, lines))):
            known = [
                [line[name] for line in lines if _setting(line) == setting and line["of"]["scenes"] == count]
                for count in scenes
            ]
            values = [[value for value in group if value is not None] for group in known]
            places = [place for place, group in enumerate(values) if group]
            means = [np.mean(group) for group in values if group]
            (mean,) = panel.plot(places, means, f"C{number}-", label=setting)
            for place, group in enumerate(values):
                panel.plot([place] * len(group), group, "o", color=mean.get_color(), markersize=4, alpha=0.6)
        title, unit = PANELS[name]
        panel.set(title=title, ylabel=unit, xlabel="annotated scenes of each action", ylim=(0, None))
        panel.set_xticks(range(len(scenes)), map(str, scenes))
        panel.grid(alpha=0.3)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(png_path, dpi=120)


def _place(scenes: int | str) -> float:
    return np.inf if scenes == ALL else float(scenes)


def _setting(line: Mapping[str, Any]) -> str:
    of = line["of"]
    words = ["ImageNet's weights" if of["start"] == "ImageNet" else "weights that know other actions"]
    words += ["a memory"] if line.get("memory") else []
    words += ["backbone frozen"] if of["backbone"] == "frozen" else []
    words += [f"{name} {of[name]:g}" for name in ("samples", "rate") if name in of]
    return ", ".join([*words, *([] if of["negatives"] else ["no negatives"])])
