"""The models that training of single texts moves: an encoder, and how its vectors meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from polyrank.base.pooling import pooled
from polyrank.modules.interaction import (
    DOT_PRODUCT,
    KERNEL_POOLING,
    Interaction,
    save_interaction,
)
from polyrank.modules.kernel_pooling import KernelPooling, save_kernels
from polyrank.modules.projection import TokenRules
from polyrank.training.kinds.contract import Ground
from polyrank.training.loop.processes import alike
from polyrank.training.loop.trained_state import TrainedState


class TextModel(TrainedState):
    """An encoder of single texts.

    Args:
        model: what a kind builds: a model of the `adapters` library, or an encoder.
        ground: base and prefixes.
        length: tokens of a text.
    """

    architecture: str

    def __init__(self, model: Any, ground: Ground, length: int) -> None:
        super().__init__()
        self.model = model
        rules = text_rules(ground, length)
        self.interaction = Interaction(self.architecture, rules, ground.base.card.pooling)

    @property
    def base_model(self) -> Any:
        """The encoder."""
        return self.model.base_model

    def states(self, ids: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Word embeddings and hidden states: (B, L) each → (B, L, H) each."""
        table: nn.Embedding = self.base_model.embeddings.word_embeddings
        words = table(ids)
        hidden = self.base_model(inputs_embeds=words, attention_mask=attended).last_hidden_state
        return words, hidden

    def save(self, folder: Path) -> None:
        """What lies beside the weights of the kind."""
        save_interaction(self.interaction, folder)


class DotProductModel(TextModel):
    """A vector a text, as the base is pooled, not normalised."""

    architecture = DOT_PRODUCT

    def forward(self, ids: Tensor, attended: Tensor) -> Tensor:
        """(B, L) each → (B, H), fp32."""
        _, hidden = self.states(ids, attended)
        with torch.autocast(hidden.device.type, enabled=False):
            return pooled(hidden.float(), attended, self.interaction.pooling)

    def interact(self, queries: Tensor, passages: Tensor, asked: Tensor, held: Tensor) -> Tensor:
        """(B, H) and (M, H) → (B, M)."""
        return queries @ passages.T


class KernelModel(TextModel):
    """A vector a token, and kernels over their cosines."""

    architecture = KERNEL_POOLING

    def __init__(self, model: Any, ground: Ground, length: int) -> None:
        super().__init__(model, ground, length)
        self.kernels = KernelPooling()

    def forward(self, ids: Tensor, attended: Tensor) -> Tensor:
        """(B, L) each → unit vectors (B, L, H), fp32."""
        words, hidden = self.states(ids, attended)
        with torch.autocast(hidden.device.type, enabled=False):
            return self.kernels.mix(words, hidden)

    def interact(self, queries: Tensor, passages: Tensor, asked: Tensor, held: Tensor) -> Tensor:
        """(B, Lq, H), (M, Ld, H), scored (B, Lq) and (M, Ld) → (B, M)."""
        weights = {name: alike(weight) for name, weight in self.kernels.named_parameters()}
        met = (queries[:, None], passages[None], asked[:, None], held[None])
        scores: Tensor = functional_call(self.kernels, weights, met)
        return scores

    def save(self, folder: Path) -> None:
        super().save(folder)
        save_kernels(self.kernels, folder)


MODELS: dict[str, type[TextModel]] = {
    model.architecture: model for model in (DotProductModel, KernelModel)
}


def text_rules(ground: Ground, length: int) -> TokenRules:
    """A text with its prefix, all of it scored but for prefix and specials."""
    query, passage = ground.prefixes
    return TokenRules(
        query_marker=None,
        document_marker=None,
        dim=ground.base.model.config.hidden_size,
        query_length=length,
        document_length=length,
        augment_to=0,
        skiplist="none",
        query_prefix=query,
        document_prefix=passage,
        specials=False,
    )
