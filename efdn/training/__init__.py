"""Training of EFDN networks."""
