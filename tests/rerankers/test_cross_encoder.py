"""The reranker: any mixture scores as each pair alone, odd texts have an outcome."""

from __future__ import annotations

import itertools
import random
import sys

import pytest
import torch

from polyrank.collections.records import Collection, Document, Judgement, Query, ScoredDocument
from polyrank.errors import CompositionError, LanguageError, ModuleError, UsageError

LANGUAGES = ("de", "en", "fi", "ky", "tr", "zh")


@pytest.fixture
def reranker(tiny_base, tiny_zoo):
    """A reranker over the base in turn: reranker(routing=..., ...)."""
    from polyrank import Reranker

    def make(**options):
        return Reranker(tiny_base, **{"zoo": tiny_zoo, **options})

    return make


@pytest.fixture
def pairs(words):
    """All 36 language pairs, shuffled, of very different lengths."""
    source = random.Random(3)
    found = [
        (
            Query(f"q{i}", words(source, 1 + i % 5), q),
            Document(f"d{i}", words(source, 1 + 3 * (i % 7)), language=d),
        )
        for i, (q, d) in enumerate(itertools.product(LANGUAGES, LANGUAGES))
    ]
    source.shuffle(found)
    return found


@pytest.mark.parametrize("routing", ["none", "query", "document", "split"])
def test_a_mixed_batch_scores_as_each_pair_alone(reranker, pairs, routing):
    mixed = reranker(routing=routing).score(pairs)
    single = reranker(routing=routing)
    alone = [single.score([pair])[0] for pair in pairs]
    assert mixed == pytest.approx(alone, abs=1e-5)
    assert len(set(alone)) == len(alone)


def test_the_routing_matters(reranker, pairs):
    scores = [reranker(routing=r).score(pairs) for r in ("none", "query", "document", "split")]
    for one, two in itertools.combinations(scores, 2):
        assert max(abs(a - b) for a, b in zip(one, two, strict=True)) > 1e-2


def test_small_batches_score_the_same(reranker, pairs):
    assert reranker(batch_tokens=1).score(pairs) == pytest.approx(reranker().score(pairs), abs=1e-5)


def test_when_memory_runs_out_the_budget_halves(reranker, pairs, monkeypatch):
    expected = reranker().score(pairs)
    small = reranker()
    forward = small._forward

    def limited(rows):
        if len(rows) > 3:
            raise torch.OutOfMemoryError
        return forward(rows)

    monkeypatch.setattr(small, "_forward", limited)
    assert small.score(pairs) == pytest.approx(expected, abs=1e-5)
    assert any("memory ran out" in note for note in small.notes)


@pytest.mark.parametrize(
    "text", ["", " ", "a", "?", "1234", "a b " * 5000, "вода water 水 ماء", "\u200b", "😀"]
)
def test_odd_texts_get_a_finite_score(reranker, text):
    scorer = reranker(fallback="none")
    for query, document in ((text, "a b c"), ("a b c", text), (text, text)):
        (hit,) = scorer.rank(query, [document])
        assert hit.score == hit.score and abs(hit.score) < 1e4


def test_a_long_text_is_cut_and_counted(reranker):
    scorer = reranker(max_length=32)
    scorer.rank("a b", ["c d", "a b " * 500], query_language="de", document_language="en")
    assert scorer.notes["pairs cut to 32 tokens"] == 1


def test_a_text_without_letters_takes_no_module_and_is_counted(reranker):
    (expected,) = reranker(routing="none").rank("1234", ["5678"])
    for fallback in ("error", "related", "none"):
        scorer = reranker(fallback=fallback)
        (hit,) = scorer.rank("1234", ["5678"])
        assert hit.score == pytest.approx(expected.score, abs=1e-6)
        assert any("no language could be identified" in note for note in scorer.notes)


def test_a_language_without_a_module(reranker):
    with pytest.raises(LanguageError, match="train language"):
        reranker().rank("a", ["b"], query_language="so", document_language="en")
    with pytest.raises(LanguageError, match="'so'"):
        reranker().rank("1234", ["b"], document_language="so")
    scorer = reranker(fallback="none")
    scorer.rank("a", ["b"], query_language="so", document_language="en")
    assert any("'so'" in note for note in scorer.notes)


def test_every_passage_comes_back_once_and_ties_go_by_id(reranker):
    hits = reranker().rank("a", ["same", "same", "other"], "de", "en")
    assert sorted(hit.document_id for hit in hits) == ["0", "1", "2"]
    assert [h.document_id for h in hits if h.document_id != "2"] == ["0", "1"]
    assert reranker().rank("a", [], "de", "en") == []


def test_duplicate_ids_are_refused(reranker):
    twice = [Document("x", "a"), Document("x", "b")]
    with pytest.raises(UsageError, match="same id"):
        reranker().rank("a", twice, "de", "en")


def test_a_collection_is_reranked_whole(reranker):
    documents = {f"d {i}": Document(f"d {i}", text, language="en") for i, text in enumerate("abc")}
    texts = Collection("toy", documents, {"q": Query("q", "b", "de")}, [Judgement("q", "d 1", 1)])
    first = {"q": [ScoredDocument("q", i, 0.0) for i in documents]}
    run = reranker().rerank(texts, first)
    assert {hit.document_id for hit in run["q"]} == set(documents)
    with pytest.raises(UsageError, match="'zz'"):
        reranker().rerank(texts, {"q": [ScoredDocument("q", "zz", 0.0)]})


def test_what_does_not_fit_is_refused(reranker):
    with pytest.raises(CompositionError, match="split"):
        reranker(routing="both")
    with pytest.raises(ModuleError, match="train ranking"):
        reranker(ranking="absent")
    with pytest.raises(UsageError, match="fp32"):
        reranker(precision="float8")


def test_bf16_stays_close(reranker, pairs):
    exact, coarse = reranker().score(pairs), reranker(precision="bf16").score(pairs)
    assert coarse == pytest.approx(exact, abs=0.5)
    assert coarse != exact


def test_two_long_texts_take_no_more_memory_than_one(reranker):
    """The tokenizer's cut-off parts of a pair are every part with every part: gigabytes here."""
    import resource

    scorer, long = reranker(max_length=32), "a b " * 5000
    scorer.rank("a b", ["c d"], query_language="de", document_language="en")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (hit,) = scorer.rank(long, [long], query_language="de", document_language="en")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert used < 500_000 * (1 if sys.platform == "linux" else 1024)  # kilobytes, bytes on macOS
    (short,) = scorer.rank("a b " * 40, ["a b " * 40], query_language="de", document_language="en")
    assert hit.score == pytest.approx(short.score, abs=1e-6)  # the same 32 tokens


@pytest.mark.parametrize("routing", ["none", "split"])
def test_rows_without_padding_score_as_a_padded_batch(reranker, pairs, routing):
    packed, padded = reranker(routing=routing), reranker(routing=routing)
    padded._engine._packing = None
    assert packed._engine._packing is not None
    assert packed.score(pairs) == pytest.approx(padded.score(pairs), abs=1e-5)


def test_a_score_in_8_bits_is_near_and_is_known_by_its_identity(reranker, pairs):
    exact, small = reranker(), reranker(precision="int8")
    far = [abs(a - b) for a, b in zip(exact.score(pairs), small.score(pairs), strict=True)]
    assert 0 < max(far) < 0.3 * (max(exact.score(pairs)) - min(exact.score(pairs)))
    assert {**exact.identity(), "precision": "int8"} == small.identity()
    assert small.score(pairs) == reranker(precision="int8").score(pairs)
