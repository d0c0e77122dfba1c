"""Offline converter: checkpoint to ONNX and on to engines. May import `edge` and `train`."""
