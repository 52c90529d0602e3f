"""Everything that needs a GPU, in one command: `make gpu-check`, or `python -m benchmarks.gpu_check --help`.

It installs nothing: it uses the Pythons that it is given, each for the engines whose
packages it has, and says what is absent. PyTorch may live in one and TensorRT in
another; engines of all of them take turns in one run.
"""
