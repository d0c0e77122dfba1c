"""NVIDIA's own parser and builder, on a machine without a GPU: TensorRT-RTX, whose interface is that of TensorRT 11.

It parses an ONNX, checks its types and serialises an engine. It proves neither speed nor accuracy, nor a Jetson.
"""

from pathlib import Path
from typing import Any

import pytest

from edge.engines.engine_build import build
from edge.engines.engine_record import EngineRecord
from edge.engines.tensorrt_build_plan import BuildOptions, ModelPart

REASON = "tensorrt-rtx-cu13 is not installed: pip install tensorrt-rtx-cu13"
GPU = "SM86"  # its nearest to Orin's 8.7


def real_builder() -> Any:
    """The module; skips the test where it is absent."""
    return pytest.importorskip("tensorrt_rtx", reason=REASON)


def build_for_real(onnx: Path, folder: Path, max_batch: int = 2, part: ModelPart = "detector") -> EngineRecord:
    """Build the ONNX, or a part of it, into `folder`; raises EngineBuildError."""
    options = BuildOptions(max_batch=max_batch, workspace_bytes=1 << 28, part=part, target=GPU)
    return build(real_builder(), onnx, folder / f"{onnx.stem}.engine", options)
