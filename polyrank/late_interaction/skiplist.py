"""Which vocabulary entries are punctuation: left out of a document's scored tokens.

ColBERT leaves out the 32 marks of `string.punctuation`. That misses 。, ।, ،, ።, «» and most other
marks of the world, so that documents in other scripts keep tokens that English ones lose; the rule
here goes by Unicode's general categories, in all scripts alike.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import torch
from torch import Tensor

from polyrank.modules.projection import TokenRules

# Punctuation, currency, mathematical and modifier symbols, separators, controls and formats. Not
# "So" (pictographs and signs such as °), nor marks: a vowel sign of an Indic script is content.
_SKIPPED = frozenset(
    ["Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sc", "Sm", "Sk", "Zs", "Zl", "Zp", "Cc", "Cf"]
)

# A letter or digit that stands for itself however a vocabulary is spelled: byte-level ones write
# ASCII as it is, and other bytes as characters up to U+0143. An entry with '<' may be the name of
# a byte (<0x0A>) or end in a sign (</w>). To ask the tokenizer of each of 250,000 entries is slow.
_PLAIN = re.compile(r"[A-Za-z0-9]|[^\W_\u0000-\u0143]")


def is_punctuation(text: str) -> bool:
    """True for a text without any letter, digit, mark or pictograph; also for none at all.

    >>> [is_punctuation(t) for t in ("?", "。", "।", "a.", "ि", "😀", "")]
    [True, True, True, False, False, False, True]
    """
    return all(unicodedata.category(character) in _SKIPPED for character in text)


def skipped_ids(tokenizer: Any, rules: TokenRules, size: int) -> Tensor:
    """True at the ids that are not scored in documents.

    Special tokens are always scored under 'unicode', the unknown token included, and so are
    markers.

    Args:
        tokenizer: of the base.
        size: ids there are, markers beyond the vocabulary included; as many as the tokenizer has.

    Returns:
        (size,), bool.
    """
    skipped = torch.zeros(size, dtype=torch.bool)
    if rules.skiplist == "listed":
        skipped[list(rules.skip_ids)] = True
    elif rules.skiplist == "unicode":
        special = {*tokenizer.all_special_ids, rules.query_marker, rules.document_marker}
        for token, number in tokenizer.get_vocab().items():
            if _PLAIN.search(token) and "<" not in token:
                continue
            if number not in special and is_punctuation(surface(tokenizer, token)):
                skipped[number] = True
    return skipped


def surface(tokenizer: Any, token: str) -> str:
    """What a vocabulary entry stands for in text, without word-boundary signs."""
    text = tokenizer.convert_tokens_to_string([token])  # undoes byte-level spellings too
    return text.removeprefix("##").replace("▁", "")
