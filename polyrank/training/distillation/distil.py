"""Both phases of bilingual distillation, from a base and its modules to a folder.

Ansell et al. 2023, Distilling Efficient Language-Specific Models for Cross-Lingual Transfer
(BiStil), arXiv 2306.01709, with the project's ranking losses in place of the task's.
"""

from __future__ import annotations

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
from polyrank.training.distillation.layers import layer_map
from polyrank.training.distillation.ranking_phase import (
    RankingData,
    ranking_lesson,
    read_ranking_data,
)
from polyrank.training.distillation.ranking_teacher import judged, modular
from polyrank.training.distillation.recipe import (
    DistillationRecipe,
    General,
    Task,
    Texts,
    by_language,
    check_phase_2,
)
from polyrank.training.distillation.student import make_student, size
from polyrank.training.distillation.student_folder import save_classifier
from polyrank.training.distillation.teacher import language_teacher, plan_of
from polyrank.training.distillation.vocabulary import (
    in_words,
    trimmed_to,
)
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.examples.rows import existing
from polyrank.training.examples.teachers import as_names
from polyrank.training.kinds import part_of
from polyrank.training.kinds.contract import STUDENT, Fitted, StudentGround
from polyrank.training.language.text import held_out, read_lines
from polyrank.training.loop.checks import check_length
from polyrank.training.loop.run import Lesson, Place, train
from polyrank.training.loop.steps import digest
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
    rows: str = JudgedRows.form,
    query_texts: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    ranking: str = DistillationRecipe.ranking,
    teacher: str | Sequence[str] | None = None,
    teacher_scale: str = JudgedRows.scale,
    row_scores: bool = False,
    kind: str = DistillationRecipe.kind,
    fallback: str = DistillationRecipe.fallback,
    factor: int = DistillationRecipe.factor,
    layers: str = DistillationRecipe.layers,
    min_probability: float = DistillationRecipe.min_probability,
    general: General | None = None,
    task: Task | None = None,
    seed: int = DistillationRecipe.seed,
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
    beside = (passages, query_texts, columns, teacher, row_scores, teacher_scale != "raw")
    check_phase_2(queries is not None, any(beside), row_scores, teacher_scale)
    general, task = general or General(), task or Task()
    source, target = tags.normalise(source), tags.normalise(target)
    judgements = None
    if queries is not None:
        judgements = JudgedRows(
            queries, passages, rows, query_texts, columns, source, mine=task.mine
        )
    recipe = DistillationRecipe(
        base, source, target, by_language(texts, source, target), judgements, ranking,
        as_names(teacher), teacher_scale, row_scores, kind, fallback, factor, layers,
        min_probability, general, task, seed,
    )  # fmt: skip
    place = Place(Path(output), resume, zoo, tuple(data), command)
    return train(Distillation, recipe, place)


