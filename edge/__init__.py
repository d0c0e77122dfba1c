"""What runs on the device. Imports neither torch, nor `train`, nor `convert`."""

__version__ = "0.1.0"
