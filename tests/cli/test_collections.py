"""polyrank collections, and evaluate by a collection's name."""

import json

import pytest

from polyrank.collections import load_collection, write_run
from polyrank.collections.bundled import BUNDLED, bundled_languages, query_languages
from polyrank.collections.bundled_cards import BUNDLED_CARDS
from polyrank.collections.catalogue import collection_card
from polyrank.collections.irds_cards import MIRACL, MMARCO, MR_TYDI, NEUCLIR
from polyrank.collections.records import ScoredDocument
from polyrank.errors import UsageError
from polyrank.languages.tags import normalise


@pytest.fixture
def run(polyrank):
    """run("verb", ...) -> what it wrote to stdout, after it succeeded."""

    def succeeds(*arguments):
        result = polyrank(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    return succeeds


def test_list_by_language_and_source(run):
    rows = json.loads(run("collections", "list", "--language", "kir", "--json"))
    assert {row["name"] for row in rows} == {"ntrex", "flores", "sib200"}
    text = run("collections", "list", "--source", "irds")
    assert "irds:hc4/fa/test\tirds\ten\tfa\t50 queries, 486,486 documents" in text
    assert "xquad" not in text


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_card_says_what_the_files_say(run, name):
    row = json.loads(run("collections", "info", name, "--json"))
    assert row["documents"] == bundled_languages(name)
    assert sorted(row["queries"]) == query_languages(name)
    counted = (row["counted"]["queries"], row["counted"]["documents"])
    assert counted == tuple(row["sizes"])
    assert row["download"] == 0 and "CC BY" in row["licence"]


def test_examples_of_bundled_cards_run(run, tmp_path):
    for card in BUNDLED_CARDS:
        words = card.example.split()[1:]
        run(*words, "--output", str(tmp_path / f"{card.name}.trec"))


def test_info_of_what_must_be_fetched_fetches_nothing(run, polyrank):
    text = run("collections", "info", "irds:miracl/sw/dev")
    assert "10.7 MB" in text and "Apache-2.0" in text and "--collection irds:miracl/sw/dev" in text
    with pytest.raises(UsageError, match="no collection is named 'xqad'. Similar names: xquad"):
        collection_card("xqad")
    assert polyrank("collections", "info", "xqad").exit_code == 2


def test_figures_are_those_of_ir_datasets():
    import importlib.util
    from pathlib import Path

    spec = importlib.util.find_spec("ir_datasets")
    if spec is None:
        pytest.skip("ir_datasets is not installed")
    etc = Path(spec.origin).parent / "etc"
    files = json.loads((etc / "downloads.json").read_text())
    counts = json.loads((etc / "metadata.json").read_text())

    def size(family, *starts):
        return sum(
            one["size_hint"] for name, one in files[family].items() if name.startswith(starts)
        )

    for tag, row in MIRACL.items():
        there = counts[f"miracl/{tag}"]["docs"]["count"]
        asked = counts[f"miracl/{tag}/dev"]["queries"]["count"]
        assert row == (there, asked, size("miracl", f"v1.0/{tag}/corpus/", f"v1.0/{tag}/dev/"))
    for tag, row in MR_TYDI.items():
        there, asked = counts[f"mr-tydi/{tag}"], counts[f"mr-tydi/{tag}/test"]
        assert row[:2] == (there["docs"]["count"], asked["queries"]["count"])
        assert row[2] == size("mr-tydi", tag)
    for code, bytes_ in MMARCO.items():
        parts = (f"v2/{code}/docs", f"v2/{code}/queries/dev", "dev/qrels-small")
        assert bytes_ == size("mmarco", *parts)
    for tag, row in NEUCLIR.items():
        assert row[0] == counts[f"hc4/{tag}"]["docs"]["count"]
        assert row[4] == counts[f"neuclir/1/{tag}"]["docs"]["count"]
        assert row[5] == size("neuclir", f"1/{tag}/docs")
        for year, place in (("2022", 2), ("2023", 3)):
            assert row[place] == counts[f"neuclir/1/{tag}/trec-{year}"]["queries"]["count"]


@pytest.mark.parametrize("documents", ["en", None])
def test_evaluate_by_name_as_the_run_was_made(run, tmp_path, documents):
    held = load_collection("xquad", "tr", documents)
    write_run([ScoredDocument(j.query_id, j.document_id, 1.0) for j in held.qrels], tmp_path / "r")
    languages = ["--query-language", "tr"] + (["--document-language", "en"] if documents else [])
    text = run(
        "evaluate", str(tmp_path / "r"), "--collection", "xquad", *languages,
        "--measures", "AP", "--json",
    )  # fmt: skip
    assert "1.0" in text and '"AP"' in text


def test_every_card_has_normal_tags():
    for card in BUNDLED_CARDS:
        assert all(normalise(tag) == tag for tag in (*card.queries, *card.documents))


def test_search_takes_the_queries_of_a_split(run, polyrank, tmp_path):
    languages = ("--query-language", "ha", "--document-language", "en")
    search = ("search", "--collection", "afriqa", *languages, "--first-stage", "bm25")
    run(*search, "--no-rerank", "--depth", "1", "--split", "dev", "--output", str(tmp_path / "r"))
    found = {line.split()[0] for line in (tmp_path / "r").read_text().splitlines()}
    assert found and found <= set(load_collection("afriqa", "ha", "en", split="dev").queries)
    refused = polyrank(*search, "--no-rerank", "--split", "test")
    assert refused.exit_code == 2
    with pytest.raises(UsageError, match="takes no split 'dev'"):
        load_collection("irds:miracl/sw/dev", split="dev")
