"""The model that late-interaction training moves: encoder, markers, projection.

Two recipes say what moves. `modular` (ModularCLIR's division): base and language module stay, a
ranking adapter is trained over them, or a ranking mask. `colbert-xm` (Louis et al. 2025, arXiv
2402.15059, §3.2): the shared weights move, embeddings and language modules stay, so that the
language modules of other languages still fit. The markers and the projection are new and always
move. Over a base whose vectors are for retrieval there are its prefixes in place of markers.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polyrank.base import Base, load_base
from polyrank.encoders.xmod import xmod_hidden, xmod_languages
from polyrank.errors import UsageError
from polyrank.kernels import maxsim
from polyrank.modules.card import Parent
from polyrank.modules.projection import Projection, TokenRules, embed, project, untrained
from polyrank.training.kinds import Part, part_of
from polyrank.training.kinds.contract import LATE_INTERACTION, SHARED, Ground, Shape
from polyrank.training.late_interaction.shared_weights import free_shared
from polyrank.training.loop.stack import language_below, parent_of
from polyrank.training.loop.trained_state import TrainedState


class TokenModel(TrainedState):
    """An encoder with a projection of every token.

    Args:
        model: what is trained: a model of the `adapters` library, an encoder (for a mask), or an
            XMOD.
        rules: of the module to be; its markers lie beyond the vocabulary, or there are none.
        first_token_id: whose embedding the markers start from.
        language_id: XMOD's number of the language of training; None for others.
        start: of the projection, (dim, H); None for random orthonormal rows.
    """

    def __init__(
        self,
        model: Any,
        rules: TokenRules,
        first_token_id: int,
        language_id: int | None = None,
        start: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.model, self.rules, self.language_id = model, rules, language_id
        table = self.table
        self.projection = nn.Linear(table.embedding_dim, rules.dim, bias=False)
        nn.init.orthogonal_(self.projection.weight)  # keeps what it can of the base's geometry
        if start is not None:
            self.projection.weight.data.copy_(start)
        self.markers: nn.Parameter | None = None
        if rules.query_marker is not None:
            # Both start as the first token's row, which says nothing of content.
            first = table.weight[first_token_id].detach()
            self.markers = nn.Parameter(first.repeat(2, 1))

    @property
    def base_model(self) -> Any:
        """The encoder."""
        return self.model.base_model

    @property
    def table(self) -> nn.Embedding:
        found: nn.Embedding = self.base_model.embeddings.word_embeddings
        return found

    def forward(self, ids: Tensor, attended: Tensor) -> Tensor:
        """Unit vectors in fp32: ids (B, L), attended (B, L) → (B, L, dim)."""
        words = embed(ids, self.table, self.markers)
        if self.language_id is not None:
            modules = torch.full((len(ids),), self.language_id, device=ids.device)
            hidden = xmod_hidden(self.model.base_model, attended, modules, words)
        else:
            hidden = self.model.base_model(
                inputs_embeds=words, attention_mask=attended
            ).last_hidden_state
        with torch.autocast(hidden.device.type, enabled=False):
            return project(hidden, self.projection.weight)

    def interact(self, queries: Tensor, passages: Tensor, asked: Tensor, held: Tensor) -> Tensor:
        """MaxSim: (B, Lq, dim), (M, Ld, dim), scored (B, Lq) and (M, Ld) → (B, M)."""
        scores: Tensor = maxsim(queries, passages, asked, held)
        return scores

    def as_projection(self) -> Projection:
        """What is stored beside the encoder's weights."""
        markers = None if self.markers is None else self.markers.detach().clone()
        return Projection(self.rules, self.projection.weight.detach().clone(), None, markers)


def token_model(
    base: Base,
    rules: TokenRules,
    kind: str,
    name: str,
    source: str,
    over: str | None,
    reduction: int,
    zoo: str | Path | None,
    start: Tensor | None = None,
) -> tuple[TokenModel, Parent | None]:
    """A model to train, and the language module beneath it.

    Args:
        kind: of the module to be: 'adapter', 'mask' or 'full'.
        name: of the ranking adapter.
        source: language of the judgements.
        over: the language module beneath, a mask under a mask, else an adapter; None takes the one
            of `source`, '' none. An XMOD takes None alone.
        reduction: width of the base over width of the ranking adapter's bottleneck.
        start: of the projection, as of `TokenModel`.

    Raises:
        UsageError: a language module made for another base, or an XMOD under another kind than
            'full', without the source language, or with `over`.
    """
    ground = Ground(base, name, LATE_INTERACTION, Shape(reduction), zoo=zoo)
    return over_tokens(ground, part_of(kind, LATE_INTERACTION), rules, source, over, start)


def over_tokens(
    ground: Ground,
    part: Part,
    rules: TokenRules,
    source: str,
    over: str | None,
    start: Tensor | None,
) -> tuple[TokenModel, Parent | None]:
    """The same of what a kind builds; the arguments are those of `token_model`."""
    base = ground.base
    if base.model.config.model_type == "xmod":
        return _xmod(base, rules, part, source, over, start), None
    below = parent = None
    if part.beneath is not None and over != "":
        below = language_below(base, part.beneath, over or source, ground.zoo)
        parent = parent_of(below, part.beneath)
    model = part.build(replace(ground, below=below))
    return TokenModel(model, rules, base.tokenizer.cls_token_id, start=start), parent


def _xmod(
    base: Base, rules: TokenRules, part: Part, source: str, over: str | None, start: Tensor | None
) -> TokenModel:
    if part.recipe != SHARED:
        raise UsageError(
            "an XMOD base has its language modules inside and takes no adapters or masks here; "
            "use --recipe colbert-xm"
        )
    if over is not None:
        raise UsageError(
            f"an XMOD base is trained over the language module that it has inside for '{source}', "
            f"so --over '{over}' would be ignored.\nLeave --over out; --source chooses the "
            "language."
        )
    model = load_base(base.folder).model  # a copy: the base itself stays as it is
    codes = xmod_languages(model.config.languages)
    if source not in codes:
        raise UsageError(
            f"the base '{base.name}' has no module for '{source}'; "
            f"it has {', '.join(sorted(codes))}"
        )
    base.model.set_default_language(codes[source])  # negatives are mined with the base itself
    free_shared(model)
    language_id = model.config.languages.index(codes[source])
    return TokenModel(model, rules, base.tokenizer.cls_token_id, language_id, start)


def plain_encoder(model: TokenModel, base: Base) -> Any:
    """The trained shared weights as an encoder of the base's own class, without adapters."""
    encoder = load_base(base.folder).model
    trained = model.model.base_model.state_dict()
    encoder.load_state_dict({name: trained[name] for name in encoder.state_dict()})
    return encoder


def default_rules(base: Base, **changed: Any) -> TokenRules:
    """Rules whose markers lie beyond the base's vocabulary; over a base whose vectors are for
    retrieval its prefixes, and no query augmentation, as without training."""
    if base.card.vectors:
        return replace(untrained(base).rules, **changed)
    size = base.model.get_input_embeddings().num_embeddings
    return TokenRules(query_marker=size, document_marker=size + 1, **changed)
