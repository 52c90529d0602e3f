"""RFDN, the network that EFDN descends from and the challenge's baseline: its hyper-parameters, network and folding."""
