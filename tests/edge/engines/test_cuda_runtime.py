"""Memory, streams and graphs over the fake CUDA; what real cuda-python says on a machine without a GPU."""

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest

from edge.engines import cuda_runtime
from edge.engines.cuda_runtime import Cuda, CudaDevice, CudaError, view
from tests.support.fake_cuda import FakeCuda

FLOATS = np.dtype(np.float32)


@pytest.fixture
def fake() -> FakeCuda:
    return FakeCuda()


def module(name: str, **content: object) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    return made


def install(
    monkeypatch: pytest.MonkeyPatch, cuda: ModuleType | None = None, bindings: ModuleType | None = None
) -> None:
    """What `import cuda` and `import cuda.bindings` find; None: they raise ImportError."""
    monkeypatch.setitem(sys.modules, "cuda", cuda)
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)


def test_a_device(fake: FakeCuda) -> None:
    assert Cuda(fake).device_count() == 1
    assert Cuda(fake).device() == CudaDevice("Orin", (8, 7), (12, 6))


def test_a_device_that_is_not_there(fake: FakeCuda) -> None:
    with pytest.raises(CudaError, match="cudaGetDeviceProperties: cudaErrorInvalidValue; "):
        Cuda(fake).device(1)


def test_bytes_go_to_the_device_and_back(fake: FakeCuda) -> None:
    cuda = Cuda(fake)
    stream, device = cuda.create_stream(), cuda.allocate(16)
    pinned, back = cuda.allocate_pinned(16), cuda.allocate_pinned(16)
    view(pinned, (4,), FLOATS)[:] = 1, 2, 3, 4
    view(back, (2, 2), FLOATS)[:] = 0
    cuda.upload(device, pinned, 16, stream)
    cuda.download(back, device, 16, stream)
    assert not view(back, (2, 2), FLOATS).any()  # nothing has happened yet
    cuda.synchronize(stream)
    assert view(back, (2, 2), FLOATS).tolist() == [[1, 2], [3, 4]]
    assert fake.leaks == 4
    for address in (pinned, back):
        cuda.free_pinned(address)
    cuda.free(device)
    cuda.destroy_stream(stream)
    assert fake.leaks == 0


def test_a_graph_runs_when_it_is_launched(fake: FakeCuda) -> None:
    cuda = Cuda(fake)
    stream = cuda.create_stream()
    ran: list[str] = []

    def work() -> None:
        fake.enqueue(stream, lambda: ran.append("work"))

    graph = cuda.capture(stream, work)
    cuda.synchronize(stream)
    assert ran == []
    for _ in range(2):
        cuda.launch(graph, stream)
    cuda.synchronize(stream)
    assert ran == ["work", "work"]
    cuda.destroy_graph(graph)
    cuda.destroy_stream(stream)
    assert fake.leaks == 0


def test_work_that_raises_while_it_is_captured(fake: FakeCuda) -> None:
    cuda = Cuda(fake)
    stream = cuda.create_stream()

    def work() -> None:
        raise KeyError("shape")

    with pytest.raises(KeyError, match="shape"):
        cuda.capture(stream, work)
    cuda.synchronize(stream)  # the stream is a normal one again
    assert fake.leaks == 1


def test_work_that_no_graph_can_hold(fake: FakeCuda) -> None:
    cuda = Cuda(fake)
    stream = cuda.create_stream()
    with pytest.raises(CudaError, match="cudaStreamEndCapture: cudaErrorStreamCaptureInvalidated"):
        cuda.capture(stream, lambda: fake.invalidate(stream))
    cuda.synchronize(stream)
    assert fake.leaks == 1


def test_work_that_fails_in_a_capture_that_is_broken(fake: FakeCuda) -> None:
    """What is raised is the error of the work, not that the capture could not be ended."""
    cuda = Cuda(fake)
    stream = cuda.create_stream()

    def work() -> None:
        fake.invalidate(stream)
        cuda.synchronize(stream)

    with pytest.raises(CudaError, match="cudaStreamSynchronize: cudaErrorStreamCaptureUnsupported"):
        cuda.capture(stream, work)
    cuda.synchronize(stream)


