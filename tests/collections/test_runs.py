import math

import numpy as np
import pytest

from polyrank.collections import (
    ScoredDocument,
    as_run,
    iter_run,
    iter_run_by_query,
    read_qrels,
    read_run,
    write_run,
)
from polyrank.collections.records import Judgement
from polyrank.errors import DataError, UsageError


def hit(query_id, document_id, score):
    return ScoredDocument(query_id, document_id, score)


def put(tmp_path, text, name="run.txt"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_read_ranks_by_score_then_id_whatever_the_rank_column_says(tmp_path):
    path = put(tmp_path, "q Q0 b 1 1.0 t\nq Q0 c 2 2e0 t\nq\tQ0\ta\t3\t1\tt\n")
    assert [h.document_id for h in read_run(path)["q"]] == ["c", "a", "b"]
    assert [h.document_id for h in iter_run(path)] == ["b", "c", "a"]


def test_write_by_hand(tmp_path):
    write_run(
        [hit("q1", "b", 0.5), hit("q1", "a", 0.5), hit("q1", "c", -1.25)], tmp_path / "r", "x"
    )
    assert (tmp_path / "r").read_text() == ("q1 Q0 a 1 0.5 x\nq1 Q0 b 2 0.5 x\nq1 Q0 c 3 -1.25 x\n")


@pytest.mark.parametrize("name", ["r.trec", "r.trec.gz", "r.jsonl", "r.jsonl.gz"])
def test_round_trip_keeps_fp32_and_order(tmp_path, name):
    scores = np.random.default_rng(0).normal(scale=1e3, size=200).astype(np.float32)
    run = as_run(hit(f"q{i % 3}", f"d{i}", float(s)) for i, s in enumerate(scores))
    write_run(run, tmp_path / name)
    back = read_run(tmp_path / name)
    assert list(back) == list(run)
    for query_id, hits in run.items():
        assert [h.document_id for h in back[query_id]] == [h.document_id for h in hits]
        assert all(
            np.float32(a.score) == np.float32(b.score)
            for a, b in zip(back[query_id], hits, strict=True)
        )


@pytest.mark.parametrize(
    "line, reason",
    [
        ("q Q0 d 1 0.5", "5 fields"),
        ("q Q0 my doc 1 0.5 t", "7 fields.*JSONL"),
        ("q Q0 d 1 high t", "'high' is not a number"),
        ("q Q0 d 1 nan t", "is not finite"),
        ("q Q0 d 1 -inf t", "is not finite"),
        ("q Q0 a 1 0.5 t", "document a on line 1 too"),
    ],
)
def test_malformed_trec_lines(tmp_path, line, reason):
    path = put(tmp_path, f"q Q0 a 1 1.0 t\n{line}\n")
    with pytest.raises(DataError, match=reason) as caught:
        read_run(path)
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "line, reason",
    [
        ('{"query_id": "q", "document_id": "d"}', "no field 'score'"),
        ('{"query_id": "q", "document_id": "d", "score": NaN}', "not finite"),
        ('{"query_id": "q", "document_id": "d", "score": true}', "is not a number"),
        ('{"query_id": "q", "document_id": "d", "score": [1]}', "is not a number"),
        ('{"query_id": "", "document_id": "d", "score": 1}', "id ''"),
        ("[1]", "JSON list"),
        ("{", "not JSON"),
    ],
)
def test_malformed_jsonl_run(tmp_path, line, reason):
    with pytest.raises(DataError, match=reason):
        read_run(put(tmp_path, line, "r.jsonl"))


def test_ids_with_spaces_need_jsonl(tmp_path):
    run = [hit("a query", "a\u00a0doc", 1.0)]
    with pytest.raises(UsageError, match=r"\.jsonl"):
        write_run(run, tmp_path / "r.trec")
    assert not (tmp_path / "r.trec").exists()
    write_run(run, tmp_path / "r.jsonl")
    assert read_run(tmp_path / "r.jsonl") == {"a query": run}


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_write_refuses_what_is_not_finite(tmp_path, score):
    with pytest.raises(UsageError, match="the score is"):
        write_run([hit("q", "d", score)], tmp_path / "r")


def test_write_refuses_duplicates_and_bad_tags(tmp_path):
    with pytest.raises(UsageError, match="twice"):
        write_run([hit("q", "d", 1), hit("q", "d", 2)], tmp_path / "r")
    with pytest.raises(UsageError, match="'my run' is empty or has whitespace"):
        write_run([hit("q", "d", 1)], tmp_path / "r", tag="my run")


def test_stream_by_query(tmp_path):
    path = put(tmp_path, "q2 Q0 a 1 1 t\nq2 Q0 b 2 3 t\nq1 Q0 a 1 1 t\n")
    assert list(iter_run_by_query(path)) == [
        ("q2", [hit("q2", "b", 3.0), hit("q2", "a", 1.0)]),
        ("q1", [hit("q1", "a", 1.0)]),
    ]
    assert dict(iter_run_by_query(path)) == read_run(path)


def test_stream_refuses_scattered_queries_and_duplicates(tmp_path):
    scattered = put(tmp_path, "q Q0 a 1 1 t\np Q0 a 1 1 t\nq Q0 b 2 1 t\n")
    with pytest.raises(DataError, match=r":3: .*query q do not stand together"):
        list(iter_run_by_query(scattered))
    with pytest.raises(DataError, match=r":2: .* on line 1 too"):
        list(iter_run_by_query(put(tmp_path, "q Q0 a 1 1 t\nq Q0 a 2 0 t\n")))


@pytest.mark.parametrize(
    "text", ["q 0 d 2\nq 0 e -1\n", "query-id\tcorpus-id\tscore\nq\td\t2\nq\te\t-1\n"]
)
def test_qrels_of_trec_and_beir(tmp_path, text):
    assert read_qrels(put(tmp_path, text)) == [Judgement("q", "d", 2), Judgement("q", "e", -1)]


@pytest.mark.parametrize(
    "line, reason",
    [
        ("q 0 e", "3 fields"),
        ("q 0 e 1.5", "not an integer"),
        ("q 0 d 0", "on line 1 too"),
        ("q\t\t1", "empty id"),
    ],
)
def test_malformed_qrels(tmp_path, line, reason):
    with pytest.raises(DataError, match=reason) as caught:
        read_qrels(put(tmp_path, f"q 0 d 1\n{line}\n"))
    assert caught.value.line == 2


def test_a_tag_with_spaces(tmp_path):
    path = tmp_path / "r.trec"
    path.write_text("q1 Q0 d1 1 2.5 my system, tuned\n")
    assert read_run(path)["q1"][0].score == 2.5
    path.write_text("q1 Q0 my document 1 2.5 tag\n")  # an id with a space is none
    with pytest.raises(DataError, match="ids with spaces need a JSONL run"):
        read_run(path)


def test_comments_in_judgements(tmp_path):
    path = tmp_path / "qrels.txt"
    path.write_text("# made by hand\nq1 0 d1 1\n#\n#q 0 d2 1\n")
    judged = read_qrels(path)
    assert [(j.query_id, j.document_id) for j in judged] == [("q1", "d1"), ("#q", "d2")]
