"""Comparing runs: by hand, against SciPy, by languages, and what is refused."""

import json

import numpy as np
import pytest
from scipy.stats import bootstrap, permutation_test, ttest_rel

from polyrank.collections import Judgement, ScoredDocument, as_run
from polyrank.errors import DataError, UsageError
from polyrank.evaluation import (
    Languages,
    Pool,
    Settings,
    aggregates,
    bonferroni,
    bootstrap_interval,
    by_language,
    compare,
    effect_size,
    locality_effect,
    mother_tongue_effect,
    parse_measure,
    randomisation_test,
    read_values,
    t_test,
    write_values,
)


def run_of(rankings):
    return as_run(
        ScoredDocument(q, d, -float(rank))
        for q, ids in rankings.items()
        for rank, d in enumerate(ids)
    )


# Two topics in two languages; each has one relevant document, in English and in Turkish.
QUERIES = {f"{t}.{tag}": tag for t in ("s", "t") for tag in ("sw", "tr")}
DOCUMENTS = {f"{d}.{tag}": tag for d in "abc" for tag in ("en", "tr")}
POOL = Pool(QUERIES, DOCUMENTS, {d: d[0] for d in DOCUMENTS})
RELEVANT = {"s": "a", "t": "b"}
QRELS = [Judgement(q, f"{RELEVANT[q[0]]}.{tag}", 1) for q in QUERIES for tag in ("en", "tr")]
GOOD = run_of({q: [f"{RELEVANT[q[0]]}.en", f"{RELEVANT[q[0]]}.tr"] for q in QUERIES})
POOR = run_of({q: ["c.en", f"{RELEVANT[q[0]]}.en", f"{RELEVANT[q[0]]}.tr"] for q in QUERIES})


@pytest.mark.parametrize("seed", range(5))
def test_p_values_are_those_of_scipy(seed):
    generator = np.random.default_rng(seed)
    a, b = generator.uniform(size=(2, 10))
    assert t_test(a, b) == pytest.approx(ttest_rel(a, b).pvalue)

    def mean_difference(x, y, axis):
        return (x - y).mean(axis=axis)

    exact = permutation_test(
        (a, b), mean_difference, permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    assert randomisation_test(a, b) == pytest.approx(exact.pvalue)  # all 1,024 sign patterns
    drawn = randomisation_test(a, b, resamples=1000)
    assert drawn == pytest.approx(exact.pvalue, abs=0.06)


def test_the_interval_is_that_of_scipy():
    a, b = np.random.default_rng(8).uniform(size=(2, 300))
    theirs = bootstrap((a - b,), np.mean, method="percentile", rng=np.random.default_rng(1))
    low, high = bootstrap_interval(a, b)
    interval = theirs.confidence_interval
    assert (low, high) == pytest.approx((interval.low, interval.high), abs=0.003)


def test_effect_size_by_hand():
    assert effect_size([3, 1, 2], [1, 1, 1]) == pytest.approx(1.0)  # differences 2, 0, 1
    assert effect_size([1, 2], [0, 1]) is None  # no variance
    assert effect_size([1, 2], [1, 2]) == 0.0
    assert t_test([1, 2], [1, 2]) == 1.0 and t_test([1], [0]) == 1.0


def test_bonferroni_by_hand():
    assert bonferroni([0.01, 0.4, 0.03]) == pytest.approx([0.03, 1.0, 0.09])


def test_groups_by_hand():
    rr = [parse_measure("RR")]
    pairs = by_language("run", POOR, QRELS, rr, POOL, "pair")
    assert [str(x) for x in pairs] == ["sw→en", "sw→tr", "tr→en", "tr→tr"]
    # Among the English documents the relevant one is second, among the Turkish ones the only one.
    assert pairs[Languages("sw", "en")]["RR"] == {"s.sw": 0.5, "t.sw": 0.5}
    assert pairs[Languages("sw", "tr")]["RR"] == {"s.sw": 1.0, "t.sw": 1.0}
    queries = by_language("run", POOR, QRELS, rr, POOL, "query-language")
    assert queries[Languages("sw")]["RR"] == {"s.sw": 0.5, "t.sw": 0.5}
    documents = by_language("run", POOR, QRELS, rr, POOL, "document-language")
    assert documents[Languages(None, "tr")]["RR"] == dict.fromkeys(QUERIES, 1.0)
    with pytest.raises(UsageError, match="LPR is about documents of several languages"):
        by_language("run", POOR, QRELS, [parse_measure("LPR")], POOL, "pair")


def test_comparison_by_hand():
    found = compare({"good": GOOD, "poor": POOR}, QRELS, "RR", "poor", collection=POOL)
    (row,) = found.rows
    assert (row.value, row.baseline_value, row.difference) == (1.0, 0.5, 0.5)
    assert (row.queries, row.units, row.better, row.worse) == (4, 2, 2, 0)  # two topics
    assert row.p_value == 0.5  # two of the four sign patterns
    assert row.effect is None  # every topic differs by the same amount
    each = compare(
        {"good": GOOD, "poor": POOR}, QRELS, "RR", collection=POOL, settings=Settings(unit="query")
    ).rows[0]
    assert (each.system, each.units, each.difference) == ("poor", 4, -0.5)
    assert each.p_value == 2 / 16  # of translations taken for independent


def test_correction_is_over_the_whole_table():
    settings = Settings(by="pair", correction="bonferroni")
    found = compare(
        {"poor": POOR, "good": GOOD}, QRELS, ["RR", "P@1"], collection=POOL, settings=settings
    )
    assert len(found.rows) == 4 * 2
    assert all(row.p_corrected == min(1, 8 * row.p_value) for row in found.rows)
    assert "Bonferroni over the 8 tests" in found.text()


def test_runs_over_other_queries_are_refused():
    part = {q: hits for q, hits in GOOD.items() if q != "t.tr"}
    runs = {"poor": POOR, "part": part}
    with pytest.raises(UsageError, match=r"part lacks 1 of 4 judged queries \(t.tr\)"):
        compare(runs, QRELS, "RR", collection=POOL)
    queries = Settings(unit="query", missing="intersect")
    (row,) = compare(runs, QRELS, "RR", collection=POOL, settings=queries).rows
    assert (row.value, row.units) == (1.0, 3)
    queries = Settings(unit="query", missing="zero")
    (row,) = compare(runs, QRELS, "RR", collection=POOL, settings=queries).rows
    assert (row.value, row.units) == (0.75, 4)
    with pytest.raises(UsageError, match="none of the 4 judged queries"):
        compare({"poor": POOR, "never": {}}, QRELS, "RR", collection=POOL)


def test_what_no_run_was_asked_is_left_out():
    some = [{q: run[q] for q in ("s.sw", "t.sw")} for run in (GOOD, POOR)]
    found = compare(dict(zip("gp", some, strict=True)), QRELS, "RR", collection=POOL)
    assert (found.rows[0].baseline_value, found.left_out) == (1.0, 2)
    assert "2 judged queries" in found.text()


def test_a_measure_that_is_undefined_for_some():
    lost = {**GOOD, "s.tr": run_of({"s.tr": ["c.tr"]})["s.tr"]}
    found = compare({"good": GOOD, "lost": lost}, QRELS, ["RR", "LPR"], collection=POOL)
    by_measure = {row.measure: row.queries for row in found.rows}
    assert by_measure == {"RR": 4, "LPR": 1}  # no document is in Swahili, and one was not found
    assert "undefined" in found.text()


@pytest.mark.parametrize("wrong", [{"test": "z"}, {"unit": "x"}, {"correction": "x"}])
def test_settings_that_there_are_not(wrong):
    with pytest.raises(UsageError, match="use one of"):
        Settings(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"confidence": float("nan")}, {"confidence": 1.0}, {"resamples": 0}, {"seed": -1}]
)
def test_numbers_of_settings_that_there_are_not(wrong):
    with pytest.raises(UsageError, match="give "):
        Settings(**wrong)


