"""A modelopt with the signature and habits of the real one (0.47), as far as it is asked for. It proves the call alone.

`install` makes it a package, for a process of its own. It quantises what convolutions read, by the largest value of the
calibration data, takes patterns that begin a name, and drops the metadata. BEHAVIOUR in the environment: "absent", as
where a dependency is missing; "failing"; "careless": it quantises what it was told to leave.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx

BEHAVIOUR, TOLD = "FAKE_MODELOPT", "FAKE_MODELOPT_TOLD"

if os.environ.get(BEHAVIOUR) == "absent":
    raise ImportError("No module named 'lief'\nPlease install optional ``[onnx]`` dependencies.")


def install(folder: Path) -> None:
    """Put the package modelopt into a folder that PYTHONPATH is to name."""
    package = folder / "modelopt" / "onnx"
    package.mkdir(parents=True)
    for place in (package, package.parent):
        (place / "__init__.py").write_text("")
    shutil.copy(__file__, package / "quantization.py")


def quantize(
    onnx_path: str,
    quantize_mode: str = "int8",
    calibration_data: Any = None,
    calibration_method: str | None = None,
    calibration_eps: Any = ("cpu", "cuda:0", "trt"),
    nodes_to_exclude: Any = None,
    output_path: str | None = None,
    log_level: str = "INFO",
    high_precision_dtype: str = "fp16",
    dq_only: bool = False,
) -> None:
    record = {
        "mode": quantize_mode, "shape": calibration_data["image"].shape, "method": calibration_method,
        "providers": calibration_eps, "exclude": nodes_to_exclude, "rest": high_precision_dtype, "dq_only": dq_only,
    }  # fmt: skip
    Path(os.environ[TOLD]).write_text(json.dumps(record))
    sys.stdout.write("Collecting tensor data and making histogram ...\n")
    if os.environ.get(BEHAVIOUR) == "failing":
        raise RuntimeError("Execution provider is not supported")
    if os.environ.get(BEHAVIOUR) == "careless":
        nodes_to_exclude = []
    model = onnx.load(onnx_path)
    del model.metadata_props[:]
    scale = np.float32(np.abs(calibration_data["image"]).max() / 127)
    _insert(model.graph, scale, [re.compile(pattern) for pattern in nodes_to_exclude])
    assert output_path is not None
    onnx.save(model, output_path)


def _insert(graph: onnx.GraphProto, scale: np.float32, excluded: list[re.Pattern[str]]) -> None:
    """Q/DQ before the first input of every convolution that no pattern names."""
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(scale), "scale"))
    graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((), np.int8), "zero"))
    for node in list(graph.node):
        if node.op_type != "Conv" or any(pattern.match(node.name) for pattern in excluded):
            continue
        read, at = node.input[0], list(graph.node).index(node)
        parts = [read, f"{node.name}_q", f"{node.name}_dq"]
        for kind, given, made in zip(("QuantizeLinear", "DequantizeLinear"), parts, parts[1:], strict=False):
            graph.node.insert(at, onnx.helper.make_node(kind, [given, "scale", "zero"], [made], name=made))
            at += 1
        node.input[0] = parts[-1]
