"""Writes the nodes of an ONNX graph, each named after what it computes. Pure.

Operators are limited to those that TensorRT 8.6 to 11 and ONNX Runtime read alike: no sub-graphs, no 8-bit arithmetic,
no integers where TensorRT has but floats.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

PREFIX = "/preprocessing/"  # of the names of nodes and constants
AXES_AS_INPUT = 18  # the opset from which ReduceMax, ReduceMin and ReduceMean take axes so
TYPES = {"float": onnx.TensorProto.FLOAT, "int32": onnx.TensorProto.INT32, "int64": onnx.TensorProto.INT64}


class GraphNodes:
    """Nodes and constants, in the order of the data. Every method returns the name of the tensor that it adds."""

    def __init__(self, opset: int) -> None:
        """`opset`: that of the model they become a part of."""
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._opset = opset

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """A node with one output, which is called `output` where that is given."""
        name = f"{PREFIX}{operator}_{len(self.nodes)}"
        result = output or f"/{len(self.nodes)}"  # short, for there are many
        self.nodes.append(helper.make_node(operator, list(inputs), [result], name=name, **attributes))
        return result

    def constant(self, value: Any, kind: type[np.generic] = np.float32) -> str:
        """A constant; equal ones are kept once."""
        array = np.asarray(value, kind)
        known = numpy_helper.from_array(array)
        for name, tensor in self.constants.items():
            if (tensor.data_type, tensor.dims, tensor.raw_data) == (known.data_type, known.dims, known.raw_data):
                return name
        known.name = f"{PREFIX}constant_{len(self.constants)}"
        self.constants[known.name] = known
        return known.name

    def integers(self, *values: int) -> str:
        """A constant list of int64."""
        return self.constant(values, np.int64)

    def cast(self, tensor: str, kind: str, output: str = "") -> str:
        """The tensor as `float`, `int32` or `int64`."""
        return self.add("Cast", tensor, output=output, to=TYPES[kind])

    def times(self, tensor: str, factor: Any) -> str:
        """Times a float constant."""
        return self.add("Mul", tensor, self.constant(factor))

    def plus(self, tensor: str, term: Any) -> str:
        """Plus a float constant."""
        return self.add("Add", tensor, self.constant(term))

    def nearest(self, tensor: str) -> str:
        """Rounded to whole numbers, halves up."""
        return self.add("Floor", self.plus(tensor, 0.5))

    def square(self, tensor: str) -> str:
        """Times itself."""
        return self.add("Mul", tensor, tensor)

    def part(self, tensor: str, first: Sequence[int], last: Sequence[int], axes: Sequence[int]) -> str:
        """From index `first` to `last`, which is not included, along each of `axes`."""
        return self.add("Slice", tensor, self.integers(*first), self.integers(*last), self.integers(*axes))

    def pick(self, tensor: str, index: NDArray[np.int64] | Sequence[int], axis: int) -> str:
        """The elements of these indices along an axis."""
        return self.add("Gather", tensor, self.constant(index, np.int64), axis=axis)

    def reduce(self, operator: str, tensor: str, axes: Sequence[int], keep: bool = True) -> str:
        """ReduceMax, ReduceMin or ReduceMean over axes; `keep` them with a size of 1."""
        if self._opset >= AXES_AS_INPUT:
            return self.add(operator, tensor, self.integers(*axes), keepdims=int(keep))
        return self.add(operator, tensor, axes=list(axes), keepdims=int(keep))

    def reshape(self, tensor: str, *shape: int) -> str:
        """In another shape: 0 keeps the size of that axis, -1 is what is left."""
        return self.add("Reshape", tensor, self.integers(*shape))
