"""Run one batch whose rows and segments use different language modules.

The composition blocks of the `adapters` library (Split, BatchSplit) apply the invertible layer of
their first child to every token, and need rows sorted by language. This engine takes a module index
per token instead, so any mixture of languages in a batch scores as each pair alone would.

The composition is Stack(language, ranking) of MAD-X (Pfeiffer et al. 2020, arXiv 2005.00052), and
with the `split` routing that of ModularCLIR (Litschko et al. 2022, arXiv 2204.02292), except that
there the query's invertible layer runs over the document too; here each token gets its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from polyrank.encoders.grouped import Grouped, Stacks
from polyrank.encoders.head import score
from polyrank.encoders.packed import Spans, attend, position_ids
from polyrank.encoders.segments import (
    NO_MODULE,
    module_index,
    query_length,
    query_lengths,
    segments,
)
from polyrank.errors import CompositionError, ModuleError
from polyrank.kernels.activations import activate
from polyrank.kernels.backend import use_triton
from polyrank.modules.adapter.tensors import AdapterModule, Bottleneck, Invertible, Linear

__all__ = [
    "NO_MODULE",
    "RoutedEncoder",
    "module_index",
    "query_length",
    "query_lengths",
    "score",
    "segments",
]

# Encoders whose layers read attention.self, attention.output, intermediate, output, with the
# LayerNorms after the residuals. XMOD is not among them: its layers hold language modules already.
MODEL_TYPES = ("bert", "roberta", "xlm-roberta", "camembert")

# Which tokens each language module acts on: flat positions, or None for all of them.
Groups = list[tuple[AdapterModule | None, Tensor | None]]


class RoutedEncoder:
    """An encoder with a set of language modules and at most one ranking module over them.

    The encoder is walked, never changed: it can serve several engines at once. Modules are copied
    to its device and dtype here; build a new engine when the encoder moves.
    """

    def __init__(
        self,
        encoder: Any,
        languages: Sequence[AdapterModule | None],
        ranking: AdapterModule | None = None,
    ) -> None:
        """
        Args:
            encoder: a plain BertModel, RobertaModel or XLMRobertaModel, in eval mode.
            languages: the language modules that a module index points into; None is none.
            ranking: applied over the language module, for every token.

        Raises:
            CompositionError: an encoder of another architecture.
            ModuleError: a module of another width or with more layers than the encoder.
        """
        if encoder.config.model_type not in MODEL_TYPES:
            raise CompositionError(
                "adapters cannot be routed through an encoder of type "
                f"'{encoder.config.model_type}'.\nUse a base of type {', '.join(MODEL_TYPES)}, "
                "or masks (kind='mask')."
            )
        for module in [*languages, ranking]:
            _check_fits(module, encoder)
        weight = encoder.embeddings.word_embeddings.weight
        self.encoder = encoder
        self.languages = [m and m.to(weight.device, weight.dtype) for m in languages]
        self.ranking = ranking and ranking.to(weight.device, weight.dtype)
        self._stacks: Stacks | None = None

    @torch.inference_mode()
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        module_index: Tensor | None = None,
        word_embeddings: Tensor | None = None,
    ) -> Tensor:
        """Encode a batch, each token through its own language module.

        Args:
            input_ids: (B, L).
            attention_mask: (B, L), 1 for tokens, 0 for padding.
            token_type_ids: (B, L), for bases that have them.
            module_index: (B, L), positions in `languages`, or -1 for no language module. What it
                says of padding has no effect on the other tokens. None: no language module at all.
            word_embeddings: (B, L, H), in place of those the base has for `input_ids`, where some
                ids are not in its vocabulary.

        Returns:
            The last hidden state, (B, L, H), in the encoder's dtype.

        Raises:
            CompositionError: an index outside `languages`, or of another shape than `input_ids`.
        """
        return self.differentiable(
            input_ids, attention_mask, token_type_ids, module_index, word_embeddings
        )

    __call__ = forward

    def differentiable(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        module_index: Tensor | None = None,
        word_embeddings: Tensor | None = None,
        language: AdapterModule | None = None,
    ) -> Tensor:
        """`forward` with gradients, for training the modules that it runs.

        Args:
            language: of all tokens, in place of `module_index`; nothing has to be looked up then.
        """
        groups: Groups | Grouped = [(language, None)]
        if language is None:
            groups = self._groups(input_ids, module_index)
        hidden = input_ids
        for state in self._walk(input_ids, attention_mask, token_type_ids, groups, word_embeddings):
            hidden = state  # one is held at a time
        return hidden

    @property
    def packs(self) -> bool:
        """Whether `packed` and `firsts` can run: on a CPU, with attention that is computed here."""
        decoder = getattr(self.encoder.config, "is_decoder", False)
        return self.encoder.device.type == "cpu" and _own_attention(self.encoder) and not decoder

    @torch.inference_mode()
    def packed(
        self,
        input_ids: Tensor,
        spans: Spans,
        token_type_ids: Tensor | None = None,
        module_index: Tensor | None = None,
        word_embeddings: Tensor | None = None,
    ) -> Tensor:
        """`forward` of rows end to end: all but `word_embeddings` (T, H) are (T,) → (T, H)."""
        hidden, groups = self._packed_start(
            input_ids, spans, token_type_ids, module_index, word_embeddings
        )
        for number, layer in enumerate(self.encoder.encoder.layer):
            hidden = self._layer(number, layer, hidden, spans, groups)
        return hidden[0]

    @torch.inference_mode()
    def firsts(
        self,
        input_ids: Tensor,
        spans: Spans,
        token_type_ids: Tensor | None = None,
        module_index: Tensor | None = None,
    ) -> Tensor:
        """`packed`, but the first token's state of each row alone, (B, H).

        The last layer computes keys and values of all tokens, and the rest for the first ones.
        """
        hidden, groups = self._packed_start(input_ids, spans, token_type_ids, module_index, None)
        *layers, last = self.encoder.encoder.layer
        for number, layer in enumerate(layers):
            hidden = self._layer(number, layer, hidden, spans, groups)
        starts = spans.starts
        own = groups
        if module_index is not None:
            own = self._groups(input_ids[starts], module_index[starts])
        return self._layer(len(layers), last, hidden, spans, own, hidden[:, starts])[0]

    def _packed_start(
        self,
        input_ids: Tensor,
        spans: Spans,
        token_type_ids: Tensor | None,
        module_index: Tensor | None,
        word_embeddings: Tensor | None,
    ) -> tuple[Tensor, Groups | Grouped]:
        """The coupled embeddings, (1, T, H), and which tokens each module acts on."""
        embeddings = self.encoder.embeddings
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        hidden = embeddings(
            input_ids=input_ids[None],
            token_type_ids=types[None],
            position_ids=position_ids(embeddings, input_ids, spans)[None],
            inputs_embeds=None if word_embeddings is None else word_embeddings[None],
        )
        groups = self._groups(input_ids, module_index)
        return self._couple(hidden, groups), groups

    @torch.inference_mode()
    def states(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        module_index: Tensor | None = None,
        word_embeddings: Tensor | None = None,
    ) -> Iterator[Tensor]:
        """`forward`, yielding what every layer makes: first the embeddings, coupled, last the end.

        Each is (B, L, H), and held by nobody but the caller.
        """
        groups = self._groups(input_ids, module_index)
        yield from self._walk(input_ids, attention_mask, token_type_ids, groups, word_embeddings)

    def _walk(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None,
        groups: Groups | Grouped,
        word_embeddings: Tensor | None,
    ) -> Iterator[Tensor]:
        mask = self._attention_mask(attention_mask)
        hidden = self.encoder.embeddings(
            input_ids=input_ids, token_type_ids=token_type_ids, inputs_embeds=word_embeddings
        )
        hidden = self._couple(hidden, groups)
        yield hidden
        for number, layer in enumerate(self.encoder.encoder.layer):
            hidden = self._layer(number, layer, hidden, mask, groups)
            yield hidden

    def _attention_mask(self, attention_mask: Tensor) -> Tensor | None:
        """What `_layer` is given: (B, 1, 1, L) booleans of what is visible, or what is added to
        the attention scores where the encoder's own attention runs; None where all is visible."""
        return _attention_bias(self.encoder, attention_mask)

    def _groups(self, input_ids: Tensor, module_index: Tensor | None) -> Groups | Grouped:
        if module_index is None:
            return [(None, None)]
        if module_index.shape != input_ids.shape:
            raise CompositionError(
                f"module_index has shape {tuple(module_index.shape)}, but input_ids "
                f"{tuple(input_ids.shape)}.\nGive one module index per token."
            )
        flat = module_index.reshape(-1)
        present = flat.unique().tolist()
        if present[0] < NO_MODULE or present[-1] >= len(self.languages):
            raise CompositionError(
                f"module_index runs from {present[0]} to {present[-1]}, but there are "
                f"{len(self.languages)} language modules.\nUse 0 to {len(self.languages) - 1}, "
                "or -1 for none."
            )
        by_module: dict[int, tuple[AdapterModule | None, list[int]]] = {}
        for index in present:  # several indices may mean "none"
            module = None if index == NO_MODULE else self.languages[index]
            by_module.setdefault(id(module), (module, []))[1].append(index)
        if len(by_module) == 1:
            return [(module, None) for module, _ in by_module.values()]
        if use_triton(flat) and (stacks := self._current_stacks()).uniform:
            return Grouped.of(stacks, flat)
        return [
            (module, torch.isin(flat, flat.new_tensor(indices)).nonzero().squeeze(1))
            for module, indices in by_module.values()
        ]

    def _current_stacks(self) -> Stacks:
        """Made anew when `languages` changed: modules are added as they are needed."""
        if self._stacks is None or self._stacks.languages != self.languages:
            self._stacks = Stacks(self.languages, self.ranking)
        return self._stacks

    def _couple(self, hidden: Tensor, groups: Groups | Grouped) -> Tensor:
        """The invertible layer after the embeddings: position-wise, so it may differ by token.

        The lowest module of the stack runs its own: the ranking module's only where no language
        module lies beneath it, as in the library.
        """
        flat = hidden.reshape(-1, hidden.shape[-1])  # (B·L, H)
        if isinstance(groups, Grouped):
            return groups.couple(flat).view_as(hidden)
        result = _own(flat, groups)
        for module, positions in groups:
            lowest = module or self.ranking
            if lowest is None or lowest.invertible is None:
                continue
            coupled = _nice(_take(flat, positions), lowest.invertible, lowest.activation)
            result = _put(result, positions, coupled)
        return result.view_as(hidden)

    def _layer(
        self,
        number: int,
        layer: Any,
        hidden: Tensor,
        mask: Tensor | Spans | None,
        groups: Groups | Grouped,
        asking: Tensor | None = None,
    ) -> Tensor:
        """One layer, of all tokens or of those in `asking`, whose `groups` these are."""
        asking = hidden if asking is None else asking
        if isinstance(mask, Spans):
            attended = _attend_packed(self.encoder, layer.attention.self, asking, hidden, mask)
        else:
            attended = _attend(self.encoder, layer.attention.self, hidden, mask)
        hidden = self._sublayer(
            number, "attention", layer.attention.output, attended, asking, groups
        )
        widened = layer.intermediate(hidden)
        return self._sublayer(number, "output", layer.output, widened, hidden, groups)

    def _sublayer(
        self,
        number: int,
        place: str,
        output: Any,
        inner: Tensor,
        residual: Tensor,
        groups: Groups | Grouped,
    ) -> Tensor:
        """The end of a sublayer: dense, adapters, residual, LayerNorm.

        With f the dense output, r the sublayer's input and LN its own LayerNorm, each adapter of
        the stack computes a ← Up(act(Down(LN(a + r)))) + a, from a = f; the result is LN(a + r).
        An adapter of XMOD keeps n = LN(a + r) where others keep a + r, so that the result is
        LN(Up(act(Down n)) + n): a ← Up(act(Down n)) + n - r.

        Args:
            inner: (B, L, H or intermediate size).
            residual: (B, L, H).
        """
        f = output.dense(inner)
        r = residual.reshape(-1, residual.shape[-1])  # (B·L, H)
        a = f.reshape(-1, f.shape[-1])
        stages: list[Groups | Grouped] = [groups, [(self.ranking, None)]]
        for stage in stages:
            if isinstance(stage, Grouped):
                a = stage.adapt(place, number, output.LayerNorm, a, r)
                continue
            result = _own(a, stage)
            for module, positions in stage:
                bottleneck = None if module is None else getattr(module, place).get(number)
                if module is None or bottleneck is None:
                    continue
                part, beneath = _take(a, positions), _take(r, positions)
                z = output.LayerNorm(part + beneath) if module.original_ln_before else part
                up = _bottleneck(z, bottleneck, module.activation)
                kept = z - beneath if module.residual_after_ln else part
                result = _put(result, positions, up + kept)
            a = result
        return output.LayerNorm(a + r).view_as(residual)


