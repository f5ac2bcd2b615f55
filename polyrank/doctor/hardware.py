"""Devices, the level of the kernels, threads, and how fast precisions are here."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator

from polyrank.doctor.finding import Finding

LEVELS = {
    0: "PyTorch, as the compiled kernel is absent, switched off, or not for this processor",
    1: "compiled, AVX2",
    2: "compiled, AVX-512",
}


def hardware() -> Iterator[Finding]:
    """What computes here. It asks torch, and says so where torch cannot be imported."""
    try:
        import torch

        from polyrank import machine
        from polyrank.kernels import backend
        from polyrank.kernels.cpu import native
    except ImportError as error:
        yield Finding("machine", "torch", f"cannot be imported: {error}", False, True, "all verbs",
                      "pip install torch")  # fmt: skip
        return
    yield Finding("machine", "device", f"{machine.device_of(None)}: {machine.machine()}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    asked = os.environ.get("OMP_NUM_THREADS")
    said = f", as OMP_NUM_THREADS={asked} says" if asked else ""
    yield Finding("machine", "threads", f"{torch.get_num_threads()} of {cores} cores{said}")
    level = native.level()
    mend = "" if level else _mend()
    yield Finding("machine", "kernel on the CPU", LEVELS[level], not mend, mend=mend)
    if torch.cuda.is_available():
        there = backend.installed()
        yield Finding("machine", "kernel on the GPU", "Triton" if there else "PyTorch", there,
                      mend="" if there else "pip install 'polyrank[triton]'")  # fmt: skip
    yield Finding("machine", "bf16", "fast" if machine.fast_bf16() else "not faster than fp32")


def _mend() -> str:
    """What brings the compiled kernel; nothing where no processor of its kind is."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return ""
    if os.environ.get("POLYRANK_NATIVE") == "0":
        return "unset POLYRANK_NATIVE"
    return "install a C compiler, then polyrank again"
