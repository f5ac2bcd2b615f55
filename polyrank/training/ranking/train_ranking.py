"""Trains a ranking module on English judgements: an adapter over a frozen language adapter, a mask
over a language mask, or, as the usual baseline, all parameters of the base.

A cross-encoder over lists of one positive and hard negatives (Litschko et al. 2022,
arXiv 2204.02292, §3, with the loss selectable).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from polyrank.base import Base, load_base
from polyrank.base.quiet import quiet_transformers
from polyrank.errors import UsageError
from polyrank.languages import tags
from polyrank.modules.card import Data, ModuleCard
from polyrank.modules.full import head_of, save_full_module, with_prefixes
from polyrank.modules.mask.mask_folder import load_mask_module, save_mask_module
from polyrank.modules.mask.sparse import apply
from polyrank.modules.storage import PROBE, rounded
from polyrank.training.examples.negatives import sample
from polyrank.training.examples.prepared import prepared
from polyrank.training.examples.rows import existing, read_rows
from polyrank.training.examples.teachers import as_names, check_teachers
from polyrank.training.language.language_model import adapter_size, save_named
from polyrank.training.loop.checks import check_length, check_name
from polyrank.training.loop.lottery_ticket import Sparsity, train_sparse
from polyrank.training.loop.stack import adapter_stack, language_below, parent_of
from polyrank.training.loop.steps import Schedule, begin, digest, fit
from polyrank.training.losses import parse_loss
from polyrank.training.ranking.ranking_batches import Batches
from polyrank.training.ranking.ranking_loss import RankingLoss

RATES = {"adapter": 5e-4, "mask": 1e-4, "full": 1e-4}
PLAIN = Sparsity()


def train_ranking_module(
    base: str,
    queries: str | Path,
    passages: str | Path | None,
    output: str | Path,
    kind: str = "adapter",
    source: str = "en",
    over: str | None = None,
    loss: str = "infonce",
    teacher: str | Sequence[str] | None = None,
    teacher_scale: str = "raw",
    steps: int = 500,
    batch_queries: int = 8,
    negatives: int = 3,
    length: int = 160,
    rate: float | None = None,
    reduction: int = 2,
    sparsity: Sparsity = PLAIN,
    mine: int = 4,
    seed: int = 13,
    resume: bool = False,
    zoo: str | Path | None = None,
    data: Sequence[Data] = (),
    command: str = "",
    rows: str = "auto",
    query_texts: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    half: bool = False,
    prefixes: bool | None = None,
) -> ModuleCard:
    """Trains a ranking module in one language.

    Args:
        base: 'e5-small', a Hub id or a folder.
        queries: JSON lines of `_id`, `text`, `pos`, optionally `neg`, `answers`, `pos_score` with
            `neg_scores`; or another project's rows, see `rows.read_rows`.
        passages: JSON lines of `_id`, `title`, `text`, or a .tsv; None where rows carry texts.
        rows: the form of `queries`, 'auto' to recognise it.
        query_texts, columns: of some forms, see `rows.read_rows`.
        output: module folder to write; `<output>.work` holds mined negatives and checkpoints.
        kind: 'adapter', 'mask', or 'full': all parameters, no modules.
        source: language of the judgements.
        over: the language module of that kind beneath; None takes the one of `source`, '' none. A
            full model takes none.
        loss: a name, or a weighted sum, of `polyrank.training.losses`: 'infonce+0.5*margin_mse'.
        teacher: cross-encoders whose mean scores are distilled, see `teachers`; None takes the
            scores in the rows.
        teacher_scale: what is done to each teacher's scores of a query first: 'raw', 'min-max',
            'z-score'.
        steps, batch_queries, negatives, length: optimizer steps, questions a step, negatives a
            question, tokens a pair.
        rate: peak learning rate; None takes 5e-4 for an adapter, 1e-4 for a mask or a full model.
        reduction: of an adapter, width of the base over width of the bottleneck.
        sparsity: of a mask; without k it keeps as many coordinates as an adapter of that
            reduction has parameters.
        mine: negatives mined per question from BM25 and as many from the base; 0 for none.
        resume: continue from the last checkpoint.
        zoo: where modules are searched first.
        data: sources and licences for the card.
        command: what the card quotes as its recipe.
        half: of a full model, store the weights in fp16 where that changes its scores of pairs
            beyond those of the last step by at most 2 % of their deviation; the card says by how
            much.
        prefixes: whether the base's prefixes stand before questions and passages, here and wherever
            the module scores; None takes them where the base has some.

    Returns:
        The card as written.

    Raises:
        UsageError: an unknown kind or loss, or options that do not fit the base.
        DataError: a malformed line, an example whose passages are absent, or a loss of a teacher
            without teacher scores.
    """
    if kind not in RATES:
        raise UsageError(f"a ranking module is an adapter, a mask or full, not '{kind}'")
    if kind == "full" and over:
        raise UsageError(f"a full model has no module beneath, so leave out over ('{over}')")
    if half and kind != "full":
        raise UsageError(f"half says how a full model is stored; leave it out with kind '{kind}'")
    objective = RankingLoss(parse_loss(loss))
    loss, taught = objective.loss.name, objective.loss.needs_teacher
    teachers = as_names(teacher)
    check_teachers(teachers, teacher_scale, taught, loss)
    output, source = Path(output), tags.normalise(source)
    check_name(output.name)
    loaded = load_base(base)
    check_length(length, loaded)
    put_before = _prefixes(loaded, prefixes)
    told_prefixes = {"prefixes": list(put_before)} if any(put_before) else {}
    work = Path(f"{output}.work")
    read, documents = read_rows(
        queries, passages, rows, query_texts, columns, source, taught and not teachers
    )

    torch.manual_seed(seed)
    bare = kind == "full" or over == ""
    below = None if bare else language_below(loaded, kind, over or source, zoo)
    if kind == "adapter":
        model = adapter_stack(loaded, below, output.name, reduction)
        model.add_classification_head(output.name, num_labels=1, layers=2)
    else:
        model = _full_model(loaded)
    if kind == "mask" and below:
        apply(model.base_model, load_mask_module(below).differences)
    parent = parent_of(below, kind) if below else None
    if sparsity.k is None:
        sparsity = replace(sparsity, k=adapter_size(loaded, reduction, invertible=False))
    options = {"adapter": {"reduction": reduction}, "mask": asdict(sparsity)}.get(kind, {})
    schedule = Schedule(steps=steps, rate=rate or RATES[kind], warmup=0.1, seed=seed)
    told = {"teacher": " + ".join(teachers), "teacher scale": teacher_scale} if teachers else {}
    settings = {
        "base": str(loaded.fingerprint),
        "parent": parent.sha256 if parent else None,
        "kind": kind,
        "source": source,
        "loss": loss,
        **told,
        "steps": steps,
        "batch queries": batch_queries,
        "negatives": negatives,
        "length": length,
        "rate": schedule.rate,
        **options,
        "mined": mine,
        "seed": seed,
        **told_prefixes,
        "data": digest(*existing(queries, passages, query_texts)),
        **({"columns": dict(columns)} if columns else {}),
    }
    begin(work, settings, resume)
    some = sample(read, steps * batch_queries, seed)
    examples = prepared(
        some, documents, loaded, work, mine, Path(queries), teachers, source, zoo, teacher_scale
    )
    batches = Batches(
        examples, documents, loaded.tokenizer, batch_queries, negatives, length, seed, put_before
    )
    differences = None
    if kind == "mask":
        differences, facts = train_sparse(
            model, batches, objective, schedule, sparsity, work, resume
        )
    else:
        facts = fit(model, batches, objective, schedule, work / "checkpoints", resume)
    precision: dict[str, Any] = {}
    if half:
        unseen = [batches(steps + step)["pairs"] for step in range(PROBE)]
        model, stored = rounded(model.cpu(), unseen)
        precision = {"stored": {**asdict(stored), "note": str(stored)}}
    card = ModuleCard(
        role="ranking",
        kind=kind,
        name=output.name,
        language=source,
        base=loaded.name,
        base_fingerprint=loaded.fingerprint,
        parent=parent,
        recipe={
            "command": command,
            "loss": loss,
            **told,
            "batch_queries": batch_queries,
            "negatives": negatives,
            "length": length,
            "rate": schedule.rate,
            **options,
            "mined": mine,
            **told_prefixes,
            "queries": len(examples),
            **facts,
            **precision,
        },
        data=tuple(data),
    )
    if kind == "adapter":
        written = save_named(model, output.name, output, card, head=True)
    elif differences is not None:
        written = save_mask_module(differences, output, card, head=head_of(model))
    else:
        with_prefixes(model.config, put_before)
        written = save_full_module(model, loaded.tokenizer, output, card)
    shutil.rmtree(work)
    return written


def _prefixes(base: Base, asked: bool | None) -> tuple[str, str]:
    """What is put before questions and passages.

    Raises:
        UsageError: prefixes are asked for, and the base has none.
    """
    own = (base.card.query_prefix, base.card.passage_prefix)
    if asked and not any(own):
        raise UsageError(
            f"the base '{base.name}' has no prefixes to put before texts.\nLeave out --prefixes."
        )
    return ("", "") if asked is False else own


def _full_model(base: Base) -> Any:
    from transformers import AutoModelForSequenceClassification

    with quiet_transformers():  # the pooler and the classifier are new
        model = AutoModelForSequenceClassification.from_pretrained(
            base.folder, num_labels=1, torch_dtype=torch.float32
        )
    return model
