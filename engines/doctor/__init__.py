"""What there is on a machine, what is wrong with it, and which engines run there."""
