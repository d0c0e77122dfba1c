"""What runs on the device. Imports neither torch, nor `train`, nor `convert`."""

import os

__version__ = "0.1.0"

# ONNX Runtime (1.31 does) keeps records of its use, with an id of the device, and sends them to its makers, unless this
# is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
