"""Both phases of bilingual distillation, from a base and its modules to a folder.

Ansell et al. 2023, Distilling Efficient Language-Specific Models for Cross-Lingual Transfer
(BiStil), arXiv 2306.01709, with the project's ranking losses in place of the task's.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file

from polyrank import languages
from polyrank.base import Base, load_base
from polyrank.collections.records import Document
from polyrank.errors import DataError, UsageError
from polyrank.modules.card import Data, ModuleCard
from polyrank.modules.distilled import DistilledCard
from polyrank.modules.search import find
from polyrank.training.bilingual.folder import save_classifier, save_with_adapter
from polyrank.training.bilingual.general import GeneralLoss, TextBatches, held_out_loss
from polyrank.training.bilingual.ranking import (
    CrossEncoderTeacher,
    DistilledRankingLoss,
    MeanTeacher,
    ModularTeacher,
    PairBatches,
    adapter_student,
    full_student,
    is_aligned,
)
from polyrank.training.bilingual.student import layer_map, make_student
from polyrank.training.bilingual.teacher import language_teacher, plan_of, ranking_teacher
from polyrank.training.bilingual.vocabulary import (
    LEAST,
    coverage,
    in_words,
    kept_entries,
    token_counts,
    trim,
)
from polyrank.training.language import HELD_OUT, blocks, check_length, check_name
from polyrank.training.losses import parse_loss
from polyrank.training.negatives import Example, read_examples, sample, write_examples
from polyrank.training.ranking import with_negatives
from polyrank.training.rows import existing, read_rows
from polyrank.training.sparse import Sparsity, train_sparse
from polyrank.training.steps import Schedule, begin, digest, fit
from polyrank.training.teachers import as_names, check_teachers
from polyrank.training.text import read_lines

STUDENTS = ("full", "mask", "adapter")
RATES = {"full": 3e-4, "mask": 1e-4, "adapter": 5e-4}  # full: chosen on SQuAD dev; others not
SPARSE = Sparsity(k=0.08, candidates="encoder")  # density as published
PROBE = 4  # batches over which weights in half the precision are compared with the trained ones


@dataclass(frozen=True)
class General:
    """Phase 1.

    steps, batch_size, length, rate: optimizer steps, sequences a step, tokens a sequence, peak
    learning rate. balanced: cut both texts to the smaller one's number of sequences, and take the
    languages in turn.
    """

    steps: int = 600
    batch_size: int = 16
    length: int = 96
    rate: float = 5e-4
    balanced: bool = True


@dataclass(frozen=True)
class Task:
    """Phase 2.

    student: what is trained: 'full' (all parameters), 'mask' (LT-SFT) or 'adapter'.
    loss: of the scores, by name; 'soft_cross_entropy' alone is the paper's. steps, batch_queries,
    negatives, length, rate, mine: as for a ranking module. reduction: of an adapter. sparsity: of
    a mask.
    """

    student: str = "full"
    loss: str = "soft_cross_entropy+0.2*margin_mse"
    steps: int = 400
    batch_queries: int = 8
    negatives: int = 3
    length: int = 160
    rate: float | None = None
    mine: int = 4
    reduction: int = 2
    sparsity: Sparsity = SPARSE


def distill_bilingual(
    base: str,
    source: str,
    target: str,
    texts: Mapping[str, str | Path] | Sequence[str | Path],
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
        base: 'mini', a Hub id or a folder, of the layout of BERT or XLM-R.
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
    source, target = languages.normalise(source), languages.normalise(target)
    check_name(output.name)
    _check_options(source, target, kind, task)
    beside = (passages, query_texts, columns, teacher, row_scores, teacher_scale != "raw")
    if queries is None and any(beside):
        raise UsageError(
            "--passages, --query-texts, --columns, --teacher, --teacher-scale and --row-scores go "
            "with --queries; without it phase 2 is left out"
        )
    if row_scores and teacher_scale != "raw":
        raise UsageError("--row-scores takes the scores in the rows; leave out --teacher-scale")
    score_loss = parse_loss(task.loss)
    files = _files(texts, source, target)
    lines = {language: read_lines(path) for language, path in files.items()}
    for language, path in files.items():
        if len(lines[language]) < 2:
            raise DataError(path, None, "only one line; some are held out to measure coverage on")
    loaded = load_base(base, attention="eager")
    check_length(general.length, loaded)
    chosen = layer_map(loaded.model.config.num_hidden_layers, factor, layers)
    plans = {name: plan_of(loaded, name, kind, fallback, zoo, None) for name in (source, target)}
    names = as_names(teacher)
    check_teachers(names, teacher_scale, True, task.loss)
    plan, data_given, judges = None, None, []
    if queries is not None:
        check_length(task.length, loaded, "--pair-length")
        judges = [_cross_encoder(name, task.length) for name in names]
        if not names:
            plan = plan_of(loaded, source, kind, fallback, zoo, ranking)
        elif row_scores and not any(is_aligned(j.model, j.tokenizer, loaded) for j in judges):
            raise UsageError(
                f"no teacher has the vocabulary and shape of the base '{loaded.name}', so only "
                "scores can be distilled; leave --row-scores out, or --teacher"
            )
        data_given = _data(queries, passages, rows, query_texts, columns, source, row_scores)
    work = Path(f"{output}.work")
    settings = {
        "base": str(loaded.fingerprint),
        "pair": [source, target],
        "modules": _modules(loaded, kind, plans, plan, names, zoo),
        "factor": factor,
        "layers": layers,
        "smallest probability": min_probability,
        "general": asdict(general),
        "ranking": None if queries is None else {**asdict(task), "rate": _rate(task)},
        "seed": seed,
        "text": digest(*files.values()),
        "data": queries and digest(*existing(queries, passages, query_texts)),
        **({"columns": dict(columns)} if columns else {}),
        **(
            {"teacher weights": [j.weights for j in judges], "scale": teacher_scale}
            if names
            else {}
        ),
        **({"row scores": True} if row_scores else {}),
    }
    begin(work, settings, resume)

    held, seen = _split(lines, seed)
    counts = [token_counts(seen[name], loaded.tokenizer) for name in files]
    kept = kept_entries(counts, loaded, min_probability)
    trimmed = trim(loaded, kept)
    covered = {
        name: coverage(held[name], loaded.tokenizer, trimmed.tokenizer, kept) for name in files
    }
    _say(f"vocabulary: {len(kept)} of {len(loaded.tokenizer)} entries")
    for line in in_words(covered):
        _say(line)

    student, facts = _general(
        loaded, trimmed, kept, plans, seen, held, factor, layers, general, work, seed, resume, zoo
    )
    card = DistilledCard(
        form="encoder",
        source=source,
        target=target,
        base=loaded.name,
        fingerprint=loaded.fingerprint,
        teacher=None,
        vocabulary={
            "entries before": len(loaded.tokenizer),
            "entries": len(kept),
            "coverage": {name: asdict(c) for name, c in covered.items()},
        },
        layers=tuple(chosen),
        parameters=_size(student),
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
    if data_given is None:
        unseen = _text_batches(held, trimmed.tokenizer, general, seed)
        probe = [unseen(step)["inputs"] for step in range(PROBE)]
        written = save_classifier(student, trimmed.tokenizer, output, card, probe)
    else:
        written = _ranking(
            loaded, trimmed, kept, plan, judges, teacher_scale, student, data_given, task,
            score_loss, output, card, seed, resume, zoo,
        )  # fmt: skip
    shutil.rmtree(work)
    return written


@dataclass(frozen=True, eq=False)
class RankingData:
    """What phase 2 learns from, where it was read from, and whether its scores are the targets."""

    examples: list[Example]
    documents: dict[str, Document]
    source: Path
    scored: bool


@dataclass(frozen=True, eq=False)
class Judge:
    """A teacher in one piece, and what tells its weights."""

    name: str
    model: Any
    tokenizer: Any
    weights: str


def _data(
    queries: str | Path,
    passages: str | Path | None,
    rows: str,
    query_texts: str | Path | None,
    columns: Mapping[str, str] | None,
    source: str,
    scored: bool,
) -> RankingData:
    """Read before hours of phase 1, so that a malformed row stops nothing but the start."""
    examples, documents = read_rows(queries, passages, rows, query_texts, columns, source, scored)
    there = sum(example.teacher is not None for example in examples)
    if there and not scored:
        _say(f"the scores in {there} rows are not used, but the teacher's; or give --row-scores")
        examples = [replace(example, teacher=None) for example in examples]
    return RankingData(examples, documents, Path(queries), scored)


def _cross_encoder(name: str, length: int) -> Judge:
    from polyrank.rerankers.standalone import read_classifier, weights_of

    model, tokenizer = read_classifier(name, attention="eager")
    positions = getattr(model.config, "max_position_embeddings", None) or 2**31
    if length > (longest := int(positions - 2)):
        raise UsageError(
            f"--pair-length {length} is more than the teacher '{name}' reads: {longest}"
        )
    return Judge(name, model, tokenizer, weights_of(name, model))


def _rate(task: Task) -> float:
    return RATES[task.student] if task.rate is None else task.rate


def _check_options(source: str, target: str, kind: str, task: Task) -> None:
    if source == target:
        raise UsageError(f"source and target are both '{source}'; give two languages")
    if kind not in ("adapter", "mask"):
        raise UsageError(f"the teacher's modules are adapters or masks, not '{kind}'")
    if task.student not in STUDENTS:
        raise UsageError(f"a student is one of {', '.join(STUDENTS)}, not '{task.student}'")


def _files(
    texts: Mapping[str, str | Path] | Sequence[str | Path], source: str, target: str
) -> dict[str, Path]:
    """Language → its text, the source first."""
    if isinstance(texts, Mapping):
        given = {languages.normalise(tag): Path(path) for tag, path in texts.items()}
    else:
        given = dict(zip((source, target), map(Path, texts), strict=len(texts) == 2))
    if set(given) != {source, target}:
        raise UsageError(
            f"texts are of {', '.join(sorted(given))}; give one of '{source}' and one of '{target}'"
        )
    return {source: given[source], target: given[target]}


def _modules(
    base: Base,
    kind: str,
    plans: Mapping[str, Any],
    plan: Any,
    teachers: Sequence[str],
    zoo: Any,
) -> list[Any]:
    """Of which weights the teacher is, so that a resumed run has the same."""
    from polyrank.modules.card import read_card

    used = [("language", p.document_module) for p in plans.values() if p.document_module]
    used += [("ranking", plan.ranking)] if plan else []
    cards = [read_card(find(base.name, role, kind, name, zoo)) for role, name in used]
    last = teachers[0] if len(teachers) == 1 else list(teachers) or None
    return [*(sorted(card.files.items()) for card in cards), last]


def _split(
    lines: Mapping[str, list[str]], seed: int
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Held-out lines of each language, and the rest, each in the order of the file."""
    held, seen = {}, {}
    for name, rows in lines.items():
        count = min(300, max(1, round(HELD_OUT * len(rows))))
        out = set(np.random.default_rng(seed).permutation(len(rows))[:count].tolist())
        held[name] = [row for place, row in enumerate(rows) if place in out]
        seen[name] = [row for place, row in enumerate(rows) if place not in out]
    return held, seen


