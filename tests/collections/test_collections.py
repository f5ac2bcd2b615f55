import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from polyrank.collections import (
    Collection,
    Document,
    Judgement,
    Query,
    irds,
    jsonl,
    load_collection,
    tsv,
)
from polyrank.errors import DataError, LanguageError, UsageError


def put(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{r if isinstance(r, str) else json.dumps(r)}\n" for r in rows))
    return path


def test_jsonl_field_names_of_the_neighbours(tmp_path):
    path = put(
        tmp_path / "d.jsonl",
        {"_id": "a", "text": "x", "title": "T", "metadata": {}},
        {"id": 7, "contents": "y", "lang": "kir"},
        {"docid": "c", "text": "z", "language": "zh-Hant", "group": "g"},
    )
    assert list(jsonl.iter_documents(path, "eng")) == [
        Document("a", "x", "T", "en"),
        Document("7", "y", "", "ky"),
        Document("c", "z", "", "zh-Hant", "g"),
    ]
    assert Document("a", "x", "T").full_text == "T x"
    assert list(jsonl.iter_queries(put(tmp_path / "q", {"qid": "q", "query": "?"}))) == [
        Query("q", "?")
    ]


@pytest.mark.parametrize(
    "row, reason",
    [
        ({"id": "a", "text": "again"}, "'a' is already on line 1"),
        ({"id": "b"}, "no field 'text' or 'contents'; it has id"),
        ({"text": "b"}, "no field '_id'"),
        ({"id": "b", "text": 3}, "text is a int"),
        ({"id": [], "text": "b"}, "neither text nor an integer"),
        ({"id": "b", "text": "b", "lang": "klingonese"}, "unknown language"),
        ("[]", "JSON list"),
        ('{"id": ', "not JSON"),
    ],
)
def test_malformed_documents(tmp_path, row, reason):
    path = put(tmp_path / "d.jsonl", {"id": "a", "text": "x"}, row)
    with pytest.raises(DataError, match=reason) as caught:
        list(jsonl.iter_documents(path))
    assert caught.value.line == 2


def test_tsv(tmp_path):
    path = put(tmp_path / "d.tsv", "a\tx", "b\tT\ty")
    assert list(tsv.iter_documents(path, "de")) == [
        Document("a", "x", "", "de"),
        Document("b", "y", "T", "de"),
    ]
    assert list(tsv.iter_queries(put(tmp_path / "q.tsv", "1\twas?"))) == [Query("1", "was?")]


@pytest.mark.parametrize(
    "line, reason",
    [("b", "1 columns"), ("a\tb\tc\td", "4 columns"), ("\tx", "empty id"), ("a\ty", "line 1")],
)
def test_malformed_tsv(tmp_path, line, reason):
    with pytest.raises(DataError, match=reason):
        list(tsv.iter_documents(put(tmp_path / "d.tsv", "a\tx", line)))


@pytest.fixture
def beir(tmp_path):
    put(
        tmp_path / "corpus.jsonl",
        {"_id": "d1", "text": "x", "title": ""},
        {"_id": "d2", "text": "y"},
    )
    put(tmp_path / "queries.jsonl", {"_id": "q1", "text": "?"}, {"_id": "train", "text": "!"})
    put(tmp_path / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore", "q1\td2\t1")
    return tmp_path


def test_beir_keeps_the_queries_of_the_split(beir):
    collection = load_collection(str(beir), queries="ky", documents="en")
    assert list(collection.queries.values()) == [Query("q1", "?", "ky")]
    assert collection.documents["d2"] == Document("d2", "y", "", "en")
    assert collection.qrels == [Judgement("q1", "d2", 1)]


def test_beir_errors_name_the_file(beir):
    with pytest.raises(DataError, match="no qrels/dev.tsv.*it has test.tsv"):
        load_collection(str(beir), split="dev")
    put(beir / "qrels" / "test.tsv", "q1\td9\t1")
    with pytest.raises(DataError, match="document d9 is not in corpus"):
        load_collection(str(beir))
    put(beir / "qrels" / "test.tsv", "q9\td1\t1")
    with pytest.raises(DataError, match="query q9 is not in queries"):
        load_collection(str(beir))


def test_bundled_pair():
    collection = load_collection("xquad", queries="tur", documents="zh-CN", limit=5)
    assert repr(collection) == (
        "Collection('xquad': 240 documents [zh 240], 5 queries [tr 5], 5 judgements, CC BY-SA 4.0)"
    )
    assert {d.group for d in collection.documents.values()} == set(collection.documents)


def test_bundled_in_all_languages_judges_every_translation():
    collection = load_collection("xquad", queries="en", limit=1)
    (query,) = collection.queries
    assert len(collection.documents) == 6 * 240
    assert {j.query_id for j in collection.qrels} == {query}
    assert {collection.documents[j.document_id].language for j in collection.qrels} == {
        "de", "en", "es", "ru", "tr", "zh",
    }  # fmt: skip
    assert len({collection.documents[j.document_id].group for j in collection.qrels}) == 1


@pytest.mark.parametrize(
    "arguments, error, reason",
    [
        (("xquad", "fr", "en"), UsageError, "exists in de, en, es, ru, tr, zh"),
        (("xquad", "klingonese", "en"), LanguageError, "unknown language"),
        (("msmarco",), UsageError, "xquad, ntrex, the path of a BEIR folder, or irds:"),
        (("xquad", "en", "en", "test", 0), UsageError, "limit is 0"),
    ],
)
def test_load_refuses_and_says_what_exists(arguments, error, reason):
    with pytest.raises(error, match=reason):
        load_collection(*arguments)


def test_irds_without_the_package_says_how_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(UsageError, match=r"pip install 'polyrank\[ir-datasets\]'"):
        load_collection("irds:vaswani")


class FakeDataset:
    """The interface of ir_datasets that polyrank uses."""

    has_docs = has_queries = has_qrels = staticmethod(lambda: True)
    docs_lang, queries_lang = staticmethod(lambda: "fa"), staticmethod(lambda: None)

    def docs_iter(self):
        yield SimpleNamespace(doc_id="d1", title="T", text="x")
        yield SimpleNamespace(doc_id="d2", default_text=lambda: "whole")

    def queries_iter(self):
        for i in "12":
            yield SimpleNamespace(query_id=i, default_text=lambda: "?")

    def qrels_iter(self):
        for i in "12":
            yield SimpleNamespace(query_id=i, doc_id="d1", relevance=1)


def test_irds_records(monkeypatch):
    monkeypatch.setitem(sys.modules, "ir_datasets", SimpleNamespace(load=lambda _: FakeDataset()))
    assert irds.read_irds("x", queries="eng", limit=1) == Collection(
        "irds:x",
        {"d1": Document("d1", "x", "T", "fa"), "d2": Document("d2", "whole", "", "fa")},
        {"1": Query("1", "?", "en")},
        [Judgement("1", "d1", 1)],
    )


def test_importing_is_light():
    code = (
        "import polyrank.collections, polyrank.evaluation, polyrank.languages, sys;"
        "import polyrank.index.lexical, polyrank.identification;"
        "heavy = {'torch', 'transformers', 'ir_measures', 'bm25s', 'datasets', 'fasttext'};"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
