"""polyrank train llm."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from polyrank.errors import UsageError
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.llm.objectives import OBJECTIVES
from polyrank.training.llm.recipe import LLMRecipe, LowRank, Policy
from polyrank.training.llm.rewards.by_name import REWARDS

from .. import checks
from ..options import Seed
from . import options
from .output import command_line, not_there, tell

ABOUT = "; ".join(f"{name}: {entry.help}" for name, entry in OBJECTIVES.items())


REWARDED = ("answers", "answer-tokens", "temperature", "beta")


def llm(
    context: typer.Context,
    model: Annotated[str, typer.Option(help="Folder or Hub id of a decoder-only language model.")],
    queries: options.Rows,
    output: options.Output,
    passages: options.Passages = None,
    rows: options.RowsForm = JudgedRows.form,
    query_texts: options.QueryTexts = None,
    columns: options.Columns = None,
    objective: Annotated[
        str, typer.Option(**options.choice(OBJECTIVES), help=f"What it learns. {ABOUT}.")
    ] = LLMRecipe.objective,
    prompt: Annotated[
        str | None,
        typer.Option(
            help="A name of 'polyrank prompts list' or a YAML file; else the objective's."
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="Of the scores: a loss, or a weighted sum as 0.9*infonce+0.1*kl(temperature=2); "
            "'none' for answers alone; else the objective's."
        ),
    ] = None,
    then: Annotated[
        str | None, typer.Option(help="The loss of the second half of the steps.")
    ] = None,
    generation: Annotated[
        float | None, typer.Option(min=0, help="Weight of imitating answers; else the objective's.")
    ] = None,
    source: options.Source = JudgedRows.source,
    teacher: options.Teacher = None,
    teacher_scale: options.TeacherScale = JudgedRows.scale,
    steps: options.Steps = LLMRecipe.steps,
    batch_queries: Annotated[
        int, typer.Option(min=1, help="Questions a batch.")
    ] = LLMRecipe.batch_queries,
    negatives: options.Negatives = LLMRecipe.negatives,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Batches whose gradients make one step.")
    ] = LLMRecipe.accumulate,
    length: Annotated[
        int, typer.Option(min=64, help="Tokens of a prompt and its answer; documents are cut.")
    ] = LLMRecipe.length,
    document_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens of a document; else by the prompt.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0, help="Peak learning rate; else 2e-5, with --lora 1e-4.")
    ] = None,
    lora: Annotated[
        int, typer.Option(min=0, help="Rank of low-rank updates; 0 trains all weights.")
    ] = LowRank.rank,
    lora_alpha: Annotated[
        int, typer.Option(min=1, help="With --lora: updates are scaled by this over the rank.")
    ] = LowRank.alpha,
    lora_dropout: Annotated[
        float, typer.Option(min=0, max=0.9, help="With --lora: of what goes into an update.")
    ] = LowRank.dropout,
    merge: Annotated[
        bool, typer.Option("--merge", help="Add the updates to the weights in the end.")
    ] = False,
    checkpointing: Annotated[
        bool,
        typer.Option("--checkpointing", help="Compute activations again: less memory, slower."),
    ] = False,
    mine: Annotated[
        int, typer.Option(min=0, help="Negatives mined a question, by BM25 and by e5-small each.")
    ] = 0,
    held_out: Annotated[
        int, typer.Option(min=0, help="Questions kept apart, and ranked in the end for the card.")
    ] = 0,
    reward: Annotated[
        str | None,
        typer.Option(
            **options.choice(REWARDS),
            help="Draw answers, and make the better ones likelier (GRPO), in place of imitating. "
            + "; ".join(f"{name}: {each.help}" for name, each in REWARDS.items())
            + ".",
        ),
    ] = None,
    answers: Annotated[
        int, typer.Option(min=2, help="With --reward: answers drawn for each prompt.")
    ] = Policy.answers,
    answer_tokens: Annotated[
        int, typer.Option(min=1, help="With --reward: tokens of an answer, at most.")
    ] = Policy.tokens,
    temperature: Annotated[
        float, typer.Option(min=0.01, help="With --reward: of the draw.")
    ] = Policy.temperature,
    beta: Annotated[
        float, typer.Option(min=0, help="With --reward: weight of staying near the start.")
    ] = Policy.beta,
    sources: options.Sources = None,
    seed: Seed = LLMRecipe.seed,
    resume: options.Resume = False,
) -> None:
    """Train a language model to rank: by labels, letters, lists, grades or evidence.

    The folder is a reranker: polyrank rerank --model FOLDER. One that scores by labels is read by
    sentence-transformers, too.

    \b
    Example (a toy of two questions; 'make llm-model' puts a small model into runs/smollm2):
      printf '%s\\n' '{"_id":"p1","text":"Ice melts at 0 degrees."}' \\
          '{"_id":"p2","text":"Stars are far away."}' > passages.jsonl
      printf '%s\\n' '{"_id":"q1","text":"When does ice melt?","pos":"p1","neg":"p2"}' \\
          '{"_id":"q2","text":"How far are stars?","pos":"p2","neg":"p1"}' > queries.jsonl
      polyrank train llm --model runs/smollm2 --queries queries.jsonl --passages passages.jsonl \\
          --steps 2 --output models/toy
    """
    from polyrank.training.llm.train_llm import train_llm_reranker

    for option in REWARDED if reward is None else ():
        if checks.is_given(context, option):
            raise UsageError(f"--{option} goes with --reward; leave it out, or give a reward")
    if not lora:
        checks.of_no_use(context, "no --lora", ("lora-alpha", "lora-dropout"))
    not_there(output, resume)
    card = train_llm_reranker(
        model,
        queries,
        passages,
        output,
        objective=objective,
        prompt=prompt,
        loss=loss,
        then=then,
        generation=generation,
        source=source,
        teacher=teacher,
        teacher_scale=teacher_scale,
        steps=steps,
        batch_queries=batch_queries,
        negatives=negatives,
        accumulate=accumulate,
        length=length,
        document_tokens=document_tokens,
        rate=rate,
        lora=LowRank(lora, lora_alpha, lora_dropout, merge),
        checkpointing=checkpointing,
        mine=mine,
        held_out=held_out,
        policy=Policy(reward, answers, answer_tokens, temperature, beta),
        seed=seed,
        resume=resume,
        data=options.sources_of(sources),
        command=command_line(),
        rows=rows,
        query_texts=query_texts,
        columns=options.columns_of(columns),
    )
    tell(
        f"wrote {output}: {json.dumps({**card.recipe, **card.figures})}",
        f"Use it with:  polyrank rerank --model {output} --collection … --run …",
    )
