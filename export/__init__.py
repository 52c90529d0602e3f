"""From a trained network to verified ONNX graphs and TensorRT engines."""
