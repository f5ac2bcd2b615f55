"""Reinforcement: answers are drawn, judged by a reward, and the better ones made likelier.

Group relative policy optimisation (GRPO: Shao et al. 2024, arXiv 2402.03300) by TRL. The prompts of
a step stand together, so that a reward may compare the answers to all documents of a question.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PrinterCallback, TrainerCallback

from polyrank.errors import Interrupted, UsageError
from polyrank.machine import fast_bf16
from polyrank.progress import note
from polyrank.rerankers.llm.prompt import Prompt
from polyrank.training.examples.negatives import Example
from polyrank.training.kinds.contract import Fitted
from polyrank.training.llm.asked import Question
from polyrank.training.llm.llm_batches import LLMBatches
from polyrank.training.llm.recipe import LLMRecipe
from polyrank.training.llm.rewards.by_name import Reward
from polyrank.training.llm.sample import Sample
from polyrank.training.loop import processes
from polyrank.training.loop.steps import SaveByClock, common_arguments, facts_of, last_checkpoint

SAVE_EVERY = 50  # steps


def needed_library() -> None:
    """Refuse what cannot run, before anything is loaded.

    Raises:
        UsageError: TRL is not installed, or several processes were launched.
    """
    try:
        import trl  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "--reward needs TRL.\nInstall it with:  pip install 'polyrank[rl]'"
        ) from error
    if processes.together():
        raise UsageError(
            "training by reward runs in one process: the answers to a question are compared with "
            "each other.\nStart it without torchrun or accelerate launch."
        )


def enough_negatives(examples: Sequence[Example], negatives: int) -> list[Example]:
    """The examples with as many negatives as a prompt shows; the others are counted and told.

    Raises:
        UsageError: none has as many.
    """
    usable = [example for example in examples if len(example.negatives) >= negatives]
    if not usable:
        raise UsageError(
            f"no row has {negatives} negatives, which every prompt of a reward shows; take fewer "
            "with --negatives, or mine some with --mine"
        )
    if left := len(examples) - len(usable):
        note(f"{left} examples with fewer than {negatives} negatives were left out")
    return usable


def fit_by_reward(
    model: Any,
    tokenizer: Any,
    batches: LLMBatches,
    reward: Reward,
    recipe: LLMRecipe,
    work: Path,
    resume: bool,
) -> Fitted:
    """Trains `model` in place.

    Args:
        batches: what draws the questions of a step; its objective asks.
        work: folder of checkpoints.

    Returns:
        The model, with steps, minutes, machine, seed, and the mean reward of the first and the last
        steps.
    """
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    policy, prompt = recipe.policy, batches.objective.prompt
    tasks = [list(_tasks(batches, step)) for step in range(recipe.steps)]
    dataset = Dataset.from_list([task for step in tasks for task in step])
    arguments = GRPOConfig(
        output_dir=str(work),
        max_steps=recipe.steps,
        per_device_train_batch_size=len(tasks[0]) * policy.answers // recipe.accumulate,
        gradient_accumulation_steps=recipe.accumulate,
        steps_per_generation=recipe.accumulate,
        num_generations=policy.answers,
        max_completion_length=policy.tokens,
        temperature=policy.temperature,
        beta=policy.beta,
        learning_rate=recipe.peak_rate,
        shuffle_dataset=False,
        gradient_checkpointing=recipe.checkpointing,
        save_steps=SAVE_EVERY,
        logging_steps=1,
        **common_arguments(recipe.seed, fast_bf16()),
    )
    trainer = GRPOTrainer(
        model,
        reward_funcs=_judged(reward, prompt),
        args=arguments,
        train_dataset=dataset,
        processing_class=_plain_tokenizer(tokenizer, tasks[0][0]),
        callbacks=[SaveByClock(3.0), RewardLog()],
    )
    trainer.remove_callback(PrinterCallback)
    started = time.time()
    try:
        trainer.train(resume_from_checkpoint=last_checkpoint(work) if resume else None)
    except KeyboardInterrupt:
        raise Interrupted("stopped; the same command with --resume goes on") from None
    rewards = [row["reward"] for row in trainer.state.log_history if "reward" in row]
    few = max(1, len(rewards) // 10)
    facts = {
        **facts_of(trainer, started),
        "mean reward": [round(float(np.mean(part)), 4) for part in (rewards[:few], rewards[-few:])],
    }
    return Fitted(trainer.accelerator.unwrap_model(trainer.model), facts)


class RewardLog(TrainerCallback):
    """Plain progress lines to stderr where no bar is drawn."""

    def on_log(self, args, state, control, logs=None, **kw):  # type: ignore[no-untyped-def]
        """One line: step and mean reward."""
        if logs and "reward" in logs and not sys.stderr.isatty():
            done = f"step {state.global_step}/{state.max_steps}"
            print(f"{done} reward {float(logs['reward']):.4f}", file=sys.stderr)


def _tasks(batches: LLMBatches, step: int) -> Iterator[dict[str, Any]]:
    """The prompts of a step, with what its rewards compare answers with."""
    for question, samples in batches.unanswered(step):
        for sample in samples:
            yield {"prompt": sample.text, "ids": list(sample.prompt), **_known(question, sample)}


def _known(question: Question, sample: Sample) -> dict[str, Any]:
    """The columns of a prompt, see `rewards.by_name`."""
    shown = sample.shown
    relevant = [place == 0 for place in shown]
    scores = question.scores
    return {
        "question": question.query.id,
        "document": question.documents[shown[0]].id,
        "names": [str(name) for name in sample.names],
        "relevant": relevant,
        "grades": [scores[place] if scores else float(place == 0) for place in shown],
        "expected": scores[shown[0]] if scores else None,
    }


def _judged(reward: Reward, prompt: Prompt) -> Callable[..., list[float | None]]:
    """The reward as TRL calls it: with a column for each keyword."""

    def judged(**columns: Any) -> list[float | None]:
        return list(reward.of(prompt, columns))

    judged.__name__ = "reward"
    return judged


def _plain_tokenizer(tokenizer: Any, example: dict[str, Any]) -> Any:
    """A tokenizer that makes of a prompt's text the tokens that the reranker makes of it, as TRL
    starts from the text."""
    from tokenizers.processors import TemplateProcessing

    plain = copy.deepcopy(tokenizer)
    plain.padding_side = "left"
    if plain.pad_token is None:
        plain.pad_token = plain.eos_token
    if plain(text=[example["prompt"]])["input_ids"][0] != example["ids"]:
        plain.backend_tokenizer.post_processor = TemplateProcessing(single="$A", special_tokens=[])
    if plain(text=[example["prompt"]])["input_ids"][0] != example["ids"]:
        raise UsageError(
            "this tokenizer makes other tokens of a prompt under TRL than in the reranker; take "
            "another model, or a prompt without `special`"
        )
    return plain
