"""The little of CUDA that engines need, behind one protocol with two providers."""
