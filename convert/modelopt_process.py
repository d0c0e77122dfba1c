"""The separate process in which NVIDIA's Model Optimizer runs. Shell over modelopt.

For it changes onnxruntime's calibrators, with which our own quantiser would fail afterwards.
python -m convert.modelopt_process FOLDER METHOD NODE... reads MODEL and IMAGES there and writes OUTPUT there. The nodes
stay in floating point. Exit status ABSENT where it is not installed.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.text import first_line

MODEL, IMAGES, OUTPUT = "model.onnx", "images.npz", "int8.onnx"
ABSENT = 3


def main(given: Sequence[str]) -> int:
    """The exit status; what modelopt raises comes through."""
    folder, method, *kept = given
    try:
        from modelopt.onnx.quantization import quantize
    except ImportError as error:
        print(first_line(error), file=sys.stderr)
        return ABSENT
    quantize(
        onnx_path=str(Path(folder) / MODEL),
        output_path=str(Path(folder) / OUTPUT),
        quantize_mode="int8",
        calibration_data=dict(np.load(Path(folder) / IMAGES)),
        calibration_method=method,
        calibration_eps=["cpu"],
        nodes_to_exclude=[f"{re.escape(name)}$" for name in kept],  # it takes beginnings of names, as patterns
        high_precision_dtype="fp32",  # its own choice is FP16, of the decoding too
        dq_only=True,  # weights stored in INT8, not in FP32 with a Q behind
        log_level="CRITICAL",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
