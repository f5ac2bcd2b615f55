"""Values are trec_eval's, on runs made to be difficult; trec_eval is run by pytrec_eval."""

import gzip

import numpy as np
import pytest
import pytrec_eval

from polyrank.collections import Judgement, ScoredDocument, read_qrels, read_run, write_run
from polyrank.errors import DataError, UsageError
from polyrank.evaluation import evaluate
from polyrank.evaluation.order import trec_eval_order

NAMES = {
    "nDCG@10": "ndcg_cut_10",
    "nDCG": "ndcg",
    "AP": "map",
    "AP@5": "map_cut_5",
    "RR": "recip_rank",
    "P@5": "P_5",
    "R@10": "recall_10",
    "Rprec": "Rprec",
    "Bpref": "bpref",
    "Success@1": "success_1",
    "infAP": "infAP",
    "NumRet": "num_ret",
}
# Names of documents in scripts whose order differs between locales and encodings.
IDS = ["a", "B", "é", "z", "Z9", "中", "я", "😀", "\uff21", "doc10", "doc9", "doc-9"]


def hits(*pairs):
    return [ScoredDocument("q", d, s) for d, s in pairs]


def test_order_by_hand():
    assert trec_eval_order(hits(("a", 1), ("b", 1), ("B", 1), ("c", 2))) == ["c", "b", "a", "B"]
    # 2^24 + 1 is not a float32: it ties with 2^24, in double precision it would be first.
    assert trec_eval_order(hits(("a", 16777217.0), ("b", 16777216.0))) == ["b", "a"]
    assert trec_eval_order(hits(("a", 1e300), ("b", 1e299), ("c", -1e300))) == ["b", "a", "c"]
    assert trec_eval_order(hits(("é", 0.0), ("z", -0.0), ("😀", 0.0))) == ["😀", "é", "z"]


def test_ties_by_hand():
    """d2 stands before d1, although polyrank writes them the other way."""
    qrels = [Judgement("q", "d1", 1)]
    assert evaluate(hits(("d1", 0.5), ("d2", 0.5)), qrels, "RR")["RR"] == 0.5
    assert evaluate(hits(("d1", 0.5), ("d0", 0.5)), qrels, "RR")["RR"] == 1.0


def scores(generator, count):
    """Ties, differences below float32, huge and tiny numbers, negative ones."""
    kinds = [
        generator.integers(0, 3, count) * 1.0,
        16777216.0 + generator.integers(0, 4, count),
        generator.normal(size=count) * 10.0 ** generator.integers(-40, 40, count),
        generator.normal(size=count),
        1.0 + generator.integers(0, 3, count) * 1e-8,
    ]
    return kinds[generator.integers(len(kinds))]


def files(folder, seed):
    """A run and qrels as files; the run out of order, its ranks wrong, in odd notation."""
    generator = np.random.default_rng(seed)
    lines, judged = [], []
    for number in range(12):
        query = f"q{number}"
        ranked = generator.permutation(IDS)[: generator.integers(1, len(IDS) + 1)]
        if number % 5:  # some judged queries are missing from the run
            for d, s in zip(ranked, scores(generator, len(ranked)), strict=True):
                written = [repr(float(s)), f"{s:.17e}", f"{s:+.17E}"][generator.integers(3)]
                lines.append(f"{query} Q0 {d} {generator.integers(99)} {written} x")
        if number != 7:  # and one of the run is not judged
            pool = generator.permutation([*IDS, "never-ranked"])[: generator.integers(1, 9)]
            judged += [f"{query} 0 {d} {generator.integers(-2, 4)}" for d in pool]
    generator.shuffle(lines)
    end = ["\n", "\r\n"][seed % 2]
    text = (end.join(lines) + end * (seed % 3)).encode()
    path = folder / ("run.trec.gz" if seed % 2 else "run.trec")
    path.write_bytes(gzip.compress(text) if seed % 2 else text)
    (folder / "qrels").write_bytes((end.join(judged) + end).encode())
    return path, folder / "qrels", lines, judged


