"""A prompt as a chat template with the roles query and document, as sentence-transformers asks it.

What `Renderer` writes for one document, with the two texts left open. Languages that the prompt
names are those of the template; texts are not guarded or cut there.
"""

from __future__ import annotations

import json
import re

from polyrank.collections.records import Document, Query
from polyrank.errors import UsageError
from polyrank.rerankers.llm.rendering import Renderer

QUERY, DOCUMENT = "\ue000", "\ue001"  # of a private use area: in no prompt


def roles_template(renderer: Renderer, language: str) -> str:
    """The template of a prompt that asks about one document.

    Raises:
        UsageError: a prompt that does not show both texts.
    """
    text = renderer.text(Query("", QUERY, language), Document("", DOCUMENT, language=language))
    if QUERY not in text or DOCUMENT not in text:
        raise UsageError(
            f"the prompt '{renderer.prompt.name}' does not show the query and the document"
        )
    parts = re.split(f"([{QUERY}{DOCUMENT}])", text)
    shown = {QUERY: "{{ query }}", DOCUMENT: "{{ document }}"}
    body = "".join(shown.get(part) or _literal(part) for part in parts if part)
    return _role("query") + _role("document") + body


def _role(name: str) -> str:
    """Sets a variable to the text of the turn of that role."""
    turn = f"messages | selectattr('role', 'equalto', '{name}') | map(attribute='content') | first"
    return f"{{%- set {name} = {turn} -%}}\n"


def _literal(text: str) -> str:
    return "{{ " + json.dumps(text, ensure_ascii=False) + " }}"
