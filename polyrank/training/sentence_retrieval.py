"""How well a base brings translations together: is a sentence's English original the nearest?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from polyrank.collections.files import numbered_lines
from polyrank.errors import DataError
from polyrank.training.pooling import mean_pool
from polyrank.training.steps import fast_bf16


def read_development(path: str | Path) -> dict[str, dict[str, str]]:
    """`index <tab> language <tab> text` per line, as {language: {index: text}}.

    Raises:
        DataError: a line without three columns, no English, or a sentence that a language lacks.
    """
    texts: dict[str, dict[str, str]] = {}
    for number, line in numbered_lines(path):
        columns = line.split("\t")
        if len(columns) != 3:
            raise DataError(path, number, "expected index, language and text with tabs between")
        texts.setdefault(columns[1], {})[columns[0]] = columns[2]
    if "en" not in texts:
        raise DataError(path, None, "no line is in 'en', to which the others are compared")
    for language, rows in texts.items():
        if absent := set(texts["en"]) - set(rows):
            raise DataError(path, None, f"'{language}' lacks the sentence {min(absent)}")
    return texts


@torch.inference_mode()
def sentence_retrieval(
    encoder: Any,
    tokenizer: Any,
    texts: Mapping[str, Mapping[str, str]],
    sentences: int = 300,
) -> dict[str, float]:
    """Share of sentences whose English original is nearest among `sentences` (top-1), per language.

    Args:
        texts: language → index → text; the same index means the same sentence.
    """
    if not texts:
        return {}
    chosen = sorted(texts["en"], key=lambda index: (len(index), index))[:sentences]
    vectors = {}
    for language, rows in texts.items():
        parts = []
        for start in range(0, len(chosen), 50):
            batch = [rows[index] for index in chosen[start : start + 50]]
            encoded = tokenizer(
                batch, padding=True, truncation=True, max_length=128, return_tensors="pt"
            ).to(encoder.device)
            with torch.autocast(encoder.device.type, torch.bfloat16, enabled=fast_bf16()):
                hidden = encoder(**encoded).last_hidden_state
            parts.append(mean_pool(hidden, encoded["attention_mask"]))
        vectors[language] = torch.cat(parts)
    gold = torch.arange(len(chosen), device=vectors["en"].device)
    return {
        language: round(((rows @ vectors["en"].T).argmax(1) == gold).float().mean().item(), 3)
        for language, rows in vectors.items()
        if language != "en"
    }
