"""The card of a language model that was trained to rank: `polyrank_llm.json` beside its weights.

It says which scorer and prompt the model was trained with, so that its folder is a reranker by
itself: `load_reranker(FOLDER)`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from polyrank.base import expanded
from polyrank.errors import ModuleError, PolyrankError
from polyrank.rerankers.llm.prompt import Prompt, prompt_from

CARD_FILE = "polyrank_llm.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class LLMCard:
    """What such a model is.

    Attributes:
        scorer: a name of `SCORERS`.
        prompt: what it was asked in training.
        model: name of the model that it was trained from.
        language: of the questions and passages.
        options: of the scorer, as in training: `document_tokens`.
        chat_template: of the model, where the folder's own is that for sentence-transformers.
        recipe, figures, data, licence: how, with what result, on what, under which licence.
    """

    scorer: str
    prompt: Prompt
    model: str
    language: str
    options: Mapping[str, Any] = field(default_factory=dict)
    chat_template: str | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[Mapping[str, Any], ...] = ()
    licence: str = "apache-2.0"
    format_version: int = FORMAT_VERSION


def has_card(folder: str | Path) -> bool:
    """Whether a folder holds a model that was trained to rank."""
    return (expanded(folder) / CARD_FILE).is_file()


def read_llm_card(folder: str | Path) -> LLMCard:
    """The card in a folder.

    Raises:
        ModuleError: none, or one that cannot be read.
    """
    path = expanded(folder) / CARD_FILE
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        prompt = prompt_from(row["prompt"], path)
        card = LLMCard(**{**row, "prompt": prompt, "data": tuple(row.get("data", ()))})
    except (OSError, ValueError, TypeError, KeyError, AttributeError, PolyrankError) as error:
        raise ModuleError(f"'{path}' cannot be read: {error}\nTrain the model again.") from error
    if card.format_version != FORMAT_VERSION:
        raise ModuleError(
            f"{path} has format version {card.format_version!r}; this polyrank reads "
            f"{FORMAT_VERSION}.\nUpgrade polyrank, or train the model again with this one."
        )
    return card


def write_llm_card(folder: Path, card: LLMCard) -> None:
    """Write the card, and a README for people and the Hub."""
    text = json.dumps(asdict(card), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(_readme(card, folder.name), encoding="utf-8")


def _readme(card: LLMCard, name: str) -> str:
    lines = [
        "---",
        "library_name: polyrank",
        f"license: {card.licence}",
        f"language: [{card.language}]",
        "pipeline_tag: text-ranking",
        "tags: [reranking, polyrank]",
        "---",
        "",
        f"# {name}",
        "",
        f"A language model that ranks passages, trained from {card.model}. "
        f"It scores with the scorer `{card.scorer}` of polyrank.",
        "",
        "```bash",
        f"polyrank rerank --model {name} --collection COLLECTION --run RUN --output OUT",
        "```",
        "",
        "## Recipe",
        "",
        *(f"- {key}: {value}" for key, value in card.recipe.items()),
        "",
    ]
    if card.figures:
        lines += ["## Figures", "", *(f"- {key}: {v}" for key, v in card.figures.items()), ""]
    if card.data:
        lines += ["## Data", "", *(f"- {row['name']} ({row['licence']})" for row in card.data), ""]
    return "\n".join(lines)
