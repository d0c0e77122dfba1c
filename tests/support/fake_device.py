"""A machine with TensorRT: the fakes of TensorRT and CUDA, and a network that ONNX Runtime runs behind them.

For processes that a test starts, `install` writes a module that their `import` finds.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from edge.engines import cuda_runtime
from edge.manifest import OUTPUTS
from tests.support.fake_gpu import FakeGpu, fake_gpu
from tests.support.fake_tensorrt import Network
from tests.support.paths import ROOT

KINDS = {"tensor(float)": "FLOAT", "tensor(int64)": "INT64"}
MODULES = {
    "tensorrt.py": "import sys\nfrom installed_gpu import GPU\nsys.modules[__name__] = GPU.trt\n",
}
GPU_MODULE = """import atexit, os, sys
from pathlib import Path
sys.path.append({root!r})
from tests.support.fake_device import gpu_of
from edge.engines import cuda_runtime
GPU = gpu_of(Path({onnx!r}), {version!r}, {failing!r})
cuda_runtime.installed = lambda: GPU.cuda
atexit.register(lambda: Path({folder!r}, f"leaks-{{os.getpid()}}").write_text(str(GPU.runtime.leaks)))
"""


def gpu_of(onnx: Path, version: str = "10.3", failing: Mapping[str, str] | None = None) -> FakeGpu:
    """A GPU on which every engine answers as that ONNX does; batches of any size, if the ONNX takes them."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])

    def tensors(infos: Any) -> dict[str, tuple[tuple[int, ...], str]]:
        return {i.name: ((-1, *i.shape[1:]), KINDS[i.type]) for i in infos}

    def answer(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        return dict(zip(OUTPUTS, session.run(OUTPUTS, dict(inputs)), strict=True))

    gpu = fake_gpu(version, Network(tensors(session.get_inputs()), tensors(session.get_outputs())), failing)
    gpu.trt.compute = answer
    return gpu


def use(gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    """Make this process one of a machine with that GPU."""
    monkeypatch.setitem(sys.modules, "tensorrt", gpu.trt)
    monkeypatch.setattr(cuda_runtime, "installed", lambda: gpu.cuda)
    return gpu


def install(folder: Path, onnx: Path, version: str = "10.3", failing: Mapping[str, str] | None = None) -> Path:
    """A module `tensorrt`, with its GPU, to be put in front of `sys.path`. Each process that imported it leaves
    `leaks-<its number>` there, with the number of things that it has not given back to the GPU."""
    gpu = {"root": str(ROOT), "onnx": str(onnx), "version": version, "folder": str(folder), "failing": failing}
    for name, content in {**MODULES, "installed_gpu.py": GPU_MODULE.format(**gpu)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder
