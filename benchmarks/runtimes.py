"""Times models on the CPU in every installed runtime, in turns, call by call, and compares their outputs.

python -m benchmarks.runtimes [MODEL ...] [--threads 1 2] [--rounds 100]. ONNX Runtime always; OpenVINO where
it is installed; ONNX Runtime's OpenVINOExecutionProvider where it is compiled in (onnxruntime-openvino).
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from convert import calibration
from convert.calibration import Input
from convert.comparison import Agreement, agreement
from convert.watched_video import beside_of
from edge.commands.demo import CLIP
from edge.config.config_file import SHIPPED_MODEL
from edge.engines import onnxruntime_engine
from edge.inference import Infer
from edge.manifest import OUTPUTS
from edge.shipped_files import asset_path

PROVIDER = "OpenVINOExecutionProvider"
WARM_UP = 5
IMAGES = 32  # frames whose outputs are compared
COLUMNS = f"{'threads':>7}  {'model':<24}{'runtime':<22}{'p50 ms':>8}{'p10 ms':>8}{'faster':>8}{'lost':>6}{'new':>5}"


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """One model in one runtime."""

    name: str
    runtime: str
    infer: Infer


def main() -> None:
    """Print one line per model, runtime and number of threads; the first model in ONNX Runtime is the reference."""
    options = _options()
    models = options.models or [asset_path(SHIPPED_MODEL)]
    first = onnxruntime_engine.load(models[0], 1)
    images = tuple(calibration.inputs([asset_path(CLIP)], first.manifest, IMAGES, beside_of(first)))
    print(f"{COLUMNS}{'largest score gap':>19}")
    for threads in options.threads:
        loaded = [model for path in models for model in _load(path, threads)]
        times = _times(loaded, images[0], options.rounds)
        for model, seconds in zip(loaded, times.T, strict=True):
            _print(threads, model, seconds, times[:, 0], _agreement(loaded[0], model, images))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times models on the CPU in every installed runtime.")
    parser.add_argument("models", nargs="*", type=Path, help=".onnx, default: the shipped one")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=100)
    return parser.parse_args()


def _load(path: Path, threads: int) -> Iterator[LoadedModel]:
    yield LoadedModel(path.stem, f"onnxruntime {onnxruntime.__version__}", onnxruntime_engine.load(path, threads).infer)
    if PROVIDER in onnxruntime.get_available_providers():
        yield LoadedModel(path.stem, "its OpenVINO provider", _by_provider(path, threads))
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # its import would send statistics
    try:
        import openvino
    except ImportError:
        return
    core = openvino.Core()
    for kind in ("f32", "bf16"):
        if kind == "f32" or "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            yield LoadedModel(
                path.stem, f"openvino {openvino.__version__[:8]} {kind}", _openvino(core, path, threads, kind)
            )


def _by_provider(path: Path, threads: int) -> Infer:
    """Infer through ONNX Runtime's provider, whose number of threads is an option of its own."""
    options = {"device_type": "CPU", "num_of_threads": str(threads), "precision": "FP32"}
    session = onnxruntime.InferenceSession(path, providers=[(PROVIDER, options)])
    return lambda inputs: dict(zip(OUTPUTS, session.run(OUTPUTS, dict(inputs)), strict=True))


def _openvino(core: Any, path: Path, threads: int, kind: str) -> Infer:
    options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": kind}
    request = core.compile_model(core.read_model(path), "CPU", options).create_infer_request()

    def infer(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        found = request.infer(dict(inputs))
        return {name: found[name].copy() for name in OUTPUTS}

    return infer


def _times(loaded: list[LoadedModel], image: Input, rounds: int) -> NDArray[np.float64]:
    """Seconds of every call, (rounds, loaded)."""
    return np.array([[_seconds(model, image) for model in loaded] for _ in range(WARM_UP + rounds)])[WARM_UP:]


def _seconds(model: LoadedModel, image: Input) -> float:
    began = time.perf_counter()
    model.infer(image)
    return time.perf_counter() - began


def _agreement(exact: LoadedModel, other: LoadedModel, images: tuple[Input, ...]) -> Agreement:
    return agreement((exact.infer(image), other.infer(image)) for image in images)


def _print(
    threads: int, model: LoadedModel, seconds: NDArray[np.float64], first: NDArray[np.float64], found: Agreement
) -> None:
    """`faster`: the median over rounds of how much longer the first took in the same round."""
    p50, p10 = 1000 * np.percentile(seconds, (50, 10))
    gap = next(one.largest for one in found.differences if one.output == "scores")
    print(
        f"{threads:7}  {model.name[:23]:<24}{model.runtime:<22}{p50:8.2f}{p10:8.2f}{np.median(first / seconds):8.2f}"
        f"{found.lost:6}{found.extra:5}{gap:19.4f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
