"""Language-aware measures: values by hand, chance, renaming, pools of one language."""

from math import isnan, log2

import numpy as np
import pytest
from scipy.stats import chi2

from polyrank.collections import Judgement, ScoredDocument, as_run
from polyrank.errors import UsageError
from polyrank.evaluation import Pool, evaluate
from polyrank.evaluation.lang_ndcg import lang_ndcg
from polyrank.evaluation.named import MEASURES, LanguageMeasure, parse_own
from polyrank.evaluation.outcomes import OUTCOMES, outcome
from polyrank.evaluation.peer import peer
from polyrank.evaluation.preference import language_preference
from polyrank.evaluation.semantic import semantic_ndcg

JUDGED = {"g.en": 1}  # the translations are judged by nobody
IDEAL = 1 + 1 / log2(3) + 1 / log2(4)  # three members at ranks 1 to 3
NAMES = ["SemnDCG@10", "LangnDCG@10", "LPR", "PEER@20", "FourWay"]


def run_of(rankings):
    return as_run(
        ScoredDocument(q, d, float(-rank))
        for q, ids in rankings.items()
        for rank, d in enumerate(ids)
    )


def test_semantic_ndcg_by_hand(pool):
    ranking = ["h.en", "g.sw", "g.en"]
    expected = (1 / log2(3) + 1 / log2(4)) / IDEAL
    assert semantic_ndcg(ranking, JUDGED, "en", pool) == pytest.approx(expected)
    assert semantic_ndcg(ranking, JUDGED, "en", pool, cutoff=2) == pytest.approx(
        (1 / log2(3)) / (1 + 1 / log2(3))
    )
    first = semantic_ndcg(ranking, JUDGED, "en", pool, members="first")
    assert first == pytest.approx(1 / log2(3))  # g.en adds nothing after g.sw


def test_semantic_ndcg_of_the_query_language_alone_on_seven_languages():
    ids = [f"g.{i}" for i in range(7)]
    pool = Pool({}, {i: i[2:] for i in ids}, dict.fromkeys(ids, "g"))
    value = semantic_ndcg(["g.0", "x"], {"g.0": 1}, "0", pool, cutoff=10)
    assert value == pytest.approx(0.275, abs=0.001)


def test_lang_ndcg_by_hand(pool):
    ideal = 2 + 1 / log2(3) + 1 / log2(4)
    ranking = ["g.sw", "g.en"]
    assert lang_ndcg(ranking, JUDGED, "en", pool) == pytest.approx((1 + 2 / log2(3)) / ideal)
    assert lang_ndcg(ranking, JUDGED, "sw", pool) == pytest.approx((2 + 1 / log2(3)) / ideal)
    assert lang_ndcg(ranking, JUDGED, "en", pool, members="first") == 0.5
    assert lang_ndcg(ranking, JUDGED, "en", pool, other=0) == pytest.approx(1 / log2(3))
    alike = lang_ndcg(ranking, JUDGED, "en", pool, same=1, other=1)
    assert alike == pytest.approx(semantic_ndcg(ranking, JUDGED, "en", pool))
    with pytest.raises(UsageError, match="same ≥ other"):
        lang_ndcg(ranking, JUDGED, "en", pool, same=1, other=2)


def test_preference_by_hand(pool):
    assert language_preference(["h.en", "g.sw", "g.en"], JUDGED, "sw", pool) == 1
    assert language_preference(["h.en", "g.sw", "g.en"], JUDGED, "en", pool) == 0
    assert isnan(language_preference(["h.en"], JUDGED, "en", pool))  # nothing found
    assert isnan(language_preference(["h.en", "g.en"], JUDGED, "en", pool, cutoff=1))
    assert isnan(language_preference(["g.en"], JUDGED, "fi", pool))  # no member in Finnish


@pytest.mark.parametrize(
    "first, name",
    [("g.en", "RightSame"), ("g.tr", "RightOther"), ("h.en", "WrongSame"), ("h.sw", "WrongOther")],
)
def test_outcomes_by_hand(pool, first, name):
    found = {
        n: outcome([first, "g.sw"], JUDGED, "en", pool, right, same)
        for n, (right, same) in OUTCOMES.items()
    }
    assert found == {n: float(n == name) for n in OUTCOMES}


