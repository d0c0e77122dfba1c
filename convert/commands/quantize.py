"""`korsal-convert quantize`: an FP32 ONNX → INT8 or FP16, or what each convolution would lose."""

import argparse
from pathlib import Path

import onnx

from convert import calibration, conversion, export, fp16, modelopt_quantize, onnx_file, quantize, sensitivity
from convert.calibration import Input
from convert.commands import options as shared
from convert.graft_file import graft_file
from convert.quantize import QuantizeError, QuantizeSettings
from convert.watched_video import beside_of
from edge.engines import onnxruntime_engine
from edge.terminal import progress

HELP = "FP32 ONNX → INT8 with Q/DQ, or FP16; INT8 for TensorRT → the rest of it in FP16"
QUANTIZERS = {"onnxruntime": quantize.quantize, "modelopt": modelopt_quantize.quantize}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    add = parser.add_argument
    add("model", type=Path, help="FP32 .onnx of korsal-convert export; for fp16 also INT8")
    add("-o", "--output", type=Path, help=".onnx to write")
    add("--precision", choices=("int8", "fp16"), default="int8")
    add("--quantizer", choices=QUANTIZERS, default="onnxruntime", help="modelopt: NVIDIA's, if installed")
    reports = "its reports of korsal-evaluate --json, one for each data set; kept in the manifest"
    add("--scores", type=Path, nargs="+", metavar="FILE", help=reports)
    add("--sensitivity", action="store_true", help="print what each convolution loses, write nothing")
    shared.add_calibration(parser)
    shared.add_quantization(parser)


def run(options: argparse.Namespace) -> int:
    """Write the file, or print the sensitivity of each convolution."""
    if options.sensitivity:
        return _print_sensitivity(options)
    if options.output is None:
        raise QuantizeError("-o is missing: name the .onnx to write")
    onnx_file.check_output(options.model, options.output)
    if options.precision == "fp16":
        fp16.convert_file(options.model, options.output)
    else:
        _, settings, images = _calibration(options)
        QUANTIZERS[options.quantizer](options.model, options.output, images, settings)
    if options.target != "cpu" and onnx_file.read(options.model)[1].preprocessing == "graph":
        graft_file(options.output, options.output)  # what is made of such a file is one too, but for CPUs
    if options.scores:
        export.keep_scores(options.output, options.scores)
    share = 100 * options.output.stat().st_size / options.model.stat().st_size
    size = options.output.stat().st_size / 1e6
    print(f"{options.output}: {options.precision}, {share:.1f} % of {options.model}, {size:.1f} MB")
    videos = options.calibrate or ("VIDEO",)
    print(progress.next_step("korsal-convert", "check", options.model, options.output, "--calibrate", *videos))
    return 0


def _print_sensitivity(options: argparse.Namespace) -> int:
    model, settings, images = _calibration(options)
    ranges = quantize.calibrate(options.model, images, settings)
    for loss in sensitivity.sensitivity(model, ranges, images[: conversion.SENSITIVITY_IMAGES], settings):
        print(f"{loss.decibels:8.1f} dB  {loss.node}", flush=True)
    return 0


def _calibration(options: argparse.Namespace) -> tuple[onnx.ModelProto, QuantizeSettings, tuple[Input, ...]]:
    """The model, the settings and the frames; whatever cannot work is refused before frames are read."""
    model, manifest = quantize.open_model(options.model)
    settings = shared.quantize_settings(options)
    quantize.check_kept(model, settings)
    if options.quantizer == "modelopt":
        modelopt_quantize.check_settings(settings)
    files = calibration.videos(options.calibrate)
    beside = beside_of(onnxruntime_engine.load(options.model, threads=1))
    return model, settings, tuple(calibration.inputs(files, manifest, options.frames, beside))
