"""From a model and the name of a scorer to a reranker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyrank.errors import UsageError
from polyrank.rerankers.base import ListReranker
from polyrank.rerankers.llm.card import LLMCard, has_card, read_llm_card
from polyrank.rerankers.llm.engines.base import Engine
from polyrank.rerankers.llm.prompt import Prompt, load_prompt, with_options
from polyrank.rerankers.llm.scorers import SCORERS, SHARED, ScorerEntry


def load_llm_reranker(
    model_or_engine: str | Path | Engine,
    scorer: str | None = None,
    prompt: str | Path | Prompt | None = None,
    window: int | None = None,
    step: int | None = None,
    *,
    instruction: str | None = None,
    engine_url: str | None = None,
    tokenizer: str | None = None,
    context: int | None = None,
    concurrency: int = 8,
    timeout: float = 120.0,
    retries: int = 5,
    top_logprobs: int = 20,
    device: str | None = None,
    precision: str | None = None,
    batch_tokens: int = 16384,
    share_prefix: bool = True,
    **options: Any,
) -> ListReranker:
    """A reranker by a language model.

    Args:
        model_or_engine: a folder or Hub id, with `engine_url` the name that the server knows, or an
            engine. A folder of sentence-transformers with a LogitScore module brings its prompt and
            labels.
        scorer: a name of `SCORERS`; else the one that the folder was trained for, or 'label'.
        prompt: a name of 'polyrank prompts list', a YAML file, or a `Prompt`; else the scorer's.
        window, step: of scorers with windows; 20 and 10.
        instruction: in place of the prompt's {instruction}.
        engine_url: an OpenAI-compatible server in place of this process.
        tokenizer: with `engine_url`, folder or Hub id of the model's tokenizer.
        context: tokens of a prompt and its answer; else what the model was made for, or 8192.
        concurrency, timeout, retries, top_logprobs: of the server, see `HTTPEngine`.
        device, precision, batch_tokens, share_prefix: in this process, see `TransformersEngine`.
        options: of the scorer, see `SCORERS[scorer].options` and `SHARED`.

    Raises:
        UsageError: an unknown scorer or option, labels that are not single tokens here, sizes that
            do not fit together.
        ModuleError: a model or tokenizer that cannot be read.
    """
    card = _card(model_or_engine)
    scorer = scorer or (card.scorer if card else "label")
    if card is not None and scorer == card.scorer:
        prompt = card.prompt if prompt is None else prompt
        learnt = dict(card.options)
        if window is None:
            window, step = learnt.get("window"), learnt.get("step") if step is None else step
        options = {**learnt, **options}
        for name in ("window", "step"):
            options.pop(name, None)
    if scorer not in SCORERS:
        raise UsageError(f"unknown scorer '{scorer}'; use one of {', '.join(SCORERS)}")
    entry = SCORERS[scorer]
    chosen = _options(scorer, entry, {"window": window, "step": step, **options})
    if prompt is not None:
        prompt = load_prompt(prompt)
        if prompt.scorer != scorer:
            raise UsageError(
                f"the prompt '{prompt.name}' is for the scorer '{prompt.scorer}', not for "
                f"'{scorer}'; 'polyrank prompts list' shows which fits"
            )
    engine: Engine
    if not isinstance(model_or_engine, str | Path):
        engine = model_or_engine
    elif engine_url is not None:
        from polyrank.rerankers.llm.engines.http import HTTPEngine

        chosen.setdefault("at_once", concurrency)  # or each query would wait for the one before
        engine = HTTPEngine(
            engine_url, str(model_or_engine), tokenizer, context or 8192, concurrency, timeout,
            retries, top_logprobs=top_logprobs,
        )  # fmt: skip
    else:
        from polyrank.rerankers.llm.engines.local import TransformersEngine
        from polyrank.rerankers.llm.logit_score import is_logit_score, read_logit_score

        if card is None and is_logit_score(model_or_engine) and scorer == "label" and not prompt:
            folder = read_logit_score(model_or_engine)
            engine = TransformersEngine(
                folder.model, device, precision, batch_tokens, share_prefix, context
            )
            found: ListReranker = entry.load()(
                engine, folder.prompt(instruction), tokens=folder.tokens(engine.tokenizer), **chosen
            )
            return found
        engine = TransformersEngine(
            model_or_engine, device, precision, batch_tokens, share_prefix, context
        )
    if card is not None and card.chat_template is not None:
        engine.tokenizer.chat_template = card.chat_template or None
    asked = load_prompt(prompt or entry.prompt)
    reranker: ListReranker = entry.load()(
        engine, with_options(asked, instruction=instruction), **chosen
    )
    return reranker


def _card(model: Any) -> LLMCard | None:
    """What a folder says of its training to rank; None for another model."""
    return read_llm_card(model) if isinstance(model, str | Path) and has_card(model) else None


def _options(scorer: str, entry: ScorerEntry, given: dict[str, Any]) -> dict[str, Any]:
    """What was given, if the scorer has it."""
    chosen = {name: value for name, value in given.items() if value is not None}
    known = {**entry.options, **SHARED}
    for name in chosen:
        if name not in known:
            raise UsageError(
                f"the scorer '{scorer}' has no option '{name}'; it has {', '.join(known)}"
            )
    window, step = chosen.get("window"), chosen.get("step")
    if window is not None and step is None and "step" in known and window <= 10:
        chosen["step"] = max(1, window // 2)  # half of it, as 10 is of 20
    return chosen
