"""A masked-language head for an encoder that has none: BERT's, over the encoder's own embeddings.

Hidden state → dense → GELU → LayerNorm → word embeddings (tied, frozen) + bias (Devlin et al. 2019,
arXiv 1810.04805). It starts near what the encoder knows already: the dense map as the identity, the
bias as the log frequency of each piece.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEAD_FILE = "head.safetensors"


class OutputHead(nn.Module):
    """(N, H) hidden states → logits over the vocabulary, or over some of its rows.

    Args:
        hidden: width of the encoder.
        vocabulary: number of rows of its word embeddings.
        eps: of the LayerNorm.
    """

    def __init__(self, hidden: int, vocabulary: int, eps: float = 1e-12) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.norm = nn.LayerNorm(hidden, eps=eps)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        with torch.no_grad():
            self.dense.weight.copy_(torch.eye(hidden))
            self.dense.bias.zero_()

    def start_at(self, counts: Tensor) -> None:
        """Set the bias to the log frequencies of pieces, (V,), one added to each count."""
        smooth = counts.double() + 1
        with torch.no_grad():
            self.bias.copy_((smooth / smooth.sum()).log().float())

    def forward(
        self,
        hidden: Tensor,
        words: Tensor,
        used: Tensor | None = None,
        uncouple: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """
        Args:
            hidden: (N, H).
            words: the encoder's word embeddings, (V, H), or of the rows in `used` alone, (U, H).
            used: (U,), those rows; None for all.
            uncouple: the inverse of a language adapter's coupling, which MAD-X runs right before
                the output embeddings.

        Returns:
            (N, V) or (N, U), in fp32.
        """
        states = self.norm(F.gelu(self.dense(hidden.float())))
        states = states if uncouple is None else uncouple(states)
        return F.linear(states, words.float(), self.bias if used is None else self.bias[used])


def save_head(head: OutputHead, folder: Path) -> None:
    """Write it in fp16 as `head.safetensors`."""
    from safetensors.torch import save_file

    tensors = {name: value.half().contiguous() for name, value in head.state_dict().items()}
    save_file(tensors, folder / HEAD_FILE, metadata={"format": "pt"})


def load_head(folder: Path, eps: float = 1e-12) -> OutputHead | None:
    """Read it in fp32; None where the folder has none."""
    from safetensors.torch import load_file

    if not (folder / HEAD_FILE).is_file():
        return None
    tensors = load_file(folder / HEAD_FILE)
    head = OutputHead(tensors["dense.weight"].shape[0], len(tensors["bias"]), eps)
    head.load_state_dict({name: value.float() for name, value in tensors.items()})
    return head
