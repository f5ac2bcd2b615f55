"""Both phases of bilingual distillation, from a base and its modules to a folder.

Ansell et al. 2023, Distilling Efficient Language-Specific Models for Cross-Lingual Transfer
(BiStil), arXiv 2306.01709, with the project's ranking losses in place of the task's.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from polyrank.base import Base, load_base
from polyrank.composition.plan import Composition
from polyrank.errors import DataError, UsageError
from polyrank.languages import tags
from polyrank.modules.card import Data, read_card
from polyrank.modules.storage import PROBE
from polyrank.progress import note
from polyrank.rerankers.distilled_folder import DistilledCard
from polyrank.training.distillation.cross_encoders import Judge, is_aligned, read_judge
from polyrank.training.distillation.general import align_on_text, text_batches
from polyrank.training.distillation.ranking_phase import learn_ranking, read_ranking_data
from polyrank.training.distillation.ranking_teacher import judged, modular
from polyrank.training.distillation.settings import (
    General,
    Task,
    Texts,
    by_language,
    check_options,
    check_phase_2,
)
from polyrank.training.distillation.student import layer_map, make_student, size
from polyrank.training.distillation.student_folder import save_classifier, save_with_adapter
from polyrank.training.distillation.teacher import language_teacher, plan_of
from polyrank.training.distillation.vocabulary import (
    LEAST,
    coverage,
    in_words,
    kept_entries,
    token_counts,
    trim,
)
from polyrank.training.examples.negatives import sample
from polyrank.training.examples.prepared import prepared
from polyrank.training.examples.rows import existing
from polyrank.training.examples.teachers import as_names, check_teachers
from polyrank.training.language.text import held_out, read_lines
from polyrank.training.loop.checks import check_length, check_name
from polyrank.training.loop.steps import begin, digest
from polyrank.training.losses import parse_loss
from polyrank.zoo.find import find


def distill_bilingual(
    base: str,
    source: str,
    target: str,
    texts: Texts,
    output: str | Path,
    queries: str | Path | None = None,
    passages: str | Path | None = None,
    rows: str = "auto",
    query_texts: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    ranking: str = "squad",
    teacher: str | Sequence[str] | None = None,
    teacher_scale: str = "raw",
    row_scores: bool = False,
    kind: str = "adapter",
    fallback: str = "error",
    factor: int = 2,
    layers: str = "regular",
    min_probability: float = LEAST,
    general: General | None = None,
    task: Task | None = None,
    seed: int = 13,
    resume: bool = False,
    zoo: str | Path | None = None,
    data: Sequence[Data] = (),
    command: str = "",
) -> DistilledCard:
    """A smaller model for one source and one target language.

    Args:
        base: 'e5-small', a Hub id or a folder, of the layout of BERT or XLM-R.
        source, target: languages; the ranking data are in the source's.
        texts: a file of each language, a sentence a line: by its tag, or source then target.
        output: folder to write; `<output>.work` holds what a stopped run goes on from.
        queries, passages, rows, query_texts, columns: ranking data in the source language, in any
            of the forms that a ranking module is trained on, see `rows.read_rows`. Without
            queries the result is an encoder.
        ranking: the teacher's ranking module.
        teacher: a cross-encoder's folder or Hub id in place of that module; of several the mean
            scores.
        teacher_scale: what is done to each one's scores of a query first: 'raw', 'min-max',
            'z-score'.
        row_scores: take the scores in the rows as what the student's scores are to be like, and
            the teacher's states alone.
        kind: of the language modules and the ranking module: 'adapter' or 'mask'.
        fallback: for a language without module: 'error', 'related' or 'none'.
        factor: teacher layers to one student layer.
        layers: which layers the student starts as: 'regular', 'bottom' or 'last'.
        min_probability: of a vocabulary entry in either language, below which it is left out.
        general, task: settings of phase 1 and of phase 2.
        seed: of everything random.
        resume: go on with what is in `<output>.work`.
        zoo: where modules are searched first.
        data: sources and licences for the card.
        command: what the card quotes as its recipe.

    Returns:
        The card as written.

    Raises:
        UsageError: options that do not fit each other or the base.
        DataError: text or ranking data that are missing or malformed.
        ModuleError: a module or teacher that is missing or does not fit.
        LanguageError: a language without module, under fallback 'error'.
    """
    general, task, output = general or General(), task or Task(), Path(output)
    source, target = tags.normalise(source), tags.normalise(target)
    check_name(output.name)
    check_options(source, target, kind, task.student)
    beside = (passages, query_texts, columns, teacher, row_scores, teacher_scale != "raw")
    check_phase_2(queries is not None, any(beside), row_scores, teacher_scale)
    parse_loss(task.loss)
    files = by_language(texts, source, target)
    lines = {language: read_lines(path) for language, path in files.items()}
    for language, path in files.items():
        if len(lines[language]) < 2:
            raise DataError(path, None, "only one line; some are held out to measure coverage on")
    whole = load_base(base, attention="eager")
    check_length(general.length, whole)
    chosen = layer_map(whole.model.config.num_hidden_layers, factor, layers)
    plans = {name: plan_of(whole, name, kind, fallback, zoo, None) for name in files}
    names = as_names(teacher)
    check_teachers(names, teacher_scale, True, task.loss)
    plan, judges, judgements = None, [], None
    if queries is not None:  # read before hours of phase 1
        check_length(task.length, whole, "--pair-length")
        judges = [read_judge(name, task.length) for name in names]
        if not judges:
            plan = plan_of(whole, source, kind, fallback, zoo, ranking)
        elif row_scores:
            _check_states(judges, whole)
        judgements = read_ranking_data(
            queries, passages, rows, query_texts, columns, source, row_scores
        )
    work = Path(f"{output}.work")
    settings = {
        "base": str(whole.fingerprint),
        "pair": [source, target],
        "modules": _modules(whole, kind, plans, plan, names, zoo),
        "factor": factor,
        "layers": layers,
        "smallest probability": min_probability,
        "general": asdict(general),
        "ranking": None if queries is None else {**asdict(task), "rate": task.peak_rate},
        "seed": seed,
        "text": digest(*files.values()),
        "data": queries and digest(*existing(queries, passages, query_texts)),
        **({"columns": dict(columns)} if columns else {}),
        **({"teacher weights": [j.weights for j in judges]} if names else {}),
        **({"scale": teacher_scale} if names else {}),
        **({"row scores": True} if row_scores else {}),
    }
    begin(work, settings, resume)

    held, seen = {}, {}
    for name in files:
        held[name], seen[name] = held_out(lines[name], seed)
    counts = [token_counts(seen[name], whole.tokenizer) for name in files]
    kept = kept_entries(counts, whole, min_probability)
    trimmed = trim(whole, kept)
    tokenizer = trimmed.tokenizer
    covered = {name: coverage(held[name], whole.tokenizer, tokenizer, kept) for name in files}
    for line in (f"vocabulary: {len(kept)} of {len(whole.tokenizer)} entries", *in_words(covered)):
        note(line)

    student = make_student(trimmed.model, factor, layers)
    of_text = language_teacher(whole, trimmed, kept, plans, zoo)
    student, facts = align_on_text(
        student, of_text, tokenizer, seen, held, general, work, seed, resume
    )
    card = DistilledCard(
        form="encoder",
        source=source,
        target=target,
        base=whole.name,
        fingerprint=whole.fingerprint,
        teacher=None,
        vocabulary={
            "entries before": len(whole.tokenizer),
            "entries": len(kept),
            "coverage": {name: asdict(c) for name, c in covered.items()},
        },
        layers=tuple(chosen),
        parameters=size(student),
        recipe={
            "command": command,
            "factor": factor,
            "layers": layers,
            "min_probability": min_probability,
            "modules": kind,
            "seed": seed,
            "general": {**asdict(general), **facts},
        },
        data=tuple(data),
    )
    if judgements is None:
        unseen = text_batches(held, tokenizer, general, seed)
        probe = [unseen(step)["inputs"] for step in range(PROBE)]
        written = save_classifier(student, tokenizer, output, card, probe)
        shutil.rmtree(work)
        return written

    if plan is not None:
        of_ranking = modular(whole, trimmed, kept, plan, zoo)
    else:
        of_ranking = judged(whole, trimmed, kept, judges, teacher_scale)
    picked = sample(judgements.examples, task.steps * task.batch_queries, seed)
    examples = prepared(picked, judgements.documents, whole, work, task.mine, judgements.source)
    model, learnt, probe = learn_ranking(
        student, tokenizer, of_ranking, replace(judgements, examples=examples), task, output.name,
        work, seed, resume,
    )  # fmt: skip
    over = task.student == "adapter"
    card = replace(
        card,
        form="adapter" if over else "cross-encoder",
        teacher=of_ranking.described,
        recipe={**card.recipe, "ranking": learnt},
        parameters=size(model, pooler=not over),
    )
    if over:
        written = save_with_adapter(model, work / "student", output, card, probe)
    else:
        written = save_classifier(model, tokenizer, output, card, probe)
    shutil.rmtree(work)
    return written


def _check_states(judges: Sequence[Judge], base: Base) -> None:
    """Where the scores are those of the rows, a teacher is of use for its states alone."""
    if not any(is_aligned(judge.model, judge.tokenizer, base) for judge in judges):
        raise UsageError(
            f"no teacher has the vocabulary and shape of the base '{base.name}', so only "
            "scores can be distilled; leave --row-scores out, or --teacher"
        )


def _modules(
    base: Base,
    kind: str,
    plans: Mapping[str, Composition],
    plan: Composition | None,
    teachers: Sequence[str],
    zoo: str | Path | None,
) -> list[Any]:
    """Of which weights the teacher is, so that a resumed run has the same."""
    used = [("language", p.document_module) for p in plans.values() if p.document_module]
    used += [("ranking", plan.ranking)] if plan and plan.ranking else []
    cards = [read_card(find(base.name, role, kind, name, zoo)) for role, name in used]
    last = teachers[0] if len(teachers) == 1 else list(teachers) or None
    return [*(sorted(card.files.items()) for card in cards), last]
