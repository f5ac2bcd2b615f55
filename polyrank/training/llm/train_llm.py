"""Trains a language model to rank, by imitation and by losses of its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polyrank.base import DEFAULT_BASE, expanded, load_base
from polyrank.errors import UsageError
from polyrank.languages import tags
from polyrank.modules.card import Data
from polyrank.rerankers.identity import weights_of
from polyrank.rerankers.llm.card import LLMCard, write_llm_card
from polyrank.rerankers.llm.engines.reading import read_language_model
from polyrank.rerankers.llm.prompt import load_prompt
from polyrank.rerankers.llm.rendering import Renderer
from polyrank.rerankers.llm.scorers import SCORERS
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.examples.negatives import Example
from polyrank.training.examples.teachers import as_names
from polyrank.training.kinds.contract import Fitted
from polyrank.training.llm.by_reward import enough_negatives, fit_by_reward, needed_library
from polyrank.training.llm.held_out import figures_of
from polyrank.training.llm.llm_batches import LLMBatches
from polyrank.training.llm.llm_loss import LLMLoss
from polyrank.training.llm.low_rank import merged, with_lora
from polyrank.training.llm.recipe import LLMRecipe, LowRank, Policy
from polyrank.training.llm.rewards.by_name import reward_of
from polyrank.training.llm.saved_model import save
from polyrank.training.loop.run import Lesson, Place, train
from polyrank.training.loop.steps import Schedule


def train_llm_reranker(
    model: str,
    queries: str | Path,
    passages: str | Path | None,
    output: str | Path,
    objective: str = LLMRecipe.objective,
    prompt: str | None = None,
    loss: str | None = None,
    then: str | None = None,
    generation: float | None = None,
    source: str = JudgedRows.source,
    teacher: str | Sequence[str] | None = None,
    teacher_scale: str = JudgedRows.scale,
    steps: int = LLMRecipe.steps,
    batch_queries: int = LLMRecipe.batch_queries,
    negatives: int = LLMRecipe.negatives,
    accumulate: int = LLMRecipe.accumulate,
    length: int = LLMRecipe.length,
    document_tokens: int | None = None,
    rate: float | None = None,
    lora: LowRank = LLMRecipe.lora,
    checkpointing: bool = False,
    mine: int = 0,
    held_out: int = 0,
    policy: Policy = LLMRecipe.policy,
    seed: int = LLMRecipe.seed,
    resume: bool = False,
    zoo: str | Path | None = None,
    data: Sequence[Data] = (),
    command: str = "",
    rows: str = JudgedRows.form,
    query_texts: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
) -> LLMCard:
    """Trains a language model to rank.

    Args:
        model: a folder or Hub id of a decoder-only language model.
        queries, passages, rows, query_texts, columns: as for `train_ranking_module`; rows may also
            hold `reasoning`, `pseudo_answer`, `contribution` and `evidence`, texts that the model
            is to write, and `turns` in place of `text`.
        output: folder to write, which `load_reranker` reads; `<output>.work` holds checkpoints.
        objective: a name of `OBJECTIVES`.
        prompt: a name of 'polyrank prompts list', or a YAML file; else the objective's.
        loss: of the scores, a name or weighted sum of `polyrank.training.losses`; 'none' for none;
            else the objective's.
        then: the loss of the second half of the steps; else that of the first.
        generation: weight of imitating answers; else the objective's.
        source: language of the rows.
        teacher, teacher_scale: rerankers whose mean scores are learned from, see `teachers`; None
            takes the scores in the rows.
        steps, batch_queries, negatives, accumulate: optimizer steps; questions of a batch,
            negatives of each, batches of a step.
        length: tokens of a prompt and its answer; documents are cut to fit.
        document_tokens: of a document that are read; else what the prompt says.
        rate: peak learning rate; None takes 2e-5, with LoRA 1e-4.
        lora: low-rank updates in place of all weights.
        checkpointing: compute activations again backward, which saves memory and costs a third.
        mine: negatives mined a question by BM25 and by the default base each; 0 takes the rows'.
        held_out: questions of the rows that are kept apart and ranked in the end, for the card.
        policy: a reward, and how the answers are drawn that it judges; without one the rows are
            imitated.
        seed, resume, zoo, data, command: as for `train_ranking_module`.

    Returns:
        The card as written.

    Raises:
        UsageError: options that do not fit together or the model.
        DataError: a malformed row, or one without scores where they are needed.
        ModuleError: a model that cannot be read.
    """
    judged = JudgedRows(
        queries, passages, rows, query_texts, columns, tags.normalise(source), mine,
        as_names(teacher), teacher_scale,
    )  # fmt: skip
    recipe = LLMRecipe(
        model, judged, objective, prompt, loss, then, generation, steps, batch_queries, negatives,
        accumulate, length, document_tokens, rate, lora, checkpointing, held_out, policy, seed,
    )  # fmt: skip
    place = Place(Path(output), resume, zoo, tuple(data), command)
    return train(LLMTraining, recipe, place)


class LLMTraining:
    """The training of one language model."""

    def __init__(self, recipe: LLMRecipe, place: Place) -> None:
        self.recipe, self.rows, entry = recipe, recipe.rows, recipe.entry
        if recipe.policy.reward:
            needed_library()
        prompt = load_prompt(recipe.asks)
        if prompt.scorer != entry.scorer:
            raise UsageError(
                f"the prompt '{prompt.name}' is for the scorer '{prompt.scorer}', but the "
                f"objective '{recipe.objective}' trains '{entry.scorer}'; 'polyrank prompts list' "
                "shows which fits"
            )
        self.model, self.tokenizer = read_language_model(recipe.model, torch.float32)
        if self.model.config.is_encoder_decoder:
            raise UsageError(
                f"'{recipe.model}' is an encoder–decoder; only decoder-only models can be trained"
            )
        self.renderer = Renderer(prompt, self.tokenizer, recipe.length, recipe.document_tokens)
        room = recipe.policy.tokens if recipe.policy.reward else 1
        self.objective = entry.load()(self.renderer, 1 + recipe.negatives, room)
        if any(recipe.losses) and not recipe.policy.reward and not self.objective.reads:
            raise UsageError(
                f"the prompt '{prompt.name}' lets the model write, so that there are no scores for "
                "a loss; give --loss none --generation 1, or another prompt"
            )
        wanted = recipe.needs_scores and not self.rows.teachers and not entry.mixed
        read, self.documents = self.rows.read(scored=wanted)
        self.read, self.apart = _split(read, recipe.held_out, recipe.seed)
        self.weights = weights_of(recipe.model, self.model)

    def build(self) -> Any:
        model = self.model
        if self.recipe.lora.rank:
            model = with_lora(model, self.recipe.lora)
        if self.recipe.checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        return model

    def settings(self, model: Any) -> Mapping[str, Any]:
        recipe, lora = self.recipe, self.recipe.lora
        return {
            "model": self.weights,
            "prompt": f"{self.renderer.prompt.name} {self.renderer.prompt.hash()}",
            **self._learnt(),
            "steps": recipe.steps,
            "batch queries": recipe.batch_queries,
            "negatives": recipe.negatives,
            "accumulate": recipe.accumulate,
            "length": recipe.length,
            "document tokens": self.renderer.document_tokens,
            "rate": recipe.peak_rate,
            "lora": [lora.rank, lora.alpha, lora.dropout],
            "mined": self.rows.mine,
            "held out": recipe.held_out,
            "seed": recipe.seed,
            **self.rows.settings(),
        }

    def prepare(self, model: Any, place: Place) -> Lesson | Fitted:
        recipe = self.recipe
        base = load_base(DEFAULT_BASE) if self.rows.mine or self.rows.teachers else None
        batches = recipe.steps * recipe.accumulate
        self.examples = self.rows.prepared(
            self.read, self.documents, base, place.work, batches * recipe.batch_queries,
            recipe.seed, place.zoo,
        )  # fmt: skip
        if self.objective.scale is not None and recipe.needs_scores:
            for example in self.examples:
                self.objective.scale.check(
                    example.query.id, example.teacher or (), self.rows.queries
                )
        if recipe.policy.reward:
            self.examples = enough_negatives(self.examples, recipe.negatives)
        made = LLMBatches(
            self.examples, self.documents, self.objective, self.rows.source, recipe.batch_queries,
            recipe.negatives, recipe.seed, switch=batches // 2,
        )  # fmt: skip
        if recipe.policy.reward:
            return fit_by_reward(
                model, self.tokenizer, made, reward_of(recipe.policy.reward), recipe,
                place.work / "checkpoints", place.resume,
            )  # fmt: skip
        schedule = Schedule(
            steps=recipe.steps, rate=recipe.peak_rate, warmup=0.1, seed=recipe.seed,
            accumulate=recipe.accumulate,
        )  # fmt: skip
        return Lesson(model, made, LLMLoss(recipe.losses, recipe.weight), schedule)

    def save(self, fitted: Fitted, place: Place) -> LLMCard:
        recipe, lora = self.recipe, self.recipe.lora
        model = merged(fitted.model) if lora.merge else fitted.model
        about = {
            "command": place.command,
            "objective": recipe.objective,
            **self._learnt(),
            **self.rows.taught,
            "batch_queries": recipe.batch_queries,
            "negatives": recipe.negatives,
            "accumulate": recipe.accumulate,
            "length": recipe.length,
            "rate": recipe.peak_rate,
            **({"lora": f"rank {lora.rank}, alpha {lora.alpha:g}"} if lora.rank else {}),
            "queries": len(self.examples),
            **fitted.facts,
        }
        card = LLMCard(
            scorer=recipe.entry.scorer,
            prompt=self.renderer.prompt,
            model=_told(recipe.model),
            language=self.rows.source,
            options=self._options(),
            recipe=about,
            data=tuple(asdict(source) for source in place.data),
        )
        card = save(model, self.tokenizer, self.renderer, card, place.output)
        if self.apart:
            card = replace(card, figures=figures_of(place.output, self.apart, self.documents, card))
            write_llm_card(place.output, card)
        return card

    def _learnt(self) -> dict[str, Any]:
        if self.recipe.policy.reward:
            return asdict(self.recipe.policy)
        first, second = (loss.name if loss else "none" for loss in self.recipe.losses)
        return {
            "loss": first if first == second else f"{first}, then {second}",
            "generation": self.recipe.weight,
        }

    def _options(self) -> dict[str, Any]:
        """Of the scorer: documents as long as in training, and lists as long."""
        options: dict[str, Any] = {"document_tokens": self.renderer.document_tokens}
        scorer = SCORERS[self.recipe.entry.scorer].options
        if "window" in scorer:
            options["window"] = self.objective.seen
        if "step" in scorer:
            options["step"] = max(1, self.objective.seen // 2)
        if "carry" in scorer:
            options["carry"] = max(1, self.objective.seen // 2)
        return options


def _split(read: list[Example], held_out: int, seed: int) -> tuple[list[Example], list[Example]]:
    """The examples to learn from, and those kept apart.

    Raises:
        UsageError: nothing would be left to learn from.
    """
    if held_out >= len(read):
        raise UsageError(
            f"--held-out {held_out} leaves nothing of {len(read)} questions to learn from"
        )
    order = np.random.default_rng([seed, 17]).permutation(len(read))
    apart = set(order[:held_out].tolist())
    kept = [example for place, example in enumerate(read) if place not in apart]
    return kept, [read[place] for place in sorted(apart)]


def _told(model: str) -> str:
    """A model's name for the card: a Hub id, or of a path the last part."""
    return expanded(model).resolve().name if expanded(model).is_dir() else model
