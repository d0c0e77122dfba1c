"""The last step of the whole command: the TensorRT engine, where TensorRT is, compared with FP32. Shell."""

from pathlib import Path

from convert import build
from convert.check import CheckError
from convert.gate import Gate
from edge.engines import engine_files, tensorrt_engine
from edge.engines.build_plan import BuildOptions
from edge.engines.tensorrt_builder import EngineBuildError
from edge.engines.tensorrt_engine import TensorRtError


def engine(onnx: Path, target: Path, options: BuildOptions, gate: Gate) -> Path | None:
    """Build `target` of `onnx` and let it pass the gate; None where there is no TensorRT, which is told.

    Raises CheckError where it loses too much, EngineBuildError, CudaError, and what the gate raises. Then what lay at
    `target` lies there still.
    """
    try:
        trt, cuda = tensorrt_engine.bindings()
    except TensorRtError as error:
        gate.tell(f"{target}: {elsewhere(onnx, target, options)}; not here: {error}")
        return None
    with engine_files.candidate(target) as made:

        def tell(said: str) -> None:  # by the name that it is to have
            gate.tell(said.replace(made.name, target.name))

        build.build(onnx, made, options, tell, trt, cuda.device())
        if (lost := gate.refuses(made, target.name)) is not None:
            raise CheckError(
                f"{target}: its engine loses {lost:.2f} points of frame-mAP@0.5, {gate.max_drop:g} are allowed; "
                f"choose another --precision, or allow more by --max-map-drop ({onnx} itself has passed)"
            )
        try:
            engine_files.move(made, target)
        except OSError as error:
            raise EngineBuildError(f"{target}: cannot be written ({error.strerror}); choose another -o") from error
    return target


def elsewhere(onnx: Path, target: Path, options: BuildOptions) -> str:
    """How the engine is built where TensorRT is."""
    batch = f" --max-batch {options.max_batch}" if options.max_batch > 1 else ""
    return (
        f"is built on the Jetson, by korsal-convert build {onnx.name} -o {target.name}{batch}, "
        f"or by the daemon at its first start with {onnx.name}"
    )
