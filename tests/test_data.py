"""The bundled collections are whole, parallel, and carry their licence."""

import gzip
from importlib import resources
from pathlib import Path

import pytest
from polyrank.data.build import build_collections

from polyrank.collections import load_collection
from polyrank.collections.bundled import LAYOUTS, bundled_languages, read_bundled
from polyrank.errors import UsageError
from polyrank.languages.tags import normalise, script

DATA = resources.files("polyrank.data")
SIZES = {"xquad": (240, 1190), "ntrex": (123, 123), "flores": (1004, 1004), "sib200": (800, 204)}
FOLDERS = sorted({layout.folder for layout in LAYOUTS.values()})


@pytest.mark.parametrize("name", SIZES)
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


@pytest.mark.parametrize("name", FOLDERS)
def test_licence_stands_beside_the_files(name):
    assert "CC BY-SA 4.0" in (DATA / name / "LICENSE").read_text()


def test_size():
    files = [p for p in Path(str(DATA)).rglob("*") if p.is_file() and p.suffix != ".pyc"]
    assert sum(p.stat().st_size for p in files) < 10e6


def test_build_is_deterministic_and_knows_headlines(tmp_path, monkeypatch):
    monkeypatch.setattr("polyrank.data.build.NTREX", ("kir zho-CN",))
    monkeypatch.setattr("polyrank.data.build.XQUAD", ())
    monkeypatch.setattr("polyrank.data.build.FLORES", ("kir",))
    source = tmp_path / "source"
    (source / "ntrex").mkdir(parents=True)
    (source / "xquad").mkdir()
    flores, afriqa = source / "eval" / "sib200_flores", source / "eval" / "afriqa"
    flores.mkdir(parents=True)
    afriqa.mkdir()
    (flores / "kir_Cyrl.tsv.gz").write_bytes(gzip.compress("7\tАлма\n".encode()))
    (flores / "index.tsv").write_text("index_id\tsib_split\ttopic\n7\ttest\thealth\n")
    for tag in ("en", "fr"):
        row = f'{{"_id": "p{tag}", "title": "T", "text": "x", "lang": "{tag}"}}\n'
        (afriqa / f"passages.{tag}.jsonl.gz").write_bytes(gzip.compress(row.encode()))
    row = (
        '{"_id": "afriqa-bem-dev-0", "lang": "bem", "split": "dev", "pivot": "en", '
        '"question": "Q", "question_pivot": "E", "passage_id": "pen"}\n'
    )
    (afriqa / "queries.traindev.jsonl.gz").write_bytes(gzip.compress(row.encode()))
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
    other = tmp_path / "one" / "afriqa"
    assert gzip.decompress((other / "queries.en.jsonl.gz").read_bytes()).decode() == (
        '{"_id": "afriqa-bem-dev-0", "text": "E"}\n'
    )
    assert (other / "qrels.tsv").read_text().endswith("afriqa-bem-dev-0\tpen\t1\n")
    assert (tmp_path / "one" / "flores" / "topics.tsv").read_text().endswith("fl7\ttest\thealth\n")


def test_sib200_judges_by_topic():
    held = read_bundled("sib200", "ky", "en", limit=1)
    (query_id,) = held.queries
    topics = dict(
        line.split("\t")[::2] for line in (DATA / "flores/topics.tsv").read_text().split("\n")[1:-1]
    )
    assert {j.document_id for j in held.qrels} == {
        i for i in held.documents if topics[i] == topics[query_id]
    }
    with pytest.raises(UsageError, match="21 million"):
        read_bundled("sib200", None, None)


def test_afriqa_asks_only_for_what_it_holds():
    french = read_bundled("afriqa", None, "fr")
    assert {q.language for q in french.queries.values()} == {"fon"}
    assert {j.document_id for j in french.qrels} <= set(french.documents)
    dev = read_bundled("afriqa", "ha", "en", split="dev")
    assert len(dev.queries) == 222 and len(read_bundled("afriqa", "ha", "en").queries) == 445
    english = read_bundled("afriqa", "en", "en")  # translated questions keep their ids
    assert set(dev.queries) <= set(english.queries)
    with pytest.raises(UsageError, match="no query in fon whose document is in en"):
        read_bundled("afriqa", "fon", "en")
    with pytest.raises(UsageError, match="no split 'test'; it has train, dev"):
        read_bundled("afriqa", "ha", "en", split="test")
