"""Several processes that train one model: `torchrun --nproc-per-node 2`, `accelerate launch`.

Every process makes the whole batch i, encodes its share of the rows, and what a loss compares is
gathered, so that each has the loss of the whole batch whatever it is: a mean over a varying number
of rows, or a softmax over all passages. Backward each process has the gradient of its own rows; the
sum over processes is the gradient that one process would have had. Only the first one writes.

What differs from one process is rounding, and, where a model has dropout, which units are dropped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from polyrank.errors import UsageError
from polyrank.machine import leave_cudnn_out

T = TypeVar("T")

ENVIRONMENT = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK")
PATIENCE = timedelta(days=2)  # the others wait while the first one mines negatives


def start() -> None:
    """Join the processes of this launch, if it is not the only one, and settle attention."""
    if torch.cuda.is_available():
        leave_cudnn_out()
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or together():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank())
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)


def together() -> bool:
    """Whether several processes train together."""
    return dist.is_available() and dist.is_initialized()


def count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if together() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if together() else int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """The number of this process on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def is_main() -> bool:
    """Whether this process writes and reports."""
    return rank() == 0


def wait() -> None:
    """Until every process is here."""
    if together():
        dist.barrier()


@contextmanager
def main_first() -> Iterator[None]:
    """The main process runs the body, then the others, who find the files that it wrote."""
    if not is_main():
        wait()
    yield
    if is_main():
        wait()


@contextmanager
def one_voice() -> Iterator[None]:
    """What is reported goes to stderr once: from the main process. Errors leave every process."""
    if is_main():
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        yield


@contextmanager
def unlaunched() -> Iterator[None]:
    """Without the launcher's variables, so that a `Trainer` works as in a process by itself: it
    would deal out whole batches and wrap the model, whose parts our losses call."""
    kept = {name: os.environ.pop(name) for name in ENVIRONMENT if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def from_main(value: T) -> T:
    """The main process's value."""
    if not together():
        return value
    box = [value]
    dist.broadcast_object_list(box, device=_device())
    return box[0]


# ------------------------------------------------------------------------- rows and their losses


def share(rows: T) -> T:
    """This process's part of the rows of a tensor, or of every tensor in a mapping.

    Raises:
        UsageError: fewer rows than processes.
    """
    if not together():
        return rows
    if isinstance(rows, Mapping):
        return {name: share(part) for name, part in rows.items()}  # type: ignore[return-value]
    first, last = bounds(len(rows))  # type: ignore[arg-type]
    return rows[first:last]  # type: ignore[index,no-any-return]


def bounds(rows: int) -> tuple[int, int]:
    """Where this process's part begins and ends.

    Raises:
        UsageError: fewer rows than processes.
    """
    if rows < count():
        raise UsageError(
            f"a batch of {rows} cannot be shared by {count()} processes; take larger batches, or "
            "start fewer processes"
        )
    return rows * rank() // count(), rows * (rank() + 1) // count()


def gather(rows: Tensor) -> Tensor:
    """The rows of all processes in order: (own, ...) → (all, ...). Gradients reach one's own."""
    if not together():
        return rows
    gathered: Tensor = _Gathered.apply(rows)
    return gathered


def alike(parameter: Tensor) -> Tensor:
    """A parameter that every process uses on gathered rows, alike: its gradients sum up to one."""
    fixed = parameter.detach()
    return fixed + (parameter - fixed) / count()


def shared_mean(mean: Tensor, items: Tensor | int) -> Tensor:
    """The mean over the items of all processes, of each one's own mean and number of items."""
    if not together():
        return mean
    own = torch.as_tensor(items, dtype=mean.dtype, device=mean.device)
    weight = own / total(own).clamp(min=1)
    summed: Tensor = _Summed.apply(mean * weight)
    return summed


def total(value: Tensor) -> Tensor:
    """The sum over processes, without a gradient."""
    if not together():
        return value
    summed = value.detach().clone()
    dist.all_reduce(summed)
    return summed


@torch.no_grad()
def add_gradients(model: nn.Module) -> None:
    """Give every process the sum of all gradients; what has none anywhere keeps none."""
    if not together():
        return
    parameters = [p for p in model.parameters() if p.requires_grad]
    present = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int32)
    present = present.to(_device())
    dist.all_reduce(present, dist.ReduceOp.MAX)
    moved = [p for p, there in zip(parameters, present.tolist(), strict=True) if there]
    for parameter in moved:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)


@torch.no_grad()
def same_start(model: nn.Module) -> None:
    """Give every process the main one's trained parameters."""
    if together():
        for parameter in model.parameters():
            if parameter.requires_grad:
                dist.broadcast(parameter.data, src=0)


class _Gathered(torch.autograd.Function):
    """All rows forward, one's own gradient back: every process computes the same loss of them."""

    @staticmethod
    def forward(context: Any, rows: Tensor) -> Tensor:
        sizes = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(count())]
        dist.all_gather(sizes, torch.tensor([len(rows)], device=rows.device))
        lengths = [int(size) for size in sizes]
        context.lengths = lengths
        padded = rows.new_zeros(max(lengths), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in lengths]
        dist.all_gather(parts, padded)
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        own: Tensor = gradients[0].split(context.lengths)[rank()]
        return own


class _Summed(torch.autograd.Function):
    """The sum over processes forward, one's own gradient back."""

    @staticmethod
    def forward(context: Any, value: Tensor) -> Tensor:
        return total(value)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