def test_peer_by_hand():
    ids = ["a.x", "a.y", "b.x", "b.y"]
    pool = Pool({}, {i: i[2:] for i in ids}, {i: i for i in ids})
    judged = dict.fromkeys(ids, 1)
    # Ranks x 1, 2 and y 3, 4: H = 12 / (4 · 5) · (3² / 2 + 7² / 2) - 3 · 5 = 2.4
    value = peer(["a.x", "b.x", "a.y", "b.y"], judged, "x", pool)
    assert value == pytest.approx(chi2.sf(2.4, 1))
    # Only the first two are ranked: the others tie at (3 + 4) / 2. Sums are 3 and 7 as before,
    # H = 2.4, divided by 1 - (2³ - 2) / (4³ - 4) = .9
    value = peer(["a.x", "b.x", "a.y", "b.y"], judged, "x", pool, cutoff=2)
    assert value == pytest.approx(chi2.sf(2.4 / 0.9, 1))
    assert peer([], judged, "x", pool) == 1.0  # all tie
    assert isnan(peer(ids, {"a.x": 0}, "x", pool))


def test_peer_says_nothing_of_one_document_a_language(pool):
    for ranking in (["g.en", "g.sw", "g.tr"], ["g.tr", "h.en", "g.en", "g.sw"]):
        assert peer(ranking, JUDGED, "en", pool) == pytest.approx(chi2.sf(2, 2))


def test_peer_weighs_levels():
    ids = ["a.x", "b.x", "a.y", "b.y", "c.x", "c.y"]
    pool = Pool({}, {i: i[2:] for i in ids}, {i: i for i in ids})
    judged = {"a.x": 1, "b.x": 1, "a.y": 1, "b.y": 1, "c.x": 2, "c.y": 2}
    one, two = chi2.sf(2.4, 1), chi2.sf(1.0, 1)  # of two: H = 12 / 6 · (1 + 4) - 9 = 1
    assert peer(ids, judged, "x", pool) == pytest.approx((one + two) / 2)
    weighed = peer(ids, judged, "x", pool, weights={1: 0.25, 2: 0.75})
    assert weighed == pytest.approx(0.25 * one + 0.75 * two)
    with pytest.raises(UsageError, match="sum to 1"):
        peer(ids, judged, "x", pool, weights={1: 1, 2: 1})


def random_runs(count, generator, languages=("en", "sw", "tr", "zh")):
    """Pools of 5 groups; each ranking is a random order of all documents."""
    ids = [f"{group}.{tag}" for group in "abcde" for tag in languages]
    queries = {f"q{i}": languages[i % len(languages)] for i in range(count)}
    pool = Pool(queries, {i: i[2:] for i in ids}, {i: i[0] for i in ids})
    qrels = [Judgement(q, f"a.{tag}", 1) for q in queries for tag in languages]
    run = run_of({q: [ids[i] for i in generator.permutation(len(ids))] for q in queries})
    return run, qrels, pool


def test_chance_under_random_order():
    run, qrels, pool = random_runs(1200, np.random.default_rng(5))
    report = evaluate(run, qrels, ["LPR", "FourWay", "PEER"], collection=pool)
    error = 3 * (0.25 * 0.75 / 1200) ** 0.5
    assert report["LPR"] == pytest.approx(1 / 4, abs=error)  # one of four languages
    for name, share in {"RightSame": 1 / 20, "RightOther": 3 / 20, "WrongSame": 4 / 20}.items():
        assert report[name] == pytest.approx(share, abs=error)
    assert sum(report[name] for name in OUTCOMES) == pytest.approx(1)
    # A fair ranking has p-values about uniform; four single documents take few values, and the
    # smallest is far from 0.
    assert report["PEER"] > 0.35


def test_lang_ndcg_under_random_choice_of_language():
    """The right group always first, its language by chance: (same + 3 other) / 4 same."""
    generator = np.random.default_rng(6)
    run, qrels, pool = random_runs(1200, generator)
    chosen = run_of({q: [f"a.{generator.choice(['en', 'sw', 'tr', 'zh'])}"] for q in run})
    report = evaluate(chosen, qrels, "LangnDCG(members='first')", collection=pool)
    value = report.mean["LangnDCG(members='first')"]
    assert value == pytest.approx((2 + 3 * 1) / (4 * 2), abs=0.025)


def test_names_of_documents_do_not_matter():
    generator = np.random.default_rng(7)
    run, qrels, pool = random_runs(40, generator)
    ids = list(pool.groups)
    new = dict(zip(ids, (f"d{i}" for i in generator.permutation(len(ids))), strict=True))
    renamed = Pool(
        pool.query_languages,
        {new[i]: tag for i, tag in pool.document_languages.items()},
        {new[i]: f"group {group}" for i, group in pool.groups.items()},
    )
    other = {
        q: [ScoredDocument(q, new[h.document_id], h.score) for h in row] for q, row in run.items()
    }
    judged = [Judgement(j.query_id, new[j.document_id], j.relevance) for j in qrels]
    before = evaluate(run, qrels, NAMES, collection=pool)
    after = evaluate(other, judged, NAMES, collection=renamed)
    for name, row in before.per_query.items():
        assert after.per_query[name] == pytest.approx(row)