class Distillation:
    """The distillation of one pair: phase 1 prepares the student that phase 2 trains."""

    def __init__(self, recipe: DistillationRecipe, place: Place) -> None:
        self.recipe, self.zoo = recipe, place.zoo
        self.lines = {name: read_lines(path) for name, path in recipe.texts.items()}
        for name, path in recipe.texts.items():
            if len(self.lines[name]) < 2:
                raise DataError(
                    path, None, "only one line; some are held out to measure coverage on"
                )
        self.base = load_base(recipe.base, attention="eager")
        check_length(recipe.general.length, self.base)
        layers = self.base.model.config.num_hidden_layers
        self.layers = layer_map(layers, recipe.factor, recipe.layers)
        self.plans = {name: self._plan(name, place) for name in recipe.texts}
        self.plan: Composition | None = None
        self.judges: list[Judge] = []
        self.ranked: RankingData | None = None
        if recipe.rows is not None:  # read before hours of phase 1
            self._read_ranking(recipe.rows, place)

    def _plan(self, language: str, place: Place, ranking: str | None = None) -> Composition:
        recipe = self.recipe
        return plan_of(self.base, language, recipe.kind, recipe.fallback, place.zoo, ranking)

    def _read_ranking(self, rows: JudgedRows, place: Place) -> None:
        recipe = self.recipe
        check_length(recipe.task.length, self.base, "--pair-length")
        self.judges = [read_judge(name, recipe.task.length) for name in recipe.teachers]
        if not self.judges:
            self.plan = self._plan(recipe.source, place, recipe.ranking)
        elif recipe.row_scores:
            _check_states(self.judges, self.base)
        self.ranked = read_ranking_data(rows, recipe.row_scores)

    def build(self) -> None:
        """Nothing yet: the student is made of the vocabulary of the texts."""

    def settings(self, model: None) -> Mapping[str, Any]:
        recipe, rows = self.recipe, self.recipe.rows
        task = {**asdict(recipe.task), "rate": recipe.task.peak_rate}
        taught: dict[str, Any] = {}
        if recipe.teachers:
            weights = [judge.weights for judge in self.judges]
            taught = {"teacher weights": weights, "scale": recipe.scale}
        return {
            "base": str(self.base.fingerprint),
            "pair": [recipe.source, recipe.target],
            "modules": self._modules(),
            "factor": recipe.factor,
            "layers": recipe.layers,
            "smallest probability": recipe.min_probability,
            "general": asdict(recipe.general),
            "ranking": None if rows is None else task,
            "seed": recipe.seed,
            "text": digest(*recipe.texts.values()),
            "data": rows and digest(*existing(rows.queries, rows.passages, rows.query_texts)),
            **({"columns": dict(rows.columns)} if rows and rows.columns else {}),
            **taught,
            **({"row scores": True} if recipe.row_scores else {}),
        }

    def prepare(self, model: None, place: Place) -> Lesson | Fitted:
        recipe = self.recipe
        seen, held = {}, {}
        for name, lines in self.lines.items():
            held[name], seen[name] = held_out(lines, recipe.seed)
        self.trimmed = trimmed_to(self.base, seen, held, recipe.min_probability)
        entries = f"{len(self.trimmed.kept)} of {len(self.base.tokenizer)} entries"
        for line in (f"vocabulary: {entries}", *in_words(self.trimmed.coverage)):
            note(line)
        trimmed = self.trimmed.base
        student = make_student(trimmed.model, recipe.factor, recipe.layers)
        teacher = language_teacher(self.base, trimmed, self.trimmed.kept, self.plans, place.zoo)
        student, self.facts = align_on_text(
            student, teacher, trimmed.tokenizer, seen, held, recipe.general, place.work,
            recipe.seed, place.resume,
        )  # fmt: skip
        self.parameters = size(student)
        if self.ranked is None or recipe.rows is None:
            unseen = text_batches(held, trimmed.tokenizer, recipe.general, recipe.seed)
            return Fitted(student, {}, probe=[unseen(step)["inputs"] for step in range(PROBE)])
        return self._second_phase(student, recipe.rows, self.ranked, place)

    def _second_phase(
        self, student: Any, rows: JudgedRows, ranked: RankingData, place: Place
    ) -> Lesson:
        recipe, task, trimmed = self.recipe, self.recipe.task, self.trimmed
        if self.plan is not None:
            teacher = modular(self.base, trimmed.base, trimmed.kept, self.plan, place.zoo)
        else:
            teacher = judged(self.base, trimmed.base, trimmed.kept, self.judges, recipe.scale)
        self.teacher = teacher
        count = task.steps * task.batch_queries
        examples = rows.prepared(
            ranked.examples, ranked.documents, self.base, place.work, count, recipe.seed
        )
        self.ranked = replace(ranked, examples=examples)
        self.ground = StudentGround(
            trimmed.base, place.name, STUDENT, task.shape, recipe.seed, prefixes=teacher.prefixes,
            encoder=student, head=teacher.head, folder=place.work / "student",
        )  # fmt: skip
        self.lesson = ranking_lesson(self.ranked, teacher, self.ground, task)
        return self.lesson

    def save(self, fitted: Fitted, place: Place) -> DistilledCard:
        card = self._card(place)
        if self.ranked is None:
            return save_classifier(
                fitted.model, self.trimmed.base.tokenizer, place.output, card, fitted.probe
            )
        part, task = part_of(self.recipe.task.student, STUDENT), self.recipe.task
        probe = [self.lesson.batches(task.steps + step)["pairs"] for step in range(PROBE)]
        fitted = replace(fitted, model=fitted.model.cpu().eval(), probe=probe)
        card = replace(
            card,
            form=part.form,
            teacher=self.teacher.described,
            recipe={**card.recipe, "ranking": self._ranking_recipe(fitted, self.ranked)},
            parameters=size(fitted.model, pooler=part.form == "cross-encoder"),
        )
        written: DistilledCard = part.save(fitted, self.ground, place.output, card)
        return written

    def _card(self, place: Place) -> DistilledCard:
        """Of an encoder, which phase 1 leaves."""
        recipe, trimmed = self.recipe, self.trimmed
        return DistilledCard(
            form="encoder",
            source=recipe.source,
            target=recipe.target,
            base=self.base.name,
            fingerprint=self.base.fingerprint,
            teacher=None,
            vocabulary={
                "entries before": len(self.base.tokenizer),
                "entries": len(trimmed.kept),
                "coverage": {name: asdict(c) for name, c in trimmed.coverage.items()},
            },
            layers=tuple(self.layers),
            parameters=self.parameters,
            recipe={
                "command": place.command,
                "factor": recipe.factor,
                "layers": recipe.layers,
                "min_probability": recipe.min_probability,
                "modules": recipe.kind,
                "seed": recipe.seed,
                "general": {**asdict(recipe.general), **self.facts},
            },
            data=place.data,
        )

    def _ranking_recipe(self, fitted: Fitted, ranked: RankingData) -> Mapping[str, Any]:
        task, prefixes = self.recipe.task, self.teacher.prefixes
        part = part_of(task.student, STUDENT)
        return {
            "student": task.student,
            "loss": parse_loss(task.loss).name,
            "teacher": dict(self.teacher.origin),
            "queries": len(ranked.examples),
            **({"targets": "the scores in the rows"} if ranked.scored else {}),
            **{key: getattr(task, key) for key in ("batch_queries", "negatives", "length", "mine")},
            "rate": task.peak_rate,
            **({"prefixes": list(prefixes)} if any(prefixes) else {}),
            **part.options(self.ground, fitted.model),
            **fitted.facts,
        }

    def _modules(self) -> list[Any]:
        """Of which weights the teacher is, so that a resumed run has the same."""
        plans, teachers = self.plans.values(), self.recipe.teachers
        used = [("language", p.document_module) for p in plans if p.document_module]
        used += [("ranking", self.plan.ranking)] if self.plan and self.plan.ranking else []
        kind = self.recipe.kind
        cards = [read_card(find(self.base.name, role, kind, n, self.zoo)) for role, n in used]
        last = teachers[0] if len(teachers) == 1 else list(teachers) or None
        return [*(sorted(card.files.items()) for card in cards), last]


def _check_states(judges: Sequence[Judge], base: Base) -> None:
    """Where the scores are those of the rows, a teacher is of use for its states alone."""
    if not any(is_aligned(judge.model, judge.tokenizer, base) for judge in judges):
        raise UsageError(
            f"no teacher has the vocabulary and shape of the base '{base.name}', so only "
            "scores can be distilled; leave --row-scores out, or --teacher"
        )
