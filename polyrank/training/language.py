"""Trains a language's module by masked language modelling: an adapter on a frozen base, or a mask.

Adapter: MAD-X (Pfeiffer et al. 2020, arXiv 2005.00052): a bottleneck after each feed-forward block
and an invertible adapter after the embeddings, whose inverse runs before the output embeddings. The
flexible-head model class of the `adapters` library applies that inverse; its static one does not.

Mask: LT-SFT (`polyrank.training.sparse`). The output embeddings are a frozen copy, untied from the
word embeddings, so that what moves is the encoder alone; the rest of the head is frozen too, as for
an adapter, because no ranking uses it.

With sentence pairs, two terms are added for languages whose plain text is too thin: TLM over the
pair (Conneau & Lample 2019, arXiv 1901.07291), and the squared distance of the pooled sentence to
the frozen base's vector of its English side.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from polyrank import languages
from polyrank.base import Base, load_base
from polyrank.errors import DataError, UsageError
from polyrank.modules.adapter_folder import save_adapter_module
from polyrank.modules.card import Data, ModuleCard
from polyrank.modules.mask import save_mask_module
from polyrank.training.base import mean_pool
from polyrank.training.masking import mask_tokens, masked_loss
from polyrank.training.sparse import Sparsity, train_sparse
from polyrank.training.steps import Batch, Schedule, begin, digest, fast_bf16, fit
from polyrank.training.text import held_out, read_lines, read_pairs


def adapter_model(folder: str, attention: str | None = None) -> Any:
    """The base as a model of the `adapters` library, without dropout, with its masked-language
    head if any.

    Args:
        attention: 'eager' where its probabilities are needed; by default the library's choice.
    """
    from adapters import AutoAdapterModel
    from transformers import AutoConfig, AutoModelForMaskedLM
    from transformers.utils import logging

    config = AutoConfig.from_pretrained(folder)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # the pooler is new and unused
    model = AutoAdapterModel.from_pretrained(
        folder, config=config, torch_dtype=torch.float32, attn_implementation=attention
    )
    if "default" in model.heads and model.heads["default"].config["head_type"] == "masked_lm":
        # the library converts a BERT head without the bias of its output embeddings
        static = AutoModelForMaskedLM.from_pretrained(folder).get_output_embeddings()
        with torch.no_grad():
            model.heads["default"].get_output_embeddings().bias.copy_(static.bias)
    logging.set_verbosity(level)
    return model


class MaskedHead(nn.Module):
    """The masked-language head over single tokens, with the invertible adapter's inverse.

    (N, H) hidden states → (N, V) logits; the `adapters` head works on whole sequences and would
    compute logits at every position.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.head, self.model = model.heads["default"], model

    def forward(self, hidden: Tensor) -> Tensor:
        inverse = self.model.base_model.get_invertible_adapter()
        return self.head((hidden.unsqueeze(0),), invertible_adapter=inverse)[0].squeeze(0)


def blocks(lines: Sequence[str], tokenizer: Any, length: int) -> Tensor:
    """Lines run together and cut into full sequences, (N, length), specials included.

    The tail that fills no sequence is dropped unless it is all there is.
    """
    encoded = tokenizer(list(lines), add_special_tokens=False, verbose=False)
    ids = [token for row in encoded["input_ids"] for token in row]
    inside = min(length - 2, len(ids))
    rows = [ids[i : i + inside] for i in range(0, len(ids) - inside + 1, inside)]
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    return torch.tensor([[first, *row, last] for row in rows])