def test_a_pool_of_one_language():
    ids = ["a", "b", "c"]
    run, qrels = run_of({"q": ["b", "a"]}), [Judgement("q", "a", 2), Judgement("q", "c", 1)]
    measures = ["nDCG@10", "SemnDCG@10", "LangnDCG@10", "LPR", "PEER@20"]
    same = Pool({"q": "en"}, dict.fromkeys(ids, "en"), {i: i for i in ids})
    report = evaluate(run, qrels, measures, collection=same)
    assert report["SemnDCG@10"] == pytest.approx(report["nDCG@10"])
    assert report["LangnDCG@10"] == pytest.approx(report["nDCG@10"])
    assert (report["LPR"], report["PEER@20"]) == (1.0, 1.0)
    other = evaluate(
        run, qrels, measures, collection=Pool({"q": "tr"}, same.document_languages, {})
    )
    assert other["LangnDCG@10"] == pytest.approx(report["nDCG@10"])
    assert isnan(other["LPR"]) and other.undefined == {"LPR": ["q"]}
    assert "LPR undefined for 1 query (q)" in str(other)


def test_missing_queries_count_zero_or_are_undefined(pool):
    qrels = [Judgement(f"q.{tag}", "g.en", 1) for tag in ("en", "sw")]
    report = evaluate(run_of({"q.en": ["g.en"]}), qrels, NAMES, collection=pool)
    assert report.per_query["SemnDCG@10"]["q.sw"] == 0
    assert report.per_query["PEER@20"]["q.sw"] == 0
    assert report.undefined == {n: ["q.sw"] for n in ["LPR", *OUTCOMES]}
    assert report.missing == ["q.sw"]


def test_a_judged_member_keeps_its_own_relevance(pool):
    assert pool.relevance({"g.en": 2, "g.sw": 0}) == {"g.en": 2, "g.sw": 0, "g.tr": 2}
    assert pool.relevance({"g.en": -1}) == {"g.en": 0, "g.sw": 0, "g.tr": 0}


@pytest.mark.parametrize(
    "name, written",
    [
        ("LangnDCG(same=3,other=1)@10", "LangnDCG(same=3,other=1)@10"),
        (" PEER(weights={1: 0.5, 2: 0.5})@20", "PEER(weights={1:0.5,2:0.5})@20"),
        ("SemnDCG(members='first')", "SemnDCG(members='first')"),
        ("LPR@100", "LPR@100"),
    ],
)
def test_names_are_read_and_written(name, written):
    assert str(parse_own(name)) == written == str(parse_own(written))


@pytest.mark.parametrize(
    "name", ["LPR(x=1)", "SemnDCG@0", "SemnDCG@ten", "SemnDCG(members='some')", "PEER@True"]
)
def test_wrong_parameters(name, pool):
    with pytest.raises(UsageError):
        evaluate(run_of({"q.en": ["g.en"]}), [Judgement("q.en", "g.en", 1)], name, collection=pool)


def test_languages_that_are_unknown(pool):
    qrels = [Judgement("q.en", "g.en", 1)]
    with pytest.raises(UsageError, match="needs the languages"):
        evaluate(run_of({"q.en": ["g.en"]}), qrels, "LPR")
    with pytest.raises(UsageError, match="language of query 'q9' is unknown"):
        evaluate(run_of({"q9": ["g.en"]}), [Judgement("q9", "g.en", 1)], "LPR", collection=pool)
    with pytest.raises(UsageError, match="document 'x' is not known"):
        evaluate(run_of({"q.en": ["x"]}), qrels, "RightSame", collection=pool)


def test_every_measure_is_one_of_ir_measures_too(pool):
    import ir_measures

    qrels = [ir_measures.Qrel("q.en", "g.en", 1)]
    run = [ir_measures.ScoredDoc("q.en", d, s) for d, s in [("h.en", 1.0), ("g.en", 2.0)]]
    bound = [LanguageMeasure(name).bound(pool) for name in MEASURES]
    values = ir_measures.calc_aggregate([*bound, ir_measures.AP], qrels, run)
    assert {str(m) for m in values} == {*MEASURES, "AP"}
    assert values[bound[list(MEASURES).index("LPR")]] == 1.0
