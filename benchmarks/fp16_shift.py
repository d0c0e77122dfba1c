"""How often the motion map's search would choose a worse shift if it were computed in FP16.

python -m benchmarks.fp16_shift VIDEO ... [--model MODEL] [--frames N]

VIDEO: videos or folders of them, whose frames are taken evenly. Each pair of frames goes through the model's graph as
it is, in FP32; through the same graph with every result after fitting rounded to FP16; and through SSIM's usual
formula, variances as mean squares less squared means, in FP16 of normalised pixels. Within an operator, such as the
mean over a window or the picture, sums are FP32 throughout.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.utils import Extractor

from convert import calibration, onnx_file
from convert.graft_check import EQUAL, shortfall
from edge import detector, motion_map
from edge.config.config_file import SHIPPED_MODEL
from edge.manifest import FITTED, FRAME, MOTION, PREVIOUS, SHIFT, Manifest
from edge.motion_map import LEAST_RANGE, SHIFTS
from edge.shipped_files import asset_path
from edge.ssim import K1, K2, MARGIN, SAMPLE, WINDOW

Half = NDArray[np.float16]
Image = NDArray[np.float32]  # (h, w, 3), normalised
Choose = Callable[[Image, Image, NDArray[np.uint8]], int]  # of previous and current frame and the latter's pixels


def preparation(model: onnx.ModelProto) -> onnx.ModelProto:
    """The part of a model that fits and compares frames."""
    return Extractor(model).extract_model([FRAME, PREVIOUS], [FITTED, MOTION, SHIFT])


def in_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every floating-point result after fitting is rounded to FP16, constants and inputs too.

    By casts back and forth: ONNX Runtime's own FP16 on CPUs computes chains of operators in FP32.
    """
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    floats = {value.name for value in (*graph.value_info, *graph.output) if _is_float(value.type.tensor_type.elem_type)}
    half = onnx.ModelProto()
    half.CopyFrom(model)
    fits = fitting(half)
    rounded = list(_rounding(PREVIOUS, f"{PREVIOUS}_fp16"))
    for node in half.graph.node:
        rounded.append(node)
        after = node.name not in fits
        if after:
            node.input[:] = [f"{name}_fp16" if name in (PREVIOUS, FITTED) else name for name in node.input]
        for place, name in enumerate(node.output):
            if name == FITTED:
                rounded += _rounding(name, f"{name}_fp16")
            elif after and name in floats:
                node.output[place] = f"{name}_exact"
                rounded += _rounding(f"{name}_exact", name)
    read = {name for node in half.graph.node if node.name in fits for name in node.input}
    for tensor in half.graph.initializer:
        if _is_float(tensor.data_type) and tensor.name not in read:
            value = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    del half.graph.node[:], half.graph.value_info[:]
    half.graph.node.extend(rounded)
    return half


def fitting(model: onnx.ModelProto) -> set[str]:
    """The names of the nodes that FITTED depends on."""
    writers = {name: node for node in model.graph.node for name in node.output}
    found, waiting = set[str](), [FITTED]
    while waiting:
        node = writers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            waiting += node.input
    return found


def _is_float(kind: int) -> bool:
    return kind == onnx.TensorProto.FLOAT


def _rounding(name: str, result: str) -> Iterator[onnx.NodeProto]:
    yield onnx.helper.make_node("Cast", [name], [f"{name}_to_fp16"], to=onnx.TensorProto.FLOAT16)
    yield onnx.helper.make_node("Cast", [f"{name}_to_fp16"], [result], to=onnx.TensorProto.FLOAT)


def by_graph(model: onnx.ModelProto) -> Choose:
    """The choice of a graph, in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def choose(before: Image, current: Image, pixels: NDArray[np.uint8]) -> int:
        inputs: Mapping[str, NDArray[Any]] = {FRAME: pixels[None], PREVIOUS: before.transpose(2, 0, 1)[None]}
        return int(session.run([SHIFT], inputs)[0][0])

    return choose


def by_usual_formula(before: Image, current: Image, pixels: NDArray[np.uint8]) -> int:
    """The choice of the usual formula in FP16."""
    height, width = current.shape[:2]
    mirrored = cv2.copyMakeBorder(current, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
    moved = [mirrored[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in SHIFTS]
    return int(np.argmax([_mean_ssim(before.astype(np.float16), one.astype(np.float16)) for one in moved]))


def _window(image: Half) -> Half:
    """Means of windows that lie in the image."""
    mean = cv2.blur(image.astype(np.float32), (WINDOW, WINDOW))[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return np.asarray(mean, np.float16)


def _mean_ssim(before: Half, after: Half) -> float:
    span = max(float(after.max()) - float(after.min()), LEAST_RANGE * float(np.abs(after).max())) or 1.0
    c1, c2 = np.float16((K1 * span) ** 2), np.float16((K2 * span) ** 2)
    unbiased = np.float16(SAMPLE)
    one, other = _window(before), _window(after)
    variances = unbiased * ((_window(before * before) - one * one) + (_window(after * after) - other * other))
    covariance = unbiased * (_window(before * after) - one * other)
    two = np.float16(2)
    similarity = ((two * one * other + c1) * (two * covariance + c2)) / (
        (one * one + other * other + c1) * (variances + c2)
    )
    return float(similarity.mean(dtype=np.float32))


def measure(ways: Mapping[str, Choose], videos: list[Path], manifest: Manifest, count: int) -> None:
    """Print how often each way chose another shift than the daemon, and a worse one."""
    gaps: dict[str, list[float]] = {name: [] for name in ways}
    seen = 0
    for pair in calibration.frame_pairs(videos, manifest, count):
        if pair.previous is None:
            continue
        seen += 1
        pixels = detector.fit(pair.image, manifest)
        before, current = detector.normalise(pair.previous, manifest), detector.standardise(pixels, manifest)
        _, best = motion_map.motion_map(before, current, manifest.motion)
        for name, choose in ways.items():
            chosen = choose(before, current, pixels)
            if chosen != best:
                valid = 0 <= chosen < len(SHIFTS)
                gaps[name].append(shortfall(before, current, chosen, best) if valid else float("inf"))
    print(f"{seen} pairs of frames; {'':<11}another shift    a worse one    largest loss of mean SSIM")
    for name, found in gaps.items():
        worse = sum(gap > EQUAL for gap in found)
        print(f"{name:<30}{len(found):>14}{worse:>15}{max(found, default=0.0):>29.2g}")


def main() -> None:
    """Measure, and print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, default=asset_path(SHIPPED_MODEL), help="whose preprocessing is inside")
    parser.add_argument("--frames", type=int, default=300)
    options = parser.parse_args()
    model, manifest = onnx_file.read(options.model)
    if manifest.preprocessing != "graph":
        parser.error(f"{options.model} does not fit frames itself; make a file that does with export --with-motion")
    single = preparation(model)
    ways: dict[str, Choose] = {
        "the graph in FP32": by_graph(single),
        "the graph in FP16": by_graph(in_fp16(single)),
        "the usual formula in FP16": by_usual_formula,
    }
    measure(ways, list(calibration.videos(options.videos)), manifest, options.frames)


if __name__ == "__main__":
    main()