def packing(encoder: Any) -> RoutedEncoder | None:
    """What runs rows of an encoder without modules end to end, where that can be; else None."""
    if encoder.config.model_type not in MODEL_TYPES:
        return None
    routed = RoutedEncoder(encoder, [])
    return routed if routed.packs else None


def _take(tokens: Tensor, positions: Tensor | None) -> Tensor:
    return tokens if positions is None else tokens.index_select(0, positions)


def _own(tokens: Tensor, groups: Groups) -> Tensor:
    """What `_put` may write to: a copy, unless one group replaces all tokens anyway."""
    return tokens if groups[0][1] is None else tokens.clone()


def _put(tokens: Tensor, positions: Tensor | None, values: Tensor) -> Tensor:
    return values if positions is None else tokens.index_copy_(0, positions, values)


def _bottleneck(z: Tensor, bottleneck: Bottleneck, activation: str) -> Tensor:
    return F.linear(activate(activation, F.linear(z, *bottleneck.down)), *bottleneck.up)


def _nice(x: Tensor, coupling: Invertible, activation: str) -> Tensor:
    """NICE coupling (Dinh et al. 2014, arXiv 1410.8516): y1 = x1 + F(x2), y2 = x2 + G(y1).

    Args:
        x: (N, H); x1 is its first half, x2 the rest.
    """
    half = x.shape[-1] // 2
    x1, x2 = x[:, :half], x[:, half:]
    y1 = x1 + _two_layers(x2, coupling.F, activation)
    y2 = x2 + _two_layers(y1, coupling.G, activation)
    return torch.cat([y1, y2], dim=-1)


