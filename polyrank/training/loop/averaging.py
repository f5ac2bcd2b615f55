"""Average the parameters of the last steps of a run.

The mean of several points near the end of training lies flatter than the last one alone; so were
the checkpoints of JaColBERTv2.5 combined (Clavié 2024, arXiv 2407.20750, §3.4).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import TrainerCallback

from polyrank.training.loop import processes


class Snapshots(TrainerCallback):
    """Keeps the trained parameters at the last `count` of every `apart` steps.

    A resumed run writes those after its checkpoint again, with the same bytes.

    Args:
        folder: where to; it must outlive an interruption.
        steps: of the whole run; the last snapshot is of the last step.
    """

    def __init__(self, folder: Path, steps: int, count: int, apart: int) -> None:
        self.folder = folder
        self.at = {steps - apart * place for place in range(count) if steps - apart * place > 0}

    def on_step_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        if state.global_step not in self.at or not processes.is_main():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{state.global_step}.safetensors"
        temporary = path.with_suffix(".tmp")
        save_file(_trained(kw["model"]), temporary)
        os.replace(temporary, path)

    @torch.no_grad()
    def average_into(self, model: nn.Module) -> None:
        """Set the trained parameters to the mean of the snapshots, taken in fp32."""
        kept = [load_file(self.folder / f"{step}.safetensors") for step in sorted(self.at)]
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                mean = torch.stack([snapshot[name].float() for snapshot in kept]).mean(dim=0)
                parameter.copy_(mean)


def _trained(model: nn.Module) -> dict[str, torch.Tensor]:
    return {
        name: parameter.detach().cpu().contiguous()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
