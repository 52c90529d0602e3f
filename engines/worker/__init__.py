"""Engines in processes of their own.

An engine that is measured shares nothing with the others: no thread pools, no
memory figures, no Python even, since TensorRT and PyTorch may live in different
ones. One that crashes takes nobody along.
"""
