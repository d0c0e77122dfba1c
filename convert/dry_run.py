"""What the whole conversion would do, step by step, as text. Shell: looks which videos exist."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from convert import build, conversion
from convert.conversion import ConversionOptions
from edge.engines import engine_build
from edge.manifest import Manifest, Preprocessing


def dry_run(options: ConversionOptions, tensorrt: str | None) -> str:
    """The steps; with a TensorRT ("10.3", "JetPack 6.2") also how that would build the engine.

    Raises what finding the videos raises, and EngineBuildError as the build would.
    """
    source = options.source
    rows = _rows(options, len(options.videos))
    lines = [
        f"{source.path} is {source.manifest.name}, {source.manifest.precision}; korsal-convert would",
        *map(_line, rows),
    ]
    if tensorrt is not None and options.builds_engine:
        target = options.file(".engine")
        inside: Preprocessing = "graph" if options.prepares else "outside"
        described = replace(source.manifest, precision=options.precision, preprocessing=inside)
        lines.append(build.planned(_built(options, described, tensorrt), described, target, options.build, tensorrt))
    return "\n".join(lines)


def _made(options: ConversionOptions) -> Path:
    """The ONNX that the conversion would hand over."""
    if options.precision != "fp32":
        return options.file(f"-{options.precision}.onnx")
    new = options.source.checkpoint is not None or (options.prepares and not options.source.prepares)
    return options.file(".onnx") if new else options.source.path


def _built(options: ConversionOptions, manifest: Manifest, tensorrt: str) -> Path:
    """The ONNX that this TensorRT would build the engine from. Raises EngineBuildError."""
    made = _made(options)
    typed = engine_build.plan_for(made, manifest, build.tensorrt_of(tensorrt), None).strongly_typed
    return options.file("-int8-fp16.onnx") if typed and options.precision == "int8" else made


def _line(row: tuple[str, str]) -> str:
    return f"  {row[0]:14} {row[1]}"


def _rows(options: ConversionOptions, videos: int) -> Iterator[tuple[str, str]]:
    made, frames = _made(options), f"{options.frames} frames of {videos} videos"
    compared = f"{options.compared} of {frames}"
    if options.source.checkpoint is not None:
        yield "export", f"{options.file('.onnx')}, compared with torch on {compared if videos else 'noise'}"
    if options.precision == "int8":
        kept = f", keeping {', '.join(options.quantization.keep)}" if options.quantization.keep else ""
        yield (
            "quantize",
            f"{made}, for {options.quantization.target}, by {options.quantization.method} over {frames}{kept}",
        )
        yield "check", f"{made}: {_gate(options)}"
        yield "", f"else with more in floating point, {conversion.ATTEMPTS} times in all, then FP16"
        if options.builds_engine:
            yield (
                "quantize",
                f"{options.file('-int8-fp16.onnx')}, for TensorRT 10 and later: the rest in FP16, by casts",
            )
            yield "check", f"{options.file('-int8-fp16.onnx')}: {_gate(options)}"
    if options.precision == "fp16":
        yield "quantize", f"{made}, by casts"
        yield "check", f"{made}: {_gate(options)}"
    if options.prepares:
        yield "prepare", "preprocessing and motion map go into each of these files"
    if not options.builds_engine:
        yield "build", "nothing: --target cpu is for ONNX Runtime"
        return
    if options.source.manifest.clip is not None:
        yield "build", f"nothing: {build.OF_TWO}"
        return
    of = f"{made}, since TensorRT 10 of the other" if options.precision == "int8" else made
    yield "build", f"{options.file('.engine')} of {of}, where TensorRT is"
    yield "check", f"{options.file('.engine')}: {_gate(options) if videos else 'not compared without --calibrate'}"


def _gate(options: ConversionOptions) -> str:
    if options.run is None:
        return "peaks, events and latency beside FP32; accuracy is not measured without --data"
    return f"may lose {options.max_drop:g} points of frame-mAP@0.5 on {len(options.run.videos)} videos"
