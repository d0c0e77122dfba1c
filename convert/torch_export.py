"""A torch module → ONNX, its batch dynamic. Shell over torch's exporter."""

import io
import warnings
from collections.abc import Mapping, Sequence

import onnx
import torch
from torch import Tensor, nn

from convert import onnx_graph

OPSET = 17  # which TensorRT 8.6 reads; a deformable convolution needs another


class ExportError(Exception):
    """A model that was not exported."""


def onnx_of(
    module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], opset: int, folds: bool = True
) -> onnx.ModelProto:
    """The module as a graph from inputs like these, (1, ...) each, in their order, to outputs of these names.

    `folds`: what depends on weights alone is computed now; else each weight stays as it is, under its name.
    """
    content = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)  # the exporter that needs no further package
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # of a step of -1, which stays as it is
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]  # sizes become constants
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            content,  # type: ignore[arg-type]  # that exporter takes it
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: {0: "batch"} for name in (*inputs, *outputs)},
            opset_version=opset,
            dynamo=False,
            do_constant_folding=folds,
        )
    model = onnx.load_model_from_string(content.getvalue())
    onnx_graph.share_constants(model)
    return model
