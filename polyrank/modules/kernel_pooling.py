"""Kernel pooling over contextualised token vectors: for each query token the number of passage
tokens at each level of similarity.

After TK (Hofstätter et al. 2020, arXiv 2002.01854). A token's vector is a mix of its word
embedding e and what the encoder makes of it: α·e + (1 − α)·h. Of the cosines M_ij of query and
passage tokens, kernel k counts those near its μ_k:

    K_ik = Σ_j exp(−(M_ij − μ_k)² / 2σ²)
    score = Σ_k a_k · Σ_i log2 K_ik  +  Σ_k b_k · Σ_i K_ik / |passage|

Where TK has two Transformer layers of its own over GloVe, the encoder here is any base with its
modules. The paper's last layer over both sums is part of a and b, which are linear too.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from polyrank.errors import ModuleError
from polyrank.modules.tensor_files import read_tensors

WEIGHTS_FILE = "kernel_pooling.safetensors"
CENTRES = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1, -0.1, -0.3, -0.5, -0.7, -0.9)  # μ
WIDTH = 0.1  # σ
LEAST = 1e-10  # of a count, before its logarithm
START = 0.014  # of new weights: uniform from -START to START
START_MIX = 0.5  # α


class KernelPooling(nn.Module):
    """The kernels and their weights.

    Attributes:
        mixer: α, a scalar.
        logs, means: a and b, (11,) each.
    """

    centres: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.mixer = nn.Parameter(torch.tensor(START_MIX))
        self.logs = nn.Parameter(torch.empty(len(CENTRES)).uniform_(-START, START))
        self.means = nn.Parameter(torch.empty(len(CENTRES)).uniform_(-START, START))
        self.register_buffer("centres", torch.tensor(CENTRES), persistent=False)

    def mix(self, words: Tensor, hidden: Tensor) -> Tensor:
        """Vectors of tokens at length 1: word embeddings and states (…, H) → (…, H), fp32."""
        mixed = self.mixer * words.float() + (1 - self.mixer) * hidden.float()
        return nn.functional.normalize(mixed, dim=-1)

    def forward(self, queries: Tensor, passages: Tensor, asked: Tensor, held: Tensor) -> Tensor:
        """Scores.

        Args:
            queries: unit vectors, (…, Lq, H). passages: unit vectors, (…, Ld, H).
            asked, held: which of them count, (…, Lq) and (…, Ld); at least one of each.

        Returns:
            (…), fp32. Leading dimensions are those that both broadcast to.
        """
        cosines = queries @ passages.transpose(-1, -2)  # (…, Lq, Ld)
        present = held[..., None, :]
        counts = torch.stack(  # one kernel at a time: (…, Lq, Ld, 11) would not fit
            [
                torch.exp(-((cosines - centre) ** 2) / (2 * WIDTH**2)).mul(present).sum(dim=-1)
                for centre in self.centres
            ],
            dim=-1,
        )  # (…, Lq, 11)
        lengths = held.sum(dim=-1)[..., None, None]  # (…, 1, 1)
        of_query = asked[..., None]
        logs = (counts.clamp(min=LEAST).log2() * of_query).sum(dim=-2)  # (…, 11)
        means = (counts / lengths * of_query).sum(dim=-2)
        return logs @ self.logs + means @ self.means


def save_kernels(kernels: KernelPooling, folder: Path) -> None:
    """Write the weights into a module's folder, before its card."""
    from safetensors.torch import save_file

    tensors = {name: t.detach().cpu().float() for name, t in kernels.state_dict().items()}
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})


def load_kernels(folder: str | Path) -> KernelPooling:
    """Read a module's kernels.

    Raises:
        ModuleError: weights that are missing or broken.
    """
    kernels = KernelPooling()
    try:
        kernels.load_state_dict(read_tensors(Path(folder), WEIGHTS_FILE, WEIGHTS_FILE))
    except RuntimeError as error:
        raise ModuleError(
            f"the {WEIGHTS_FILE} in '{folder}' does not fit: {error}\nTrain the module again."
        ) from error
    return kernels.eval()
