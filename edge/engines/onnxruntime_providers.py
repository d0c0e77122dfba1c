"""ONNX Runtime's execution providers: which are requested with which options, which run the model. Shell."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.inference import EngineError

log = logging.getLogger(__name__)

CPU, CUDA, TENSORRT = (f"{kind}ExecutionProvider" for kind in ("CPU", "CUDA", "Tensorrt"))


def with_options(onnxruntime: Any, providers: Sequence[str], directory: Path | None) -> dict[str, dict[str, str]]:
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


def active_provider(session: Any, path: Path, requested: Sequence[str]) -> str:
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
