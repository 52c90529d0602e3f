"""TensorRT and TensorRT for RTX at run time, one engine for both."""
