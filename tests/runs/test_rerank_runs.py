"""Streaming, resuming and refusing: the bytes of a resumed run equal those of a whole one."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from polyrank.collections.records import Collection, Document, Query, ScoredDocument
from polyrank.collections.trec import read_run, write_run
from polyrank.errors import DataError, Interrupted, LanguageError, PolyrankError, UsageError
from polyrank.rerankers.base import Request, best_first
from polyrank.runs.rerank import Summary, rerank_stream
from polyrank.runs.resume import sidecar

QUERIES, DEPTH = 6, 7


class Hashed:
    """Scores by hash: cheap, deterministic, with ties, and it counts what it is asked."""

    def __init__(self, stop_at=None):
        self.asked, self.stop_at = [], stop_at

    def score(self, pairs):
        if self.stop_at is not None and len(self.asked) == self.stop_at:
            raise KeyboardInterrupt
        self.asked.append(pairs[0][0].id)
        digests = [hashlib.sha256((q.text + d.text).encode()).digest() for q, d in pairs]
        return [digest[0] % 5 / 3 for digest in digests]


@pytest.fixture
def collection():
    return Collection(
        name="toy",
        queries={f"q{i}": Query(f"q{i}", f"question {i}", "tr") for i in range(QUERIES)},
        documents={f"d{i}": Document(f"d{i}", f"answer {i}", language="en") for i in range(20)},
        qrels=[],
    )


def first_stage():
    return {
        f"q{i}": [
            ScoredDocument(f"q{i}", f"d{(i * 3 + j) % 20}", float(DEPTH - j)) for j in range(DEPTH)
        ]
        for i in range(QUERIES)
    }


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "first.trec"
    write_run(first_stage(), path)
    return path


def whole(collection, run, output, **options):
    rerank_stream(Hashed(), collection, run, output, **options)
    return output.read_bytes()


def test_every_candidate_stands_once_best_first_ties_by_id(collection, run, tmp_path):
    summary = rerank_stream(Hashed(), collection, run, tmp_path / "out.trec")
    assert summary == Summary(QUERIES, QUERIES * DEPTH, 0, 0, ())
    result = read_run(tmp_path / "out.trec")
    assert list(result) == list(first_stage())
    for query_id, hits in first_stage().items():
        assert {h.document_id for h in result[query_id]} == {h.document_id for h in hits}
        keys = [(-hit.score, hit.document_id) for hit in result[query_id]]
        assert keys == sorted(keys) and len(keys) == DEPTH
    assert not sidecar(tmp_path / "out.trec").exists()


def test_best_first_by_hand():
    request = Request(Query("q", ""), tuple(Document(i, "a text") for i in ("b", "c", "a")))
    hits = best_first(request, [1.0, 2.0, 1.0]).hits
    assert [hit.document_id for hit in hits] == ["c", "a", "b"]


def test_a_run_in_memory_gives_the_same_bytes(collection, run, tmp_path):
    from_file = whole(collection, run, tmp_path / "a.trec")
    assert whole(collection, first_stage(), tmp_path / "b.trec") == from_file


def test_interpolation_by_hand(tmp_path):
    class Fixed:
        def score(self, pairs):
            return [{"a": -1.0, "b": 3.0, "c": 1.0}[document.id] for _, document in pairs]

    texts = Collection("toy", {i: Document(i, i) for i in "abc"}, {"q": Query("q", "")}, [])
    hits = [("a", 10.0), ("b", 9.5), ("c", 8.0)]
    first = {"q": [ScoredDocument("q", i, score) for i, score in hits]}
    rerank_stream(Fixed(), texts, first, tmp_path / "out.trec", interpolate=0.25)
    # first: 1, 0.75, 0; scorer: 0, 1, 0.5
    wanted = {"b": 0.75 * 0.75 + 0.25, "a": 0.75, "c": 0.25 * 0.5}
    assert {h.document_id: h.score for h in read_run(tmp_path / "out.trec")["q"]} == wanted
    assert [h.document_id for h in read_run(tmp_path / "out.trec")["q"]] == list(wanted)


@pytest.mark.parametrize("normalise", ["min-max", "z-score"])
def test_weights_of_zero_and_one_keep_an_order(normalise, collection, run, tmp_path):
    def order(path):
        return {q: [hit.document_id for hit in hits] for q, hits in read_run(path).items()}

    whole(collection, run, tmp_path / "scorer.trec")
    for weight, same in ((0, run), (1, tmp_path / "scorer.trec")):
        output = tmp_path / f"{weight}.trec"
        whole(collection, run, output, interpolate=weight, normalise=normalise)
        assert order(output) == order(same)


def test_another_weight_is_refused(collection, run, tmp_path):
    output = tmp_path / "out.trec"
    with pytest.raises(Interrupted):
        rerank_stream(Hashed(stop_at=3), collection, run, output, interpolate=0.5)
    with pytest.raises(UsageError, match=r"interpolate was \[0.5, 'min-max'\] and is now"):
        rerank_stream(Hashed(), collection, run, output, resume=True, interpolate=0.4)
    moved = {q: [*hits[:-1], replace(hits[-1], score=0.5)] for q, hits in first_stage().items()}
    with pytest.raises(UsageError, match="other candidates"):
        rerank_stream(Hashed(), collection, moved, output, resume=True, interpolate=0.5)


@pytest.mark.parametrize(
    "wrong", [{"interpolate": 1.5}, {"interpolate": 0.5, "normalise": "max"}], ids=str
)
def test_a_wrong_interpolation_scores_nothing(wrong, collection, run, tmp_path):
    scorer = Hashed()
    with pytest.raises(UsageError, match="weight is 1.5|min-max or z-score"):
        rerank_stream(scorer, collection, run, tmp_path / "out.trec", **wrong)
    assert not scorer.asked and not (tmp_path / "out.trec").exists()


@pytest.mark.parametrize("interpolate", [None, 0.5])
@pytest.mark.parametrize("name", ["out.trec", "out.jsonl"])
def test_a_cut_at_any_byte_resumes_to_the_same_bytes(name, interpolate, collection, run, tmp_path):
    full = whole(collection, run, tmp_path / ("full." + name), interpolate=interpolate)
    output = tmp_path / name
    with pytest.raises(Interrupted, match="--resume"):
        rerank_stream(Hashed(stop_at=3), collection, run, output, interpolate=interpolate)
    settings = sidecar(output).read_bytes()
    for cut in [*range(0, len(full), 41), len(full) - 1, len(full)]:
        output.write_bytes(full[:cut])
        sidecar(output).write_bytes(settings)
        scorer = Hashed()
        summary = rerank_stream(
            scorer, collection, run, output, resume=True, interpolate=interpolate
        )
        assert output.read_bytes() == full, cut
        assert summary.resumed + len(scorer.asked) == QUERIES  # nothing done is done again
        assert summary.candidates == QUERIES * DEPTH
        assert not sidecar(output).exists()


def test_an_interrupt_keeps_every_finished_query(collection, run, tmp_path):
    output = tmp_path / "out.trec"
    with pytest.raises(Interrupted):
        rerank_stream(Hashed(stop_at=4), collection, run, output)
    assert len(output.read_text().splitlines()) == 4 * DEPTH


KILLED = """
import sys, time
sys.path.insert(0, {here!r})
from test_rerank_runs import Hashed, collection
from polyrank.runs.rerank import rerank_stream