def _general(
    base: Base,
    trimmed: Base,
    kept: list[int],
    plans: Mapping[str, Any],
    seen: Mapping[str, list[str]],
    held: Mapping[str, list[str]],
    factor: int,
    layers: str,
    general: General,
    work: Path,
    seed: int,
    resume: bool,
    zoo: Any,
) -> tuple[Any, dict[str, Any]]:
    """The student's encoder after phase 1, and facts for the card."""
    student = make_student(trimmed.model, factor, layers)
    names = list(seen)
    loss = GeneralLoss(language_teacher(base, trimmed, kept, dict(plans), zoo), names)

    finished = work / "student.safetensors"
    facts_file = work / "general.json"
    if not (resume and finished.is_file() and facts_file.is_file()):
        made = _text_batches(seen, trimmed.tokenizer, general, seed)
        _say(
            "phase 1: "
            + ", ".join(f"{len(rows)} sequences of {name}" for name, rows in made.blocks.items())
        )
        unseen = _text_batches(held, trimmed.tokenizer, general, seed)
        before = held_out_loss(student, loss, unseen)
        schedule = Schedule(steps=general.steps, rate=general.rate, seed=seed)
        facts = fit(student, made, loss, schedule, work / "general", resume)
        after = held_out_loss(student.eval(), loss, unseen)
        _say(f"phase 1: held-out distance {before} -> {after}")
        facts |= {
            "held-out distance before": before,
            "held-out distance after": after,
            "sequences": {name: len(rows) for name, rows in made.blocks.items()},
        }
        _write(facts_file, facts)
        aside = finished.with_suffix(".part")
        save_file(
            {k: v.detach().cpu().contiguous() for k, v in student.state_dict().items()}, aside
        )
        aside.replace(finished)
        shutil.rmtree(work / "general")
    student = student.cpu()
    student.load_state_dict(load_file(finished))
    return student.eval(), _read(facts_file)