@pytest.mark.parametrize("seed", range(40))
def test_equal_to_trec_eval(tmp_path, seed):
    run_path, qrels_path, lines, judged = files(tmp_path, seed)
    run, qrels = {}, {}
    for line in lines:  # read here by other code than ours
        query, _, document, _, score, _ = line.split()
        run.setdefault(query, {})[document] = float(score)
    for line in judged:
        query, _, document, relevance = line.split()
        qrels.setdefault(query, {})[document] = int(relevance)
    report = evaluate(read_run(run_path), read_qrels(qrels_path), list(NAMES))
    asked = {"ndcg_cut.10", "ndcg", "map", "map_cut.5", "recip_rank", "P.5", "recall.10", "Rprec"}
    asked |= {"bpref", "success.1", "infAP", "num_ret"}
    sound = {q: row for q, row in qrels.items() if max(row.values()) >= 0}  # see below
    truth = pytrec_eval.RelevanceEvaluator(sound, asked).evaluate(run)
    for ours, theirs in NAMES.items():
        expected = {q: truth[q][theirs] if q in truth else 0.0 for q in qrels}
        assert report.per_query[ours] == pytest.approx(expected, abs=1e-12), ours
        total = sum(expected.values())
        mean = total if ours == "NumRet" else total / len(qrels)  # trec_eval -c
        assert report[ours] == pytest.approx(mean)
    assert set(report.missing) == qrels.keys() - run.keys()
    assert set(report.unjudged) == run.keys() - qrels.keys()


@pytest.mark.parametrize("seed", range(10))
def test_relevance_levels(tmp_path, seed):
    run_path, qrels_path, lines, judged = files(tmp_path, seed)
    report = evaluate(read_run(run_path), read_qrels(qrels_path), ["AP(rel=2)", "P(rel=2)@5"])
    run, qrels = {}, {}
    for line in lines:
        run.setdefault(line.split()[0], {})[line.split()[2]] = float(line.split()[4])
    for line in judged:
        qrels.setdefault(line.split()[0], {})[line.split()[2]] = int(line.split()[3])
    sound = {q: row for q, row in qrels.items() if max(row.values()) >= 0}  # see below
    truth = pytrec_eval.RelevanceEvaluator(sound, {"map", "P.5"}, relevance_level=2).evaluate(run)
    for ours, theirs in {"AP(rel=2)": "map", "P(rel=2)@5": "P_5"}.items():
        expected = {q: truth[q][theirs] if q in truth else 0.0 for q in qrels}
        assert report.per_query[ours] == pytest.approx(expected)


def test_a_written_run_keeps_its_order_and_its_values(tmp_path):
    qrels = [Judgement("q", "a", 1)]
    found = {"q": hits(("a", 1.0), ("b", 1.0), ("c", 1.0))}
    write_run(found, tmp_path / "run.trec")
    order = [line.split()[2] for line in (tmp_path / "run.trec").read_text().splitlines()]
    assert order == ["a", "b", "c"]  # ties by id upwards, as everywhere
    read = evaluate(read_run(tmp_path / "run.trec"), qrels, "RR")["RR"]
    assert read == evaluate(found, qrels, "RR")["RR"] == pytest.approx(1 / 3)


def test_duplicates_are_refused(tmp_path):
    (tmp_path / "run").write_text("q Q0 a 1 2 x\nq Q0 a 2 1 x\n")
    with pytest.raises(DataError, match=r"run:2: query q has document a on line 1 too"):
        read_run(tmp_path / "run")
    with pytest.raises(UsageError, match="judged twice"):
        evaluate(hits(("a", 1)), [Judgement("q", "a", 1), Judgement("q", "a", 0)], "RR")
    with pytest.raises(UsageError, match="score nan"):
        evaluate(hits(("a", float("nan"))), [Judgement("q", "a", 1)], "RR")


def test_a_query_with_nothing_but_negative_judgements():
    """trec_eval counts negative relevance alike, and never ends where a query has no other."""
    qrels = [Judgement("q", d, r) for d, r in [("a", -2), ("b", -7)]] + [Judgement("p", "a", 1)]
    run = {q: [ScoredDocument(q, "a", 1.0)] for q in "pq"}
    report = evaluate(run, qrels, list(NAMES))
    assert {row["q"] for row in report.per_query.values()} == {0.0}
    assert report.per_query["AP"]["p"] == 1.0
