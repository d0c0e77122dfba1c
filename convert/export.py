"""Checkpoint → ONNX, decoding in the graph, manifest in the metadata, checked against torch. Shell."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from convert import memory_export, onnx_file, onnx_graph
from convert.batch_norm_folding import fold_norms
from convert.calibration import Input
from convert.comparison import Parity, parity
from convert.linear_merging import merge_last_projection
from convert.torch_export import OPSET, ExportError, onnx_of
from edge.clip import CLIP, NEWEST_MAP
from edge.clip_inference import of_clips
from edge.engines import onnxruntime_engine
from edge.inference import Engine, Outputs
from edge.manifest import INPUT, OUTPUTS, WEIGHTS_KEY, Manifest, clip_shapes, input_shape, input_shapes, memory_shapes
from edge.memory_network import ANSWERS, AVERAGE, FEATURES, TAP
from edge.terminal.progress import Progress
from edge.text import TextError, decode_utf8
from train import checkpoint as checkpoints
from train.checkpoint import Checkpoint
from train.networks import deformable, memory_classifier
from train.networks.deformable import DeformableConvolution
from train.networks.yowo import clip_networks

DEFAULT_FRAMES = 32  # frames to compare with
MAP_TOLERANCE = 1e-3  # of a clip's map, of its largest value
_RANGES = {FEATURES: (0, 6), TAP: (-40, 40), AVERAGE: (0, 6), ANSWERS: (-20, 20)}  # of noise; a placement: 0 to 1
CLASSIFIER = f"detector.{memory_classifier.PREFIX}"  # the names of a memory's classifier's weights in a graph
UNCHANGED: Mapping[str, Any] = MappingProxyType({})


def export(
    checkpoint: Checkpoint,
    target: Path,
    changes: Mapping[str, Any] = UNCHANGED,
    training: Mapping[str, Any] = UNCHANGED,
    images: Sequence[Input] = (),
) -> tuple[Manifest, Parity]:
    """Write a checkpoint that was read from a file as an ONNX model to `target`.

    `changes` replace fields of its manifest, `training` joins what that says of the training. The file appears only
    after ONNX Runtime gave what torch gives for `images`, network inputs of real frames, and for noise. A memory whose
    maps it takes is written beside it.
    Raises CheckpointError, ExportError, OnnxFileError, EngineError.
    """
    reference = checkpoints.engine(checkpoint)
    known = replace(reference.manifest, top_k=_peaks(reference))
    with Progress("exporting", ""):
        graph = _graph(checkpoint)
    hashed = {WEIGHTS_KEY: onnx_graph.weights_digest(graph)}
    manifest = replace(known, **{"training": {**known.training, **training, **hashed}, **changes})
    if unknown := sorted(manifest.start_scores.keys() - set(manifest.labels)):
        raise ExportError(f"{checkpoint.title}: knows no {unknown[0]}; choose start scores from its own detections")
    manifest = replace(manifest, memory=memory_export.write_beside(checkpoint, target))
    with onnx_file.candidate(target) as candidate:
        onnx_file.write(graph, manifest, candidate)
        exported = onnxruntime_engine.load(candidate, threads=2)
        found = parity(_answers(reference, exported, images), known.input_size)
        _require_maps(checkpoint.title, reference, exported, images)
        if not found.within_tolerance:
            raise ExportError(
                f"{checkpoint.title}: the exported model differs from torch by {found}; "
                "nan: the weights are broken, train again; else use the versions that pyproject.toml pins"
            )
        onnx_file.accept(candidate, target)
    return manifest, found


def kept_scores(reports: Sequence[Path]) -> dict[str, Any] | list[dict[str, Any]]:
    """What a manifest keeps of one report, of several a list. Raises ExportError."""
    found = [scores(report) for report in reports]
    return found if len(found) > 1 else found[0]


def scores(report: Path) -> dict[str, Any]:
    """What a manifest keeps of the JSON report of korsal-evaluate. Raises ExportError."""
    try:
        content = json.loads(decode_utf8(report.read_bytes()))
        protocol = {key: content["protocol"][key] for key in ("data", "videos", "rule", "frames")}
        if "linker" in content["protocol"]:  # where tubes were given, it is not known
            protocol["linker"] = content["protocol"]["linker"]
        return {"protocol": protocol, "frame_map": content["frame_map"], "video_map": content["video_map"]}
    except OSError as error:
        raise ExportError(
            f"{report}: cannot be read ({error.strerror}); give what korsal-evaluate --json wrote"
        ) from error
    except TextError as error:
        raise ExportError(f"{report}: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{report}: no report ({error!r}); give what korsal-evaluate --json wrote") from error


def keep_scores(path: Path, reports: Sequence[Path]) -> None:
    """Write `kept_scores` of reports into the manifest of an ONNX model. Raises ExportError, OnnxFileError."""
    model, manifest = onnx_file.read(path)
    training = {**manifest.training, "scores": kept_scores(reports)}
    onnx_file.write(model, replace(manifest, training=training), path)


def parity_as_text(found: Parity, frames: int) -> str:
    """The comparison with torch as text; `frames` of its images were real ones."""
    on = f"{frames} real frames" if frames else "noise only, --calibrate VIDEO gives it real frames"
    return f"answers as torch does, on {on}: differs by {found}"


def _graph(checkpoint: Checkpoint) -> onnx.ModelProto:
    """The decoder as ONNX with a dynamic batch, batch norms folded."""
    network = checkpoints.detector(checkpoint)
    fold_norms(network)
    merge_last_projection(network)
    manifest = clip_networks.described(network, checkpoint.manifest)
    shapes = {**input_shapes(manifest, 1, manifest.input_size), **clip_shapes(manifest, 1)}
    inputs = {name: torch.zeros(shape) for name, shape in shapes.items()}
    if manifest.clip is None:
        decoder = clip_networks.exported_decoder(network, manifest).eval()
        graph = onnx_of(decoder, inputs, OUTPUTS, opset(network))
    else:
        both = clip_networks.BothParts(network, manifest).eval()
        graph = onnx_of(both, inputs, (*OUTPUTS, NEWEST_MAP), opset(network))
    onnx_graph.number_tensors(graph)
    onnx_graph.store_halves(graph, CLASSIFIER)
    return graph


def opset(network: nn.Module) -> int:
    """The version of ONNX that has all that the network needs."""
    needed = any(isinstance(module, DeformableConvolution) for module in network.modules())
    return deformable.OPSET if needed else OPSET


def _peaks(reference: Engine) -> int:
    """How many peaks it gives for an image: `top_k`, unless so small an input has fewer places for boxes."""
    return int(of_clips(reference)(_noise(reference.manifest))["scores"].shape[1])


def _answers(reference: Engine, exported: Engine, images: Sequence[Input]) -> Iterator[tuple[Outputs, Outputs]]:
    """What both answer for each image, and for two at once: noise, which has many peaks."""
    expected, found = of_clips(reference), of_clips(exported)
    for image in (*images, _noise(reference.manifest)):
        yield expected(image), found(image)


def _require_maps(title: str, reference: Engine, exported: Engine, images: Sequence[Input]) -> None:
    """Raises ExportError where the maps of clips differ: detections hang on them too little to tell for sure."""
    if reference.clip is None or exported.clip is None:
        return
    for image in (*images, _noise(reference.manifest)):
        expected, found = (one.infer({CLIP: image[CLIP]})[NEWEST_MAP] for one in (reference.clip, exported.clip))
        difference = float(np.abs(expected - found).max() / max(float(np.abs(expected).max()), 1.0))
        if not difference <= MAP_TOLERANCE:
            raise ExportError(
                f"{title}: the exported model's maps of clips differ from torch's by {difference:.2g} of their largest "
                "value; nan: the weights are broken, train again; else use the versions that pyproject.toml pins"
            )


def _noise(manifest: Manifest) -> Input:
    """Normal noise for an image and a clip, and for a memory's maps what is of their size."""
    random = np.random.default_rng(0)
    shapes = {INPUT: input_shape(manifest, 2), **clip_shapes(manifest, 2)}
    made = {name: random.normal(size=shape) for name, shape in shapes.items()}
    further = memory_shapes(manifest, 2)
    made |= {name: random.uniform(*_RANGES.get(name, (0, 1)), shape) for name, shape in further.items()}
    return {name: value.astype(np.float32) for name, value in made.items()}
