"""`korsal-convert build`: ONNX → TensorRT engine on this device; or what another one would do, in words. Shell.

The work is edge's: a daemon that starts for the first time builds its engine by itself, and without this package.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.engines import engine_build, engine_record, memory_file
from edge.engines.build_progress import percent_messages
from edge.engines.cuda_runtime import CudaDevice
from edge.engines.engine_record import EngineRecord
from edge.engines.tensorrt_build_plan import BuildOptions, version_text
from edge.engines.tensorrt_builder import EngineBuildError
from edge.manifest import Manifest

JETPACKS = {  # JetPack: the TensorRT that comes with it
    "6.0": "8.6.2",
    "6.1": "10.3.0",
    "6.2": "10.3.0",
    "6.2.1": "10.3.0",
    "7.0": "10.13",
    "7.1": "10.13",
    "7.2": "10.16",
    "7.2.1": "10.16",
    "7.2.2": "11.4",
}
OF_TWO = "sees clips, and has two networks: the daemon builds an engine of each; name the ONNX in [model] path"
CONTENTS = {  # by the manifest's precision
    "fp32": "FP32 throughout",
    "fp16": "FP16 by casts in the file",
    "int8": "INT8 by Q/DQ in the file",
}


def build(
    onnx: Path,
    output: Path,
    options: BuildOptions,
    report: Callable[[str], None],
    trt: Any,
    device: CudaDevice | None = None,
    timing_cache: Path | None = None,
) -> EngineRecord:
    """Build the engine `output` with the bindings `trt`, for `device`; a memory is copied beside it.

    Raises EngineBuildError, for a model that sees clips too, and MemoryFileError.

    `report` is called with the progress, where TensorRT reports it (since 10), and with the result.
    """
    manifest = engine_build.read_model(onnx)[1]
    if manifest.clip is not None:
        raise EngineBuildError(f"{onnx}: {OF_TWO}")
    memory_file.copy_beside(onnx, output, manifest.memory)
    platform = engine_build.platform_of(trt, device)
    report(f"{onnx}: building with TensorRT {platform.tensorrt}; on a Jetson this takes minutes")
    record = engine_build.build(trt, onnx, output, options, platform, timing_cache, percent_messages(report))
    report(summary(output, record))
    return record


def summary(engine: Path, record: EngineRecord) -> str:
    """One line about an engine that was built."""
    gpu = f", for {record.platform.gpu} ({record.platform.compute_capability})" if record.platform.gpu else ""
    size = engine.stat().st_size / 1e6
    return (
        f"{engine}: {record.manifest.name}, {record.precision}, {_batches(record.options)}, {size:.1f} MB, "
        f"TensorRT {record.platform.tensorrt}{gpu}"
    )


def dry_run(onnx: Path, output: Path, options: BuildOptions, target: str) -> str:
    """What `build` would do where `target` runs: a TensorRT ("10.3") or a JetPack ("JetPack 6.2"). Raises
    EngineBuildError, as that build would."""
    tensorrt_of(target)
    return planned(onnx, engine_build.read_model(onnx)[1], output, options, target)


def planned(onnx: Path, manifest: Manifest, output: Path, options: BuildOptions, target: str) -> str:
    """As `dry_run`, of an ONNX that need not be there yet: `manifest` is the one that it will hold."""
    version = tensorrt_of(target)
    plan = engine_build.plan_for(onnx, manifest, version, options.precision)
    weak = "chosen by the builder among what the flags allow" + ", FP32 for the preprocessing" * plan.constrained
    rows = {
        "reads": f"{onnx}: {CONTENTS[manifest.precision]}",
        "network flags": " ".join(plan.network_flags) or "none",
        "builder flags": " ".join(plan.builder_flags) or "none",
        "types": "those of the file" if plan.strongly_typed else weak,
        "batches": f"{_batches(options)}, tuned for {options.max_batch}",
        "workspace": f"{options.workspace_bytes >> 20} MiB",
        "writes": OF_TWO if manifest.clip else f"{output} and {engine_record.beside(output)}",
    }
    title = f"TensorRT {version_text(plan.version)} would build {plan.precision}:"
    return "\n".join([title, *(f"  {name:14} {text}" for name, text in rows.items())])


def tensorrt_of(target: str) -> str:
    """The TensorRT of "JetPack 6.2"; every other text as it is. Raises EngineBuildError."""
    found = re.fullmatch(r"\s*jetpack\s*([\d.]+)\s*", target, re.IGNORECASE)
    if found is None:
        return target
    if found[1] not in JETPACKS:
        raise EngineBuildError(
            f"{target}: its TensorRT is not known here; give its version, which `dpkg -l libnvinfer-bin` prints there, "
            f"or one of the JetPacks {', '.join(JETPACKS)}"
        )
    return JETPACKS[found[1]]


def _batches(options: BuildOptions) -> str:
    return "batches of 1" if options.max_batch == 1 else f"batches of 1 to {options.max_batch}"
