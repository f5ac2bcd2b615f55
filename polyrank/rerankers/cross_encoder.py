"""A cross-encoder in a folder of its own: distilled, merged, or any other with one logit."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.base import device_of, expanded, load_tokenizer, only_cached
from polyrank.base.quiet import quiet_transformers
from polyrank.base.trusted import refuse_code_of
from polyrank.collections.records import Document, Query
from polyrank.collections.texts import as_pairs
from polyrank.encoders.batching import usual_tokens
from polyrank.encoders.fastest import PAIRS, settled
from polyrank.encoders.masked import MaskedEncoder
from polyrank.encoders.packed import spans_of
from polyrank.encoders.precision import Precision
from polyrank.encoders.routed import RoutedEncoder, packing, score
from polyrank.encoders.tokens import encode_pairs, padded, position_limit
from polyrank.errors import ModuleError, first_line
from polyrank.modules.adapter.adapter_folder import load_adapter_module
from polyrank.modules.adapter.tensors import tensors_of
from polyrank.modules.card import CARD_FILE, read_card
from polyrank.modules.full import prefixes_of
from polyrank.notes import Notebook
from polyrank.rerankers.distilled_folder import RANKING, verify
from polyrank.rerankers.identity import weights_of
from polyrank.rerankers.pairs import PairScorer

Row = tuple[tuple[int, ...], tuple[int, ...]]  # token ids, token types


class CrossEncoder(PairScorer):
    """Scores query–document pairs with one model, whatever their languages.

    Args:
        model: a folder that `polyrank distill` or `merge` wrote, or a folder or Hub id of a Hugging
            Face sequence classifier with one logit. Weights are read from safetensors alone, and
            no code that comes with a model is run.
        max_length: tokens of a pair that are read; the longer side is cut first.
        batch_tokens: tokens in one batch, padding included; None for what is fastest.
        device: 'cpu', 'cuda', ...; by default a GPU when there is one.
        precision: 'fp32' (default), 'bf16', 'fp16', 'int8' or 'auto'.

    Raises:
        ModuleError: a model that cannot be read, was altered, or has several logits.
    """

    def __init__(
        self,
        model: str | Path,
        max_length: int = 256,
        batch_tokens: int | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> None:
        self.device = device_of(device)
        super().__init__(batch_tokens or usual_tokens(self.device))
        self.name, self.max_length = str(model), max_length
        folder = expanded(model)
        if folder.is_dir():
            verify(folder)
        read = _with_adapter if (folder / RANKING / CARD_FILE).is_file() else _whole
        self.model, self.tokenizer, self.precision, self._run, beside, prefixes = read(
            str(model), self.device, precision, self._notebook
        )
        self.prefixes: tuple[str, str] = prefixes
        self._held = [*self.model.parameters(), *beside]
        self.parameters = sum(tensor.numel() for tensor in self._held)

    def size(self) -> tuple[int, int]:
        """Parameters and bytes of the weights as they are held, a ranking adapter included."""
        return self.parameters, sum(t.numel() * t.element_size() for t in self._held)

    def identity(self) -> dict[str, str]:
        """Of which weights the scores are, for a later resume."""
        return {"model weights": weights_of(self.name, self.model), **self.precision.identity()}

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> list[float]:
        """Raw logits in fp32, in the order given; equal pairs are scored once."""
        pairs = as_pairs(pairs)
        if not pairs:
            return []
        limit = min(self.max_length, position_limit(self.model.config, self.tokenizer))
        encoded = encode_pairs(self.tokenizer, pairs, limit, self.prefixes, self._notebook)
        rows = [(tuple(row.ids), tuple(row.type_ids)) for row in encoded]
        return self._batcher.run(rows, lambda row: len(row[0]), self._forward)

    @torch.inference_mode()
    def _forward(self, rows: Sequence[Row]) -> list[float]:
        typed = "token_type_ids" in self.tokenizer.model_input_names
        logits: list[float] = self._run(Rows(rows, typed)).float().tolist()
        return logits


@dataclass(frozen=True)
class Rows:
    """A batch, and whether the model reads token types."""

    rows: Sequence[Row]
    typed: bool

    def padded(self, filler: int, device: torch.device) -> dict[str, Tensor]:
        """As a Hugging Face model takes them, (B, L) each."""
        ids = [ids for ids, _ in self.rows]
        inputs = {
            "input_ids": padded(ids, filler, device),
            "attention_mask": padded([(1,) * len(row) for row in ids], 0, device),
        }
        if self.typed:
            inputs["token_type_ids"] = padded([types for _, types in self.rows], 0, device)
        return inputs

    def firsts(self, encoder: RoutedEncoder) -> Tensor:
        """The first token's state of each row, of rows end to end: (B, 1, H)."""
        ids = torch.tensor([token for ids, _ in self.rows for token in ids])
        types = torch.tensor([kind for _, types in self.rows for kind in types])
        spans = spans_of([len(ids) for ids, _ in self.rows])
        return encoder.firsts(ids, spans, types if self.typed else None)[:, None]


