"""What this machine can do: devices, threads, precision, and its name for cards and results."""

from __future__ import annotations

import math
import os
import platform
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from polyrank.errors import UsageError
from polyrank.progress import note

if TYPE_CHECKING:
    import torch

STAT = Path("/proc/stat")


def device_of(name: str | torch.device | None) -> torch.device:
    """A device by its name; for None the first GPU, or the CPU where there is none.

    Raises:
        UsageError: an unknown device, or one that this machine lacks.
    """
    import torch

    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(name)
        if found.type == "cpu":
            settle_threads()
        else:
            leave_cudnn_out()
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        gpus = torch.cuda.device_count()
        there = ", ".join(["cpu", *(f"cuda:{number}" for number in range(gpus))])
        raise UsageError(f"there is no device '{name}' on this machine; use {there}") from error
    return found


@cache
def leave_cudnn_out() -> None:
    """Take cuDNN out of what PyTorch chooses attention from, once in a process.

    cuDNN makes a plan for every new shape of a batch, which takes up to a second, and batches of
    texts have ever new shapes: https://github.com/modelscope/FunASR/issues/3704.
    """
    import torch

    torch.backends.cuda.enable_cudnn_sdp(False)


@dataclass(frozen=True)
class Usage:
    """Seconds of processor time until a moment, on the processors that this process may use.

    at: the moment, by a clock. busy: of everybody. own: of this process.
    """

    at: float
    busy: float
    own: float

    @classmethod
    def now(cls) -> Usage | None:
        """None where the system does not say."""
        own = sum(os.times()[:2])
        try:
            lines = STAT.read_text(encoding="ascii").splitlines()
            rows = [line.split() for line in lines if line.startswith("cpu")]
            mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
            ticks = sum(_busy(list(map(int, row[1:9]))) for row in rows if row[0] in mine)
            return cls(time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"), own)
        except (OSError, ValueError, AttributeError):
            return None


def _busy(ticks: list[int]) -> int:
    """Of user, nice, system, idle, iowait, irq, softirq, steal: all but waiting."""
    return sum(ticks) - ticks[3] - ticks[4]


def processors() -> int:
    """Those that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def quota() -> float:
    """How many of them its control group may use at a time; infinite without a limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return int(limit) / int(period)
    except (OSError, ValueError):
        return math.inf


def free_processors(before: Usage, now: Usage) -> int:
    """How many this process could use between two moments, at least one: what others left free, and
    its control group allows.

    PyTorch's threads meet after every operation, so one that waits for a busy processor holds up
    all of them: two threads on one and a half processors are slower than one.
    """
    others = (now.busy - before.busy) - (now.own - before.own)
    free = processors() - others / max(now.at - before.at, 1e-9)
    return max(1, round(min(free, quota())))


class _Threads:
    """What a verb wants of PyTorch's threads, until it is done; a library has nothing here."""

    asked: int | None = None
    before: Usage | None = None  # when a choice by what is free began


def choose_threads(asked: int | None) -> None:
    """Announce how many threads PyTorch takes, once a model goes to the CPU.

    Args:
        asked: so many; None for as many as are free between now and then. What OMP_NUM_THREADS says
            stands, where it is set.
    """
    _Threads.asked = asked
    _Threads.before = None if asked or os.environ.get("OMP_NUM_THREADS") else Usage.now()


def forget_threads() -> None:
    """Take back what was announced and not done."""
    _Threads.asked = _Threads.before = None


def settle_threads() -> None:
    """Do what was announced, once; fewer threads than usual are told."""
    import torch

    asked, before = _Threads.asked, _Threads.before
    forget_threads()
    if asked is not None:
        torch.set_num_threads(asked)
    elif before is not None and (now := Usage.now()) is not None:
        usual, free = torch.get_num_threads(), free_processors(before, now)
        if free < usual:
            torch.set_num_threads(free)
            note(
                f"other processes use this machine, so {free} of {usual} threads are taken; "
                f"'polyrank --threads {usual} VERB' takes all"
            )


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
