"""What the package costs, against plain transformers and its peers: `python -m benchmarks`."""