class Batches:
    """Batch of step i: masked blocks, and pairs when there are some."""

    def __init__(
        self,
        sequences: Tensor,
        pairs: list[tuple[str, str]],
        tokenizer: Any,
        size: int,
        length: int,
        seed: int,
    ) -> None:
        self.sequences, self.pairs, self.tokenizer = sequences, pairs, tokenizer
        self.size, self.length, self.seed = size, length, seed

    def __call__(self, step: int) -> Batch:
        random = np.random.default_rng([self.seed, step])
        share = max(1, self.size // 2) if self.pairs else self.size
        rows = self.sequences[torch.from_numpy(random.integers(len(self.sequences), size=share))]
        batch: dict[str, Any] = {"text": self.masked(rows, None, step)}
        if self.pairs:
            chosen = [self.pairs[i] for i in random.integers(len(self.pairs), size=self.size)]
            texts, english = [c[0] for c in chosen], [c[1] for c in chosen]
            both = self.encode(texts, english)
            batch["pair"] = self.masked(both["input_ids"], both, step)
            batch["sentence"], batch["english"] = self.encode(texts), self.encode(english)
        return batch

    def encode(self, first: list[str], second: list[str] | None = None) -> Batch:
        return dict(
            self.tokenizer(
                first,
                second,
                truncation=True,
                max_length=self.length,
                padding=True,
                return_tensors="pt",
            )
        )

    def masked(self, ids: Tensor, encoded: Batch | None, step: int) -> Batch:
        hidden, labels = mask_tokens(ids, self.tokenizer, self.seed * 1_000_003 + step)
        rest = {k: v for k, v in (encoded or {}).items() if k != "input_ids"}
        return {
            "attention_mask": torch.ones_like(ids),
            **rest,
            "input_ids": hidden,
            "labels": labels,
        }


class LanguageLoss:
    """MLM, and with pairs TLM + 10 × the squared distance to the English side, as `frozen` (the
    plain base) encodes it."""

    def __init__(self, head: MaskedHead, frozen: Any, alignment: float = 10.0) -> None:
        self.head, self.frozen, self.alignment = head, frozen, alignment

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        loss = self.language(model, batch["text"])
        if "pair" in batch:
            loss = (loss + self.language(model, batch["pair"])) / 2
            loss = loss + self.alignment * self.distance(model, batch)
        return loss

    def language(self, model: Any, rows: Batch) -> Tensor:
        inputs = {k: v for k, v in rows.items() if k != "labels"}
        return masked_loss(model.base_model(**inputs).last_hidden_state, rows["labels"], self.head)

    def distance(self, model: Any, batch: Batch) -> Tensor:
        """Mean squared distance of unit vectors, per sentence."""
        with torch.no_grad():
            hidden = self.frozen.to(model.device)(**batch["english"]).last_hidden_state
            target = mean_pool(hidden, batch["english"]["attention_mask"])
        hidden = model.base_model(**batch["sentence"]).last_hidden_state
        mine = mean_pool(hidden, batch["sentence"]["attention_mask"])
        return (mine - target).square().sum(-1).mean()


@torch.inference_mode()
def perplexity(model: Any, head: MaskedHead, sequences: Tensor, tokenizer: Any, seed: int) -> float:
    """exp of the mean loss at hidden tokens; every call with one seed hides the same ones."""
    was_training, total, count = model.training, 0.0, 0
    model.eval()
    for start in range(0, len(sequences), 16):
        ids, labels = mask_tokens(sequences[start : start + 16], tokenizer, seed + start)
        ids, labels = ids.to(model.device), labels.to(model.device)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=fast_bf16()):
            hidden = model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids))
            loss = masked_loss(hidden.last_hidden_state, labels, head)
        hidden_tokens = int((labels != -100).sum())
        total, count = total + float(loss) * hidden_tokens, count + hidden_tokens
    model.train(was_training)
    return round(math.exp(total / max(count, 1)), 2)


PUBLISHED = Sparsity(l1=0.1, freeze_norms=True)