def _text_batches(
    lines: Mapping[str, list[str]], tokenizer: Any, general: General, seed: int
) -> TextBatches:
    rows = {name: blocks(some, tokenizer, general.length) for name, some in lines.items()}
    return TextBatches(rows, tokenizer, general.batch_size, seed, general.balanced)


def _ranking(
    base: Base,
    trimmed: Base,
    kept: list[int],
    plan: Any,
    judges: Sequence[Judge],
    scale: str,
    student: Any,
    data: RankingData,
    task: Task,
    score_loss: Any,
    output: Path,
    card: DistilledCard,
    seed: int,
    resume: bool,
    zoo: Any,
) -> DistilledCard:
    """Phase 2, and the folder."""
    work = Path(f"{output}.work")
    teacher, head, others, described = _teacher(base, trimmed, kept, plan, judges, scale, zoo)
    documents = data.documents
    kept_examples = work / "examples.jsonl"
    if not kept_examples.is_file():
        picked = sample(data.examples, task.steps * task.batch_queries, seed)
        write_examples(
            kept_examples, with_negatives(picked, documents, base, task.mine, data.source)
        )
    examples = read_examples(kept_examples)
    batches = PairBatches(
        examples, documents, trimmed.tokenizer, task.batch_queries, task.negatives, task.length,
        seed, others=others,
    )  # fmt: skip
    loss = DistilledRankingLoss(teacher, score_loss)
    schedule = Schedule(steps=task.steps, rate=_rate(task), warmup=0.1, seed=seed)
    if task.student == "adapter":
        folder = work / "student"
        if not (folder / "config.json").is_file():
            student.save_pretrained(folder)
            trimmed.tokenizer.save_pretrained(folder)
        model = adapter_student(
            load_base(str(folder), attention="eager"), output.name, head, task.reduction
        )
    else:
        model = full_student(student, head, seed)
    if task.student == "mask":
        _, facts = train_sparse(
            model, batches, loss, schedule, task.sparsity, work / "ranking", resume
        )
    else:
        facts = fit(model, batches, loss, schedule, work / "ranking", resume)
    used = {
        "student": task.student,
        "loss": score_loss.name,
        "teacher": {"cross-encoders": [j.name for j in judges]}
        if judges
        else {"ranking": plan.ranking},
        "queries": len(examples),
        **({"targets": "the scores in the rows"} if data.scored else {}),
        **{k: getattr(task, k) for k in ("batch_queries", "negatives", "length", "mine")},
        "rate": schedule.rate,
        **({"reduction": task.reduction} if task.student == "adapter" else {}),
        **facts,
    }
    card = replace(
        card,
        form="adapter" if task.student == "adapter" else "cross-encoder",
        teacher=described,
        recipe={**card.recipe, "ranking": used},
        parameters=_size(model, pooler=task.student != "adapter"),
    )
    model = model.cpu().eval()
    probe = [batches(task.steps + step)["pairs"] for step in range(PROBE)]
    if task.student != "adapter":
        return save_classifier(model, trimmed.tokenizer, output, card, probe)
    module = ModuleCard(
        role="ranking",
        kind="adapter",
        name=output.name,
        language=card.source,
        base=output.name,
        base_fingerprint=base.fingerprint,  # replaced by the student's own
        recipe=used,
        data=card.data,
    )
    return save_with_adapter(model, output.name, work / "student", output, card, module, probe)


