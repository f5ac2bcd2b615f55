"""The contract of a translator, and the one place that makes one of a name.

    translate(texts, source, target) → texts, one for each, in their order

Any callable of that form is a translator. By name:

    http://127.0.0.1:5000          an endpoint that speaks LibreTranslate's protocol
    FOLDER or Hub id               a Hugging Face sequence-to-sequence model
    memory:FILE                    translations made before, kept by 'polyrank translate --memory'
    parallel:COLLECTION            the human translations of a collection with parallel texts
    lexicon:COLLECTION             word by word, by a lexicon learnt from such a collection
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TypeAlias

from polyrank.errors import PolyrankError, UsageError
from polyrank.notes import Notebook

Translator: TypeAlias = Callable[[Sequence[str], str, str], Sequence[str]]

# The form of a name before its colon → what makes a translator of the rest.
FORMS = {
    "http": "polyrank.translation.endpoint:by_plain_http",
    "https": "polyrank.translation.endpoint:by_https",
    "memory": "polyrank.translation.memory:translation_memory",
    "parallel": "polyrank.translation.memory:parallel_texts",
    "lexicon": "polyrank.translation.lexicon:lexicon_of",
}
MODEL = "polyrank.translation.seq2seq:Seq2Seq"


def load_translator(name: str | Translator) -> Translator:
    """A translator by its name; a callable is given back as it is.

    Raises:
        UsageError: an empty name, or what the translator's own form refuses.
    """
    if callable(name):
        return name
    form, colon, rest = name.partition(":")
    if not name.strip() or (colon and form in FORMS and not rest):
        raise UsageError(
            f"'{name}' names no translator; give an address, a model's folder or Hub id, "
            "memory:FILE, parallel:COLLECTION or lexicon:COLLECTION"
        )
    path, given = (FORMS[form], rest) if colon and form in FORMS else (MODEL, name)
    module, function = path.split(":")
    made: Translator = getattr(import_module(module), function)(given)
    return made


def notebook_of(translator: Translator) -> Notebook:
    """What a translator cut or assumed, counted; an empty one where it tells nothing."""
    return getattr(translator, "notebook", None) or Notebook()


def translated(translator: Translator, texts: Sequence[str], source: str, target: str) -> list[str]:
    """The texts in the other language: each text is asked for once, an empty one not at all.

    Raises:
        PolyrankError: a translator that gives another number of texts, or something else.
    """
    asked = list(dict.fromkeys(text for text in texts if text.strip()))
    answers = list(translator(asked, source, target)) if asked and source != target else asked
    if len(answers) != len(asked) or not all(isinstance(answer, str) for answer in answers):
        raise PolyrankError(
            f"the translator was given {len(asked)} texts and returned {len(answers)}, or "
            "something other than texts; it must return one text for each, in their order"
        )
    by_text = dict(zip(asked, answers, strict=True))
    return [by_text.get(text, text) for text in texts]
