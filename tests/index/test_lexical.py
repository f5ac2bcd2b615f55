import math

import pytest

from polyrank.collections import Document, Query
from polyrank.errors import UsageError
from polyrank.index.lexical import BM25

DOCUMENTS = [
    Document("b", "the cat sat"),
    Document("a", "the cat sat"),
    Document("c", "dog dog ran far away", title="Cat"),
]


def ids(hits):
    return [hit.document_id for hit in hits]


def test_scores_by_hand():
    k1, b, mean_length = 0.9, 0.4, (3 + 3 + 6) / 3
    norm = k1 * (1 - b + b * 6 / mean_length)
    dog = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5)) * 2 / (2 + norm)  # in 1 of 3
    cat = math.log(1 + (3 - 3 + 0.5) / (3 + 0.5)) * 1 / (1 + norm)
    scores = BM25(DOCUMENTS).scores("Dog cat dog unheard")
    assert scores[2] == pytest.approx(2 * dog + cat, rel=1e-5)
    assert scores[0] == scores[1]


def test_ties_by_id_and_padding():
    run = BM25(DOCUMENTS).search([Query("1", "sat"), Query("2", "zebra"), Query("3", "")], depth=2)
    assert [ids(hits) for hits in run.values()] == [["a", "b"]] * 3
    assert [hit.score for hit in run["2"]] == [0.0, 0.0]
    bare = BM25(DOCUMENTS).search([Query("1", "sat"), Query("2", "zebra")], pad=False)
    assert {q: ids(hits) for q, hits in bare.items()} == {"1": ["a", "b"], "2": []}


def test_order_of_documents_does_not_matter():
    queries = [Query("1", "cat dog"), Query("2", "the far")]
    assert BM25(DOCUMENTS).search(queries) == BM25(DOCUMENTS[::-1]).search(queries)


def test_own_tokenizer():
    bigrams = BM25(DOCUMENTS, tokenizer=lambda t: [t[i : i + 2] for i in range(len(t) - 1)])
    assert ids(bigrams.search([Query("1", "xxdo")], pad=False)["1"]) == ["c"]


MIXED = [
    Document("de", "Die Kinder spielten in London", language="de"),
    Document("en", "The children were playing in London", language="en"),
    Document("ky", "Балдар Лондондо ойношту, London", language="ky"),
    Document("zh", "孩子们在London玩", language="zh"),
]


def test_each_document_by_its_language():
    bm25 = BM25(MIXED, analysis={"zho": "words"})
    assert repr(bm25) == (
        "BM25(4 documents: de stems (german) 1, en stems (english) 1, ky words 1, zh words 1)"
    )
    found = bm25.search([Query("1", "play"), Query("2", "Kind"), Query("3", "孩子")], pad=False)
    assert [ids(hits) for hits in found.values()] == [["en"], ["de"], ["zh"]]


@pytest.mark.parametrize("language", ["en", "tr", "ky", None])
def test_a_word_written_alike_matches_in_every_language(language):
    texts = [Document(d.id, d.text + " Policies", language=d.language) for d in MIXED]
    run = BM25(texts).search([Query("q", "policies", language)], pad=False)
    assert set(ids(run["q"])) == {"de", "en", "ky", "zh"}


def test_scores_of_a_mixture_by_hand():
    # 'london' is in 4 of 4; tokens: die kind spielt in london | the children were play in london |
    # балдар лондондо ойношту london | 孩 子 们 在 孩子 子们 们在 london 玩: 5, 6, 4, 9
    norm = {"de": 5, "en": 6, "ky": 4, "zh": 9}
    idf = math.log(1 + 0.5 / 4.5)
    expected = {i: idf / (1 + 0.9 * (0.6 + 0.4 * n / 6)) for i, n in norm.items()}
    bm25 = BM25(MIXED)
    assert dict(zip(bm25.ids, bm25.scores("London"), strict=True)) == pytest.approx(expected)


def test_missing_languages_are_identified_and_counted():
    text = "The children of the village were playing near the river when it began to rain."
    bm25 = BM25([Document("a", text), Document("b", "1984")])
    assert bm25.notes == {
        "language identified as 'en'": 1,
        "no language could be identified: analysed as words": 1,
    }
    assert ids(bm25.search([Query("q", "child play rained")], pad=False)["q"]) == ["a"]
    assert not BM25([Document("a", text)], analysis="words").notes


def test_subwords_of_a_base(tiny_bert):
    bm25 = BM25(DOCUMENTS, analysis="subwords", base=str(tiny_bert))
    assert repr(bm25) == "BM25(3 documents: any language subwords (tiny-bert) 3)"
    assert ids(bm25.search([Query("q", "gw")], pad=False)["q"]) == ["c"]  # letters of dog, away


def test_documents_without_words():
    run = BM25([Document("b", "…"), Document("a", "!")]).search([Query("1", "x")])
    assert ids(run["1"]) == ["a", "b"]


def test_queries_that_match_nothing_are_counted():
    bm25 = BM25(DOCUMENTS, analysis="words")
    bm25.search([Query("1", "sat"), Query("2", "zebra"), Query("3", "")])
    assert bm25.notes.of_kind("unmatched").total() == 2


@pytest.mark.parametrize(
    "build",
    [
        lambda: BM25([]),
        lambda: BM25([Document("a", "x"), Document("a", "y")]),
        lambda: BM25(DOCUMENTS, k1=-1),
        lambda: BM25(DOCUMENTS, b=1.5),
        lambda: BM25(DOCUMENTS).search([], depth=0),
        lambda: BM25(DOCUMENTS, analysis="lemmas"),
        lambda: BM25(DOCUMENTS, analysis={"en": "lemmas"}),
        lambda: BM25(DOCUMENTS, analysis="words", tokenizer=str.split),
    ],
)
def test_refusals(build):
    with pytest.raises(UsageError):
        build()
