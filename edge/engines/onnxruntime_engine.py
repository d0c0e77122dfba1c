"""Opens an ONNX model in ONNX Runtime as an `Engine`. Shell."""

import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import manifest as manifests
from edge.engines import onnx_metadata
from edge.engines.deadline import DeadlineError, within
from edge.files import sha256_of
from edge.inference import Engine, EngineError, Infer
from edge.manifest import INPUT, OUTPUTS, Manifest, ManifestError, input_shape, output_shapes
from edge.text import first_line
from edge.threads import ThreadError

log = logging.getLogger(__name__)

DEFORMABLE_REMEDY = (
    "deformable convolutions need onnxruntime 1.25 or newer, which needs Python 3.11: pip install 'onnxruntime>=1.25', "
    "or take a network without them, dla_34_plain or res_18 of korsal-train --arch"
)
LOAD_SECONDS = 120.0  # for opening a model and its first answer
MANY = 1 << 16  # images: the limit of a model for any batch is memory
CPU, CUDA, TENSORRT = (f"{kind}ExecutionProvider" for kind in ("CPU", "CUDA", "Tensorrt"))


def load(path: Path, threads: int = 0, providers: Sequence[str] = (), directory: Path | None = None) -> Engine:
    """Open the ONNX model at `path`. Raises EngineError.

    `threads` for one operator, 0 for as many as there are cores; `providers` are ONNX Runtime's execution providers in
    order of preference, the CPU's always last; `directory` is where TensorrtExecutionProvider keeps what it builds,
    None for nowhere. The model runs once, on zeros, before this returns.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError("onnxruntime is not installed: pip install 'korsal-edge[cpu]'") from error
    if not path.is_file():
        raise EngineError(f"{path}: no such model; give an ONNX file that korsal-convert wrote")
    _check_content(path)
    given = _with_options(onnxruntime, providers, directory)
    running = onnxruntime.RunOptions()
    open_now = partial(_opened, partial(_session, onnxruntime, path, threads, given), path, providers, running)
    try:
        with _output_logged(path):
            if TENSORRT in given:  # builds an engine first, which takes minutes
                return open_now()
            return within(LOAD_SECONDS, open_now, lambda: setattr(running, "terminate", True))
    except ThreadError as error:
        raise EngineError(f"{path}: {error}") from error
    except DeadlineError as error:
        raise EngineError(
            f"{path}: did not open and answer within {LOAD_SECONDS:g} s; it computes without end, or far too much for "
            "this machine: export it again"
        ) from error


@contextmanager
def _output_logged(path: Path) -> Iterator[None]:
    """Log what ONNX Runtime prints inside: why a provider does not start.

    It wraps the deadline, not the other way round: a thread left behind would keep the program's output redirected.
    """
    with redirect_stdout(io.StringIO()) as printed:
        yield
    if printed.getvalue():
        log.info("%s: %s", path, " ".join(printed.getvalue().replace("*", "").split()))


def _opened(open_session: Callable[[], Any], path: Path, providers: Sequence[str], running: Any) -> Engine:
    """The model, once it has run. `providers`: those requested; `running`: the options of each run."""
    import onnxruntime

    session = open_session()
    manifest = _manifest(session, path)
    _check_interface(session, manifest, path)
    infer = _infer(session, _failures(), path, running)
    runtime = f"onnxruntime {onnxruntime.__version__}{_active_provider(session, path, providers)}"
    loaded = Engine(infer, manifest, sha256_of(path), runtime, _largest_batch(session))
    _run_once(loaded, path)
    return loaded


def _check_content(path: Path) -> None:
    """Refuse a file that is not ONNX or that names other files, before anything else reads it."""
    try:
        fault = onnx_metadata.fault(path.read_bytes())
    except OSError as error:
        raise EngineError(
            f"{path}: cannot be read ({error.strerror}); check its permissions, or copy it again"
        ) from error
    if fault:
        raise EngineError(f"{path}: {fault}")


def _with_options(onnxruntime: Any, providers: Sequence[str], directory: Path | None) -> dict[str, dict[str, str]]:
    """The providers to request, in order, with their options: CUDA takes what TensorRT leaves, the CPU the rest."""
    compiled_in = onnxruntime.get_available_providers()
    missing = [name for name in providers if name not in compiled_in]
    if missing:
        raise EngineError(f"model.providers: this onnxruntime has no {missing[0]}; it has {', '.join(compiled_in)}")
    requested: dict[str, dict[str, str]] = {}
    for name in providers:
        requested[name] = _cached_in(directory) if name == TENSORRT and directory else {}
        if name == TENSORRT and CUDA in compiled_in and CUDA not in providers:
            requested[CUDA] = {}
    return {**requested, CPU: {}} if CPU not in requested else requested


def _cached_in(directory: Path) -> dict[str, str]:
    """The options that make TensorrtExecutionProvider keep engines and timings there. Raises EngineError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(
            f"{directory}: cannot be created ({error.strerror}); name a directory that this user may write to "
            "([outbox] directory)"
        ) from error
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(directory),
        "trt_timing_cache_enable": "1",
    }


