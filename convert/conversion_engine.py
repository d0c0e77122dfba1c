"""The last step of a conversion: the engine of the file that was made, compared with FP32, where TensorRT is. Shell."""

from pathlib import Path
from typing import Any

from convert import build
from convert.check import CheckError
from convert.gate import Gate
from edge.engines import engine_build, engine_files, tensorrt_engine
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.engines.tensorrt_builder import EngineBuildError
from edge.engines.tensorrt_errors import TensorRtError


def build_engine(
    onnx: Path, target: Path, options: BuildOptions, gate: Gate, strongly_typed: Path | None = None
) -> Path | None:
    """Build `target` from `onnx` and compare it with FP32; without TensorRT None, and a hint how to build it.

    `strongly_typed`: the file to build from instead where TensorRT takes types from the file, as it does since 10.
    Raises CheckError where it loses too much, EngineBuildError, CudaError, and what the gate raises. In these cases
    `target` keeps its old content.
    """
    try:
        trt, cuda = tensorrt_engine.bindings()
    except TensorRtError as error:
        gate.notify(f"{target}: {_build_hint(onnx, target, options, strongly_typed)}; not here: {error}")
        return None
    if strongly_typed is not None and is_strongly_typed(strongly_typed, trt):
        onnx = strongly_typed
    with engine_files.candidate(target) as made:

        def notify(message: str) -> None:  # under the name that the engine is to have
            gate.notify(message.replace(made.name, target.name))

        build.build(onnx, made, options, notify, trt, cuda.device())
        if (lost := gate.refuses(made, target.name)) is not None:
            raise CheckError(
                f"{target}: its engine loses {lost:.2f} points of frame-mAP@0.5, {gate.max_drop:g} are allowed; "
                f"choose another --precision, or allow more with --max-map-drop ({onnx} itself has passed)"
            )
        try:
            engine_files.move(made, target)
        except OSError as error:
            raise EngineBuildError(f"{target}: cannot be written ({error.strerror}); choose another -o") from error
    return target


def is_strongly_typed(onnx: Path, trt: Any) -> bool:
    """Whether that TensorRT computes in the types of the file."""
    manifest = engine_build.read_model(onnx)[1]
    members = engine_build.members_of(trt)
    return engine_build.plan_for(onnx, manifest, str(trt.__version__), None, members).strongly_typed


def _build_hint(onnx: Path, target: Path, options: BuildOptions, strongly_typed: Path | None) -> str:
    """How the engine is built where TensorRT is."""
    older = ""
    if strongly_typed is not None:
        onnx, older = strongly_typed, f" (of {onnx.name} with TensorRT 8.6)"
    batch = f" --max-batch {options.max_batch}" if options.max_batch > 1 else ""
    return (
        f"is built on the Jetson, by korsal-convert build {onnx.name} -o {target.name}{batch}{older}, "
        f"or by the daemon at its first start with {onnx.name}"
    )
