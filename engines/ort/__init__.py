"""ONNX Runtime on the CPU, on CUDA and on TensorRT. The provider asked for is the one in use, or it is an error."""

from engines.ort.engine import OnnxRuntimeEngine
from engines.ort.open import open_cpu, open_cuda, open_tensorrt
from engines.ort.providers import CPU, CUDA, TENSORRT

__all__ = ["CPU", "CUDA", "TENSORRT", "OnnxRuntimeEngine", "open_cpu", "open_cuda", "open_tensorrt"]
