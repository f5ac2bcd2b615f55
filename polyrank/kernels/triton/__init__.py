"""Triton kernels, and the table of their tiles."""
