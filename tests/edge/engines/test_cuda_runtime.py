"""Memory, streams and graphs over the fake CUDA; which runtime is chosen, and what is said where none can be."""

import numpy as np
import pytest

from edge.engines import cuda_runtime
from edge.engines.cuda_runtime import Cuda, CudaDevice, CudaError, view
from tests.support.fake_cuda import FakeCuda

FLOATS = np.dtype(np.float32)


@pytest.fixture
def fake() -> FakeCuda:
    return FakeCuda()


def test_a_device(fake: FakeCuda) -> None:
    assert Cuda(fake).device_count() == 1
    assert Cuda(fake).device() == CudaDevice("Orin", (8, 7), (12, 6), (12, 6))


def test_a_device_that_is_not_there(fake: FakeCuda) -> None:
    with pytest.raises(CudaError, match="cudaDeviceGetAttribute: cudaErrorInvalidValue; "):
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
    fake.fail("cudaGraphInstantiateWithFlags", "cudaErrorMemoryAllocation")
    with pytest.raises(CudaError, match="cudaGraphInstantiateWithFlags"):
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


class Runtime(FakeCuda):
    """A runtime of one version at a path; it refuses drivers that are older."""

    def __init__(self, runtime: int, driver: int = 12060, devices: int = 1) -> None:
        super().__init__(devices)
        self.runtime, self.driver, self.path = runtime, driver, f"/cuda/libcudart.so.{runtime}"
        if runtime > driver:
            self.fail("cudaGetDeviceCount", "cudaErrorInsufficientDriver")


def chosen(*runtimes: Runtime) -> str:
    return cuda_runtime.installed(lambda: runtimes).library  # type: ignore[arg-type,return-value]  # a fake of it


def test_a_runtime_that_the_driver_refuses_is_passed_over() -> None:
    assert chosen(Runtime(13000), Runtime(12060)) == "/cuda/libcudart.so.12060"


def test_a_newer_runtime_that_the_driver_takes_all_the_same_is_used() -> None:
    """As NVIDIA's minor version compatibility allows on cards."""
    compatible = Runtime(12090, driver=12090)
    compatible.driver = 12060
    assert chosen(compatible) == "/cuda/libcudart.so.12090"


def test_every_runtime_is_too_new() -> None:
    """JetPack 6.2 with the runtime of a later CUDA: both versions and the package are named."""
    with pytest.raises(CudaError) as caught:
        chosen(Runtime(12090), Runtime(13000))
    assert caught.value.status == "cudaErrorInsufficientDriver"
    assert str(caught.value) == (
        "CUDA's driver here is 12.6 and does not take the newer runtime 12.9 (/cuda/libcudart.so.12090); install that "
        "of the driver (sudo apt-get install cuda-cudart-12-6), or upgrade JetPack or the driver"
    )


def test_no_driver() -> None:
    with pytest.raises(CudaError, match=r"runtime 12\.6 \(/cuda/\S+\) finds no NVIDIA driver; install the driver"):
        chosen(Runtime(12060, driver=0))


def test_no_runtime() -> None:
    with pytest.raises(CudaError, match=r"no CUDA runtime .* can be loaded; install .*, or name its folder in LD_LIB"):
        chosen()


def test_no_gpu() -> None:
    with pytest.raises(CudaError, match="CUDA finds no GPU; check that"):
        chosen(Runtime(12060, devices=0))


def test_another_failure_of_the_first_call_is_not_hidden_by_another_runtime() -> None:
    broken = Runtime(12060)
    broken.fail("cudaGetDeviceCount", "cudaErrorMemoryAllocation")
    with pytest.raises(CudaError, match="cudaErrorMemoryAllocation"):
        chosen(broken, Runtime(12020))


def test_a_device_without_a_name(fake: FakeCuda) -> None:
    fake.name = b""
    assert Cuda(fake).device().name == "GPU"


@pytest.mark.gpu
def test_a_real_gpu() -> None:
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
