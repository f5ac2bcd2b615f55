"""Trains late interaction on English judgements, for every language that has a module.

The scores are MaxSim over token vectors; the losses are ColBERT-XM's (pairwise softmax with hard
negatives + softmax over the batch, Louis et al. 2025, arXiv 2402.15059, §3.2) or distillation from
a cross-encoder. What moves is said in `token_model`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyrank.base import Base, load_base
from polyrank.collections.records import Document
from polyrank.errors import UsageError
from polyrank.languages import tags
from polyrank.late_interaction.marked_text import MarkedText
from polyrank.late_interaction.skiplist import skipped_ids
from polyrank.modules.card import LATE_INTERACTION, Data, ModuleCard, write_card
from polyrank.modules.folder import replaced
from polyrank.modules.mask.mask_folder import save_mask_module
from polyrank.modules.mask.sparse import Differences
from polyrank.modules.projection import save_projection
from polyrank.training.examples.negatives import sample
from polyrank.training.examples.prepared import prepared
from polyrank.training.examples.rows import existing, read_rows
from polyrank.training.examples.teachers import as_names, check_teachers
from polyrank.training.language.language_model import adapter_size, save_named
from polyrank.training.late_interaction.token_batches import TokenBatches
from polyrank.training.late_interaction.token_loss import TokenLoss
from polyrank.training.late_interaction.token_model import (
    RECIPES,
    TokenModel,
    default_rules,
    plain_encoder,
    token_model,
)
from polyrank.training.late_interaction.token_projection import pca_projection
from polyrank.training.loop.averaging import Snapshots
from polyrank.training.loop.checks import check_length, check_name
from polyrank.training.loop.lottery_ticket import Sparsity, train_sparse
from polyrank.training.loop.steps import Schedule, begin, digest, fit
from polyrank.training.losses import parse_loss

RATES = {"adapter": 5e-4, "mask": 1e-4, "full": 1e-4}
PLAIN = Sparsity()
AUGMENT_TO = 32  # mask tokens fill a query up to so many, over a base with markers
START_TEXTS = 512  # passages that the projection starts from, over a base for retrieval
APART = 10  # steps between the snapshots that are averaged


@dataclass(frozen=True)
class Settings:
    """How late interaction is trained; see `train_late_interaction`."""

    recipe: str = "modular"
    kind: str | None = None
    loss: str = "contrastive"
    steps: int = 350
    batch_queries: int = 32
    negatives: int = 1
    chunk: int = 0
    dim: int = 128
    query_length: int = 64
    document_length: int = 256
    train_length: int = 128
    augment_to: int | None = None
    attend: bool = False
    skiplist: str = "unicode"
    rate: float | None = None
    reduction: int = 2
    mine: int = 4
    average: int = 1
    seed: int = 13


def train_late_interaction(
    base: str,
    queries: str | Path,
    passages: str | Path | None,
    output: str | Path,
    source: str = "en",
    over: str | None = None,
    teacher: str | Sequence[str] | None = None,
    teacher_scale: str = "raw",
    resume: bool = False,
    zoo: str | Path | None = None,
    data: Sequence[Data] = (),
    command: str = "",
    rows: str = "auto",
    query_texts: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    sparsity: Sparsity = PLAIN,
    **settings: Any,
) -> ModuleCard:
    """Trains a late-interaction module in one language.

    Args:
        base: 'e5-small', a Hub id or a folder.
        queries: JSON lines of `_id`, `text`, `pos`, optionally `neg`, `answers`, `pos_score` with
            `neg_scores`; or another project's rows, see `rows.read_rows`.
        passages: JSON lines of `_id`, `title`, `text`, or a .tsv; None where rows carry texts.
        rows: the form of `queries`, 'auto' to recognise it.
        query_texts, columns: of some forms, see `rows.read_rows`.
        output: module folder to write; `<output>.work` holds mined negatives and checkpoints.
        source: language of the judgements.
        over: the language module beneath, frozen: a mask under a mask, else an adapter; None takes
            the one of `source`, '' none. An XMOD base runs its own and takes None alone.
        teacher: cross-encoders whose mean scores are distilled, see `teachers`; None takes the
            scores in the rows.
        teacher_scale: what is done to each teacher's scores of a query first: 'raw', 'min-max',
            'z-score'.
        resume: continue from the last checkpoint.
        zoo: where modules are searched first.
        data: sources and licences for the card.
        command: what the card quotes as its recipe.
        sparsity: of a mask; without k it keeps as many coordinates as an adapter of that
            reduction has parameters. The projection and the markers move in both phases.
        settings: fields of `Settings`.
            recipe: 'modular' (a ranking module moves) or 'colbert-xm' (the shared weights move).
            kind: of the module: 'adapter' or 'mask' of 'modular', 'full' of 'colbert-xm'; None
                takes the first of these.
            loss: a name, or a weighted sum, of `polyrank.training.losses`; 'contrastive' is
                ColBERT-XM's.
            steps, batch_queries, negatives: optimizer steps, questions a step, negatives of each.
            chunk: texts encoded at a time (gradient caching); 0 for all at once.
            dim: width of a token vector.
            query_length, document_length: tokens of a text that the module reads.
            train_length: tokens of a passage that are read in training.
            augment_to, attend, skiplist: see `TokenRules`; augment_to None takes 32, or 0 over a
                base whose vectors are for retrieval, which has not seen mask tokens there.
            rate: peak learning rate; None takes 5e-4 for an adapter, else 1e-4.
            reduction: width of the base over width of the ranking adapter's bottleneck.
            mine: negatives mined per question from BM25 and as many from the base; 0 for none.
            average: how many snapshots of the last steps are averaged; 1 takes the last. Of a
                mask's second phase.
            seed: of everything random.

    Returns:
        The card as written.

    Raises:
        UsageError: unknown or unfitting options.
        DataError: a malformed line, an example whose passages are absent, or distillation without
            teacher scores.
    """
    chosen = Settings(**settings)
    loss = parse_loss(chosen.loss, in_batch=True)
    output, source = Path(output), tags.normalise(source)
    kind = _check(chosen, output)
    chosen = replace(chosen, loss=loss.name, kind=kind, rate=chosen.rate or RATES[kind])
    loaded = load_base(base)
    if chosen.augment_to is None:
        usual = 0 if loaded.card.vectors else min(AUGMENT_TO, chosen.query_length)
        chosen = replace(chosen, augment_to=usual)
    check_length(max(chosen.query_length, chosen.train_length), loaded)
    teachers = as_names(teacher)
    check_teachers(teachers, teacher_scale, loss.needs_teacher, loss.name)
    told = {"teacher": " + ".join(teachers), "teacher scale": teacher_scale} if teachers else {}
    read, documents = read_rows(
        queries, passages, rows, query_texts, columns, source, loss.needs_teacher and not teachers
    )
    rules = default_rules(
        loaded,
        dim=chosen.dim,
        query_length=chosen.query_length,
        document_length=chosen.document_length,
        augment_to=chosen.augment_to,
        attend=chosen.attend,
        skiplist=chosen.skiplist,
    )
    start = _start(loaded, documents, chosen) if loaded.card.vectors else None
    torch.manual_seed(chosen.seed)
    model, parent = token_model(
        loaded, rules, kind, output.name, source, over, chosen.reduction, zoo, start
    )
    if sparsity.k is None:
        size = adapter_size(loaded, chosen.reduction, invertible=False)
        sparsity = replace(sparsity, k=size)
    options = {"mask": asdict(sparsity)}.get(kind, {})
    work = Path(f"{output}.work")
    marks = {
        "base": str(loaded.fingerprint),
        "parent": parent.sha256 if parent else None,
        "source": source,
        **told,
        "data": digest(*existing(queries, passages, query_texts)),
        **({"columns": dict(columns)} if columns else {}),
        **vars(chosen),
        **options,
    }
    begin(work, marks, resume)
    some = sample(read, chosen.steps * chosen.batch_queries, chosen.seed)
    examples = prepared(
        some,
        documents,
        loaded,
        work,
        chosen.mine,
        Path(queries),
        teachers,
        source,
        zoo,
        teacher_scale,
    )

    text = MarkedText(
        loaded.tokenizer,
        replace(rules, document_length=chosen.train_length),
        chosen.train_length + chosen.query_length,
    )
    skipped = skipped_ids(loaded.tokenizer, rules, model.table.num_embeddings + 2)
    batches = TokenBatches(
        examples, documents, text, skipped, chosen.batch_queries, chosen.negatives, chosen.seed
    )
    assert chosen.rate is not None
    schedule = Schedule(steps=chosen.steps, rate=chosen.rate, warmup=0.1, seed=chosen.seed)
    snapshots = Snapshots(work / "snapshots", chosen.steps, chosen.average, APART)
    objective, differences = TokenLoss(loss, chosen.chunk), None
    if kind == "mask":
        differences, facts = train_sparse(
            model, batches, objective, schedule, sparsity, work, resume, snapshots
        )
    else:
        checkpoints = work / "checkpoints"
        facts = fit(model, batches, objective, schedule, checkpoints, resume, [snapshots])
        snapshots.average_into(model)
    prefixes = (rules.query_prefix, rules.document_prefix)
    card = ModuleCard(
        role="ranking",
        kind=kind,
        name=output.name,
        language=source,
        base=loaded.name,
        base_fingerprint=loaded.fingerprint,
        parent=parent,
        recipe={
            "model": LATE_INTERACTION,
            "command": command,
            "markers": [rules.query_marker, rules.document_marker],
            **({"prefixes": list(prefixes)} if any(prefixes) else {}),
            **vars(chosen),
            **told,
            "queries": len(examples),
            **facts,
        },
        data=tuple(data),
    )
    written = save_late_interaction(model, loaded, output, card, differences)
    shutil.rmtree(work)
    return written


def _start(base: Base, documents: Mapping[str, Document], chosen: Settings) -> Tensor:
    """The projection to start from, which scores nearly as the base does without training."""
    order = np.random.default_rng(chosen.seed).permutation(len(documents))[:START_TEXTS]
    ids = sorted(documents)
    texts = [documents[ids[place]].full_text for place in order]
    return pca_projection(base, texts, chosen.dim, length=chosen.train_length)


def _check(chosen: Settings, output: Path) -> str:
    """The kind that is trained."""
    check_name(output.name)
    if chosen.recipe not in RECIPES:
        raise UsageError(f"unknown recipe '{chosen.recipe}'; use one of {', '.join(RECIPES)}")
    kinds = RECIPES[chosen.recipe]
    if chosen.kind not in (None, *kinds):
        raise UsageError(
            f"the recipe '{chosen.recipe}' trains {' or '.join(kinds)}, not '{chosen.kind}'.\n"
            "A ranking adapter or mask is of the recipe 'modular', a full model of 'colbert-xm'."
        )
    if chosen.average < 1:
        raise UsageError(f"{chosen.average} snapshots cannot be averaged; give 1 or more")
    return chosen.kind or kinds[0]


def save_late_interaction(
    model: TokenModel,
    base: Base,
    output: Path,
    card: ModuleCard,
    differences: Differences | None = None,
) -> ModuleCard:
    """Writes a trained model as a module folder, a ranking adapter or mask in fp16.

    Args:
        differences: of a mask; those of other kinds are in the model.
    """
    with replaced(output) as temporary:
        if card.kind == "adapter":
            save_named(model.model, card.name, temporary, card)
        elif card.kind == "mask":
            assert differences is not None
            save_mask_module(differences, temporary, card)
        else:
            plain_encoder(model, base).save_pretrained(temporary)
            base.tokenizer.save_pretrained(temporary)
        save_projection(model.as_projection(), temporary)
        return write_card(temporary, card)
