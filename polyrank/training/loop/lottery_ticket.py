"""Lottery-ticket sparse fine-tuning (LT-SFT), for any objective.

Ansell et al. 2022, Composable Sparse Fine-Tuning for Cross-Lingual Transfer, arXiv 2110.07560, §3:
train everything, keep the k coordinates that moved farthest, rewind, and train those alone. In
several iterations each keeps its share of k and trains all that were kept so far.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from polyrank.errors import UsageError
from polyrank.modules.mask.sparse import SparseDifference
from polyrank.training.loop.averaging import Snapshots
from polyrank.training.loop.selection import diverged, select_largest
from polyrank.training.loop.steps import Batch, Schedule, fit

CANDIDATES = {"all": ("embeddings.", "encoder."), "encoder": ("encoder.",)}


@dataclass(frozen=True)
class Sparsity:
    """How sparse, and how the coordinates are found.

    Attributes:
        k: coordinates to keep; below 1 a share of the candidates; None leaves the number to who
            trains: as many as an adapter would have parameters.
        full_steps: steps of the phase that finds them; None takes as many as the sparse phase has.
        l1: pull to the start: this times Σ|θ - θ0| over the number of the model's parameters.
        freeze_norms: leave the LayerNorms out.
        candidates: 'all' of the encoder, or 'encoder': its layers without the embeddings.
        iterations: rounds of finding and training; each keeps an equal share of k.
    """

    k: float | None = None
    full_steps: int | None = None
    l1: float = 0.0
    freeze_norms: bool = False
    candidates: str = "all"
    iterations: int = 1

    def __post_init__(self) -> None:
        if self.candidates not in CANDIDATES:
            raise UsageError(
                f"unknown candidates '{self.candidates}'; use one of {', '.join(CANDIDATES)}"
            )
        if self.k is not None and not (
            0 < self.k < 1 or (self.k >= 1 and float(self.k).is_integer())
        ):
            raise UsageError(f"--k is {self.k}; give a whole number, or a share below 1")
        if self.iterations < 1 or self.l1 < 0:
            raise UsageError("--iterations must be 1 or more, and --l1 not below 0")


def train_sparse(
    model: nn.Module,
    make: Callable[[int], Batch],
    loss: Callable[[Any, Batch], Tensor],
    schedule: Schedule,
    sparsity: Sparsity,
    work: Path,
    resume: bool = False,
    average: Snapshots | None = None,
) -> tuple[dict[str, SparseDifference], dict[str, Any]]:
    """Train `model` in place so that exactly k coordinates of its encoder change.

    What else may train (`requires_grad`), such as a head, is trained densely in both phases and
    rewound with the rest between them.

    Args:
        model: with its encoder as `base_model`, in fp32; it stands at the start, θ0.
        make: batch of step i, of either phase.
        loss: of the model on a batch.
        schedule: of each phase; `steps` of the sparse one. Its weight decay is not used, since it
            would move every coordinate.
        sparsity: how sparse.
        work: folder of checkpoints and of what was selected.
        resume: go on in the phase that was interrupted.
        average: snapshots of the last sparse phase, whose mean the model is set to.

    Returns:
        The differences to θ0 by the tensor's name within the encoder, and facts for the card.

    Raises:
        UsageError: more coordinates asked for than there are, or a training that diverged.
    """
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    tensors = _candidates(model, sparsity)
    k = _number(sparsity, tensors)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    start = _copied(trained)
    then = {name: start[full] for name, (full, _) in tensors.items()}
    now = {name: parameter for name, (_, parameter) in tensors.items()}
    pulls: list[RemovableHandle] = []
    if sparsity.l1:
        weight = sparsity.l1 / sum(parameter.numel() for parameter in model.parameters())
        pulls = [_pull(parameter, start[name], weight) for name, parameter in trained.items()]
    schedule = replace(schedule, weight_decay=0.0)
    whole = replace(schedule, steps=sparsity.full_steps or schedule.steps)
    selected = {name: torch.zeros(0, dtype=torch.int64) for name in tensors}
    facts: dict[str, Any] = {}
    minutes = 0.0
    for number in range(sparsity.iterations):
        chosen, finished = (work / f"{w}-{number}.safetensors" for w in ("selected", "trained"))
        if resume and finished.is_file():
            selected = load_file(chosen)
            _restore(trained, load_file(finished))
            continue
        begin = start if number == 0 else _copied(trained)
        if not (resume and chosen.is_file()):
            full = work / f"full-{number}"
            minutes += fit(model, make, loss, whole, full, resume)["minutes"]
            share = k * (number + 1) // sparsity.iterations - k * number // sparsity.iterations
            more = select_largest(now, then, share, selected)
            selected = {name: torch.cat([selected[name], more[name]]).sort()[0] for name in more}
            _save(selected, chosen)
            shutil.rmtree(full)
        selected = load_file(chosen)
        _restore(trained, begin)
        hooks = [_only_selected(now[name], selected[name]) for name in tensors]
        callbacks = [average] if average and number + 1 == sparsity.iterations else []
        facts = fit(model, make, loss, schedule, work / f"sparse-{number}", resume, callbacks)
        minutes += facts["minutes"]
        for hook in hooks:
            hook.remove()
        for name, parameter in trained.items():
            if not parameter.isfinite().all():
                raise diverged(name)
        if number + 1 < sparsity.iterations:
            _save(trained, finished)
    for pull in pulls:
        pull.remove()
    if average is not None:
        average.average_into(model)
    return {name: _difference(now[name], then[name], selected[name]) for name in tensors}, {
        **facts,
        **asdict(sparsity),
        "full_steps": whole.steps,
        "k": k,
        "candidate_coordinates": sum(parameter.numel() for parameter in now.values()),
        "minutes": round(minutes, 1),
    }


Tensors = Mapping[str, tuple[str, nn.Parameter]]  # name in the encoder → name in the model, tensor


def _candidates(model: Any, sparsity: Sparsity) -> Tensors:
    """What of the encoder may change; the rest of it is frozen, but for a pooler: a head's part."""
    prefix = next(f"{name}." for name, part in model.named_modules() if part is model.base_model)
    found = {}
    for name, parameter in model.base_model.named_parameters():
        norm = sparsity.freeze_norms and "LayerNorm" in name
        candidate = name.startswith(CANDIDATES[sparsity.candidates]) and not norm
        parameter.requires_grad_(candidate or name.startswith("pooler."))
        if candidate:
            found[name] = (prefix + name, parameter)
    return found


