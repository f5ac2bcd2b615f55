"""polyrank index, and polyrank search over an index."""

import json
import os

import pytest

from ..late_interaction.conftest import late_masks, late_zoo, xmod_zoo  # noqa: F401


@pytest.fixture
def built(tiny, late_zoo, source, files, polyrank):  # noqa: F811
    """The folder of an index of the files' documents."""
    folder = files / "index"
    result = polyrank(
        *("index", "build", folder, "--documents", files / "documents.tsv", *tiny),
        *("--document-language", "en", "--ranking", "li", "--codec", "residual-4", "--json"),
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["documents"] == 6
    return folder


def test_from_build_to_compact(built, files, polyrank):
    more = files / "more.jsonl"
    more.write_text('{"_id": "k", "text": "iron birds", "language": "ky"}\n')
    added = polyrank("index", "add", built, "--documents", more)
    assert added.exit_code == 0 and "generation 2" in added.stderr
    deleted = polyrank("index", "delete", built, "d0", "--languages", "kir", "--json")
    assert json.loads(deleted.stdout)["deleted"] == 2
    compacted = polyrank("index", "compact", built)
    assert "generation 4" in compacted.stderr
    found = json.loads(polyrank("index", "info", built, "--json").stdout)
    assert (found["documents"], found["deleted"], found["segments"]) == (5, 0, 1)
    assert found["languages"] == {"en": 5} and found["codec"] == "residual-4"
    plain = polyrank("index", "info", built).stdout
    assert "generation\t4\n" in plain and "languages\ten 5\n" in plain
    assert "all as the manifest says" in polyrank("index", "verify", built).stdout


def test_what_is_replaced_cut_and_empty_is_told(built, tiny, files, polyrank):
    same = ("--documents", files / "documents.tsv", "--document-language", "en")
    replaced = polyrank("index", "add", built, *same, "--duplicates", "replace")
    assert "added 6 documents, 6 of them in place of older ones" in replaced.stderr
    short = ("--ranking", "li", "--document-length", "8")
    cut = polyrank("index", "build", files / "short", *same, *tiny, *short)
    assert "split long documents into passages" in cut.stderr
    (files / "empty.tsv").write_text("q1\t\nq2\triver\n")
    asked = ("--queries", files / "empty.tsv", "--query-language", "en", "--no-rerank", "--json")
    searched = polyrank("search", "--index", built, *asked)
    assert "1 queries have no text (the first: 'q1')" in searched.stderr


def test_search_over_an_index(built, files, polyrank):
    queries = ("--queries", files / "queries.jsonl", "--no-rerank", "--json")
    result = polyrank("search", "--index", built, *queries, "--top", "2", "--limit", "3")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["query_id"] for row in rows] == ["q0", "q1", "q2"]
    assert all(len(row["hits"]) == 2 and row["hits"][0]["text"] for row in rows)
    pruned = polyrank(
        *("search", "--index", built, *queries, "--probe", "999", "--top", "2", "--limit", "3")
    )
    ids = [[hit["document_id"] for hit in row["hits"]] for row in rows]
    again = [json.loads(line)["hits"] for line in pruned.stdout.splitlines()]
    assert [[hit["document_id"] for hit in hits] for hits in again] == ids
    nothing = polyrank("search", "--index", built, *queries, "--languages", "ky", "--limit", "1")
    assert json.loads(nothing.stdout)["hits"] == []
    assert "the index has documents in: en 6" in nothing.stderr


def test_masks_and_routings(tiny, late_zoo, late_masks, files, polyrank, monkeypatch):  # noqa: F811
    monkeypatch.setenv("POLYRANK_ZOO", os.pathsep.join([str(late_zoo), str(late_masks)]))
    (files / "mixed.jsonl").write_text(
        '{"_id": "k", "text": "iron birds", "language": "ky"}\n'
        '{"_id": "e", "text": "old stone", "language": "en"}\n'
    )
    made = ("--documents", files / "mixed.jsonl", *tiny, "--ranking", "li")
    scores = {}
    for name, options in {
        "mask": ("--kind", "mask"),
        "mask over adapters": ("--kind", "mask", "--language-kind", "adapter"),
        "document": ("--routing", "document"),
        "none": ("--kind", "mask", "--routing", "none"),
    }.items():
        built = polyrank("index", "build", files / name, *made, *options)
        assert built.exit_code == 0, built.stderr
        assert ("2 times, once per language" in built.stderr) == (name == "document")
        found = polyrank(
            *("search", "--index", files / name, "--query", "old iron", "--query-language", "tr"),
            *("--no-rerank", "--json"),
        )
        assert found.exit_code == 0, found.stderr
        hits = json.loads(found.stdout)["hits"]
        scores[name] = {hit["document_id"]: hit["score"] for hit in hits}
        assert set(scores[name]) == {"e", "k"}
    assert len({tuple(sorted(found.items())) for found in scores.values()}) == 4
    info = polyrank("index", "info", files / "mask over adapters").stdout
    assert "kind\tmask\nlanguage_kind\tadapter\nrouting\tsplit\n" in info
    for routing, message in (
        ("query", "before anyone asks"),
        ("both", "means nothing there"),
    ):
        refused = polyrank("index", "build", files / "no", *made, "--routing", routing)
        assert refused.exit_code == 2 and message in refused.stderr


