"""What a model file is, read off its bytes: without a GPU, and without the tools that made it or will run it."""
