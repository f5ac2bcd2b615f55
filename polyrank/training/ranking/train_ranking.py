"""Trains a ranking module of any kind on English judgements.

A cross-encoder over lists of one positive and hard negatives (Litschko et al. 2022,
arXiv 2204.02292, §3, with the loss selectable), or another of `architectures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polyrank.base import Base, load_base
from polyrank.errors import UsageError
from polyrank.languages import tags
from polyrank.modules.card import Data, ModuleCard
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.examples.teachers import as_names
from polyrank.training.kinds import part_of
from polyrank.training.kinds.contract import RANKING, Fitted, Ground, Shape
from polyrank.training.loop.checks import check_length
from polyrank.training.loop.run import Lesson, Place, module_card, train
from polyrank.training.loop.sparsity import PLAIN, Sparsity
from polyrank.training.loop.stack import language_below, parent_of
from polyrank.training.loop.steps import Schedule
from polyrank.training.ranking.architectures import DEFAULT_ARCHITECTURE, architecture_of
from polyrank.training.ranking.recipe import RankingRecipe
from polyrank.training.ranking.taught import Taught


def train_ranking_module(
    base: str,
    queries: str | Path,
    passages: str | Path | None,
    output: str | Path,
    kind: str = RankingRecipe.kind,
    source: str = JudgedRows.source,
    over: str | None = None,
    loss: str | None = None,
    teacher: str | Sequence[str] | None = None,
    teacher_scale: str = JudgedRows.scale,
    steps: int = RankingRecipe.steps,
    batch_queries: int = RankingRecipe.batch_queries,
    negatives: int = RankingRecipe.negatives,
    length: int = RankingRecipe.length,
    rate: float | None = None,
    reduction: int | None = None,
    sparsity: Sparsity = PLAIN,
    mine: int = JudgedRows.mine,
    seed: int = RankingRecipe.seed,
    resume: bool = False,
    zoo: str | Path | None = None,
    data: Sequence[Data] = (),
    command: str = "",
    rows: str = JudgedRows.form,
    query_texts: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    half: bool = False,
    prefixes: bool | None = None,
    architecture: str = DEFAULT_ARCHITECTURE,
    views: int | None = None,
    orthogonality: float | None = None,
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
        loss: a name, or a weighted sum, of `polyrank.training.losses`: 'infonce+0.5*margin_mse';
            None takes 'infonce', at temperature 0.8 for multi-view, and 'contrastive' where texts
            are read one by one.
        teacher: cross-encoders whose mean scores are distilled, see `teachers`; None takes the
            scores in the rows.
        teacher_scale: what is done to each teacher's scores of a query first: 'raw', 'min-max',
            'z-score'.
        steps, batch_queries, negatives, length: optimizer steps, questions a step, negatives a
            question, tokens a pair, or a text where texts are read one by one.
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
        architecture: 'cross-encoder' (a logit a pair) or 'multi-view' (vectors of view tokens,
            scored by anchors of the whole list), or texts read one by one: 'dot-product' (a vector
            each) or 'kernel-pooling' (vectors of tokens, after TK). All but the first are an
            adapter or a full model.
        views: of multi-view, how many view tokens; None for 4.
        orthogonality: of multi-view, the weight of keeping anchors apart; None for 1.

    Returns:
        The card as written.

    Raises:
        UsageError: an unknown kind or loss, or options that do not fit the base.
        DataError: a malformed line, an example whose passages are absent, or a loss of a teacher
            without teacher scores.
    """
    names = as_names(teacher)
    source = tags.normalise(source)
    judged = JudgedRows(
        queries, passages, rows, query_texts, columns, source, mine, names, teacher_scale
    )
    shape = Shape(reduction, sparsity, half=half)
    recipe = RankingRecipe(
        base, judged, kind, over, loss, steps, batch_queries, negatives, length, rate, shape,
        prefixes, seed, architecture_of(architecture, views=views, orthogonality=orthogonality),
    )  # fmt: skip
    place = Place(Path(output), resume, zoo, tuple(data), command)
    return train(RankingTraining, recipe, place)


class RankingTraining:
    """The training of one ranking module."""

    def __init__(self, recipe: RankingRecipe, place: Place) -> None:
        self.recipe, self.rows = recipe, recipe.rows
        self.architecture, self.loss = recipe.architecture, recipe.objective
        self.base = load_base(recipe.base)
        check_length(recipe.length, self.base, reserved=self.architecture.reserved)
        self.prefixes = _prefixes(self.base, recipe.prefixes)
        self.part = part_of(recipe.kind, self.architecture.role)
        wanted = self.loss.needs_teacher and not self.rows.teachers
        self.read, self.documents = self.rows.read(scored=wanted)
        below = self.parent = None
        if self.part.beneath is not None and recipe.over != "":
            name = recipe.over or self.rows.source
            below = language_below(self.base, self.part.beneath, name, place.zoo)
            self.parent = parent_of(below, self.part.beneath)
        self.ground = Ground(
            self.base, place.name, self.architecture.role, recipe.shape, recipe.seed, below,
            place.zoo, self.prefixes,
        )  # fmt: skip

    def build(self) -> Any:
        return self.architecture.build(self.part, self.ground, self.recipe.length)

    def settings(self, model: Any) -> Mapping[str, Any]:
        recipe = self.recipe
        return {
            "base": str(self.base.fingerprint),
            "parent": self.parent.sha256 if self.parent else None,
            "kind": recipe.kind,
            "loss": self.loss.name,
            **self.architecture.about(),
            "steps": recipe.steps,
            "batch queries": recipe.batch_queries,
            "negatives": recipe.negatives,
            "length": recipe.length,
            "rate": recipe.peak_rate,
            **self.part.options(self.ground, model),
            "mined": self.rows.mine,
            "seed": recipe.seed,
            **self._told_prefixes(),
            **self.rows.settings(),
        }

    def prepare(self, model: Any, place: Place) -> Lesson:
        recipe = self.recipe
        self.examples = self.rows.prepared(
            self.read, self.documents, self.base, place.work, recipe.steps * recipe.batch_queries,
            recipe.seed, place.zoo,
        )  # fmt: skip
        taught = Taught(
            self.examples, self.documents, self.base.tokenizer, recipe.batch_queries,
            recipe.negatives, recipe.length, recipe.seed, self.prefixes,
        )  # fmt: skip
        batches = self.architecture.batches(model, taught)
        schedule = Schedule(steps=recipe.steps, rate=recipe.peak_rate, warmup=0.1, seed=recipe.seed)
        criterion = self.architecture.criterion(self.loss)
        return Lesson(model, batches, criterion, schedule, self.part, self.ground)

    def save(self, fitted: Fitted, place: Place) -> ModuleCard:
        recipe = self.recipe
        about = {
            "command": place.command,
            "loss": self.loss.name,
            **self.architecture.about(),
            **self.rows.taught,
            "batch_queries": recipe.batch_queries,
            "negatives": recipe.negatives,
            "length": recipe.length,
            "rate": recipe.peak_rate,
            **self.part.options(self.ground, fitted.model),
            "mined": self.rows.mine,
            **self._told_prefixes(),
            "queries": len(self.examples),
            **fitted.facts,
        }
        card = module_card(
            place, self.base, RANKING, recipe.kind, self.rows.source, about, self.parent
        )
        return self.architecture.save(self.part, fitted, self.ground, place.output, card)

    def _told_prefixes(self) -> Mapping[str, Any]:
        return {"prefixes": list(self.prefixes)} if any(self.prefixes) else {}


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
