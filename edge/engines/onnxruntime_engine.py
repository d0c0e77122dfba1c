"""Opens an ONNX model in ONNX Runtime as an `Engine`. Shell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edge.clip_inference import seeing_clips
from edge.engines import onnxruntime_clip, onnxruntime_memory, onnxruntime_opening, onnxruntime_session
from edge.engines.onnxruntime_providers import TENSORRT, active_provider, with_options
from edge.engines.onnxruntime_session import CheckedModel, failures, largest_batch, open_session
from edge.files import sha256_of
from edge.graph_inference import ANY_SIZE, GraphInference, zeros
from edge.inference import Engine, EngineError, Infer
from edge.manifest import INPUT, Manifest, Preprocessing, input_shapes, output_shapes
from edge.text import first_line


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
    network alone is opened. A model with a memory is opened together with it, by the same options, and of one that sees
    clips both networks. The model runs once, on zeros, before this returns.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError("onnxruntime is not installed: pip install 'korsal-edge[cpu]'") from error
    if not path.is_file():
        raise EngineError(f"{path}: no such model; give an ONNX file that korsal-convert wrote")
    model = onnxruntime_session.read(path, preprocessing)
    given = with_options(onnxruntime, providers, directory)
    running = onnxruntime.RunOptions()
    memory = onnxruntime_memory.load(path, model.manifest, threads, providers, directory)
    open_now = partial(_opened, model, partial(open_session, onnxruntime, model, threads, given), providers, running)
    loaded = onnxruntime_opening.opened(path, open_now, running, builds=TENSORRT in given)
    if not model.clip:
        return replace(loaded, memory=memory)
    branch, running = replace(model, source=model.clip), onnxruntime.RunOptions()
    build = partial(open_session, onnxruntime, branch, threads, given)
    open_branch = partial(onnxruntime_clip.opened, branch, build, running)
    return seeing_clips(loaded, onnxruntime_opening.opened(path, open_branch, running, builds=TENSORRT in given))


def _opened(model: CheckedModel, open_session: Callable[[], Any], providers: Sequence[str], running: Any) -> Engine:
    """The model, once it has run. `providers`: those requested; `running`: the options of each run."""
    import onnxruntime

    session, path, manifest = open_session(), model.path, model.manifest
    _check_interface(session, manifest, path)
    infer = _infer(session, manifest, failures(), path, running)
    runtime = f"onnxruntime {onnxruntime.__version__}{active_provider(session, path, providers)}"
    loaded = Engine(infer, manifest, sha256_of(path), runtime, largest_batch(session))
    if manifest.preprocessing == "graph":
        loaded = replace(loaded, run_frames=GraphInference(infer, manifest), preprocessor="graph")
    _run_once(loaded, path)
    return loaded


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


def _infer(session: Any, manifest: Manifest, raised: tuple[type[Exception], ...], path: Path, options: Any) -> Infer:
    names = list(output_shapes(manifest, 1))

    def infer(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        try:
            return dict(zip(names, session.run(names, dict(inputs), options), strict=True))
        except raised as error:
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
