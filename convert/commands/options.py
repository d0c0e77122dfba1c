"""Options that several commands of `korsal-convert` share, and the values they stand for."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from convert import calibration, modelopt_quantize
from convert.quantize import Method, QuantizeSettings, QuantizeTarget
from edge.terminal.arguments import number, whole_number
from train.datasets import loader
from train.datasets.annotation_records import DataSet
from train.evaluation import options as evaluation_options
from train.evaluation.evaluation import EvaluationRun
from train.evaluation.shared_labels import shared_labels
from train.evaluation.splits import videos_to_evaluate


def add_calibration(
    parser: argparse.ArgumentParser, purpose: str = "to calibrate with", frames: int = calibration.DEFAULT_FRAMES
) -> None:
    """Real frames, and how many of them."""
    add = parser.add_argument
    add("--calibrate", type=Path, nargs="+", default=[], metavar="VIDEO", help="videos or folders of videos: real ones")
    add("--frames", type=whole_number(1), default=frames, help=f"of them {purpose}, in all; default: {frames}")


def add_quantization(parser: argparse.ArgumentParser) -> None:
    """How INT8 is made."""
    add = parser.add_argument
    usual = (
        f"how ranges are found; default: {QuantizeSettings.method}, with modelopt {modelopt_quantize.DEFAULT_METHOD}"
    )
    add("--method", choices=get_args(Method), help=usual)
    targets = get_args(QuantizeTarget)
    add("--target", choices=targets, default=QuantizeSettings.target, help="cpu: for ONNX Runtime, no GPU")
    add("--keep", nargs="+", default=[], metavar="NODE", help="convolutions that stay in floating point")


def add_accuracy(parser: argparse.ArgumentParser) -> None:
    """Annotated videos to measure on, and how much may be lost."""
    add = parser.add_argument
    evaluation_options.add_data(parser, required=False)
    evaluation_options.add_split(parser)
    evaluation_options.add_limit(parser)
    add("--jobs", type=whole_number(1), help="videos at a time; default: as many as there are cores")
    add("--max-map-drop", type=_points, default=1.0, metavar="POINTS", help="of frame-mAP@0.5 that may be lost")


def quantize_settings(options: argparse.Namespace) -> QuantizeSettings:
    """How to quantise, of what `add_quantization` has read."""
    modelopt = getattr(options, "quantizer", "") == "modelopt"
    usual = modelopt_quantize.DEFAULT_METHOD if modelopt else QuantizeSettings.method
    return QuantizeSettings(options.method or usual, options.target, tuple(options.keep))


def accuracy_data(
    options: argparse.Namespace, labels: Sequence[str], model: Path
) -> tuple[DataSet | None, EvaluationRun | None]:
    """The annotated videos to measure `model` with these labels on, of what `add_accuracy` has read; None without."""
    if options.data is None:
        return None, None
    data = loader.load(options.data, options.fold)
    shared = shared_labels(labels, data, model)
    videos = videos_to_evaluate(data, options.split, options.limit)
    return data, EvaluationRun(shared.of(videos), jobs=options.jobs, labels=shared.labels)


def _points(text: str) -> float:
    value = number(text)
    if not math.isfinite(value):  # nothing is more than nan: every model would pass
        raise argparse.ArgumentTypeError(f"{text} is no number of points")
    return value
