"""Benchmarks of fastbatch against NumPy, PyTorch and a bare C loop; see README.md in this folder."""
