"""What networks that see a clip cost beside the detector: processor time of one frame in ONNX Runtime, one thread.

python -m benchmarks.clip_networks [--rounds 50] [--frames 8] [--large]. Weights are random, which changes no time; the
networks take turns. Processor time, not the clock's: others may run on the machine.
"""

import argparse
import io
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from convert import movinet_export
from convert.batch_norm_folding import fold_norms
from edge.manifest import LITE
from train.networks import architectures
from train.networks.decoder import Decoder
from train.networks.memory_step import MemoryStep
from train.networks.movinet import FEATURES, MoViNet, memory_shapes
from train.networks.yowo.decoder import PriorDecoder, PriorMaps
from train.networks.yowo.lite import YowoLite
from train.networks.yowo.network import Yowo
from train.networks.yowo.resnet3d import CHANNELS_101

CLASSES, TOP_K = 24, 100
HEIGHT, WIDTH = 224, 288  # of the shipped model's input
SIDE = 224  # of YOWO's input
WARM_UP = 3
OPSET = 17


class _WithMap(nn.Module):
    """A network for a clip's map that is known."""

    def __init__(self, network: YowoLite | Yowo) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, clip_map: Tensor) -> PriorMaps:
        return self.network.with_clip_map(image, clip_map)


def main() -> None:
    """Print milliseconds and how they compare with the detector's."""
    parser = argparse.ArgumentParser(description="Times networks that see a clip beside the detector, one thread.")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--frames", type=int, default=8, help="of a clip (default: %(default)s)")
    parser.add_argument("--large", action="store_true", help="time yowo and dla_34 too, which take seconds a round")
    options = parser.parse_args()
    calls = _calls(options.frames) | (_large_calls(options.frames) if options.large else {})
    rounds = [[_processor_time(call) for call in calls.values()] for _ in range(WARM_UP + options.rounds)]
    seconds = np.array(rounds)[WARM_UP:]
    for name, column in zip(calls, seconds.T, strict=True):
        ratio = float(np.median(column / seconds[:, 0]))
        print(f"{name:40} {1000 * np.median(column):7.1f} ms, {ratio:5.2f} of the first in the same round")


def _calls(frames: int) -> dict[str, Callable[[], object]]:
    lite, yowo = architectures.network(LITE, CLASSES, 6).eval(), YowoLite(CLASSES).eval()
    for network in (lite, yowo):
        fold_norms(network)  # as exports have it
    with_map = PriorDecoder(_WithMap(yowo), TOP_K)
    stream = movinet_export.export(MemoryStep(MoViNet().eval()), HEIGHT, WIDTH).SerializeToString()
    image, clip = (1, 3, HEIGHT, WIDTH), (1, 3, frames, HEIGHT, WIDTH)
    step = [image, *memory_shapes(1, HEIGHT, WIDTH)]
    return {
        "detector lite, frame and motion map": _session(exported(Decoder(lite, TOP_K), [(1, 6, HEIGHT, WIDTH)])),
        "yowo_lite, the clip's map known": _session(
            exported(with_map, [image, (1, FEATURES, HEIGHT // 32, WIDTH // 32)])
        ),
        "MoViNet, a frame of a stream": _session(stream, step),
        f"yowo_lite, a clip of {frames} anew": _session(exported(PriorDecoder(yowo, TOP_K), [image, clip])),
    }


def _large_calls(frames: int) -> dict[str, Callable[[], object]]:
    """The same of the networks for GPUs, `yowo` at the size of its paper."""
    dla, yowo = architectures.network("dla_34_plain", CLASSES, 6).eval(), Yowo(CLASSES).eval()
    for network in (dla, yowo):
        fold_norms(network)
    image, clip = (1, 3, SIDE, SIDE), (1, 3, frames, SIDE, SIDE)
    with_map, known = PriorDecoder(_WithMap(yowo), TOP_K), (1, CHANNELS_101, SIDE // 32, SIDE // 32)
    return {
        "detector dla_34_plain": _session(exported(Decoder(dla, TOP_K), [(1, 6, HEIGHT, WIDTH)])),
        "yowo, the clip's map known": _session(exported(with_map, [image, known])),
        f"yowo, a clip of {frames} anew": _session(exported(PriorDecoder(yowo, TOP_K), [image, clip])),
    }


def exported(network: nn.Module, shapes: Sequence[tuple[int, ...]]) -> bytes:
    """As ONNX, for inputs of these shapes."""
    content = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            tuple(torch.zeros(shape) for shape in shapes),
            content,  # type: ignore[arg-type]  # the exporter that needs no further package takes it
            opset_version=OPSET,
            dynamo=False,
        )
    return content.getvalue()


def _session(model: bytes, shapes: Sequence[tuple[int, ...]] = ()) -> Callable[[], object]:
    """One run on noise; `shapes` where the model leaves them open."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    sizes = shapes or [one.shape for one in session.get_inputs()]
    given = zip(session.get_inputs(), sizes, strict=True)
    noise = {one.name: random.normal(size=size).astype(np.float32) for one, size in given}
    return lambda: session.run(None, noise)


def _processor_time(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    main()