def test_a_graph_that_cannot_be_made_leaks_nothing(fake: FakeCuda) -> None:
    cuda = Cuda(fake)
    stream = cuda.create_stream()
    fake.fail("cudaGraphInstantiate", "cudaErrorMemoryAllocation")
    with pytest.raises(CudaError, match="cudaGraphInstantiate"):
        cuda.capture(stream, lambda: None)
    assert fake.leaks == 1


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("cudaErrorMemoryAllocation", "lower the batch"),
        ("cudaErrorNoDevice", "in the group `video`"),
        ("cudaErrorInsufficientDriver", "install the NVIDIA driver"),
        ("cudaErrorIllegalAddress", "rebuild the engine"),
        ("cudaErrorInvalidResourceHandle", "dmesg"),
    ],
)
def test_every_failure_is_named_with_a_remedy(status: str, remedy: str, fake: FakeCuda) -> None:
    fake.fail("cudaMalloc", status)
    with pytest.raises(CudaError) as caught:
        Cuda(fake).allocate(8)
    message = str(caught.value)
    assert caught.value.status == status
    assert message.startswith(f"cudaMalloc: {status}; ")
    assert remedy in message
    assert fake.forgotten.name == "cudaSuccess"  # no later call is blamed for it


def test_a_device_that_is_full() -> None:
    with pytest.raises(CudaError, match="cudaErrorMemoryAllocation"):
        Cuda(FakeCuda(memory=100)).allocate(101)


@pytest.mark.parametrize(
    "error", [RuntimeError("Failed to dlopen libcuda.so.1"), ValueError("9 is not a valid status")]
)
def test_what_cuda_python_raises_of_its_own(error: Exception) -> None:
    """Its first releases raise where the driver is missing; a status that they do not know is a ValueError."""

    def raises() -> None:
        raise error

    with pytest.raises(CudaError, match=f"cudaGetDeviceCount: {error}; install the NVIDIA driver"):
        Cuda(module("cudart", cudaGetDeviceCount=raises)).device_count()


def test_the_new_module_is_preferred(fake: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, module("cuda", cudart=None), module("cuda.bindings", runtime=fake))
    assert cuda_runtime.installed().device_count() == 1


def test_the_old_module_serves_as_well(fake: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, module("cuda", cudart=fake))
    assert cuda_runtime.installed().device_count() == 1


def test_no_cuda_python(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(CudaError, match=r"cuda-python is not installed: pip install 'korsal-edge\[jetson\]'"):
        cuda_runtime.installed()


def test_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, module("cuda", cudart=FakeCuda(devices=0)))
    with pytest.raises(CudaError, match="CUDA finds no GPU; check that"):
        cuda_runtime.installed()


@pytest.mark.skipif(importlib.util.find_spec("cuda") is None, reason="cuda-python is not installed")
def test_the_real_module_has_every_call_of_the_fake() -> None:
    """No GPU is needed to see that the names are there."""
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="this cuda-python has no cuda.bindings.runtime")
    for name in dir(FakeCuda):
        if name.startswith("cuda"):
            assert hasattr(runtime, name)


@pytest.mark.gpu
def test_a_real_gpu() -> None:
    pytest.importorskip("cuda", reason="cuda-python is not installed")
    cuda = cuda_runtime.installed()
    stream, device, pinned = cuda.create_stream(), cuda.allocate(1024), cuda.allocate_pinned(1024)
    numbers = view(pinned, (256,), FLOATS)
    numbers[:] = np.arange(256)
    cuda.upload(device, pinned, 1024, stream)
    cuda.synchronize(stream)
    numbers[:] = 0
    graph = cuda.capture(stream, lambda: cuda.download(pinned, device, 1024, stream))
    cuda.launch(graph, stream)
    cuda.synchronize(stream)
    assert numbers.tolist() == list(range(256))
    cuda.destroy_graph(graph)
    cuda.free(device)
    cuda.free_pinned(pinned)
    cuda.destroy_stream(stream)
