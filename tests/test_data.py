"""The bundled collections are whole, parallel, and carry their licence."""

import gzip
from importlib import resources
from pathlib import Path

import pytest
from polyrank.data.build import build_collections

from polyrank.collections import load_collection
from polyrank.collections.bundled import BUNDLED, bundled_languages
from polyrank.languages import normalise, script

DATA = resources.files("polyrank.data")
SIZES = {"xquad": (240, 1190), "ntrex": (123, 123)}


@pytest.mark.parametrize("name", BUNDLED)
def test_every_language_is_parallel(name):
    english = load_collection(name, "en", "en")
    assert (len(english.documents), len(english.queries)) == SIZES[name]
    assert {j.document_id for j in english.qrels} <= set(english.documents)
    assert {j.query_id for j in english.qrels} == set(english.queries)
    for tag in bundled_languages(name):
        other = load_collection(name, tag, tag)
        assert normalise(tag) == tag
        assert set(other.documents) == set(english.documents)
        assert set(other.queries) == set(english.queries)
        assert all(d.text.strip() and "\ufeff" not in d.text for d in other.documents.values())


def test_languages():
    assert bundled_languages("xquad") == ["de", "en", "es", "ru", "tr", "zh"]
    assert {"de", "en", "fi", "ru", "tr", "zh", "sw", "ky", "ug"} <= set(bundled_languages("ntrex"))


@pytest.mark.parametrize("tag, written", [("ky", "Cyrl"), ("ug", "Arab"), ("zh", "Hani")])
def test_a_language_is_what_it_says(tag, written):
    documents = load_collection("ntrex", tag, tag).documents.values()
    assert {script(d.text) for d in documents} == {written}


@pytest.mark.parametrize("name", BUNDLED)
def test_licence_stands_beside_the_files(name):
    assert "CC BY-SA 4.0" in (DATA / name / "LICENSE").read_text()


def test_size():
    files = [p for p in Path(str(DATA)).rglob("*") if p.is_file() and p.suffix != ".pyc"]
    assert sum(p.stat().st_size for p in files) < 8e6


def test_build_is_deterministic_and_knows_headlines(tmp_path, monkeypatch):
    monkeypatch.setattr("polyrank.data.build.NTREX", ("kir zho-CN",))
    monkeypatch.setattr("polyrank.data.build.XQUAD", ())
    source = tmp_path / "source"
    (source / "ntrex").mkdir(parents=True)
    (source / "xquad").mkdir()
    (source / "xquad" / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n")
    for code in ("kir", "zho-CN"):
        rows = "d1\t0\tA\nd1\t1\tB\nd1\t2\tC\nd2\t0\tD\nd2\t1\tE\n"
        (source / "ntrex" / f"{code}.tsv.gz").write_bytes(gzip.compress(rows.encode()))
    for name in ("one", "two"):
        build_collections(source, tmp_path / name)
    built = tmp_path / "one" / "ntrex"
    assert gzip.decompress((built / "corpus.ky.jsonl.gz").read_bytes()).decode() == (
        '{"_id": "d1", "text": "B C"}\n{"_id": "d2", "text": "E"}\n'
    )
    assert b'"BC"' in gzip.decompress((built / "corpus.zh.jsonl.gz").read_bytes())
    assert b'"text": "A"' in gzip.decompress((built / "queries.ky.jsonl.gz").read_bytes())
    for path in built.iterdir():
        assert path.read_bytes() == (tmp_path / "two" / "ntrex" / path.name).read_bytes()
