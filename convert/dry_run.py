"""What the whole command would do, step by step, in words. Shell over the names of files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from convert import build, conversion
from convert.conversion import Wish


def dry_run(wish: Wish, tensorrt: str | None) -> str:
    """The steps; with a TensorRT ("10.3", "JetPack 6.2") also how that would build the engine.

    Raises what reading the weights and finding the videos raises, and EngineBuildError as the build would.
    """
    manifest = conversion.manifest_of(wish.weights)
    rows = _rows(wish, len(wish.videos))
    lines = [f"{wish.weights} is {manifest.name}, {manifest.precision}; korsal-convert would", *map(_line, rows)]
    if tensorrt is not None and wish.builds:
        target = wish.file(".engine")
        described = replace(manifest, precision=wish.precision)
        lines.append(build.planned(_made(wish), described, target, wish.options, tensorrt))
    return "\n".join(lines)


def _made(wish: Wish) -> Path:
    """The ONNX that is to be used."""
    if wish.precision != "fp32":
        return wish.file(f"-{wish.precision}.onnx")
    return wish.weights if wish.weights.suffix == ".onnx" else wish.file(".onnx")


def _line(row: tuple[str, str]) -> str:
    return f"  {row[0]:14} {row[1]}"


def _rows(wish: Wish, videos: int) -> Iterator[tuple[str, str]]:
    made, frames = _made(wish), f"{wish.frames} frames of {videos} videos"
    compared = f"{wish.compared} of {frames}"
    if wish.weights.suffix != ".onnx":
        yield "export", f"{wish.file('.onnx')}, compared with torch on {compared if videos else 'noise'}"
    if wish.precision == "int8":
        kept = f", keeping {', '.join(wish.settings.keep)}" if wish.settings.keep else ""
        yield "quantize", f"{made}, for {wish.settings.target}, by {wish.settings.method} over {frames}{kept}"
        yield "check", f"{made}: {_gate(wish)}"
        yield "", f"else with more in floating point, {conversion.ATTEMPTS} times in all, then FP16"
    if wish.precision == "fp16":
        yield "quantize", f"{made}, by casts"
        yield "check", f"{made}: {_gate(wish)}"
    if not wish.builds:
        yield "build", "nothing: --target cpu is for ONNX Runtime"
        return
    yield "build", f"{wish.file('.engine')} of {made}, where TensorRT is"
    yield "check", f"{wish.file('.engine')}: {_gate(wish) if videos else 'not compared, for want of --calibrate'}"


def _gate(wish: Wish) -> str:
    if wish.run is None:
        return "peaks, events and latency beside FP32; accuracy is not measured, for want of --data"
    return f"may lose {wish.max_drop:g} points of frame-mAP@0.5 on {len(wish.run.videos)} videos"
