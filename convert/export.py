"""Checkpoint → ONNX, decoding in the graph, manifest in the metadata, checked against torch. Shell."""

import json
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from edge import engine as engines
from edge import manifest as manifests
from edge.inference import INPUT, OUTPUTS, Engine, input_shape
from edge.manifest import Manifest
from train import checkpoint as checkpoints
from train.checkpoint import Checkpoint
from train.model import Decoder

OPSET = 17
SCORE_TOLERANCE = 1e-3
BOX_TOLERANCE = 0.1  # input pixels
NOTHING: Mapping[str, Any] = MappingProxyType({})


class ExportError(Exception):
    """A model that was not exported."""


def export(
    path: Path, target: Path, changes: Mapping[str, Any] = NOTHING, training: Mapping[str, Any] = NOTHING
) -> Manifest:
    """Write the checkpoint at `path` as an ONNX model to `target`.

    `changes` replace fields of its manifest, `training` joins what that says of the training. The file appears
    only after ONNX Runtime gave what torch gives. Raises CheckpointError, ExportError, EngineError.
    """
    checkpoint = checkpoints.load(path)
    known = checkpoint.manifest
    manifest = replace(known, **{"training": {**known.training, **training}, **changes})
    partial = target.with_suffix(".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_graph(checkpoint, partial)
        model = onnx.load(partial)
        onnx.helper.set_model_props(model, {manifests.METADATA_KEY: manifests.to_json(manifest)})
        onnx.save(model, partial)
        _compare(checkpoints.engine(path), engines.load(partial, threads=2))
        partial.replace(target)
    except OSError as error:
        raise ExportError(f"{target}: cannot be written ({error.strerror}); choose another -o") from error
    finally:
        with suppress(OSError):
            partial.unlink()
    return manifest


def scores(report: Path) -> dict[str, Any]:
    """What a manifest keeps of the JSON report of korsal-evaluate. Raises ExportError."""
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        protocol = {key: content["protocol"][key] for key in ("data", "videos", "rule", "frames", "linker")}
        return {"protocol": protocol, "frame_map": content["frame_map"], "video_map": content["video_map"]}
    except OSError as error:
        raise ExportError(
            f"{report}: cannot be read ({error.strerror}); give what korsal-evaluate --json wrote"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{report}: no report ({error!r}); give what korsal-evaluate --json wrote") from error


def _write_graph(checkpoint: Checkpoint, path: Path) -> None:
    """The decoder as ONNX with a dynamic batch, batch norms folded."""
    manifest = checkpoint.manifest
    decoder = Decoder(checkpoints.detector(checkpoint), manifest.top_k).eval()
    image = torch.zeros(input_shape(manifest, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the exporter that needs no further package
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]  # sizes become constants
        torch.onnx.export(
            decoder,
            (image,),
            path,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "batch"} for name in (INPUT, *OUTPUTS)},
            opset_version=OPSET,
            dynamo=False,
        )


def _compare(reference: Engine, exported: Engine) -> None:
    """Raise ExportError unless both see the same in two images of noise."""
    shape = input_shape(reference.manifest, 2)
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected, got = reference.infer({INPUT: image}), exported.infer({INPUT: image})
    scores = float(np.abs(expected["scores"] - got["scores"]).max())
    boxes = max(_farthest(_rows(expected, i), _rows(got, i)) for i in range(len(image)))
    if not (scores <= SCORE_TOLERANCE and boxes <= BOX_TOLERANCE):  # so that nan is refused too
        raise ExportError(
            f"the exported model differs from torch by {scores:.2g} in scores and {boxes:.2g} pixels in boxes "
            f"(allowed {SCORE_TOLERANCE:g} and {BOX_TOLERANCE:g}); "
            "nan: the weights are broken, train again; else use the versions that pyproject.toml pins"
        )


def _rows(outputs: Mapping[str, NDArray[Any]], image: int) -> Mapping[str, NDArray[Any]]:
    return {name: value[image] for name, value in outputs.items()}


def _farthest(expected: Mapping[str, NDArray[Any]], got: Mapping[str, NDArray[Any]]) -> float:
    """Largest distance, pixels, from a peak's box to the nearest box of its label among the other's peaks.

    Peaks of nearly equal scores may come in another order, and the last few may not come at all.
    """
    certain = expected["scores"] > expected["scores"][-1] + 2 * SCORE_TOLERANCE
    boxes, labels = expected["boxes"][certain], expected["labels"][certain]
    distances = np.abs(boxes[:, None] - got["boxes"][None]).max(axis=2)  # (N, K)
    distances[labels[:, None] != got["labels"][None]] = np.inf
    return float(distances.min(axis=1, initial=np.inf).max(initial=0.0))