def train_language_module(
    base: str,
    language: str,
    text: str | Path,
    output: str | Path,
    kind: str = "adapter",
    parallel: str | Path | None = None,
    steps: int = 300,
    batch_size: int = 32,
    length: int = 96,
    rate: float = 5e-4,
    reduction: int = 4,
    sparsity: Sparsity = PUBLISHED,
    seed: int = 13,
    resume: bool = False,
    data: Sequence[Data] = (),
    command: str = "",
) -> ModuleCard:
    """Trains one language's module on plain text.

    Args:
        base: 'mini', a Hub id or a folder; its checkpoint must hold a masked-language head.
        language: tag of the text.
        text: file, one sentence a line, gzipped or not.
        output: module folder to write; `<output>.work` holds checkpoints until the end.
        kind: 'adapter' or 'mask'.
        parallel: file of `language <tab> text <tab> English`; adds TLM and alignment.
        steps, batch_size, length: optimizer steps, sequences a step, tokens a sequence.
        rate: peak learning rate.
        reduction: of an adapter, width of the base over width of the bottleneck.
        sparsity: of a mask; without k it keeps as many coordinates as an adapter of that
            reduction has parameters. Frozen LayerNorms and an L1 pull of 0.1 are as published.
        resume: continue from the last checkpoint.
        data: sources and licences for the card.
        command: what the card quotes as its recipe.

    Returns:
        The card as written, with held-out perplexity before and after.

    Raises:
        UsageError: another kind, or a base without masked-language head.
        DataError: text that is missing or too short.
    """
    if kind not in ("adapter", "mask"):
        raise UsageError(f"a language module is an adapter or a mask, not '{kind}'")
    language, output = languages.normalise(language), Path(output)
    check_name(output.name)
    lines = read_lines(text)
    if len(lines) < 2:
        raise DataError(text, None, "only one line; some are held out to measure perplexity on")
    pairs = _pairs(parallel, language) if parallel is not None else []
    loaded = load_base(base)
    check_length(length, loaded)
    if sparsity.k is None:
        sparsity = replace(sparsity, k=adapter_size(loaded, reduction))
    schedule = Schedule(steps=steps, rate=rate, seed=seed)
    options = {"reduction": reduction} if kind == "adapter" else asdict(sparsity)
    settings = {
        "base": str(loaded.fingerprint),
        "kind": kind,
        "language": language,
        "steps": steps,
        "batch size": batch_size,
        "length": length,
        "rate": rate,
        **options,
        "seed": seed,
        "text": digest(text, *([parallel] if parallel else [])),
    }
    torch.manual_seed(seed)
    model = adapter_model(loaded.folder)
    if "default" not in model.heads or model.heads["default"].config["head_type"] != "masked_lm":
        raise UsageError(
            f"the base '{base}' has no masked-language head, which MLM needs.\n"
            "Give a checkpoint saved from AutoModelForMaskedLM."
        )
    work = Path(f"{output}.work")
    begin(work, settings, resume)
    tokenizer = loaded.tokenizer
    held, seen = held_out(lines, seed)
    unseen, sequences = (blocks(some, tokenizer, length) for some in (held, seen))

    name = output.name
    head = MaskedHead(model)
    before = perplexity(model, head, unseen, tokenizer, seed)
    batches = Batches(sequences, pairs, tokenizer, batch_size, length, seed)
    loss = LanguageLoss(head, loaded.model)
    differences = None
    if kind == "adapter":
        model.add_adapter(name, config=adapter_config(reduction))
        model.train_adapter(name)  # freezes the rest and makes it active
        model.heads.requires_grad_(False)
        facts = fit(model, batches, loss, schedule, work / "checkpoints", resume)
    else:
        untie(model)
        differences, facts = train_sparse(model, batches, loss, schedule, sparsity, work, resume)
    after = perplexity(model, head, unseen, tokenizer, seed)
    print(f"{language}: held-out perplexity {before} -> {after}", file=sys.stderr)

    card = ModuleCard(
        role="language",
        kind=kind,
        name=name,
        language=language,
        base=loaded.name,
        base_fingerprint=loaded.fingerprint,
        recipe={
            "command": command,
            "objective": "MLM + TLM + alignment" if pairs else "MLM",
            "batch_size": batch_size,
            "length": length,
            "rate": rate,
            **options,
            "lines": len(lines),
            "pairs": len(pairs),
            **facts,
        },
        figures={
            "perplexity before": before,
            "perplexity after": after,
            "held-out lines": len(held),
        },
        data=tuple(data),
    )
    if differences is None:
        written = save_named(model, name, output, card)
    else:
        written = save_mask_module(differences, output, card)
    shutil.rmtree(work)
    return written


def _pairs(path: str | Path, language: str) -> list[tuple[str, str]]:
    """The pairs of one language, of which there must be some."""
    by_language = read_pairs(path)
    pairs = [
        pair
        for tag, rows in by_language.items()
        if languages.normalise(tag) == language
        for pair in rows
    ]
    if not pairs:
        raise DataError(
            path, None, f"no pair is in '{language}'; there are {', '.join(sorted(by_language))}"
        )
    return pairs


def untie(model: Any) -> None:
    """Freeze the masked-language head and give it output embeddings of its own."""
    output = model.heads["default"].get_output_embeddings()
    output.weight = nn.Parameter(output.weight.detach().clone())
    model.heads.requires_grad_(False)


def adapter_size(base: Base, reduction: int, invertible: bool = True) -> int:
    """How many parameters an adapter of that reduction has, a head apart."""
    width, layers = base.model.config.hidden_size, base.model.config.num_hidden_layers
    inner, half = width // reduction, width // 2
    bottleneck = 2 * width * inner + inner + width  # Down and Up, each with a bias
    coupling = 2 * half * (half // reduction) + half // reduction + half
    return layers * bottleneck + (2 * coupling if invertible else 0)  # F and G


def check_name(name: str) -> None:
    """Raise UsageError for an output folder whose name no adapter can have."""
    if not name or "." in name:
        raise UsageError(
            f"the last part of --output names the module, and {name!r} holds a dot or is empty; "
            "give a plain word, such as modules/ky"
        )


def check_length(length: int, base: Base, option: str = "--length") -> None:
    """Raise UsageError for sequences longer than the base's positions."""
    longest = base.model.config.max_position_embeddings - 2  # RoBERTa keeps two for padding
    if length > longest:
        raise UsageError(f"{option} {length} is more than the base '{base.name}' reads: {longest}")


def adapter_config(reduction: int) -> Any:
    """Bottlenecks and an invertible adapter, both with the same reduction."""
    from adapters import SeqBnInvConfig

    return SeqBnInvConfig(reduction_factor=reduction, inv_adapter_reduction_factor=reduction)


def save_named(
    model: Any, name: str, output: Path, card: ModuleCard, head: bool = False
) -> ModuleCard:
    """Writes an adapter in fp16 as a module folder."""
    return save_adapter_module(model, name, output, card, head=head, dtype=torch.float16)
