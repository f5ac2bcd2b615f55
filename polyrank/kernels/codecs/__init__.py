"""Compressed token vectors, int8 and residual codes, and MaxSim over them."""
