"""Reading and writing the weights of networks of any architecture.

Two forms are read: published checkpoints (a PyTorch file holding a state dict, bare or
under a usual key, on the 0..255 range) and safetensors, this project's own (with
hyper-parameters in their metadata) as well as those of other tools (without). What the
network is is read off the file, never asked for, and no pickled code is ever run:

    read_weights     reading.py     file -> tensors by name, as they lie there
    plain_state_dict state_dict.py  -> one state dict, plain names, float32
    recognise        efdn/architectures.py -> architecture and hyper-parameters, by names and shapes
    build_network    building.py    -> the network, once every tensor has been found to fit
"""

from efdn.weights.loading import load_network
from efdn.weights.state_dict import WRAPPERS
from efdn.weights.writing import save_network

__all__ = ["WRAPPERS", "load_network", "save_network"]
