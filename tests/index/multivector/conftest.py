"""An encoder without a model: vectors are drawn from a text's words, so that nothing is slow."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest
import torch

from polyrank.collections.records import Document, Query
from polyrank.errors import LanguageError
from polyrank.index.multivector import Binding, Module

DIM = 16
LANGUAGES = ("en", "ky", "sw", "zh")
WORDS = [
    "boil",
    "water",
    "river",
    "stone",
    "night",
    "bird",
    "iron",
    "salt",
    "cold",
    "long",
    "white",
    "old",
]


def words(*texts):
    """A unit vector for each word, the same wherever it stands, with a little of its text."""
    found = []
    for text in texts:
        rows = []
        for word in text.split():
            own = torch.Generator().manual_seed(zlib.crc32(word.encode()))
            around = torch.Generator().manual_seed(zlib.crc32(text.encode()))
            rows.append(torch.randn(DIM, generator=own) + 0.3 * torch.randn(DIM, generator=around))
        found.append(torch.nn.functional.normalize(torch.stack(rows), dim=1))
    return found


class WordEncoder:
    """Languages as the records say; a module per language, whose weights may be replaced."""

    def __init__(self, **modules):
        self.modules = {tag: Module(tag, f"{tag}{'0' * 60}") for tag in LANGUAGES} | modules
        self.encoded = 0
        self.binding = Binding(
            base="tiny",
            base_weights="1" * 16,
            base_vocabulary="2" * 16,
            ranking="words",
            kind="adapter",
            projection="3" * 64,
            routing="split",
            ranking_files={"adapter.safetensors": "4" * 64},
            rules={"dim": DIM, "document_length": 256, "query_marker": 31, "skiplist": "unicode"},
        )

    def bound(self, **changes):
        """The same with other parts."""
        other = WordEncoder(**self.modules)
        other.binding = replace(self.binding, **changes)
        return other

    def languages(self, documents):
        return [document.language for document in documents]

    def module(self, language):
        if language is not None and self.modules.get(language) is None:
            raise LanguageError(f"there is no language module for '{language}'")
        return self.modules.get(language)

    def encode_documents(self, documents):
        self.encoded += len(documents)
        return words(*(document.full_text for document in documents))

    def encode_queries(self, queries, document_language=None):
        return words(*(query.text for query in queries))


@pytest.fixture
def encoder():
    return WordEncoder()


def text(number):
    """2 to 9 words; texts differ."""
    return (
        " ".join(WORDS[(number * (i + 3) + i) % 12] for i in range(2 + number % 8)) + f" n{number}"
    )


@pytest.fixture
def documents():
    """40 documents in four languages in turn; their ids are not in order."""
    return [
        Document(f"d{(i * 7) % 40:02}", text(i), language=LANGUAGES[i % 4], title="t" * (i % 2))
        for i in range(40)
    ]


@pytest.fixture
def queries():
    return [Query(f"q{i}", f"{word} {WORDS[i - 3]}") for i, word in enumerate(WORDS[:5])]
