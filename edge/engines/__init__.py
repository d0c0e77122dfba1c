"""What runs the network: TensorRT and its engines, ONNX files, and the work before it on the GPU."""
