"""The loop that trains on a GPU machine: batches made on the device, AdamW, a linear schedule."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def optimise(
    parameters: Iterable[nn.Parameter],
    loss: Callable[[int], Tensor],
    steps: int,
    rate: float,
    warmup: float = 0.1,
    decay: float = 0.01,
    clip: float = 1.0,
    seconds: float | None = None,
    bf16: bool = False,
    slow: Iterable[nn.Parameter] = (),
) -> dict[str, float]:
    """Train parameters in place.

    Args:
        loss: of step i; draws its batch from i alone.
        steps: optimizer steps; fewer when the time is up, with the schedule ending then.
        rate: peak learning rate: linear warm-up, then linear decay to zero.
        warmup: share of the steps that warm up.
        decay: weight decay of matrices.
        clip: norm that gradients are cut to.
        seconds: time limit.
        bf16: run under autocast.
        slow: further parameters, at a tenth of the rate.

    Returns:
        steps, seconds, and the mean loss of the first and last tenth.
    """
    parameters, slow = [p for p in parameters if p.requires_grad], list(slow)
    device = parameters[0].device
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay, "share": 1.0},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0, "share": 1.0},
        {"params": slow, "weight_decay": 0.0, "share": 0.1},
    ]
    parameters += slow
    optimizer = torch.optim.AdamW(
        [g for g in groups if g["params"]], lr=rate, fused=device.type == "cuda"
    )
    started, losses, done, progress = time.monotonic(), [], 0, 0.0
    while progress < 1.0:
        passed = (time.monotonic() - started) / seconds if seconds else 0.0
        progress = max(done / steps, passed)
        factor = min((progress + 1 / steps) / warmup, (1 - progress) / (1 - warmup), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["share"] * max(factor, 0.0)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            value = loss(done)
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, clip, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(value.detach())
        done += 1
        progress = max(done / steps, passed)
        if done % 16 == 0 and device.type == "cuda":
            torch.cuda.synchronize()  # so that the clock sees the work and not its queue
    values = torch.stack(losses).float().cpu()
    tenth = max(1, done // 10)
    return {
        "steps": done,
        "seconds": round(time.monotonic() - started, 1),
        "loss at first": round(float(values[:tenth].mean()), 4),
        "loss at last": round(float(values[-tenth:].mean()), 4),
    }
