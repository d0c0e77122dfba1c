"""Makes a TensorRT that chooses precisions by itself compute what prepares the frames in FP32. Shell.

In FP16 the motion map loses its choice of shift. Those layers are found by what depends on what, not by their names:
the parser adds layers of its own, which it names as it likes.
"""

from typing import Any

from edge.manifest import FITTED, MOTION, SHIFT


def keep_preprocessing_exact(trt: Any, network: Any) -> None:
    """Constrain every layer that FITTED, MOTION and SHIFT depend on to FP32; those of whole numbers stay as they are.

    The builder heeds it where it has the flag tensorrt_build_plan.OBEY.
    """
    for layer in preprocessing_layers(network):
        outputs = [layer.get_output(index) for index in range(layer.num_outputs)]
        single = [index for index, tensor in enumerate(outputs) if tensor.dtype == trt.DataType.FLOAT]
        if single or any(tensor.dtype == trt.DataType.FLOAT for tensor in _inputs(layer)):
            layer.precision = trt.DataType.FLOAT
        for index in single:
            layer.set_output_type(index, trt.DataType.FLOAT)


def preprocessing_layers(network: Any) -> list[Any]:
    """The layers of a parsed network that prepare frames, in its order."""
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    writer = {
        layer.get_output(output).name: index
        for index, layer in enumerate(layers)
        for output in range(layer.num_outputs)
    }
    waiting, found = [FITTED, MOTION, SHIFT], set[int]()
    while waiting:
        index = writer.get(waiting.pop())
        if index is not None and index not in found:
            found.add(index)
            waiting += [tensor.name for tensor in _inputs(layers[index])]
    return [layers[index] for index in sorted(found)]


def _inputs(layer: Any) -> list[Any]:
    """The tensors that a layer reads; optional ones may be absent."""
    tensors = [layer.get_input(index) for index in range(layer.num_inputs)]
    return [tensor for tensor in tensors if tensor is not None]