class Slow(Hashed):
    def score(self, pairs):
        time.sleep(0.3)
        return super().score(pairs)

rerank_stream(Slow(), collection.__wrapped__(), {run!r}, {output!r})
"""


def test_a_killed_process_resumes_to_the_same_bytes(collection, run, tmp_path):
    full = whole(collection, run, tmp_path / "full.trec")
    output = tmp_path / "out.trec"
    script = KILLED.format(here=os.path.dirname(__file__), run=str(run), output=str(output))
    process = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 60
    while not (output.exists() and output.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < output.stat().st_size < len(full)
    rerank_stream(Hashed(), collection, run, output, resume=True)
    assert output.read_bytes() == full


def interrupted(collection, run, output, **options):
    with pytest.raises(Interrupted):
        rerank_stream(Hashed(stop_at=2), collection, run, output, **options)


def test_other_settings_are_refused_and_named(collection, run, tmp_path):
    output = tmp_path / "out.trec"
    interrupted(collection, run, output, settings={"routing": "split"})
    with pytest.raises(UsageError, match="routing was 'split' and is now 'none'"):
        rerank_stream(Hashed(), collection, run, output, settings={"routing": "none"}, resume=True)


def test_another_run_or_collection_is_refused(collection, run, tmp_path):
    output = tmp_path / "out.trec"
    interrupted(collection, run, output)
    shorter = {query_id: hits[:3] for query_id, hits in first_stage().items()}
    with pytest.raises(UsageError, match="other candidates"):
        rerank_stream(Hashed(), collection, shorter, output, resume=True)
    collection.documents["d0"] = Document("d0", "another answer", language="en")
    with pytest.raises(UsageError, match="other queries or documents"):
        rerank_stream(Hashed(), collection, run, output, resume=True)


def test_unfinished_work_is_not_overwritten(collection, run, tmp_path):
    output = tmp_path / "out.trec"
    interrupted(collection, run, output)
    before = output.read_bytes()
    with pytest.raises(UsageError, match="unfinished output"):
        rerank_stream(Hashed(), collection, run, output)
    assert output.read_bytes() == before


@pytest.mark.parametrize("before", [None, "q9 Q0 d1 1 0.5 other\n"])
def test_what_fails_at_once_leaves_the_folder_as_it_was(collection, run, tmp_path, before):
    class Failing:
        def score(self, pairs):
            raise LanguageError("there is no module for 'yo'; use --fallback related")

    output = tmp_path / "out.trec"
    if before:
        output.write_text(before)
    names = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(LanguageError):
        rerank_stream(Failing(), collection, run, output)
    with pytest.raises(Interrupted, match="before anything was written"):
        rerank_stream(Hashed(stop_at=0), collection, run, output)
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    assert before is None or output.read_text() == before
    whole(collection, run, output)  # and what the message recommends is not refused


@pytest.mark.parametrize("how", ["name", "link"])
def test_the_run_that_is_read_is_not_written_over(collection, run, tmp_path, how):
    before = run.read_bytes()
    output = run if how == "name" else tmp_path / "link.trec"
    if how == "link":
        output.symlink_to(run)
    with pytest.raises(UsageError, match="is read, and would be overwritten"):
        rerank_stream(Hashed(), collection, run, output)
    assert run.read_bytes() == before


def test_a_finished_or_foreign_output_is_not_resumed(collection, run, tmp_path):
    output = tmp_path / "out.trec"
    full = whole(collection, run, output)
    with pytest.raises(UsageError, match="it is finished, or was not written"):
        rerank_stream(Hashed(), collection, run, output, resume=True)
    assert output.read_bytes() == full
    interrupted(collection, run, tmp_path / "b.trec")
    (tmp_path / "b.trec").write_text("q9 Q0 d1 1 0.5 other\n" * 9)
    with pytest.raises(UsageError, match="not the ranking of query 'q0'"):
        rerank_stream(Hashed(), collection, run, tmp_path / "b.trec", resume=True)


def test_resume_without_an_output_starts(collection, run, tmp_path):
    full = whole(collection, run, tmp_path / "full.trec")
    assert whole(collection, run, tmp_path / "out.trec", resume=True) == full


def test_a_missing_document_stops_with_file_and_line(collection, run, tmp_path):
    del collection.documents["d8"]  # q1: d3 .. d9, so on line 7 + 6
    scorer = Hashed()
    with pytest.raises(DataError, match=r"first\.trec:13: document 'd8' is not in the collection"):
        rerank_stream(scorer, collection, run, tmp_path / "out.trec")
    assert not scorer.asked and not (tmp_path / "out.trec").exists()  # found before any scoring


def test_a_missing_query_stops_with_file_and_line(collection, run, tmp_path):
    del collection.queries["q2"]
    with pytest.raises(DataError, match=r"first\.trec:15: query 'q2' is not in the collection"):
        rerank_stream(Hashed(), collection, run, tmp_path / "out.trec")


def test_missing_candidates_are_skipped_and_counted_on_demand(collection, run, tmp_path):
    del collection.documents["d8"], collection.queries["q2"]
    holding = sum(h.document_id == "d8" for i, hs in first_stage().items() if i != "q2" for h in hs)
    summary = rerank_stream(Hashed(), collection, run, tmp_path / "out.trec", missing="skip")
    assert summary.skipped == holding + DEPTH  # all of q2's
    assert summary.queries == QUERIES - 1
    assert "d8" not in (tmp_path / "out.trec").read_text()


def test_queries_without_candidates_are_reported(collection, run, tmp_path):
    collection.queries["q9"] = Query("q9", "nobody found anything", "tr")
    summary = rerank_stream(Hashed(), collection, run, tmp_path / "out.trec")
    assert summary.without_candidates == ("q9",)
    assert "1 queries have no candidates: q9" in str(summary)


def test_depth_and_limit(collection, run, tmp_path):
    summary = rerank_stream(Hashed(), collection, run, tmp_path / "out.trec", depth=2, limit=3)
    assert (summary.queries, summary.candidates) == (3, 6)


def test_a_candidate_given_twice_is_refused(collection, tmp_path):
    path = tmp_path / "twice.trec"
    path.write_text("q0 Q0 d1 1 2.0 x\nq0 Q0 d1 2 1.0 x\n")
    with pytest.raises(DataError, match=r"twice\.trec:2: .* on line 1 too"):
        rerank_stream(Hashed(), collection, path, tmp_path / "out.trec")


def test_a_score_that_is_no_number_is_refused(collection, run, tmp_path):
    class Broken:
        def score(self, pairs):
            return [float("nan")] * len(pairs)

    with pytest.raises(PolyrankError, match="query 'q0', document 'd0': the score is nan"):
        rerank_stream(Broken(), collection, run, tmp_path / "out.trec")


def test_standard_output(collection, run, tmp_path, capsys):
    full = whole(collection, run, tmp_path / "full.trec")
    rerank_stream(Hashed(), collection, run, "-")
    assert capsys.readouterr().out.encode() == full
    with pytest.raises(UsageError, match="--resume needs an --output"):
        rerank_stream(Hashed(), collection, run, "-", resume=True)


def test_json_lines(collection, run, tmp_path):
    rerank_stream(Hashed(), collection, run, tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(rows) == QUERIES * DEPTH
    assert set(rows[0]) == {"query_id", "document_id", "score"}
    assert list(read_run(tmp_path / "out.jsonl")) == list(first_stage())


def test_a_query_is_no_candidate_of_itself(collection, tmp_path):
    """As in ArguAna, where every query is a document, too."""
    asked = next(iter(collection.queries))
    collection.documents[asked] = Document(asked, "the query itself")
    hits = [ScoredDocument(asked, i, 1.0) for i in (asked, "d0", "d1")]
    output = tmp_path / "out.trec"
    rerank_stream(Hashed(), collection, {asked: hits}, output, depth=2, exclude_self=True)
    assert {line.split()[2] for line in output.read_text().splitlines()} == {"d0", "d1"}


def test_a_run_may_come_through_a_pipe(collection, run, tmp_path):
    pipe, output = tmp_path / "pipe", tmp_path / "out.trec"
    os.mkfifo(pipe)
    content = run.read_text()
    writer = threading.Thread(target=lambda: pipe.write_text(content))
    writer.start()
    rerank_stream(Hashed(), collection, pipe, output)
    writer.join()
    assert output.read_bytes() == whole(collection, run, tmp_path / "full.trec")
