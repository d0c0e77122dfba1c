"""Opens an ONNX model in ONNX Runtime, once it is known to be one of ours and to name no other files. Shell."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge import manifest as manifests
from edge.engines import onnx_metadata
from edge.engines.onnx_network import without_preprocessing
from edge.engines.onnx_parts import clip_part, detector_part
from edge.engines.protobuf import ProtobufError
from edge.inference import EngineError
from edge.manifest import Manifest, ManifestError, Preprocessing
from edge.text import first_line

DEFORMABLE_REMEDY = (
    "deformable convolutions need onnxruntime 1.25 or newer, which needs Python 3.11: pip install 'onnxruntime>=1.25', "
    "or take a network without them, dla_34_plain or res_18 of korsal-train --arch"
)
MANY = 1 << 16  # images: the limit of a model for any batch is memory


@dataclass(frozen=True)
class CheckedModel:
    """A model that may be opened: by `source`, the file's name or the content to open instead; `path` is the file.

    `clip`: the content with the network that makes maps of clips, of a model that sees them; else b"".
    """

    path: Path
    source: str | bytes
    manifest: Manifest
    clip: bytes = b""


def read(path: Path, preprocessing: Preprocessing) -> CheckedModel:
    """The model in that file, unless it is none or names other files; for "outside" its network alone.

    Raises EngineError.
    """
    try:
        content = path.read_bytes()
        fault = onnx_metadata.fault(content)
    except OSError as error:
        raise EngineError(
            f"{path}: cannot be read ({error.strerror}); check its permissions, or copy it again"
        ) from error
    if fault:
        raise EngineError(f"{path}: {fault}")
    try:
        manifest = _manifest(path, content)
        if manifest.preprocessing == "graph" and preprocessing == "outside":
            return CheckedModel(path, *without_preprocessing(content, manifest))
        if manifest.clip is not None:
            return CheckedModel(path, detector_part(content), manifest, clip_part(content))
    except ProtobufError as error:
        raise EngineError(f"{path}: {error}; export it again") from error
    return CheckedModel(path, str(path), manifest)


def _manifest(path: Path, content: bytes) -> Manifest:
    text = onnx_metadata.read(content).get(manifests.METADATA_KEY)
    if text is None:
        raise EngineError(f"{path}: has no korsal-edge manifest; export it with korsal-convert export")
    try:
        return manifests.from_json(text)
    except ManifestError as error:
        raise EngineError(f"{path}: {error}") from error


def open_session(
    onnxruntime: Any, model: CheckedModel, threads: int, providers: Mapping[str, Mapping[str, str]]
) -> Any:
    """An InferenceSession; `threads` for one operator, 0 for as many as there are cores. Raises EngineError."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # threads that wait busily would take the cores from the motion map and from the session of a memory
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            model.source,
            options,
            providers=list(providers.items()),
            disabled_optimizers=_wrong_optimizers(model.manifest),
        )
    except failures() as error:
        refusal = first_line(error)
        raise EngineError(
            f"{model.path}: onnxruntime {onnxruntime.__version__} cannot load it ({refusal}); {_remedy(refusal)}"
        ) from error
    session.disable_fallback()  # silently to other providers at run time
    return session


def largest_batch(session: Any) -> int:
    """The batch that a model was exported for; MANY for any batch."""
    batch = session.get_inputs()[0].shape[0]
    return batch if isinstance(batch, int) else MANY


def failures() -> tuple[type[Exception], ...]:
    """The exceptions of onnxruntime: a class for each status, without a common base, more with each release."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (*own, RuntimeError, ValueError)


def _wrong_optimizers(manifest: Manifest) -> set[str]:
    """The optimizers that change what a file answers: its biases, quantised with scales in FP16, lose most bits."""
    return {"WeightBiasQuantization"} if "rest" in manifests.quantisation(manifest) else set()


def _remedy(refusal: str) -> str:
    """The remedy for ONNX Runtime's refusal; before 1.25 it has no deformable convolutions."""
    return DEFORMABLE_REMEDY if "DeformConv" in refusal else "export or copy it again"