def _number(sparsity: Sparsity, tensors: Tensors) -> int:
    """k as a number; one that cannot be is refused before hours of training."""
    assert sparsity.k is not None  # its default is put in by who knows the base
    there = sum(parameter.numel() for _, parameter in tensors.values())
    k = int(sparsity.k) if sparsity.k >= 1 else round(sparsity.k * there)
    if not sparsity.iterations <= k <= there:
        raise UsageError(
            f"{k} coordinates cannot be chosen from {there} in {sparsity.iterations} iterations; "
            "give another --k"
        )
    return k


def _pull(parameter: nn.Parameter, start: Tensor, weight: float) -> RemovableHandle:
    """Add the gradient of weight · Σ|θ - θ0| after each backward pass, before what masks it."""

    def add(moved: Tensor) -> None:
        moved.grad.add_((moved.detach() - start).sign_(), alpha=weight)  # type: ignore[union-attr]

    return parameter.register_post_accumulate_grad_hook(add)


def _only_selected(parameter: nn.Parameter, selected: Tensor) -> RemovableHandle:
    """Let gradients through at selected positions only: AdamW without decay moves no other."""
    mask = torch.zeros(parameter.numel(), dtype=torch.bool)
    mask[selected] = True
    mask = mask.view(parameter.shape).to(parameter.device)

    def keep(moved: Tensor) -> None:
        moved.grad.mul_(mask)  # type: ignore[union-attr]

    return parameter.register_post_accumulate_grad_hook(keep)


def _difference(now: Tensor, then: Tensor, selected: Tensor) -> SparseDifference:
    change = (now.detach() - then).reshape(-1).cpu()[selected]
    return SparseDifference(tuple(now.shape), selected, change)


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


@torch.no_grad()
def _restore(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        tensor.copy_(values[name])


def _save(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Written aside and renamed, so that what is there is whole."""
    aside = path.with_suffix(".part")
    save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, aside)
    aside.replace(path)