def _two_layers(x: Tensor, linears: tuple[Linear, Linear], activation: str) -> Tensor:
    return F.linear(activate(activation, F.linear(x, *linears[0])), *linears[1])


def _own_attention(encoder: Any) -> bool:
    """Whether `_attend` computes attention itself: absolute positions, nobody asks for weights."""
    config = encoder.config
    absolute = getattr(config, "position_embedding_type", "absolute") == "absolute"
    return bool(config._attn_implementation == "sdpa" and absolute)


def _attention_bias(encoder: Any, attention_mask: Tensor) -> Tensor | None:
    """What is added to (or, as a boolean, allowed of) the attention scores; None where all is
    visible."""
    if _own_attention(encoder):
        visible = attention_mask.bool()
        if visible.device.type == "cpu" and bool(visible.all()):  # a GPU would have to wait for it
            return None
        return visible[:, None, None, :]  # (B, 1, 1, L)
    bias: Tensor = encoder.get_extended_attention_mask(attention_mask, attention_mask.shape)
    return bias


def _attend(encoder: Any, attention: Any, hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Multi-head self-attention: (B, L, H) → (B, L, H), before its output layer."""
    if not _own_attention(encoder):
        attended: Tensor = attention(hidden, mask)[0]
        return attended
    batch, length, width = hidden.shape
    heads = encoder.config.num_attention_heads
    query, key, value = (
        layer(hidden).view(batch, length, heads, width // heads).transpose(1, 2)
        for layer in (attention.query, attention.key, attention.value)
    )  # each (B, heads, L, width / heads)
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return mixed.transpose(1, 2).reshape(batch, length, width)


def _attend_packed(
    encoder: Any, attention: Any, asking: Tensor, hidden: Tensor, spans: Spans
) -> Tensor:
    """Self-attention of rows end to end: (1, N, H) over (1, T, H) → (1, N, H)."""
    heads = encoder.config.num_attention_heads
    query, key, value = (
        layer(tokens)[0].unflatten(-1, (heads, -1))  # (T, heads, width / heads)
        for layer, tokens in (
            (attention.query, asking),
            (attention.key, hidden),
            (attention.value, hidden),
        )
    )
    return attend(query, key, value, spans).flatten(1)[None]


def _check_fits(module: AdapterModule | None, encoder: Any) -> None:
    if module is None:
        return
    layers, width = encoder.config.num_hidden_layers, encoder.config.hidden_size
    highest = max([*module.output, *module.attention])
    if module.hidden_size != width or highest >= layers:
        raise ModuleError(
            f"the module '{module.name}' is for an encoder of width {module.hidden_size} with at "
            f"least {highest + 1} layers, but this base has width {width} and {layers} layers.\n"
            "Use the base that the module's card names."
        )
