"""CUDA's runtime, libcudart, as this machine has it, called through ctypes. Shell.

The one that JetPack or the driver's packages bring fits the driver; one inside a Python package may be too new for it
(cudaErrorInsufficientDriver). Only functions are called whose signatures are the same in CUDA 12 and 13, and no
structure is read, for their layouts are not: cudaDeviceProp is another in each.
"""

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from ctypes import c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

CUDA_FOLDERS = ("usr/local/cuda/lib64", "usr/local/cuda-*/lib64", "usr/local/cuda*/targets/*/lib")
SYSTEM_FOLDERS = ("usr/lib/*-linux-gnu", "usr/lib64", "usr/lib")
PACKAGE_FOLDERS = ("nvidia/cuda_runtime/lib", "nvidia/cu1*/lib")  # of NVIDIA's wheels, below site-packages
PATTERN = "libcudart.so*"
NAMES = ("libcudart.so.13", "libcudart.so.12")  # for the loader, which knows LD_LIBRARY_PATH and ldconfig's folders
DRIVER = "libcuda.so.1"
NAME_BYTES = 256
SUCCESS, NOT_FOUND = 0, 500  # cudaErrorSymbolNotFound

OUT = object()  # the place of what a function returns through a pointer
ANSWERS: Mapping[str, tuple[Any, tuple[Any, ...]]] = {  # the type at OUT, and the types of all arguments
    "cudaDeviceGetAttribute": (c_int, (OUT, c_int, c_int)),
    "cudaDriverGetVersion": (c_int, (OUT,)),
    "cudaGetDeviceCount": (c_int, (OUT,)),
    "cudaGraphInstantiateWithFlags": (c_void_p, (OUT, c_void_p, c_ulonglong)),
    "cudaHostAlloc": (c_void_p, (OUT, c_size_t, c_uint)),
    "cudaMalloc": (c_void_p, (OUT, c_size_t)),
    "cudaRuntimeGetVersion": (c_int, (OUT,)),
    "cudaStreamCreateWithFlags": (c_void_p, (OUT, c_uint)),
    "cudaStreamEndCapture": (c_void_p, (c_void_p, OUT)),
}
STATUS_ONLY: Mapping[str, tuple[Any, ...]] = {
    "cudaFree": (c_void_p,),
    "cudaFreeHost": (c_void_p,),
    "cudaGetLastError": (),
    "cudaGraphDestroy": (c_void_p,),
    "cudaGraphExecDestroy": (c_void_p,),
    "cudaGraphLaunch": (c_void_p, c_void_p),
    "cudaMemcpyAsync": (c_void_p, c_void_p, c_size_t, c_int, c_void_p),
    "cudaStreamBeginCapture": (c_void_p, c_int),
    "cudaStreamDestroy": (c_void_p,),
    "cudaStreamSynchronize": (c_void_p,),
}


class CudaStatus(Protocol):
    """What a call returns: `value` is 0 after success."""

    @property
    def value(self) -> int:
        """CUDA's number."""

    @property
    def name(self) -> str:
        """CUDA's name for it, "cudaErrorMemoryAllocation"."""


class CudaCalls(Protocol):
    """What runs CUDA's functions by name."""

    def call(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        """The function's CudaStatus, then what it returns, None after a failure."""


@dataclass(frozen=True)
class _Status:
    value: int
    name: str


class CudaLibrary:
    """One libcudart. Raises OSError where it cannot be loaded, or is none of CUDA 11.4 or newer."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._library = ctypes.CDLL(path)
        try:
            for name, (_, types) in ANSWERS.items():
                getattr(self._library, name).argtypes = [c_void_p if kind is OUT else kind for kind in types]
            for name, types in STATUS_ONLY.items():
                getattr(self._library, name).argtypes = types
            self._library.cudaGetErrorName.argtypes, self._library.cudaGetErrorName.restype = [c_int], c_char_p
        except AttributeError as error:
            raise OSError(f"{path}: is not a CUDA runtime that fits ({error})") from error

    def call(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        """As CudaCalls says; `cuDeviceGetName` is the driver's, and its answer bytes."""
        if name == "cuDeviceGetName":
            return self._status(SUCCESS), device_name(*arguments)
        if name in STATUS_ONLY:
            return (self._status(getattr(self._library, name)(*arguments)),)
        kind, types = ANSWERS[name]
        answer, given = kind(), iter(arguments)
        status = getattr(self._library, name)(
            *(ctypes.addressof(answer) if place is OUT else next(given) for place in types)
        )
        return self._status(status), (answer.value or 0) if status == SUCCESS else None

    def _status(self, value: int) -> CudaStatus:
        return _Status(value, (self._library.cudaGetErrorName(value) or b"").decode(errors="replace"))


def device_name(index: int, library: str = DRIVER) -> bytes:
    """A GPU's name as the driver says it, for the runtime says it only in a structure; b"" where it does not."""
    name, device = ctypes.create_string_buffer(NAME_BYTES), c_int()
    try:
        driver = ctypes.CDLL(library)
        failed = driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), index)
        failed = failed or driver.cuDeviceGetName(name, NAME_BYTES, device)
    except (OSError, AttributeError):
        return b""
    return b"" if failed else name.value


def libraries(paths: Iterable[str] | None = None) -> list[CudaLibrary]:
    """Every runtime that can be loaded, those first that the driver is new enough for, the newest of them first.

    `paths`: where to look; None: in all the usual places.
    """
    opened: list[CudaLibrary] = []
    for path in places() if paths is None else paths:
        try:
            opened.append(CudaLibrary(path))
        except OSError:  # not there, for another processor, or too old
            continue
    return sorted(opened, key=_preference)


def places(root: Path = Path("/"), packages: Iterable[str] | None = None) -> list[str]:
    """The runtimes on this machine, each once; then the names by which the loader may find one elsewhere.

    `root` and `packages` (None: sys.path) are the folders to look in.
    """
    given = [Path(folder) for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    patterns = (*CUDA_FOLDERS, *SYSTEM_FOLDERS)
    inside = sys.path if packages is None else packages
    folders = [*given, *_matching(root, patterns)]
    for package in inside:
        folders += _matching(Path(package), PACKAGE_FOLDERS)
    found = [path.resolve() for folder in folders for path in sorted(folder.glob(PATTERN)) if path.is_file()]
    return [*map(str, dict.fromkeys(found)), *NAMES]


def _matching(root: Path, patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(root.glob(pattern))


def _preference(library: CudaLibrary) -> tuple[bool, int]:
    """A sort key: runtimes newer than the driver come last, the oldest of them first."""
    runtime, driver = (library.call(name)[1] or 0 for name in ("cudaRuntimeGetVersion", "cudaDriverGetVersion"))
    newer = runtime > driver
    return newer, runtime if newer else -runtime
