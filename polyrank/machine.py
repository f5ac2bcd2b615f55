"""What this machine can do: devices, precision, and its name for cards and results."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

from polyrank.errors import UsageError

if TYPE_CHECKING:
    import torch


def device_of(name: str | torch.device | None) -> torch.device:
    """A device by its name; for None the first GPU, or the CPU where there is none.

    Raises:
        UsageError: an unknown device, or one that this machine lacks.
    """
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        gpus = torch.cuda.device_count()
        there = ", ".join(["cpu", *(f"cuda:{number}" for number in range(gpus))])
        raise UsageError(f"there is no device '{name}' on this machine; use {there}") from error
    return found


def machine() -> str:
    """The machine in words, for cards: `2 CPU threads, AMD EPYC` or the name of the GPU."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.machine()
    return f"{torch.get_num_threads()} CPU threads, {name}"


def fast_bf16() -> bool:
    """True where bf16 matrix products beat fp32: on a GPU that has them, else on such a CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return cpu_bf16()


def cpu_bf16() -> bool:
    """Whether the processor's bf16 products beat its fp32: with AMX, or AMD's AVX512-BF16.

    On an Intel CPU with AVX512-BF16 but without AMX, fp32 products of our sizes are the faster ones
    (torch 2.13).
    """
    try:
        features = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "amx_bf16" in features or ("AuthenticAMD" in features and "avx512_bf16" in features)
