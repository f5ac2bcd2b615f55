"""Clocks for `gpu.py`: device time, host time, memory, and what the card itself can do.

Device time is the median over calls of the time between two CUDA events. Before each call a buffer
beyond the L2 cache is read, so that no call finds its input in the cache, and so that the host is
ahead of the device; where a call costs the host more than the device, `loop_ms` shows it: wall time
of calls one after the other. Compilation is in the first call, which is timed apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
FLUSH = 1 << 28  # bytes read before each call: several times the L2 cache
Call = Callable[[], Any]

_flush: dict[str, torch.Tensor] = {}


def wait() -> None:
    if GPU:
        torch.cuda.synchronize()


def first_call(call: Call) -> float:
    """Seconds of the first call, with whatever it compiles."""
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def device_ms(call: Call, budget: float = 0.1, most: int = 100) -> tuple[float, int]:
    """The median of so many calls as fit into a budget of seconds, 3 at least; and how many."""
    if not GPU:
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        return 1000 * median(seconds), len(seconds)
    if "buffer" not in _flush:
        _flush["buffer"] = torch.randn(FLUSH // 4, device=DEVICE)
    once = max(_round(call, 2)[1], 1e-3)
    if once > 1000 * budget:
        return once, 1
    times = _round(call, max(3, min(most, int(1000 * budget / (once + 0.1)))))
    return median(times), len(times)


def _round(call: Call, count: int) -> list[float]:
    pairs = []
    for _ in range(count):
        _flush["buffer"].sum()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        pairs.append((start, end))
    wait()
    return [start.elapsed_time(end) for start, end in pairs]


def repeats(ms: float, most: int) -> int:
    """How many calls of so many milliseconds fit into a fifth of a second."""
    return max(3, min(most, int(200 / max(ms, 1e-3))))


def host_ms(call: Call, count: int = 15) -> float | None:
    """What a call costs the host while the device is idle; None on a CPU: it is all host."""
    if not GPU:
        return None
    times = []
    for _ in range(count):
        wait()
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    wait()
    return 1000 * median(times)


def loop_ms(calls: list[Call], count: int = 40) -> float:
    """Wall time of a call among many that follow one another, their inputs in turn."""
    count = count if GPU else 2
    wait()
    start = time.perf_counter()
    for number in range(count):
        calls[number % len(calls)]()
    wait()
    return 1000 * (time.perf_counter() - start) / count


def graph_ms(call: Call) -> float | None:
    """Replayed as a CUDA graph; None where there is no GPU."""
    if not GPU:
        return None
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return device_ms(graph.replay, 0.03)[0]


def peak_mb(call: Call) -> float | None:
    """Memory that a call takes beyond what was held before; None on a CPU."""
    if not GPU:
        return None
    wait()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    kept = call()
    wait()
    del kept
    return round((torch.cuda.max_memory_allocated() - before) / 2**20, 1)


def limits(tiny: bool = False) -> dict[str, float]:
    """Bytes/s of a copy (read and written) and FLOP/s of a bf16 product, on random numbers."""
    size, side = (1 << 20, 256) if tiny else (1 << 31, 8192)
    source = torch.randn(size // 4, device=DEVICE)
    target = torch.empty_like(source)
    left, right = (torch.randn(side, side, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    copy = device_ms(lambda: target.copy_(source), 0.1)[0]
    product = device_ms(lambda: left @ right, 0.2)[0]
    return {"copy": 2 * size / copy * 1e3, "flops": 2 * side**3 / product * 1e3}


def card() -> dict[str, Any]:
    """What the numbers belong to."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, Any] = {"torch": torch.__version__}
    for name in ("triton", "late-interaction-kernels", "flash-maxsim", "transformers", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    if not GPU:
        return {"card": "cpu", "versions": found}
    about = torch.cuda.get_device_properties(0)
    return {
        "card": about.name,
        "memory_gib": round(about.total_memory / 2**30, 1),
        "multiprocessors": about.multi_processor_count,
        "l2_mb": round(getattr(about, "L2_cache_size", 0) / 2**20, 1),
        "capability": list(torch.cuda.get_device_capability()),
        "cuda": torch.version.cuda,
        "versions": found,
    }
