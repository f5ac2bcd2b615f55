"""Damaged files: read, or refused in words; none ends in a traceback, hangs, or loses a line."""

import numpy as np
import pytest

from .fuzz import Target, fuzz, targets
from .index.multivector.conftest import WordEncoder


@pytest.fixture(scope="module")
def every_target(tiny_bert, tmp_path_factory):
    """Those of the fuzzer, and indexes and adapters, which other fixtures make."""
    return targets(tmp_path_factory.mktemp("sound")) | _more(tmp_path_factory.mktemp("more"))


def _more(scratch):
    from polyrank.collections.records import Document, Query
    from polyrank.index.multivector import MultiVectorIndex, Plan, build, verify

    texts = ["boil water", "cold river", "white stone", "night bird", "iron salt", "old long"]
    documents = [Document(f"d{i}", text, language="en") for i, text in enumerate(texts)]
    found = {}
    for codec in ("fp16", "residual-2"):
        build(scratch / codec, documents, WordEncoder(), Plan(codec, 4, shard=3), progress=False)

        def search(folder):
            verify(folder)
            index = MultiVectorIndex(folder, WordEncoder())
            hits = index.search([Query("q", "cold river", "en")])["q"]
            return np.array([hit.score for hit in hits])

        found[f"index {codec}"] = Target(search, folder=scratch / codec)
    return found


def test_damaged_files(every_target, tmp_path):
    outcome = fuzz(every_target, 2000, 20, tmp_path)
    assert not outcome.wrong, "\n\n".join(outcome.wrong[:5])
    assert outcome.counts["read"] > 200 and outcome.counts["refused"] > 500


@pytest.mark.slow
def test_a_hundred_thousand_damaged_files(every_target, tmp_path):
    outcome = fuzz(every_target, 100_000, 21, tmp_path)
    assert not outcome.wrong, "\n\n".join(outcome.wrong[:20])
