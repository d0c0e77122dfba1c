"""Opens an ONNX model in ONNX Runtime as an `Engine`. Shell."""

import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edge import manifest as manifests
from edge.engines import onnx_metadata
from edge.engines.deadline import DeadlineError, within
from edge.engines.onnx_network import without_preprocessing
from edge.engines.protobuf import ProtobufError
from edge.files import sha256_of
from edge.graph_inference import ANY_SIZE, GraphInference, zeros
from edge.inference import Engine, EngineError, Infer
from edge.manifest import INPUT, Manifest, ManifestError, Preprocessing, input_shapes, output_shapes
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


def load(
    path: Path,
    threads: int = 0,
    providers: Sequence[str] = (),
    directory: Path | None = None,
    preprocessing: Preprocessing = "outside",
) -> Engine:
    """Open the ONNX model at `path`. Raises EngineError.

    `threads` for one operator, 0 for as many as there are cores; `providers` are ONNX Runtime's execution providers in
    order of preference, the CPU's always last; `directory` is where TensorrtExecutionProvider keeps what it builds,
    None for nowhere. A model that prepares frames itself does so only where `preprocessing` is "graph"; otherwise its
    network alone is opened. The model runs once, on zeros, before this returns.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError("onnxruntime is not installed: pip install 'korsal-edge[cpu]'") from error
    if not path.is_file():
        raise EngineError(f"{path}: no such model; give an ONNX file that korsal-convert wrote")
    content = _checked_content(path)
    model = str(path) if preprocessing == "graph" else _network_alone(path, content)
    given, wrong = _with_options(onnxruntime, providers, directory), _wrong_optimizers(content)
    running = onnxruntime.RunOptions()
    open_session = partial(_session, onnxruntime, path, model, threads, given, wrong)
    open_now = partial(_opened, open_session, path, providers, running)
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
    infer = _infer(session, manifest, _failures(), path, running)
    runtime = f"onnxruntime {onnxruntime.__version__}{_active_provider(session, path, providers)}"
    loaded = Engine(infer, manifest, sha256_of(path), runtime, _largest_batch(session))
    if manifest.preprocessing == "graph":
        loaded = replace(loaded, run_frames=GraphInference(infer, manifest), preprocessor="graph")
    _run_once(loaded, path)
    return loaded


def _checked_content(path: Path) -> bytes:
    """The file, unless it is not ONNX or names other files, before anything else reads it."""
    try:
        content = path.read_bytes()
        fault = onnx_metadata.fault(content)
    except OSError as error:
        raise EngineError(
            f"{path}: cannot be read ({error.strerror}); check its permissions, or copy it again"
        ) from error
    if fault:
        raise EngineError(f"{path}: {fault}")
    return content


def _network_alone(path: Path, content: bytes) -> str | bytes:
    """What to open for a prepared input: the file, or only the network in it where it would prepare frames itself."""
    try:
        manifest = manifests.from_json(onnx_metadata.read(content).get(manifests.METADATA_KEY, ""))
        return without_preprocessing(content, manifest)[0] if manifest.preprocessing == "graph" else str(path)
    except ManifestError:  # said once the session is open
        return str(path)
    except ProtobufError as error:
        raise EngineError(f"{path}: {error}; export it again") from error


def _wrong_optimizers(content: bytes) -> AbstractSet[str]:
    """The optimizers that change what a file answers: its biases, quantised with scales in FP16, lose most bits."""
    try:
        manifest = manifests.from_json(onnx_metadata.read(content).get(manifests.METADATA_KEY, ""))
    except (ManifestError, ProtobufError):  # said once the session is open
        return frozenset()
    return {"WeightBiasQuantization"} if "rest" in manifests.quantisation(manifest) else frozenset()


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


def _session(
    onnxruntime: Any,
    path: Path,
    model: str | bytes,
    threads: int,
    providers: Mapping[str, Mapping[str, str]],
    disabled: AbstractSet[str],
) -> Any:
    """`model`: the file's name or content; `path` is for messages; `disabled`: of ONNX Runtime's own optimizers."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            model, options, providers=list(providers.items()), disabled_optimizers=set(disabled)
        )
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
    """The network must match its manifest: inputs of these shapes, frames of any size, and all outputs."""
    expected = {name: shape[1:] for name, shape in input_shapes(manifest, 1, ANY_SIZE).items()}
    inputs = {one.name: _sizes(one.shape[1:], expected.get(one.name, ())) for one in session.get_inputs()}
    if inputs != expected:
        raise EngineError(
            f"{path}: its input is {inputs}, but its manifest says "
            f"{' and '.join(f'{name} {shape}' for name, shape in expected.items())} "
            f"{'(channels, height, width)' if INPUT in expected else '(-1: any)'}; export it again"
        )
    given = {one.name for one in session.get_outputs()}
    absent = [name for name in output_shapes(manifest, 1) if name not in given]
    if absent:
        raise EngineError(f"{path}: has no output {absent[0]}; export it with korsal-convert export")


def _sizes(found: Sequence[Any], expected: Sequence[int]) -> tuple[Any, ...]:
    """A tensor's sizes, -1 for those of no fixed size where any is expected."""
    any_size = [size == -1 for size in expected] + [False] * (len(found) - len(expected))
    return tuple(
        -1 if free and not isinstance(size, int) else size for size, free in zip(found, any_size, strict=False)
    )


def _infer(session: Any, manifest: Manifest, failures: tuple[type[Exception], ...], path: Path, options: Any) -> Infer:
    names = list(output_shapes(manifest, 1))

    def infer(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        try:
            return dict(zip(names, session.run(names, dict(inputs), options), strict=True))
        except failures as error:
            raise EngineError(f"{path}: does not run ({first_line(error)}); export it again") from error

    return infer


def _run_once(engine: Engine, path: Path) -> None:
    manifest = engine.manifest
    shapes = {name: value.shape for name, value in engine.infer(zeros(manifest)).items()}
    expected = output_shapes(manifest, 1)
    wrong = [name for name in expected if shapes[name] != expected[name]]
    if wrong:
        raise EngineError(
            f"{path}: its output {wrong[0]} is {shapes[wrong[0]]}, but its manifest says {expected[wrong[0]]} "
            f"({manifest.top_k} peaks, {len(manifest.labels)} actions); export it again"
        )


def _remedy(refusal: str) -> str:
    """The remedy for ONNX Runtime's refusal; before 1.25 it has no deformable convolutions."""
    return DEFORMABLE_REMEDY if "DeformConv" in refusal else "export or copy it again"
