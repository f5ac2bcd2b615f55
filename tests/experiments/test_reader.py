"""What an experiment's file may say, and that everything else is refused with its line."""

from pathlib import Path

import pytest

from polyrank.errors import DataError
from polyrank.experiments.reader import read_specification
from polyrank.experiments.specification import Interpolation

HEAD = """\
title: T
collections:
  c: {source: ntrex, pairs: [[tr, en], [en, "no"], [tr, tr]]}
systems:
  BM25: {search: bm25}
"""
SHIPPED = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))


def test_a_small_file(written):
    found = read_specification(written(HEAD))
    assert [(t.queries, t.documents) for t in found.tasks()] == [
        ("tr", "en"), ("en", "no"), ("tr", "tr"),
    ]  # fmt: skip
    assert found.measures == ("nDCG@10", "AP", "RR") and found.seed == 13
    assert [group.name for group in found.groups] == ["c"]
    assert found.collections[0].parallel  # as ntrex is


def test_an_unquoted_no_is_a_language(written):
    found = read_specification(written(HEAD.replace('"no"', "no")))
    assert found.tasks()[1].documents == "no"


def test_lists_are_multiplied_out(written):
    text = HEAD + (
        '  "a {routing} {depth} {weight}":\n'
        "    {rerank: adapter, over: BM25, routing: [none, split], depth: [5, 10],\n"
        "     interpolate: {weight: [0.25, 1], normalise: z-score}}\n"
    )
    systems = read_specification(written(text)).systems[1:]
    assert len(systems) == 8
    assert systems[1].name == "a none 5 1"
    assert systems[1].interpolate == Interpolation(1.0, "z-score")
    assert {s.family for s in systems} == {"a {routing} {depth} {weight}"}


def test_defaults_reach_where_they_fit(written):
    text = HEAD.replace("collections:", "defaults: {max_length: 99, over: BM25}\ncollections:")
    systems = read_specification(written(text + "  a: {rerank: mask}\n  d: {search: dense}\n"))
    assert [s.max_length for s in systems.systems] == [256, 99, 99]
    assert systems.systems[1].routing == "document"  # the usual one of masks


def test_late_interaction_may_rerank_under_the_query_language(written):
    """As `LateInteraction` may; only an index cannot, since it is made before anyone asks."""
    text = HEAD + "  a: {rerank: late, over: BM25, routing: query}\n"
    assert read_specification(written(text)).systems[1].routing == "query"


def test_groups_take_pairs_by_their_languages(written):
    text = HEAD + (
        "groups:\n  to en: {documents: [en]}\n  with tr: {languages: [tr]}\n"
        "  without tr: {without: tr}\n"
    )
    found = read_specification(written(text))
    inside = {g.name: [t.pair for t in found.tasks() if t in g] for g in found.groups}
    assert inside == {
        "to en": ["tr→en"],
        "with tr": ["tr→en", "tr→tr"],
        "without tr": ["en→no"],
    }


A = "  a: {rerank: adapter, over: BM25}\n"
WRONG = [
    ("a typo", "titel: T\n" + HEAD, 1, "did you mean 'title'"),
    ("twice", HEAD + "  BM25: {search: bm25}\n", 6, "stands on line 5 too"),
    ("no YAML", HEAD + "  x: [\n", None, "no YAML"),
    ("a type", HEAD + "cut: ten\n", 6, "whole number"),
    ("true is not a number", HEAD + "cut: true\n", 6, "whole number"),
    ("a language", HEAD.replace("[tr, tr]", "[tr, xx-!]"), 3, "xx-!"),
    ("a measure", HEAD + "measures: [nDCG@x]\n", 6, "unknown measure"),
    ("mask in split", HEAD + "  a: {rerank: mask, over: BM25, routing: split}\n", 6, "split"),
    ("adapter in both", HEAD + "  a: {rerank: adapter, over: BM25, routing: both}\n", 6, "both"),
    ("late in query", HEAD + "  a: {search: late, routing: query}\n", 6, "before anyone asks"),
    ("late in both", HEAD + "  a: {search: late, routing: both}\n", 6, "one by one"),
    ("both late", HEAD + "  a: {rerank: late, over: BM25, routing: both}\n", 6, "one by one"),
    ("modular routed", HEAD + "  a: {search: modular, routing: split}\n", 6, "takes no 'routing'"),
    ("dense kind", HEAD + "  a: {search: dense, language_kind: mask}\n", 6, "'language_kind'"),
    ("full modules", HEAD + "  a: {search: modular, language_kind: full}\n", 6, "adapter, mask"),
    ("BM25 routed", HEAD + "  a: {search: bm25, routing: split}\n", 6, "takes no 'routing'"),
    ("nothing to rerank", HEAD + "  a: {rerank: adapter}\n", 6, "needs 'over'"),
    ("over what comes later", HEAD.replace("  BM25", A + "  BM25"), 5, "not a system above it"),
    ("both", HEAD + "  a: {search: bm25, rerank: mask}\n", 6, "one of 'search' and 'rerank'"),
    ("too deep", HEAD + "  a: {rerank: mask, over: BM25, depth: 101}\n", 6, "search_depth"),
    ("one name", HEAD + "  a: {rerank: mask, over: BM25, depth: [1, 2]}\n", 6, "{depth}"),
    ("one file name", HEAD + A + "  A: {search: dense}\n", 7, "names of files"),
    ("a weight", HEAD + "  a: {rerank: mask, over: BM25, interpolate: 1.5}\n", 6, "0 to 1"),
    ("undeveloped", HEAD + "  a: {rerank: mask, over: BM25, interpolate: chosen}\n", 6, "chosen"),
    ("an unknown name", HEAD + A + "compare: [{system: b, against: BM25}]\n", 7, "name 'b'"),
    ("itself", HEAD + "compare: [{system: BM25, against: BM25}]\n", 6, "itself"),
    ("an empty group", HEAD + "groups:\n  g: {languages: [fi]}\n", 7, "no pair"),
    ("a date", HEAD + "about: !!python/name:os.system x\n", 6, "tag"),
    (
        "a tested collection",
        HEAD + "development: {source: ntrex, pairs: [[fi, en]]}\n",
        6,
        "nothing may be chosen on it",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "reason"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG]
)
def test_what_is_wrong_is_named_with_its_line(text, line, reason, written):
    path = written(text)
    with pytest.raises(DataError) as caught:
        read_specification(path)
    assert reason in str(caught.value)
    assert caught.value.line == line or line is None
    assert str(path) in str(caught.value)


def test_an_empty_file(written):
    with pytest.raises(DataError, match="empty"):
        read_specification(written(""))


def test_an_alias_inside_itself(written):
    with pytest.raises(DataError, match="contains itself"):
        read_specification(written("title: &a [*a]\n"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_is_read_and_planned_without_data(
    path, default_zoo, tmp_path, monkeypatch, polyrank
):
    monkeypatch.chdir(tmp_path)  # so that no run or collection of this machine is found
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path))
    result = polyrank("experiment", path, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert "comparisons:" in result.stdout
    if path.stem == "bundled":
        assert "0 finished" in result.stdout
    elif path.stem == "translation":
        assert "nothing is missing" in result.stdout
    else:
        advice = "make llm-model" if path.stem == "llm" else "polyrank train ranking"
        assert "missing:\n" in result.stdout and advice in result.stdout
    assert not list(tmp_path.iterdir())  # a dry run writes nothing


def test_these_are_shipped():
    names = {path.stem for path in SHIPPED}
    assert names == {"bistil", "bundled", "colbert-xm", "litschko-2022", "llm", "translation"}
