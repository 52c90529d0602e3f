"""The real Triton Inference Server, serving a model repository on this machine's loopback."""
