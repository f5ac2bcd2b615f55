"""Trains a language's module of any kind.

What it is trained for is a sum of losses (`language_objective`): masked language modelling on plain
text, and with sentence pairs alignment to the frozen base's English. The masked-language head and
its output embeddings stay frozen, because no ranking uses them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polyrank.base import device_of, load_base
from polyrank.languages import tags
from polyrank.modules.card import Data, ModuleCard
from polyrank.progress import note
from polyrank.training.head.head_folder import BaseHead, head_of
from polyrank.training.kinds import part_of
from polyrank.training.kinds.contract import LANGUAGE, Fitted, Ground, Shape
from polyrank.training.language.language_batches import Batches
from polyrank.training.language.language_loss import LanguageLoss
from polyrank.training.language.language_objective import PAIR
from polyrank.training.language.learnt import Learnt, Measured, lines_of, pairs_of
from polyrank.training.language.recipe import LanguageRecipe
from polyrank.training.language.students import Frozen
from polyrank.training.loop import processes
from polyrank.training.loop.checks import check_length, check_mask_token
from polyrank.training.loop.run import Lesson, Place, module_card, train
from polyrank.training.loop.sparsity import PUBLISHED, Sparsity
from polyrank.training.loop.steps import Schedule, digest
from polyrank.training.loop.warnings import tell_foreign, tell_worse


def train_language_module(
    base: str,
    language: str,
    text: str | Path | None,
    output: str | Path,
    kind: str = LanguageRecipe.kind,
    parallel: str | Path | None = None,
    loss: str | None = None,
    steps: int = LanguageRecipe.steps,
    batch_size: int = LanguageRecipe.batch_size,
    length: int = LanguageRecipe.length,
    rate: float | None = None,
    reduction: int | None = None,
    start: str | Path | None = None,
    head: str | Path | None = None,
    sparsity: Sparsity = PUBLISHED,
    seed: int = LanguageRecipe.seed,
    resume: bool = False,
    zoo: str | Path | None = None,
    data: Sequence[Data] = (),
    command: str = "",
) -> ModuleCard:
    """Trains one language's module.

    Args:
        base: 'e5-small', a Hub id or a folder.
        language: tag of the text.
        text: file, one sentence a line, gzipped or not; None to learn from pairs alone.
        output: module folder to write; `<output>.work` holds checkpoints until the end.
        kind: 'adapter' or 'mask'.
        parallel: file of `language <tab> text <tab> English`.
        loss: a sum of `language_objective.LOSSES`, such as 'align+0.1*mlm'; None takes 'mlm'
            without pairs, 'align' without text, and 'align+0.1*mlm' with both.
        steps, batch_size, length: optimizer steps, sequences and pairs a step, tokens a sequence.
        rate: peak learning rate; None takes 1e-3 for an adapter, 5e-4 for a mask.
        reduction: of an adapter, width of the base over width of the bottlenecks and of what is
            inside the invertible adapter; None takes 8, or that of `start`.
        start: of an adapter, the language adapter to start from: a name of the zoo or a folder.
        head: folder of a masked-language head; None takes the base's own, else the zoo's.
        sparsity: of a mask; without k it keeps as many coordinates as an adapter of that
            reduction has parameters. Frozen LayerNorms and an L1 pull of 0.1 are as published.
        resume: continue from the last checkpoint.
        zoo: a folder in which `start` and the head are searched first.
        data: sources and licences for the card.
        command: what the card quotes as its recipe.

    Returns:
        The card as written, with held-out perplexity, and how many held-out sentences find their
        English, before and after: whichever the loss is about.

    Raises:
        UsageError: another kind, a loss that does not fit, or a base without masked-language head.
        DataError: text or pairs that are missing or too few.
        ModuleError: a module to start from, or a head, that is missing or of another base.
    """
    shape = Shape(reduction, sparsity, None if start is None else str(start))
    recipe = LanguageRecipe(
        base,
        language,
        text,
        parallel,
        kind,
        loss,
        steps,
        batch_size,
        length,
        rate,
        shape,
        head,
        seed,
    )
    place = Place(Path(output), resume, zoo, tuple(data), command)
    return train(LanguageTraining, recipe, place)


class LanguageTraining:
    """The training of one language's module."""

    def __init__(self, recipe: LanguageRecipe, place: Place) -> None:
        self.recipe, self.objective = recipe, recipe.objective
        self.language = tags.normalise(recipe.language)
        self.lines = lines_of(recipe.text) if recipe.text is not None else []
        self.pairs = pairs_of(recipe.parallel, self.language) if recipe.parallel is not None else []
        self.base = load_base(recipe.base)
        check_length(recipe.length, self.base)
        self._warn()
        self.head: BaseHead | None = None
        if self.objective.masked:
            check_mask_token(self.base)
            self.head = head_of(self.base, recipe.head, place.zoo)
        self.base.model.requires_grad_(False).to(device_of(None))
        self.frozen = Frozen(self.base.model)
        self.part = part_of(recipe.kind, LANGUAGE)
        self.ground = Ground(
            self.base, place.name, LANGUAGE, recipe.shape, recipe.seed, zoo=place.zoo
        )

    def _warn(self) -> None:
        for texts in (self.lines, [text for text, _ in self.pairs]):
            if texts:
                tell_foreign(texts, self.language)
        if self.base.card.vectors and not self.objective.aligned:
            note(
                f"'{self.objective}' alone moves a language away from where the base for retrieval "
                f"'{self.base.name}' puts its translations; give sentence pairs with --parallel to "
                "keep retrieval"
            )

    def build(self) -> Any:
        return self.part.build(self.ground)

    def settings(self, model: Any) -> Mapping[str, Any]:
        recipe = self.recipe
        texts = [path for path in (recipe.text, recipe.parallel) if path is not None]
        return {
            "base": str(self.base.fingerprint),
            "kind": recipe.kind,
            "language": self.language,
            "loss": str(self.objective),
            "steps": recipe.steps,
            "batch size": recipe.batch_size,
            "length": recipe.length,
            "rate": recipe.peak_rate,
            **self.part.options(self.ground, model),
            "head": self.head and self.head.name,
            "seed": recipe.seed,
            "text": digest(*texts),
        }

    def prepare(self, model: Any, place: Place) -> Lesson:
        recipe, objective, frozen = self.recipe, self.objective, self.frozen
        learnt = Learnt.of(self.lines, self.pairs, recipe, self.base)
        self.measured = Measured(learnt, self.head, recipe, self.base)
        self.before = self.measured(frozen, frozen)
        if learnt.aligned is not None:
            longest = self.part.longest(self.ground, recipe.steps)
            targets, device = place.work / "targets.safetensors", self.base.model.device
            with processes.main_first():
                learnt.aligned.prepare(frozen, longest, targets, device)
        batches = Batches(
            learnt.sequences,
            learnt.aligned,
            learnt.pairs if objective.hides(PAIR) else [],
            self.base.tokenizer,
            recipe.batch_size,
            recipe.length,
            recipe.seed,
        )
        teacher = frozen if objective.english_tokens else None
        loss = LanguageLoss(objective, self.measured.output, teacher)
        schedule = Schedule(steps=recipe.steps, rate=recipe.peak_rate, seed=recipe.seed)
        return Lesson(model, batches, loss, schedule, self.part, self.ground)

    def save(self, fitted: Fitted, place: Place) -> ModuleCard:
        before, after = self.before, self.measured(fitted.model.eval(), self.frozen)
        for name in before:
            note(f"{self.language}: held-out {name} {before[name]} -> {after[name]}")
        tell_worse(before, after)
        both = (("before", before), ("after", after))
        figures = {f"{name} {when}": values[name] for name in before for when, values in both}
        card = module_card(
            place,
            self.base,
            LANGUAGE,
            self.recipe.kind,
            self.language,
            recipe=self._recipe(fitted, place),
            figures={**figures, **self.measured.sizes()},
        )
        written: ModuleCard = self.part.save(fitted, self.ground, place.output, card)
        return written

    def _recipe(self, fitted: Fitted, place: Place) -> Mapping[str, Any]:
        recipe = self.recipe
        return {
            "command": place.command,
            "objective": str(self.objective),
            "batch_size": recipe.batch_size,
            "length": recipe.length,
            "rate": recipe.peak_rate,
            **self.part.options(self.ground, fitted.model),
            **({"head": self.head.name} if self.head else {}),
            "lines": len(self.lines),
            "pairs": len(self.pairs),
            "tokens seen": int(fitted.model.seen),
            **fitted.facts,
        }
