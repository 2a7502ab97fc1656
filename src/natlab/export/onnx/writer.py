"""An ONNX graph, written node by node."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
FUSED = "com.microsoft"  # ONNX Runtime's own nodes, which do what several of ONNX do
TYPES = {"int64": TensorProto.INT64, "float32": TensorProto.FLOAT}


class Writer:
    """A graph that grows: a call adds a node and returns the name of what it gives.

        y = write("Add", x, write.constant(1.0))

    Operators are ONNX's, with their attributes as keywords; ``domain`` names another set, ``outputs`` how many an
    operator has where it is not one.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[tuple, str] = {}
        self.initialisers: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, type: str, shape: Sequence[str | int]) -> str:
        """An input of the graph; sizes that are words are free."""
        self.inputs.append(helper.make_tensor_value_info(name, TYPES[type], shape))
        return name

    def output(self, name: str, value: str, type: str, shape: Sequence[str | int]) -> None:
        """Let the graph give ``value`` under a ``name``."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, TYPES[type], shape))

    def constant(self, value: ArrayLike, type: Any = np.float32) -> str:
        """The name of an array that does not change; equal ones are kept once."""
        array = np.ascontiguousarray(value, dtype=type).reshape(np.shape(value))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = name = f"constant{len(self.constants)}"
            self.initialisers.append(numpy_helper.from_array(array, name))
        return self.constants[key]

    def __call__(self, operator: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        stem = f"{operator.lower()}{len(self.nodes)}"
        names = [stem] if outputs == 1 else [f"{stem}.{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=stem, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def size(self, value: str, axis: int) -> str:
        """The size [1] of an axis."""
        return self("Shape", value, start=axis, end=axis + 1)

    def integers(self, *values: int) -> str:
        """A vector of integers."""
        return self.constant(values, np.int64)

    def integer(self, value: int) -> str:
        """A single integer."""
        return self.constant(value, np.int64)

    def cast(self, value: str, type: int) -> str:
        """The same values of another type, one of `onnx.TensorProto`."""
        return self("Cast", value, to=type)

    def real(self, value: str) -> str:
        """The same values as float32."""
        return self.cast(value, TensorProto.FLOAT)

    def widened(self, value: str, *axes: int) -> str:
        """The same values with further axes, of size 1, at these places."""
        return self("Unsqueeze", value, self.integers(*axes))

    def model(self) -> onnx.ModelProto:
        """The graph as a model, checked."""
        graph = helper.make_graph(self.nodes, "natlab", self.inputs, self.outputs, self.initialisers)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(FUSED, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="natlab")
        onnx.checker.check_model(model)
        return model
