"""Checks of what runs the model: TensorRT, the GPU, CUDA's driver against its runtime. Shell."""

from collections.abc import Callable
from typing import Any

from edge.doctor.finding import Finding, ok, warning, wrong
from edge.engines.cuda_runtime import Cuda, CudaError, version_text
from edge.engines.tensorrt_engine import bindings
from edge.engines.tensorrt_errors import TensorRtError
from edge.open_model import NVIDIA_SIGNS


def runtime(configured: str, find: Callable[[], tuple[Any, Cuda]] = bindings) -> list[Finding]:
    """Check that the configured runtime is available. `find` raises TensorRtError where TensorRT is not."""
    if configured == "onnxruntime":
        return [ok("runtime", "ONNX Runtime, as model.runtime says")]
    try:
        trt, cuda = find()
        return [ok("runtime", f"TensorRT {trt.__version__}"), gpu(cuda)]
    except TensorRtError as error:
        if configured == "tensorrt":
            return [wrong("runtime", str(error))]
        if any(sign.exists() for sign in NVIDIA_SIGNS):
            return [warning("runtime", "ONNX Runtime, although NVIDIA's GPU is here", str(error))]
        return [ok("runtime", "ONNX Runtime: no TensorRT and no GPU here")]


def gpu(cuda: Cuda) -> Finding:
    """The GPU, and CUDA's driver against its runtime, which must not be newer."""
    try:
        device = cuda.device()
    except CudaError as error:
        return wrong("GPU", str(error))
    runs, knows = version_text(device.runtime), version_text(device.driver)
    capability = ".".join(map(str, device.compute_capability))
    text = f"{device.name} ({capability}), CUDA driver {knows}, runtime {runs} {cuda.library}".rstrip()
    if device.runtime > device.driver:
        remedy = f"sudo apt-get install cuda-cudart-{knows.replace('.', '-')}, or upgrade the driver"
        return warning("GPU", f"{text}: the runtime is newer, and the driver takes it only within one major", remedy)
    return ok("GPU", text)
