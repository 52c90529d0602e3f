"""`python -m engines.worker`: see `engines.worker.serve`."""

from engines.worker.serve import serve

if __name__ == "__main__":
    serve()
