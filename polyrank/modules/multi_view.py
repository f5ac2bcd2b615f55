"""What makes an encoder a multi-view reranker: its view tokens, and a head over whole lists.

MVP (arXiv 2509.07485): m learned tokens stand first in every query–passage pair. What the encoder
makes of them are the passage's relevance vectors, one a view. For each view a decoder asks the
vectors of all candidates of a query, in one step of cross-attention, for an anchor; a passage's
score is the mean over views of the dot product of its vector with the anchor. No positions are
involved, so the order of the candidates has no effect.

Where the source decodes with T5, there is one block of cross-attention here, so that any encoder
with its language modules will do. Dot products are divided by √H, which the source leaves to T5's
small weights.

Beside the weights of such a ranking module lie `multi_view.safetensors` and `multi_view.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polyrank.errors import ModuleError
from polyrank.modules.tensor_files import read_json, read_tensors

HEAD_FILE, WEIGHTS_FILE = "multi_view.json", "multi_view.safetensors"
ARCHITECTURE = "multi-view"  # under `architecture` in the recipe of a ranking module
FORMAT = 1
START_STD = 0.02  # of a new start token, as of the embeddings of BERT


class MultiViewHead(nn.Module):
    """View tokens and the block that turns relevance vectors into scores.

    Args:
        width: H, of the encoder.
        views: m, how many tokens stand first.
        heads: of the cross-attention; it must divide the width.

    Attributes:
        tokens: the view tokens' embeddings, (m, H).
        start: what every view's anchor is asked for with, (H,).
    """

    def __init__(self, width: int, views: int, heads: int) -> None:
        super().__init__()
        self.width, self.views, self.heads = width, views, heads
        self.tokens = nn.Parameter(torch.empty(views, width))
        self.start = nn.Parameter(torch.empty(width))
        nn.init.normal_(self.tokens, std=START_STD)
        nn.init.normal_(self.start, std=START_STD)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def anchors(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """One anchor a query and view: LN(start + attention of start over the view's vectors).

        Args:
            vectors: relevance vectors, (B, N, m, H).
            mask: True where a candidate exists, (B, N).

        Returns:
            (B, m, H), fp32.
        """
        batch, candidates = mask.shape
        views = vectors.float().transpose(1, 2)  # (B, m, N, H)
        views = views.reshape(batch * self.views, candidates, self.width)
        start = self.start.expand(len(views), 1, -1)  # (B·m, 1, H)
        absent = ~mask.repeat_interleave(self.views, dim=0)  # (B·m, N)
        attended, _ = self.attention(
            start, views, views, key_padding_mask=absent, need_weights=False
        )
        anchors: Tensor = self.norm(start + attended)
        return anchors.view(batch, self.views, self.width)

    def forward(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B, N), of which those at padding mean nothing, and anchors (B, m, H).

        s_i = mean over views k of a_k · e_ik / √H.
        """
        anchors = self.anchors(vectors, mask)
        products = torch.einsum("bkh,bnkh->bnk", anchors, vectors.float())  # (B, N, m)
        return products.mean(dim=2) / self.width**0.5, anchors

    def embed(self, ids: Tensor, table: nn.Embedding) -> Tensor:
        """Word embeddings with the view tokens first: (B, L) → (B, m + L, H)."""
        words = table(ids)
        first = self.tokens.to(words.dtype).expand(len(ids), -1, -1)
        return torch.cat([first, words], dim=1)


def is_multi_view(folder: str | Path) -> bool:
    """Whether a module's folder holds a multi-view head."""
    return (Path(folder) / HEAD_FILE).is_file()


def refuse_multi_view(folder: str | Path) -> None:
    """Raise ModuleError for a multi-view module, which scores no pair by itself."""
    if is_multi_view(folder):
        raise ModuleError(
            f"the ranking module in '{folder}' is multi-view: it scores whole lists, not pairs.\n"
            "Use it with pr.load_reranker, or with polyrank rerank --ranking and the folder."
        )


def save_multi_view(head: MultiViewHead, folder: Path) -> None:
    """Write the two files into a module's folder, before its card."""
    from safetensors.torch import save_file

    tensors = {
        name: tensor.detach().cpu().float().contiguous()
        for name, tensor in head.state_dict().items()
    }
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    record = {
        "format_version": FORMAT, "width": head.width, "views": head.views, "heads": head.heads,
    }  # fmt: skip
    (folder / HEAD_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def load_multi_view(folder: str | Path) -> MultiViewHead:
    """Read a multi-view module's head, in fp32.

    Raises:
        ModuleError: a folder of another architecture, or files that are missing or broken.
    """
    folder = Path(folder)
    if not is_multi_view(folder):
        raise ModuleError(
            f"the ranking module in '{folder}' is not multi-view: it has no {HEAD_FILE}.\n"
            "Use it with pr.Reranker, or train one with:  polyrank train ranking "
            f"--architecture {ARCHITECTURE}"
        )
    tensors = read_tensors(folder, WEIGHTS_FILE, WEIGHTS_FILE)
    try:
        head = MultiViewHead(*_sizes(read_json(folder / HEAD_FILE)))
        head.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise ModuleError(
            f"the multi-view files in '{folder}' do not fit together: {error}\n"
            "Fetch or train the module again."
        ) from error
    return head.eval()


def _sizes(record: dict[str, Any]) -> tuple[int, int, int]:
    if record.get("format_version") != FORMAT:
        raise ModuleError(
            f"{HEAD_FILE} has format version {record.get('format_version')!r}; this polyrank "
            f"reads version {FORMAT}.\nUpgrade polyrank."
        )
    return record["width"], record["views"], record["heads"]
