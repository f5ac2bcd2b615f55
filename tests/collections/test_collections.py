import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest

from polyrank.collections import (
    Document,
    Judgement,
    Query,
    ScoredDocument,
    jsonl,
    load_collection,
    load_judgements,
    tsv,
)
from polyrank.errors import DataError, LanguageError, UsageError
from polyrank.runs.rerank import rerank_stream


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
        ({"id": "b", "text": None}, "the field 'text' is null"),
        ({"id": "", "text": "b"}, "the id '' is empty"),
        ('{"id": "b", "text": "cut \\ud83d"}', "ud83d is half a surrogate pair"),
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


@pytest.mark.parametrize("header", ["id\ttext", "docid\ttitle\tcontents", "pid\tpassage"])
def test_a_header_is_no_text(tmp_path, header):
    path = put(tmp_path / "d.tsv", header, "a\tx" if header.count("\t") == 1 else "a\tT\tx")
    (found,) = tsv.iter_documents(path)
    assert found == Document("a", "x", "T" if header.count("\t") == 2 else "")


def test_a_header_names_the_columns(tmp_path):
    """MS MARCO's `pid passage`, and anserini's `id text title`, whose title is last."""
    (found,) = tsv.iter_documents(put(tmp_path / "d.tsv", "id\ttext\ttitle", "a\tx\tT"))
    assert found == Document("a", "x", "T")
    (asked,) = tsv.iter_queries(put(tmp_path / "q.tsv", "qid\tquery", "7\tid text"))
    assert asked == Query("7", "id text")
    with pytest.raises(DataError, match="a header without lines"):
        list(tsv.iter_documents(put(tmp_path / "e.tsv", "id\ttext")))


@pytest.mark.parametrize("text", ["id,text", "Habari za leo"])
def test_a_file_of_another_form_is_told_which_are_read(tmp_path, text):
    with pytest.raises(DataError, match=r":1: not JSON; an object on each line.*\.tsv"):
        list(jsonl.iter_documents(put(tmp_path / "d.csv", text)))


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
    with pytest.raises(
        DataError,
        match="the first: d9.*--missing-judged skip",
    ):
        load_collection(str(beir))
    left = load_collection(str(beir), missing_judged="skip")
    assert not left.qrels and "1 judgements of documents" in left.notes[0]
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
        (("msmarco",), UsageError, "afriqa, irds:ID, .*clef:FOLDER, .*a BEIR folder"),
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


@pytest.fixture
def local(tmp_path, monkeypatch):
    """Two documents and two queries under an id of ir_datasets, made by its own functions."""
    ir_datasets = pytest.importorskip("ir_datasets")
    docs = put(tmp_path / "docs.tsv", "d1\tsu", "d2\tateş")
    queries = put(tmp_path / "queries.tsv", "1\twater", "2\tfire")
    qrels = put(tmp_path / "qrels", "1 0 d1 1", "2 0 d2 2")
    dataset = ir_datasets.create_dataset(docs, queries, qrels)
    monkeypatch.setattr(ir_datasets.registry, "_registered", {**ir_datasets.registry._registered})
    ir_datasets.registry.register("made-up/tr/test", dataset)
    return dataset


def test_irds_of_local_files(local, capsys):
    held = load_collection("irds:made-up/tr/test", queries="eng", documents="tr", limit=1)
    assert held.queries == {"1": Query("1", "water", "en")}
    assert held.qrels == load_judgements("irds:made-up/tr/test")[:1] == [Judgement("1", "d1", 1)]
    assert dict(held.documents) == {"d1": Document("d1", "su", "", "tr"),
                                    "d2": Document("d2", "ateş", "", "tr")}  # fmt: skip
    assert "d3" not in held.documents and "a" not in held.documents and len(held.documents) == 2
    assert "size not known, licence:" in capsys.readouterr().err


def test_irds_never_goes_through_all_documents(monkeypatch):
    class Fake:
        """ir_datasets' interface, over documents too many to iterate."""

        has_docs = has_queries = has_qrels = staticmethod(lambda: True)
        docs_lang, queries_lang = staticmethod(lambda: "fa"), staticmethod(lambda: "en")
        docs_count = staticmethod(lambda: 10**9)
        queries_iter = staticmethod(lambda: iter([SimpleNamespace(
            query_id="1", title="T", description="D", ht_title="ف", ht_description="ا",
            translation_lang="fa", default_text=lambda: "T")]))  # fmt: skip
        qrels_iter = staticmethod(
            lambda: iter([SimpleNamespace(query_id="1", doc_id="d7", relevance=3)])
        )

        def docs_iter(self):
            raise AssertionError("all documents were gone through")

        def docs_store(self):
            def get(identity):
                if identity != "d7":
                    raise KeyError(identity)
                return SimpleNamespace(doc_id="d7", title="t", text="x")

            return SimpleNamespace(get=get, built=lambda: True)

    monkeypatch.setitem(sys.modules, "ir_datasets", SimpleNamespace(load=lambda _: Fake()))
    held = load_collection("irds:x")
    assert held.queries == {"1": Query("1", "T D", "en")}
    assert load_collection("irds:x", queries="fa").queries["1"].text == "ف ا"
    assert "1,000,000,000 documents [fa]" in repr(held)
    run = {"1": [ScoredDocument("1", "d7", 1.0)]}
    with (
        monkeypatch.context(),
        TemporaryDirectory() as folder,
    ):
        one = SimpleNamespace(score=lambda pairs: [float(len(d.full_text)) for _, d in pairs])
        rerank_stream(one, held, run, f"{folder}/out.trec")
        assert (Path(folder) / "out.trec").read_text() == "1 Q0 d7 1 3 polyrank\n"


def test_importing_is_light():
    code = (
        "import polyrank.collections, polyrank.evaluation, polyrank.languages.tags, sys;"
        "import polyrank.index.lexical, polyrank.languages.identification;"
        "heavy = {'torch', 'transformers', 'ir_measures', 'bm25s', 'datasets', 'fasttext'};"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