def _session(onnxruntime: Any, path: Path, threads: int, providers: Mapping[str, Mapping[str, str]]) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=list(providers.items()))
    except _failures() as error:
        refusal = first_line(error)
        raise EngineError(
            f"{path}: onnxruntime {onnxruntime.__version__} cannot load it ({refusal}); {_remedy(refusal)}"
        ) from error
    session.disable_fallback()  # silently to other providers at run time
    return session


def _active_provider(session: Any, path: Path, requested: Sequence[str]) -> str:
    """The provider that runs the model, after a space; "" for the CPU. Logs those that did not start.

    A provider that is compiled in may lack its libraries or its GPU; then ONNX Runtime takes the next one without a
    message in our log.
    """
    active = session.get_providers()
    absent = [name for name in requested if name not in active]
    if absent:
        log.warning(
            "%s: %s did not start, %s runs the model; install the GPU's driver and the CUDA, cuDNN and TensorRT that "
            "this onnxruntime was built for",
            path,
            ", ".join(absent),
            active[0],
        )
    return "" if active[0] == CPU else f" {active[0]}"


def _failures() -> tuple[type[Exception], ...]:
    """The exceptions of onnxruntime: a class for each status, without a common base, more with each release."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (*own, RuntimeError, ValueError)


def _manifest(session: Any, path: Path) -> Manifest:
    text = session.get_modelmeta().custom_metadata_map.get(manifests.METADATA_KEY)
    if text is None:
        raise EngineError(f"{path}: has no korsal-edge manifest; export it with korsal-convert export")
    try:
        return manifests.from_json(text)
    except ManifestError as error:
        raise EngineError(f"{path}: {error}") from error


def _largest_batch(session: Any) -> int:
    """The batch that a model was exported for; MANY for any batch."""
    batch = session.get_inputs()[0].shape[0]
    return batch if isinstance(batch, int) else MANY


def _check_interface(session: Any, manifest: Manifest, path: Path) -> None:
    """The network must match its manifest: one input of that shape, the four outputs."""
    expected = input_shape(manifest, 1)[1:]
    inputs = {i.name: tuple(i.shape[1:]) for i in session.get_inputs()}
    if inputs != {INPUT: expected}:
        raise EngineError(
            f"{path}: its input is {inputs}, but its manifest says {INPUT} {expected} "
            "(channels, height, width); export it again"
        )
    absent = [name for name in OUTPUTS if name not in {o.name for o in session.get_outputs()}]
    if absent:
        raise EngineError(f"{path}: has no output {absent[0]}; export it with korsal-convert export")


def _infer(session: Any, failures: tuple[type[Exception], ...], path: Path, options: Any) -> Infer:
    def infer(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        try:
            return dict(zip(OUTPUTS, session.run(OUTPUTS, dict(inputs), options), strict=True))
        except failures as error:
            raise EngineError(f"{path}: does not run ({first_line(error)}); export it again") from error

    return infer


def _run_once(engine: Engine, path: Path) -> None:
    manifest = engine.manifest
    zeros = np.zeros(input_shape(manifest, 1), np.float32)
    shapes = {name: value.shape for name, value in engine.infer({INPUT: zeros}).items()}
    expected = output_shapes(manifest, 1)
    wrong = [name for name in OUTPUTS if shapes[name] != expected[name]]
    if wrong:
        raise EngineError(
            f"{path}: its output {wrong[0]} is {shapes[wrong[0]]}, but its manifest says {expected[wrong[0]]} "
            f"({manifest.top_k} peaks, {len(manifest.labels)} actions); export it again"
        )


def _remedy(refusal: str) -> str:
    """The remedy for ONNX Runtime's refusal; before 1.25 it has no deformable convolutions."""
    return DEFORMABLE_REMEDY if "DeformConv" in refusal else "export or copy it again"
