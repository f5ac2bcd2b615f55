"""A cross-encoder in a folder of its own: distilled, merged, or any other with one logit."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.base import device_of, expanded, load_tokenizer, only_cached
from polyrank.base.quiet import quiet_transformers
from polyrank.base.trusted import refuse_code_of
from polyrank.collections.records import Document, Query
from polyrank.collections.texts import as_pairs
from polyrank.encoders.batching import as_dtype
from polyrank.encoders.routed import RoutedEncoder, score
from polyrank.encoders.tokens import encode_pairs, padded, position_limit
from polyrank.errors import ModuleError
from polyrank.modules.adapter.adapter_folder import load_adapter_module
from polyrank.modules.adapter.tensors import tensors_of
from polyrank.modules.card import CARD_FILE, read_card
from polyrank.modules.full import prefixes_of
from polyrank.rerankers.distilled_folder import RANKING, verify
from polyrank.rerankers.identity import weights_of
from polyrank.rerankers.pairs import BATCH_TOKENS, PairScorer

Row = tuple[tuple[int, ...], tuple[int, ...]]  # token ids, token types


class CrossEncoder(PairScorer):
    """Scores query–document pairs with one model, whatever their languages.

    Args:
        model: a folder that `polyrank distill` or `merge` wrote, or a folder or Hub id of a Hugging
            Face sequence classifier with one logit. Weights are read from safetensors alone, and
            no code that comes with a model is run.
        max_length: tokens of a pair that are read; the longer side is cut first.
        batch_tokens: tokens in one batch, padding included.
        device: 'cpu', 'cuda', ...; by default a GPU when there is one.
        dtype: 'float32' (default), 'bfloat16' or 'float16'.

    Raises:
        ModuleError: a model that cannot be read, was altered, or has several logits.
    """

    def __init__(
        self,
        model: str | Path,
        max_length: int = 256,
        batch_tokens: int = BATCH_TOKENS,
        device: str | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> None:
        super().__init__(batch_tokens)
        self.name, self.max_length = str(model), max_length
        self.device = device_of(device)
        folder = expanded(model)
        if folder.is_dir():
            verify(folder)
        read = _with_adapter if (folder / RANKING / CARD_FILE).is_file() else _whole
        self.model, self.tokenizer, self._run, beside, prefixes = read(
            str(model), self.device, as_dtype(dtype)
        )
        self.prefixes: tuple[str, str] = prefixes
        self._held = [*self.model.parameters(), *beside]
        self.parameters = sum(tensor.numel() for tensor in self._held)

    def size(self) -> tuple[int, int]:
        """Parameters and bytes of the weights as they are held, a ranking adapter included."""
        return self.parameters, sum(t.numel() * t.element_size() for t in self._held)

    def identity(self) -> dict[str, str]:
        """Of which weights the scores are, for a later resume."""
        return {"model weights": weights_of(self.name, self.model)}

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> list[float]:
        """Raw logits in fp32, in the order given; equal pairs are scored once."""
        pairs = as_pairs(pairs)
        if not pairs:
            return []
        limit = min(self.max_length, position_limit(self.model.config, self.tokenizer))
        encoding = encode_pairs(self.tokenizer, pairs, limit, self.prefixes, self._notebook)
        rows = [
            (tuple(ids), tuple(types))
            for ids, types in zip(encoding["input_ids"], encoding["token_type_ids"], strict=True)
        ]
        return self._batcher.run(rows, lambda row: len(row[0]), self._forward)

    @torch.inference_mode()
    def _forward(self, rows: Sequence[Row]) -> list[float]:
        ids, types = [ids for ids, _ in rows], [types for _, types in rows]
        inputs = {  # (B, L) each
            "input_ids": padded(ids, self.tokenizer.pad_token_id, self.device),
            "attention_mask": padded([(1,) * len(row) for row in ids], 0, self.device),
        }
        if "token_type_ids" in self.tokenizer.model_input_names:
            inputs["token_type_ids"] = padded(types, 0, self.device)
        logits: list[float] = self._run(inputs).float().tolist()
        return logits


# A model, its tokenizer, what scores inputs with it, tensors beside those of the model, and what is
# put before queries and passages.
Loaded = tuple[Any, Any, Callable[[dict[str, Tensor]], Tensor], list[Tensor], tuple[str, str]]


def _whole(name: str, device: torch.device, dtype: torch.dtype) -> Loaded:
    model, tokenizer = read_classifier(name)
    model = model.to(device, dtype)

    def run(inputs: dict[str, Tensor]) -> Tensor:
        logits: Tensor = model(**inputs).logits.squeeze(-1)
        return logits

    return model, tokenizer, run, [], prefixes_of(model.config)


def _with_adapter(name: str, device: torch.device, dtype: torch.dtype) -> Loaded:
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
    encoder = base.model.to(device, dtype)
    routed = RoutedEncoder(encoder, [], module)

    def run(inputs: dict[str, Tensor]) -> Tensor:
        hidden = routed(inputs["input_ids"], inputs["attention_mask"], inputs.get("token_type_ids"))
        return score(hidden, module.head)

    return encoder, base.tokenizer, run, tensors_of(routed.ranking), card.prefixes


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
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
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
