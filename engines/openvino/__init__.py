"""OpenVINO on the CPU: one core for the process, compiled models kept, nothing reported to its makers."""

from engines.openvino.engine import OpenVinoEngine, open_openvino

__all__ = ["OpenVinoEngine", "open_openvino"]