def test_forms():
    found = compare({"p_r": POOR, "good": GOOD}, QRELS, "RR", collection=POOL)
    assert found.markdown().startswith("| measure | run | value |")
    tex = found.latex()
    assert tex.startswith("% against p_r") and r"95 \% interval" in tex and r"\bottomrule" in tex
    data = json.loads(found.json())
    assert data["rows"][0]["difference"] == 0.5 and data["settings"]["test"] == "randomisation"


@pytest.mark.parametrize("name", ["values.tsv", "values.tsv.gz", "values.jsonl"])
def test_values_on_disk(tmp_path, name):
    groups = by_language("run", POOR, QRELS, [parse_measure("nDCG@10")], POOL, "pair")
    write_values(groups, tmp_path / name)
    assert read_values(tmp_path / name) == groups
    (tmp_path / "bad.tsv").write_text("query_language\tvalue\n")
    with pytest.raises(DataError, match="bad.tsv:1: the header"):
        read_values(tmp_path / "bad.tsv")


def test_aggregates_by_hand():
    found = aggregates({"en": 0.9, "sw": 0.3, "tr": 0.6, "fi": float("nan")}, k=2)
    assert (found.languages, found.best, found.worst) == (3, ("en", 0.9), ("sw", 0.3))
    assert found.mean == pytest.approx(0.6) and found.gap == pytest.approx(0.6)
    assert found.std == pytest.approx((0.18 / 3) ** 0.5)
    assert found.worst_k == (2, pytest.approx(0.45))
    with pytest.raises(UsageError, match="no language"):
        aggregates({"fi": float("nan")})


def test_effects_by_hand():
    values = {"en": {"s.en": 0.5, "t.en": 0.9}, "sw": {"s.sw": 0.4, "t.sw": 0.4}}
    assert mother_tongue_effect(values) == {"sw": pytest.approx(-0.3)}
    assert locality_effect({"sw": {"a": 0.4}}, {"sw": {"b": 0.5, "c": 0.9}}) == {
        "sw": pytest.approx(-0.3)
    }
    with pytest.raises(UsageError, match="topics in sw are not those in en"):
        mother_tongue_effect({**values, "sw": {"s.sw": 0.4}})


@pytest.mark.slow
@pytest.mark.parametrize("test", ["randomisation", "t"])
def test_false_alarms_on_shuffled_runs_are_as_frequent_as_promised(test):
    """Two arms that order the same candidates at random: p ≤ .05 in about 5 % of experiments."""
    generator = np.random.default_rng(11)
    candidates = [f"d{i}" for i in range(10)]
    queries = [f"q{i}" for i in range(12_000)]
    qrels = [Judgement(q, d, 1) for q in queries for d in candidates[: 1 + int(q[1:]) % 3]]
    arms = [run_of({q: generator.permutation(candidates).tolist() for q in queries}) for _ in "ab"]
    values = [
        by_language("x", arm, qrels, [parse_measure("AP")])[Languages()]["AP"] for arm in arms
    ]
    a, b = (np.array([row[q] for q in queries]).reshape(400, 30) for row in values)
    tests = {"t": t_test, "randomisation": lambda x, y: randomisation_test(x, y, resamples=999)}
    alarms = np.mean([tests[test](x, y) <= 0.05 for x, y in zip(a, b, strict=True)])
    assert (
        abs(alarms - 0.05) < 3 * (0.05 * 0.95 / 400) ** 0.5
    )  # three standard errors: .017 to .083
