"""Opens a model's memory in ONNX Runtime, whatever runs its detector. Shell."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engines import memory_file, onnxruntime_opening
from edge.engines.engine_tensors import memory_inputs, memory_outputs
from edge.engines.memory_file import memory_path
from edge.engines.onnxruntime_providers import TENSORRT, active_provider, with_options
from edge.engines.onnxruntime_session import CheckedModel, failures, largest_batch, open_session
from edge.inference import EngineError, Infer, StreamingMemory
from edge.manifest import Manifest
from edge.memory_network import MemoryNetwork
from edge.text import first_line


def load(
    detector: Path,
    manifest: Manifest,
    threads: int = 0,
    providers: Sequence[str] = (),
    directory: Path | None = None,
) -> StreamingMemory | None:
    """The memory of the model at `detector`, of that manifest; None for a model without. Raises EngineError.

    `threads`, `providers` and `directory` are those of `edge.engines.onnxruntime_engine.load`. The memory runs once, on
    zeros, before this returns.
    """
    if (network := manifest.memory) is None:
        return None
    model = CheckedModel(memory_path(detector, network), memory_file.read(detector, network), manifest)
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(f"{model.path}: needs onnxruntime: pip install 'korsal-edge[cpu]'") from error
    given, running = with_options(onnxruntime, providers, directory), onnxruntime.RunOptions()
    build = partial(open_session, onnxruntime, model, threads, given)
    open_now = partial(_opened, model, network, build, providers, running)
    return onnxruntime_opening.opened(model.path, open_now, running, builds=TENSORRT in given)


def _opened(
    model: CheckedModel, network: MemoryNetwork, build: Callable[[], Any], providers: Sequence[str], running: Any
) -> StreamingMemory:
    """The memory, once it has run. `providers`: those requested; `running`: the options of each run."""
    import onnxruntime

    session, path = build(), model.path
    _check_interface(session, network, path)
    infer = _infer(session, network, path, running)
    _run_once(infer, network, path)
    runtime = f"onnxruntime {onnxruntime.__version__}{active_provider(session, path, providers)}"
    return StreamingMemory(infer, network, model.manifest.rate, path, runtime, largest_batch(session))


def _check_interface(session: Any, network: MemoryNetwork, path: Path) -> None:
    """The file must have the inputs and outputs that the detector's manifest names."""
    given = {one.name: tuple(one.shape[1:]) for one in session.get_inputs()}
    expected = {name: shape[1:] for name, shape in memory_inputs(network, 1).items()}
    outputs = {one.name for one in session.get_outputs()}
    wrong = [name for name in {**expected, **given} if given.get(name) != expected.get(name)]
    wrong += [name for name in memory_outputs(network, 1) if name not in outputs]
    if wrong:
        raise EngineError(f"{path}: its {wrong[0]} is not as the detector's manifest says; export both again")


def _infer(session: Any, network: MemoryNetwork, path: Path, options: Any) -> Infer:
    names, raised = list(memory_outputs(network, 1)), failures()

    def infer(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        try:
            return dict(zip(names, session.run(names, dict(inputs), options), strict=True))
        except raised as error:
            raise EngineError(f"{path}: does not run ({first_line(error)}); export it again") from error

    return infer


def _run_once(infer: Infer, network: MemoryNetwork, path: Path) -> None:
    answer = infer({name: np.zeros(shape, np.float32) for name, shape in memory_inputs(network, 1).items()})
    wrong = [name for name, shape in memory_outputs(network, 1).items() if answer[name].shape != shape]
    if wrong:
        raise EngineError(
            f"{path}: its output {wrong[0]} is {answer[wrong[0]].shape}, but the detector's manifest says "
            f"{memory_outputs(network, 1)[wrong[0]]}; export both again"
        )