def _teacher(
    base: Base,
    trimmed: Base,
    kept: list[int],
    plan: Any,
    judges: Sequence[Judge],
    scale: str,
    zoo: Any,
) -> tuple[Any, Any, dict[str, Any], str]:
    """The teacher of phase 2, its head where a student can start from it, the tokenizers of those
    that have another, and what it is in words."""
    if not judges:
        modular, head = ranking_teacher(base, trimmed, kept, plan, zoo)
        below = f" over the language {plan.kind} '{plan.document_module}'"
        described = f"ranking {plan.ranking_kind} '{Path(plan.ranking).name}'"
        described += below if plan.document_module else ""
        return ModularTeacher(modular, head, plan.document_language), head, {}, described
    teachers = [
        CrossEncoderTeacher(j.name, j.model, j.tokenizer, base, trimmed, kept) for j in judges
    ]
    for one in teachers:
        if not one.aligned:
            _say(
                f"the teacher '{one.name}' has another vocabulary or shape than the base "
                f"'{base.name}': its scores are distilled, not its states"
            )
    first = next((one.head for one in teachers if one.aligned), None)
    others = {one.name: one.tokenizer for one in teachers if not one.aligned}
    described = ", ".join(f"cross-encoder '{Path(one.name).name}'" for one in teachers)
    if len(teachers) == 1 and scale == "raw":
        return teachers[0], first, others, described
    alone = len(teachers) == 1
    described = f"{described} ({scale})" if alone else f"the mean ({scale}) of {described}"
    return MeanTeacher(teachers, scale), first, others, described


def _size(model: Any, pooler: bool = True) -> int:
    """Parameters; the pooler is a part of BERT's own head, and idle beside another."""
    named = model.named_parameters()
    return sum(p.numel() for name, p in named if pooler or ".pooler." not in name)


def _say(message: str) -> None:
    print(f"polyrank: {message}", file=sys.stderr)


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(facts, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found
