"""Lottery-ticket sparse fine-tuning (LT-SFT), for any objective.

Ansell et al. 2022, Composable Sparse Fine-Tuning for Cross-Lingual Transfer, arXiv 2110.07560, §3:
train everything, keep the k coordinates that moved farthest, rewind, and train those alone. In
several iterations each keeps its share of k and trains all that were kept so far.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from polyrank.errors import UsageError
from polyrank.modules.mask.sparse import SparseDifference
from polyrank.training.loop import processes
from polyrank.training.loop.averaging import Snapshots
from polyrank.training.loop.selection import diverged, select_largest
from polyrank.training.loop.sparsity import CANDIDATES, Sparsity
from polyrank.training.loop.steps import Batch, Schedule, fit


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
    processes.start()
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    tensors = _candidates(model, sparsity)
    search = _Search(model, make, loss, schedule, sparsity, work, resume, tensors)
    pulls = search.pulls()
    facts: dict[str, Any] = {}
    for number in range(sparsity.iterations):
        last = number + 1 == sparsity.iterations
        facts = search.round(number, [average] if average and last else []) or facts
    for pull in pulls:
        pull.remove()
    if average is not None:
        average.average_into(model)
    return search.differences(), {
        **facts,
        **asdict(sparsity),
        "full_steps": search.whole.steps,
        "k": search.k,
        "candidate_coordinates": sum(parameter.numel() for _, parameter in tensors.values()),
        "minutes": round(search.minutes, 1),
    }


Tensors = Mapping[str, tuple[str, nn.Parameter]]  # name in the encoder → name in the model, tensor


class _Search:
    """The rounds of one training: what was trained stays in the model from one to the next.

    Attributes:
        k: how many coordinates, as a number.
        start: θ0 of everything that trains, by its name in the model.
        now, then: the candidates and their θ0, by their name in the encoder.
        selected: per candidate tensor the flat positions that were chosen so far.
        minutes: of this process, over all rounds.
    """

    def __init__(
        self,
        model: nn.Module,
        make: Callable[[int], Batch],
        loss: Callable[[Any, Batch], Tensor],
        schedule: Schedule,
        sparsity: Sparsity,
        work: Path,
        resume: bool,
        tensors: Tensors,
    ) -> None:
        self.model, self.make, self.loss = model, make, loss
        self.sparsity, self.work, self.resume = sparsity, work, resume
        self.schedule = replace(schedule, weight_decay=0.0)
        self.whole = replace(self.schedule, steps=sparsity.full_steps or schedule.steps)
        self.k = _number(sparsity, tensors)
        processes.same_start(model)
        self.trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.start = _copied(self.trained)
        self.then = {name: self.start[full] for name, (full, _) in tensors.items()}
        self.now = {name: parameter for name, (_, parameter) in tensors.items()}
        self.selected = {name: torch.zeros(0, dtype=torch.int64) for name in tensors}
        self.minutes = 0.0

    def pulls(self) -> list[RemovableHandle]:
        """The L1 pull of everything that trains to θ0, for both phases."""
        if not self.sparsity.l1:
            return []
        weight = self.sparsity.l1 / sum(p.numel() for p in self.model.parameters())
        weight /= processes.count()  # each process adds its part
        return [_pull(p, self.start[name], weight) for name, p in self.trained.items()]

    def round(self, number: int, callbacks: Sequence[Snapshots]) -> dict[str, Any]:
        """Find this round's coordinates, rewind, and train all that were found so far.

        Returns:
            Facts of the sparse phase; none for a round that a resumed run finds finished.
        """
        chosen, finished = (
            self.work / f"{w}-{number}.safetensors" for w in ("selected", "trained")
        )
        if self.resume and finished.is_file():
            self.selected = load_file(chosen)
            _restore(self.trained, load_file(finished))
            return {}
        begin = self.start if number == 0 else _copied(self.trained)
        if not (self.resume and chosen.is_file()):
            self._find(number, chosen)
        processes.wait()
        self.selected = load_file(chosen)  # the main process's choice
        _restore(self.trained, begin)
        hooks = [_only_selected(self.now[name], self.selected[name]) for name in self.now]
        facts = self._fit(self.schedule, self.work / f"sparse-{number}", callbacks)
        for hook in hooks:
            hook.remove()
        for name, parameter in self.trained.items():
            if not parameter.isfinite().all():
                raise diverged(name)
        if number + 1 < self.sparsity.iterations and processes.is_main():
            _save(self.trained, finished)
        processes.wait()
        return facts

    def _find(self, number: int, chosen: Path) -> None:
        """Train everything; write which coordinates moved farthest, beside those chosen before."""
        full = self.work / f"full-{number}"
        self._fit(self.whole, full)
        share = self.sparsity.quota(number, self.k)
        more = select_largest(self.now, self.then, share, self.selected)
        if processes.is_main():
            _save(
                {name: torch.cat([self.selected[name], more[name]]).sort()[0] for name in more},
                chosen,
            )
            shutil.rmtree(full)

    def _fit(
        self, schedule: Schedule, folder: Path, callbacks: Sequence[Snapshots] = ()
    ) -> dict[str, Any]:
        facts = fit(self.model, self.make, self.loss, schedule, folder, self.resume, callbacks)
        self.minutes += facts["minutes"]
        return facts

    def differences(self) -> dict[str, SparseDifference]:
        """What moved, by the tensor's name within the encoder."""
        return {
            name: _difference(self.now[name], self.then[name], self.selected[name])
            for name in self.now
        }


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
