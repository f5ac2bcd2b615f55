"""What the page shows of runs, against the measures themselves and by hand."""

import json

import pytest

from polyrank.collections.records import Document, Judgement, Query, ScoredDocument, as_run
from polyrank.errors import UsageError
from polyrank.evaluation import Pool, bootstrap_interval, evaluate
from polyrank.evaluation.looking import Texts, looked_at

QUERIES = {
    f"q{n}.{tag}": Query(f"q{n}.{tag}", f"{tag} {n}", tag) for n in "012" for tag in ("tr", "zh")
}
DOCUMENTS = {
    f"d{n}": Document(f"d{n}", f"text {n}", language="en" if n < 3 else "sw") for n in range(6)
}
QRELS = [Judgement(query, f"d{place}", 1) for place, query in enumerate(QUERIES)]
QRELS.append(Judgement("q0.tr", "d5", 0))
TEXTS = Texts("six", QUERIES, DOCUMENTS)
POOL = Pool.of(QUERIES.values(), DOCUMENTS.values())


def a_run(shift):
    """Every query ranks all documents; which comes first depends on the shift."""
    return as_run(
        ScoredDocument(query, f"d{n}", float((n + shift * place) % 6))
        for place, query in enumerate(QUERIES)
        for n in range(6)
    )


RUNS = {"one": a_run(1), "two": a_run(2)}


@pytest.fixture(scope="module")
def found():
    return looked_at(RUNS, QRELS, TEXTS, "RR", pool=POOL, depth=4)


def test_values_are_those_of_evaluate(found):
    for number, run in enumerate(RUNS.values()):
        expected = evaluate(run, QRELS, "RR").per_query["RR"]
        assert {q["id"]: q["values"]["RR"][number] for q in found["queries"]} == expected


def test_the_largest_difference_comes_first(found):
    gaps = [abs(b - a) for a, b in (query["values"]["RR"] for query in found["queries"])]
    assert gaps == sorted(gaps, reverse=True) and gaps[0] > gaps[-1]


def test_hits_judgements_and_texts(found):
    (query,) = [one for one in found["queries"] if one["id"] == "q0.tr"]
    assert [hit["id"] for hit in query["hits"][0]] == ["d5", "d4", "d3", "d2"]
    assert query["judged"] == {"d5": 0} and query["relevant"] == 1  # d0 is not among the first four
    assert query["tau_ap"] == 1.0 and query["language"] == "tr"  # the shift of the first query is 0
    assert found["documents"]["d3"] == {"text": "text 3", "title": "", "language": "sw"}


def test_means_by_language_with_their_intervals(found):
    groups = {row["name"]: row["measures"]["RR"] for row in found["groups"]["query-language"]}
    assert set(groups) == {"tr", "zh"}
    values = {q["id"]: q["values"]["RR"] for q in found["queries"]}
    a, b = zip(*(values[f"q{n}.tr"] for n in "012"), strict=True)
    assert groups["tr"]["topics"] == 3
    assert groups["tr"]["means"][1] == pytest.approx([sum(b) / 3, *bootstrap_interval(b, [0] * 3)])
    assert groups["tr"]["difference"][0] == pytest.approx(sum(b) / 3 - sum(a) / 3)


def test_it_is_plain_json_and_one_run_is_enough():
    found = looked_at({"one": RUNS["one"]}, QRELS, TEXTS, ["RR", "AP"], limit=2)
    assert json.loads(json.dumps(found)) == found
    assert len(found["queries"]) == 2 and found["query_count"] == 6
    assert list(found["groups"]) == ["all"] and "difference" not in found["groups"]["all"][0]


def test_three_runs_are_refused():
    with pytest.raises(UsageError, match="one run or two"):
        looked_at({**RUNS, "three": a_run(3)}, QRELS, TEXTS)
