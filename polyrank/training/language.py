"""Trains a language's module by masked language modelling: an adapter on a frozen base, or a mask.

Adapter: MAD-X (Pfeiffer et al. 2020, arXiv 2005.00052): a bottleneck after each feed-forward block
and an invertible adapter after the embeddings, whose inverse runs before the output embeddings.

Mask: LT-SFT (`polyrank.training.sparse`). The output embeddings are a frozen copy, untied from the
word embeddings, so that what moves is the encoder alone; the rest of the head is frozen too, as for
an adapter, because no ranking uses it.

With sentence pairs, two terms are added for languages whose plain text is too thin: TLM over the
pair (Conneau & Lample 2019, arXiv 1901.07291), and the squared distance of the pooled sentence to
the frozen base's vector of its English side.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from polyrank import languages
from polyrank.base import load_base
from polyrank.errors import DataError, UsageError
from polyrank.messages import note
from polyrank.modules.card import Data, ModuleCard
from polyrank.modules.mask import save_mask_module
from polyrank.training.checks import check_length, check_name
from polyrank.training.language_batches import Batches, blocks
from polyrank.training.language_loss import LanguageLoss, perplexity
from polyrank.training.language_model import (
    MaskedHead,
    adapter_config,
    adapter_model,
    adapter_size,
    save_named,
    train_only,
    untie,
)
from polyrank.training.sparse import Sparsity, train_sparse
from polyrank.training.steps import Schedule, begin, digest, fit
from polyrank.training.text import held_out, read_lines, read_pairs

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
        train_only(model, name)
        model.heads.requires_grad_(False)
        facts = fit(model, batches, loss, schedule, work / "checkpoints", resume)
    else:
        untie(model)
        differences, facts = train_sparse(model, batches, loss, schedule, sparsity, work, resume)
    after = perplexity(model, head, unseen, tokenizer, seed)
    note(f"{language}: held-out perplexity {before} -> {after}")

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
