"""Sub-questions: read from answers, asked for once, searched for, reranked by the question."""

from __future__ import annotations

import pytest

from polyrank.collections.records import Document, Judgement, Query, ScoredDocument
from polyrank.errors import UsageError
from polyrank.rerankers.llm.decompose import Decomposer, questions_of
from polyrank.rerankers.llm.engines.base import Generation


def test_questions_of_an_answer():
    text = "<think>1. no</think>Sure:\n 1. Who wrote it?\n2) When?\n- Where?\n3: When?\n4. And why?"
    assert questions_of(text) == ["Who wrote it?", "When?", "Where?", "And why?"]
    assert questions_of(text, 2) == ["Who wrote it?", "When?"]
    assert questions_of("I cannot say.") == [] and questions_of("1900 was a year") == []
    assert questions_of("3.5 percent of what?\n12:30 is noon") == []  # numbers, not numbering
    assert questions_of("<think>1. What is asked?\n2. Who") == []


def test_a_prompt_of_a_scorer_is_refused(written):
    with pytest.raises(UsageError, match="is for the scorer 'listwise'"):
        Decomposer(written(answer_of=lambda _: ""), prompt="listwise")


def test_bm25_alone_finds_no_more_than_with_parts(written, capsys):
    """What BM25 fills a ranking up with is no evidence that a question found."""
    from polyrank.cli.first_stages import search_first
    from polyrank.cli.options import FirstStage

    from polyrank.collections.records import Collection

    documents = {i: Document(i, text, language="en") for i, text in (("d", "rust"), ("f", "salt"))}
    question = Query("q", "rust of what", "en")
    qrels = [Judgement("q", "d", 1), Judgement("q", "f", 1)]
    texts = Collection("small", documents, {"q": question}, qrels)
    decomposer = Decomposer(written(answer_of=lambda _: "1. iron"))
    found = search_first(texts, FirstStage.bm25, "", 10, None, decomposer=decomposer)
    assert [hit.document_id for hit in found["q"]] == ["d"]
    told = capsys.readouterr().err
    assert "candidates hold 0.500 of" in told and "by the questions alone: 0.500 of" in told


def test_each_question_is_asked_once_and_what_is_malformed_goes_by_itself(written):
    answers = {
        "old iron": "1. old\n2. iron\n3. old iron",
        "ice": "none",
        "sea": "1. deep sea\n2. se",
    }

    def answer(prompt):
        (key,) = [word for word in answers if word in prompt]
        text = answers[key]
        return Generation(text, (text,), (0.0,), cut=key == "sea")

    engine = written(answer_of=answer)
    decomposer = Decomposer(engine, most=3)
    iron, ice, sea = (
        Query(i, text, "en") for i, text in (("a", "old iron"), ("b", "ice"), ("c", "sea"))
    )
    decomposer.prepare([iron, ice, sea, iron])
    assert decomposer(iron) == (Query("a.1", "old", "en"), Query("a.2", "iron", "en"))
    assert decomposer(ice) == () and [q.text for q in decomposer(sea)] == ["deep sea"]
    assert engine.sizes == [3] and "at most 3 simpler" in engine.prompts[0]
    assert dict(decomposer.notes) == {"no sub-question was written: the query by itself": 1}


def test_from_a_question_to_a_ranking_and_its_evidence(written):
    """Only a sub-question finds the second document; the reranker sees the question alone."""
    from polyrank.evaluation.coverage import coverage
    from polyrank.index.lexical import BM25
    from polyrank.pipeline import FanOut, Pipeline

    documents = [Document("d", "rust"), Document("e", "iron ore"), Document("f", "salt")]
    first = BM25(documents, analysis="words")
    question = Query("q", "rust of what", "en")
    seen = []

    class Scorer:
        def score(self, pairs):
            seen.extend(query for query, _ in pairs)
            return [float(len(document.text)) for _, document in pairs]

    fan = FanOut(first, Decomposer(written(answer_of=lambda _: "1. iron\n2. rust")))
    found = Pipeline(fan, Scorer(), documents).search([question], progress=False)
    assert [hit.document_id for hit in found["q"]] == ["e", "d"] and set(seen) == {question}
    qrels = [Judgement("q", "d", 1), Judgement("q", "e", 1), Judgement("q", "f", 0)]
    alone = first.search([question], pad=False)
    assert (coverage(alone, qrels).share, coverage(found, qrels).share) == (0.5, 1.0)


def test_coverage_by_hand():
    from polyrank.evaluation.coverage import Coverage, coverage

    run = {
        q: [ScoredDocument(q, d, 1.0) for d in ids]
        for q, ids in {"a": "xy", "b": "x", "c": "z"}.items()
    }
    judged = ("a x 1", "a y 2", "b y 1", "b x 1", "c z 0", "other x 1")
    qrels = [Judgement(q, d, int(grade)) for q, d, grade in map(str.split, judged)]
    found = coverage(run, qrels)
    assert found == Coverage(2, pytest.approx(0.75), 1)
    assert str(found) == "0.750 of the evidence, all of it for 1 of 2"
    assert coverage({}, qrels) == Coverage(0, 0.0, 0)
