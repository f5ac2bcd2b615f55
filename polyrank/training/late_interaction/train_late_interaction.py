"""Trains late interaction on English judgements, for every language that has a module.

The scores are MaxSim over token vectors; the losses are ColBERT-XM's (pairwise softmax with hard
negatives + softmax over the batch, Louis et al. 2025, arXiv 2402.15059, §3.2) or distillation from
a cross-encoder. What moves is said in `token_model`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from polyrank.base import Base, load_base
from polyrank.errors import UsageError
from polyrank.languages import tags
from polyrank.late_interaction.marked_text import MarkedText
from polyrank.late_interaction.skiplist import skipped_ids
from polyrank.modules.card import LATE_INTERACTION as CARDED
from polyrank.modules.card import Data, ModuleCard, write_card
from polyrank.modules.folder import replaced
from polyrank.modules.mask.sparse import Differences
from polyrank.modules.projection import save_projection
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.examples.teachers import as_names
from polyrank.training.kinds import part_of
from polyrank.training.kinds.contract import LATE_INTERACTION, RANKING, Fitted, Ground
from polyrank.training.late_interaction.recipe import (
    APART,
    NOTHING_TO_ATTEND,
    LateInteractionRecipe,
    TokenSettings,
)
from polyrank.training.late_interaction.token_batches import TokenBatches
from polyrank.training.late_interaction.token_loss import TokenLoss
from polyrank.training.late_interaction.token_model import (
    TokenModel,
    default_rules,
    over_tokens,
)
from polyrank.training.late_interaction.token_projection import pca_projection
from polyrank.training.loop.averaging import Snapshots
from polyrank.training.loop.checks import check_length
from polyrank.training.loop.run import Lesson, Place, module_card, train
from polyrank.training.loop.sparsity import PLAIN, Sparsity
from polyrank.training.loop.steps import Schedule

AUGMENT_TO = 32  # mask tokens fill a query up to so many, over a base with markers
START_TEXTS = 512  # passages that the projection starts from, over a base for retrieval


def train_late_interaction(
    base: str,
    queries: str | Path,
    passages: str | Path | None,
    output: str | Path,
    source: str = JudgedRows.source,
    over: str | None = None,
    teacher: str | Sequence[str] | None = None,
    teacher_scale: str = JudgedRows.scale,
    resume: bool = False,
    zoo: str | Path | None = None,
    data: Sequence[Data] = (),
    command: str = "",
    rows: str = JudgedRows.form,
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
        settings: fields of `recipe.TokenSettings`.
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
    chosen, source = TokenSettings(**settings), tags.normalise(source)
    names = as_names(teacher)
    judged = JudgedRows(
        queries, passages, rows, query_texts, columns, source, chosen.mine, names, teacher_scale
    )
    recipe = LateInteractionRecipe(base, judged, chosen, over, sparsity)
    place = Place(Path(output), resume, zoo, tuple(data), command)
    return train(LateInteractionTraining, recipe, place)


class LateInteractionTraining:
    """The training of one late-interaction module."""

    def __init__(self, recipe: LateInteractionRecipe, place: Place) -> None:
        self.recipe, self.rows, self.part = recipe, recipe.rows, recipe.part
        self.loss = recipe.objective
        self.base = load_base(recipe.base)
        self.chosen = _filled(recipe, self.base)
        check_length(max(self.chosen.query_length, self.chosen.train_length), self.base)
        wanted = self.loss.needs_teacher and not self.rows.teachers
        self.read, self.documents = self.rows.read(scored=wanted)
        self.rules = default_rules(
            self.base,
            dim=self.chosen.dim,
            query_length=self.chosen.query_length,
            document_length=self.chosen.document_length,
            augment_to=self.chosen.augment_to,
            attend=self.chosen.attend,
            skiplist=self.chosen.skiplist,
        )
        self.start = self._start() if self.base.card.vectors else None
        self.ground = Ground(
            self.base, place.name, LATE_INTERACTION, recipe.shape, recipe.seed, zoo=place.zoo
        )

    def _start(self) -> Tensor:
        """The projection to start from, which scores nearly as the base does without training."""
        order = np.random.default_rng(self.chosen.seed).permutation(len(self.documents))
        ids = sorted(self.documents)
        texts = [self.documents[ids[place]].full_text for place in order[:START_TEXTS]]
        return pca_projection(self.base, texts, self.chosen.dim, length=self.chosen.train_length)

    def build(self) -> TokenModel:
        model, self.parent = over_tokens(
            self.ground, self.part, self.rules, self.rows.source, self.recipe.over, self.start
        )
        return model

    def settings(self, model: Any) -> Mapping[str, Any]:
        return {
            "base": str(self.base.fingerprint),
            "parent": self.parent.sha256 if self.parent else None,
            **self.rows.settings(),
            **vars(self.chosen),
            **self.part.options(self.ground, model),
        }

    def prepare(self, model: TokenModel, place: Place) -> Lesson:
        chosen = self.chosen
        count = chosen.steps * chosen.batch_queries
        self.examples = self.rows.prepared(
            self.read, self.documents, self.base, place.work, count, chosen.seed, place.zoo
        )
        assert chosen.rate is not None
        schedule = Schedule(steps=chosen.steps, rate=chosen.rate, warmup=0.1, seed=chosen.seed)
        snapshots = Snapshots(place.work / "snapshots", chosen.steps, chosen.average, APART)
        loss = TokenLoss(self.loss, chosen.chunk)
        batches = self._batches(model)
        return Lesson(model, batches, loss, schedule, self.part, self.ground, snapshots)

    def _batches(self, model: TokenModel) -> TokenBatches:
        chosen, tokenizer = self.chosen, self.base.tokenizer
        rules = replace(self.rules, document_length=chosen.train_length)
        text = MarkedText(tokenizer, rules, chosen.train_length + chosen.query_length)
        skipped = skipped_ids(tokenizer, self.rules, model.table.num_embeddings + 2)
        size = (chosen.batch_queries, chosen.negatives)
        return TokenBatches(self.examples, self.documents, text, skipped, *size, chosen.seed)

    def save(self, fitted: Fitted, place: Place) -> ModuleCard:
        rules = self.rules
        prefixes = (rules.query_prefix, rules.document_prefix)
        about = {
            "model": CARDED,
            "command": place.command,
            "markers": [rules.query_marker, rules.document_marker],
            **({"prefixes": list(prefixes)} if any(prefixes) else {}),
            **vars(self.chosen),
            **self.rows.taught,
            "queries": len(self.examples),
            **fitted.facts,
        }
        source, kind = self.rows.source, self.recipe.kind
        card = module_card(place, self.base, RANKING, kind, source, about, self.parent)
        return _save(fitted, self.ground, place.output, card)


def _filled(recipe: LateInteractionRecipe, base: Base) -> TokenSettings:
    """The settings with what the base decides: one for retrieval has not seen mask tokens there.

    Raises:
        UsageError: mask tokens that are to be attended to, where there are none.
    """
    length, augment_to = recipe.settings.query_length, recipe.settings.augment_to
    if augment_to is None:
        augment_to = 0 if base.card.vectors else min(AUGMENT_TO, length)
    if recipe.settings.attend and not augment_to:
        raise UsageError(NOTHING_TO_ATTEND)
    return recipe.filled(augment_to=augment_to)


def save_late_interaction(
    model: TokenModel,
    base: Base,
    output: Path,
    card: ModuleCard,
    differences: Differences | None = None,
) -> ModuleCard:
    """Write a trained model as a module folder, a ranking adapter or mask in fp16.

    Args:
        differences: of a mask; those of other kinds are in the model.
    """
    ground = Ground(base, card.name, LATE_INTERACTION)
    return _save(Fitted(model, {}, differences), ground, output, card)


def _save(fitted: Fitted, ground: Ground, output: Path, card: ModuleCard) -> ModuleCard:
    """What the kind stores, and the projection beside it."""
    with replaced(output) as temporary:
        part_of(card.kind, LATE_INTERACTION).save(fitted, ground, temporary, card)
        save_projection(fitted.model.as_projection(), temporary)
        return write_card(temporary, card)
