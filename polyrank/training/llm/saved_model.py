"""The folder of a trained language model: weights, tokenizer, card; written aside and renamed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from polyrank.rerankers.llm.card import LLMCard, write_llm_card
from polyrank.rerankers.llm.logit_score import write_logit_score
from polyrank.rerankers.llm.rendering import Renderer
from polyrank.rerankers.llm.roles_template import roles_template


def save(model: Any, tokenizer: Any, renderer: Renderer, card: LLMCard, output: Path) -> LLMCard:
    """Write a reranker by a language model; return the card as written.

    One that scores by label tokens, with whole weights, is a folder that sentence-transformers
    reads, too.

    Args:
        model: of transformers, or with updates of PEFT, which are then all that is written.
    """
    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    if card.scorer == "label" and not hasattr(model, "peft_config"):
        true, *false = (token.id for token in renderer.tokens(card.prompt.labels))
        template = roles_template(renderer, card.language)
        card = replace(card, chat_template=tokenizer.chat_template or "")
        write_logit_score(model, tokenizer, partial, true, false[0] if false else None, template)
    else:
        partial.mkdir()
        model.save_pretrained(partial, safe_serialization=True)
        tokenizer.save_pretrained(partial)
    write_llm_card(partial, card)
    partial.rename(output)
    return card