# A model, its tokenizer and precision, what scores a batch with it, tensors beside those of the
# model, and what is put before queries and passages.
Loaded = tuple[Any, Any, Precision, Callable[[Rows], Tensor], list[Tensor], tuple[str, str]]


def _whole(name: str, device: torch.device, wanted: str | None, notebook: Notebook) -> Loaded:
    model, tokenizer = read_classifier(name)
    precision = settled(wanted, PAIRS, None, model.base_model, device, notebook)
    masked = MaskedEncoder(model.base_model, device, precision, tokenizer)
    setattr(model, model.base_model_prefix, masked.encoder)
    model = model.to(device, precision.dtype)
    head = _HEADS.get(type(model).__name__)
    runner = packing(masked.encoder) if head else None

    def run(batch: Rows) -> Tensor:
        if head and runner:
            return head(model, batch.firsts(runner)).squeeze(-1)
        logits: Tensor = model(**batch.padded(tokenizer.pad_token_id, device)).logits.squeeze(-1)
        return logits

    return model, tokenizer, precision, run, [], prefixes_of(model.config)


def _of_bert(model: Any, firsts: Tensor) -> Tensor:
    """(B, 1, H) → (B, labels), as `BertForSequenceClassification` in evaluation."""
    logits: Tensor = model.classifier(model.bert.pooler(firsts))
    return logits


def _of_roberta(model: Any, firsts: Tensor) -> Tensor:
    """(B, 1, H) → (B, labels), as `RobertaForSequenceClassification`."""
    logits: Tensor = model.classifier(firsts)
    return logits


_HEADS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "BertForSequenceClassification": _of_bert,
    "RobertaForSequenceClassification": _of_roberta,
    "XLMRobertaForSequenceClassification": _of_roberta,
    "CamembertForSequenceClassification": _of_roberta,
}


def _with_adapter(
    name: str, device: torch.device, wanted: str | None, notebook: Notebook
) -> Loaded:
    """An encoder, and the ranking adapter in its folder."""
    from polyrank.base import load_base

    base = load_base(name)
    folder = expanded(name) / RANKING
    card = read_card(folder)
    if card.base_fingerprint != base.fingerprint:
        raise ModuleError(
            f"the adapter in '{folder}' was made for another encoder ({card.base_fingerprint}) "
            f"than the one beside it ({base.fingerprint}).\nDistil or fetch the model again."
        )
    module = load_adapter_module(folder)
    precision = settled(wanted, PAIRS, base, base.model, device, notebook)
    encoder = MaskedEncoder(base.model, device, precision, base.tokenizer).encoder
    routed = RoutedEncoder(encoder, [], module)

    def run(batch: Rows) -> Tensor:
        if routed.packs:
            return score(batch.firsts(routed), module.head)
        inputs = batch.padded(base.tokenizer.pad_token_id, device)
        hidden = routed(inputs["input_ids"], inputs["attention_mask"], inputs.get("token_type_ids"))
        return score(hidden, module.head)

    return encoder, base.tokenizer, precision, run, tensors_of(routed.ranking), card.prefixes


def read_classifier(name: str | Path, attention: str | None = None) -> tuple[Any, Any]:
    """A sequence classifier of one logit in fp32, and its fast tokenizer.

    Args:
        attention: 'eager' where its probabilities are needed; by default the library's choice.

    Raises:
        ModuleError: no such model, weights that are not safetensors, code of its own, several
            logits, or no fast tokenizer.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder = expanded(name)
    source = str(folder) if folder.is_dir() else str(name)
    try:
        with quiet_transformers():
            cached = only_cached(source)
            refuse_code_of(source, cached)
            options = {"trust_remote_code": False, "local_files_only": cached}
            config = AutoConfig.from_pretrained(source, **options)
            if config.num_labels != 1:
                raise ModuleError(
                    f"the model '{name}' has {config.num_labels} outputs, but a ranker has one.\n"
                    "Give a cross-encoder of one logit."
                )
            model, report = AutoModelForSequenceClassification.from_pretrained(
                source,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                attn_implementation=attention,
                output_loading_info=True,
                **options,
            )
            tokenizer = load_tokenizer(source, cached)
    except (OSError, ValueError, TypeError, KeyError, json.JSONDecodeError) as error:
        reason = first_line(error)
        raise ModuleError(
            f"the model '{name}' cannot be read: {reason}\nGive a folder or Hub id of a Hugging "
            "Face sequence classifier, with safetensors and without code of its own."
        ) from error
    if missing := report["missing_keys"]:
        raise ModuleError(
            f"the model '{name}' lacks {len(missing)} tensors, e.g. '{sorted(missing)[0]}', so it "
            "is not a trained ranker.\nGive a cross-encoder of one logit."
        )
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise ModuleError(
            f"the model '{name}' has no fast tokenizer with a padding token.\n"
            "Convert its tokenizer and save it again."
        )
    return model.eval(), tokenizer