def test_what_a_query_costs_counts_the_languages_that_were_identified(
    tiny,
    late_zoo,  # noqa: F811
    files,
    polyrank,
    monkeypatch,
):
    """The records name none, or one of the two."""
    monkeypatch.setenv("POLYRANK_ZOO", str(late_zoo))
    english = '{"_id": "e", "text": "The old stone bridge stands over the river near the town."}\n'
    turkish = '{"_id": "t", "text": "Eski taş köprü şehrin yakınındaki nehrin üzerinde durur."}\n'
    made = (*tiny, "--ranking", "li", "--routing", "document", "--fallback", "none")
    (files / "both.jsonl").write_text(english + turkish)
    built = polyrank("index", "build", files / "both", "--documents", files / "both.jsonl", *made)
    assert built.exit_code == 0, built.stderr
    assert "encodes each query 2 times, once per language" in built.stderr
    assert "(en, tr)" in built.stderr

    named = english.replace('"e"', '"n"').replace("}", ', "language": "en"}')
    (files / "same.jsonl").write_text(english + named)  # one record says en, the other nothing
    (files / "other.jsonl").write_text(turkish)
    built = polyrank("index", "build", files / "one", "--documents", files / "same.jsonl", *made)
    assert built.exit_code == 0 and "each query" not in built.stderr
    added = polyrank("index", "add", files / "one", "--documents", files / "other.jsonl")
    assert "encodes each query 2 times" in added.stderr


def test_an_xmod_is_given_no_kind_of_language_modules(tiny_xmod, xmod_zoo, files, polyrank):  # noqa: F811
    refused = polyrank(
        *("index", "build", files / "index", "--documents", files / "documents.tsv"),
        *("--base", tiny_xmod, "--kind", "full", "--language-kind", "adapter"),
        *("--ranking", xmod_zoo / "tiny-xmod" / "ranking" / "full" / "li"),
    )
    assert refused.exit_code == 2 and "would be ignored.\nLeave it out" in refused.stderr


def test_one_query_reranked(built, tiny, polyrank):
    result = polyrank(
        *("search", "--index", built, *tiny, "--query", "old iron", "--query-language", "tr"),
        *("--depth", "3", "--json"),
    )
    assert result.exit_code == 0, result.stderr
    assert len(json.loads(result.stdout)["hits"]) == 3


def test_fidelity_and_export(built, files, polyrank):
    result = polyrank(
        *("index", "fidelity", built, "--queries", files / "queries.jsonl", "--depths", "1,6")
    )
    lines = result.stdout.splitlines()
    assert lines[0].split("\t") == ["group", "queries", "recall@1", "recall@6"]
    assert lines[1].split("\t")[::3] == ["all", "1.0000"]  # 6 of 6 documents
    exported = polyrank("index", "export", built, "--output", files / "out")
    assert exported.exit_code == 0 and "6 documents" in exported.stderr
    assert (files / "out" / "fast_plaid_index" / "metadata.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["index", "info", "nothing"], "no index found in 'nothing'"),
        (["index", "delete", "INDEX"], "name documents to delete"),
        (["index", "delete", "INDEX", "nobody"], "has no document 'nobody'"),
        (["index", "build", "INDEX", "--collection", "ntrex", "--languages", "yo"], "yo"),
        (["index", "build", "INDEX"], "give one of --collection, --documents"),
        (["search", "--languages", "ky"], "--languages goes with --index"),
        (["search", "--index", "INDEX", "--first-stage", "bm25"], "--index says that already"),
        (["search", "--index", "INDEX"], "give one of --query, --queries, --collection"),
        (["index", "fidelity", "INDEX", "--collection", "ntrex", "--depths", "a"], "--depths"),
    ],
)
def test_mistakes(arguments, message, built, polyrank):
    result = polyrank(*(built if word == "INDEX" else word for word in arguments))
    assert result.exit_code == 2 and message in result.stderr


def test_damage_is_reported_and_fails(built, polyrank):
    path = next(built.rglob("residuals.npy"))
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    result = polyrank("index", "verify", built)
    assert result.exit_code == 2 and "residuals.npy: its sha256" in result.stderr
