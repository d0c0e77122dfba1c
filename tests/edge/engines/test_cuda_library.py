"""The calls through ctypes: into a library compiled here, and into NVIDIA's own runtimes where they are installed."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge.engines import cuda_library, cuda_runtime
from edge.engines.cuda_library import CudaLibrary, device_name, libraries, places
from edge.engines.cuda_runtime import Cuda, CudaDevice, CudaError, view
from tests.support.paths import ROOT

SOURCE = ROOT / "tests" / "support" / "libcudart.c"
HIGH = 0x1234500000000000


def compiled(target: Path, runtime: int = 12060, driver: int = 12060) -> Path:
    """A runtime of that CUDA, for a driver of that CUDA. Skips the test without a C compiler."""
    if (compiler := shutil.which("cc") or shutil.which("gcc")) is None:
        pytest.skip("no C compiler is installed: sudo apt-get install gcc")
    target.parent.mkdir(parents=True, exist_ok=True)
    options = ["-shared", "-fPIC", "-Wall", "-Werror", f"-DRUNTIME={runtime}", f"-DDRIVER={driver}"]
    subprocess.run([compiler, *options, "-o", target, SOURCE], check=True)
    return target


@pytest.fixture
def cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cuda:
    path = compiled(tmp_path / "libcudart.so.12")
    monkeypatch.setattr(cuda_library, "device_name", lambda index: device_name(index, str(path)))
    return Cuda(CudaLibrary(str(path)))


def test_the_device(cuda: Cuda) -> None:
    assert cuda.device_count() == 1
    assert cuda.device() == CudaDevice("Orin", (8, 7), (12, 6), (12, 6))


def test_addresses_and_sizes_keep_all_their_bits(cuda: Cuda) -> None:
    address = cuda.allocate(5 << 32)
    assert address == HIGH + (5 << 32)
    cuda.free(address)
    pinned = cuda.allocate_pinned(24)
    assert pinned == HIGH + 24
    cuda.free_pinned(pinned)


def test_streams_and_graphs(cuda: Cuda) -> None:
    stream = cuda.create_stream()
    assert stream == HIGH + 101  # non-blocking
    graph = cuda.capture(stream, lambda: None)
    cuda.launch(graph, stream)
    cuda.synchronize(stream)
    cuda.destroy_graph(graph)
    cuda.destroy_stream(stream)


def test_copies_go_where_they_shall(cuda: Cuda) -> None:
    numbers, copied = np.arange(8, dtype=np.float32), np.zeros(8, np.float32)
    cuda.upload(copied.ctypes.data, numbers.ctypes.data, numbers.nbytes, HIGH + 101)
    assert copied.tolist() == numbers.tolist()
    copied[:] = 0
    cuda.download(copied.ctypes.data, numbers.ctypes.data, 8, HIGH + 101)
    assert view(copied.ctypes.data, (8,), copied.dtype).tolist() == [0, 1, 0, 0, 0, 0, 0, 0]


def test_a_failure_has_its_name_and_is_not_blamed_on_the_next_call(cuda: Cuda) -> None:
    with pytest.raises(CudaError, match="cudaFree: cudaErrorInvalidValue; restart") as caught:
        cuda.free(1)
    assert caught.value.status == "cudaErrorInvalidValue"
    cuda.free(HIGH + (5 << 32))


def test_a_status_without_a_name_is_told_by_its_number(cuda: Cuda) -> None:
    library = CudaLibrary(cuda.library)
    status = library._status(4711)
    assert (status.value, status.name) == (4711, "")


def test_a_device_that_is_not_there(cuda: Cuda) -> None:
    with pytest.raises(CudaError, match="cudaDeviceGetAttribute: cudaErrorInvalidValue"):
        cuda.device(1)
    assert device_name(1, cuda.library) == b""
    assert device_name(0, "/no/libcuda.so.1") == b""


def test_the_runtime_of_jetpack_is_taken_before_a_newer_one(tmp_path: Path) -> None:
    newer, newest, ours, older = (
        str(compiled(tmp_path / str(version) / "libcudart.so", version)) for version in (12090, 13000, 12060, 12020)
    )
    found = libraries([newer, newest, older, ours, str(tmp_path / "absent.so")])
    assert [library.path for library in found] == [ours, older, newer, newest]
    assert cuda_runtime.installed(lambda: found).library == ours


def test_only_newer_runtimes_are_refused_with_both_versions(tmp_path: Path) -> None:
    newer, newest = (str(compiled(tmp_path / str(v) / "libcudart.so", v)) for v in (12090, 13000))
    with pytest.raises(CudaError, match=r"driver here is 12\.6 .* runtime 12\.9 .*install cuda-cudart-12-6\)"):
        cuda_runtime.installed(lambda: libraries([newest, newer]))


def test_what_is_no_runtime_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "libcudart.so.12").write_bytes(b"no library at all")
    assert libraries([str(tmp_path / "libcudart.so.12"), "libc.so.6", str(tmp_path)]) == []


def test_where_runtimes_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JetPack's links from folder to folder lead to one file, which is named once."""
    real = tmp_path / "usr/local/cuda-12.6/targets/aarch64-linux/lib/libcudart.so.12.6.68"
    wheel, given = (tmp_path / part / "libcudart.so.13" for part in ("site/nvidia/cu13/lib", "mine"))
    for file in (real, wheel, given):
        file.parent.mkdir(parents=True)
        file.touch()
    real.with_name("libcudart.so.12").symlink_to(real.name)
    (tmp_path / "usr/local/cuda-12.6/lib64").symlink_to("targets/aarch64-linux/lib")
    (tmp_path / "usr/local/cuda").symlink_to("cuda-12.6")
    (real.parent / "libcudart.so.9").symlink_to("nowhere")
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{given.parent}{os.pathsep}")
    found = places(tmp_path, [str(tmp_path / "site")])
    assert found == [*map(str, (given, real, wheel)), *cuda_library.NAMES]


def test_nvidias_own_runtimes_have_every_call_and_tell_why_there_is_no_gpu() -> None:
    """Of the wheels nvidia-cuda-runtime; a card is not needed to see that the names are there."""
    found = libraries()
    if not found:
        pytest.skip("no CUDA runtime is installed: pip install nvidia-cuda-runtime")
    for library in found:
        cuda = Cuda(library)
        assert (11, 4) <= cuda.runtime_version() < (20, 0)
        if cuda.driver_version() == (0, 0):
            with pytest.raises(CudaError, match="cudaGetDeviceCount: cudaErrorInsufficientDriver"):
                cuda.device_count()
