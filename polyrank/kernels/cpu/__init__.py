"""MaxSim on a CPU: the compiled kernel, and PyTorch where there is none."""
