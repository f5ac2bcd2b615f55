"""Data sets by a mapping of columns, in the layout that CLIRudit's card describes."""

import json

import pytest

from polyrank.collections import Document, Judgement, Query, load_collection, load_judgements
from polyrank.errors import DataError, UsageError

DOCS = [
    {"docid": "a", "title": "Eau", "subtitle": None, "abstract": "De l'eau."},
    {"docid": "b", "title": "Feu", "subtitle": "Un", "abstract": "Du feu."},
]
MAPPING = {
    "documents": {"data": "docs.parquet", "id": "docid", "title": ["title", "subtitle"],
                  "text": "abstract", "language": "fr"},
    "queries": {"data": "queries.jsonl", "id": "qid", "text": "query", "language": "en"},
    "qrels": {"data": "qrels.jsonl", "query": "qid", "document": "docid", "relevance": "rel"},
    "licence": "CC BY-NC 4.0",
}  # fmt: skip


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def mapping(tmp_path):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(DOCS), tmp_path / "docs.parquet")
    lines(tmp_path / "queries.jsonl", {"qid": 1, "query": "water"}, {"qid": 2, "query": "unjudged"})
    lines(tmp_path / "qrels.jsonl", {"qid": 1, "docid": "a", "rel": 1})
    path = tmp_path / "clirudit.json"
    path.write_text(json.dumps(MAPPING))
    return path


def test_parquet_and_json_lines(mapping):
    held = load_collection(f"hf:{mapping}")
    assert held.documents == {
        "a": Document("a", "De l'eau.", "Eau", "fr"),
        "b": Document("b", "Du feu.", "Feu Un", "fr"),
    }
    assert held.queries == {"1": Query("1", "water", "en")} and held.licence == "CC BY-NC 4.0"
    assert held.qrels == load_judgements(f"hf:{mapping}") == [Judgement("1", "a", 1)]


@pytest.mark.parametrize(
    "part, change, reason",
    [
        (
            "documents",
            {"text": "body"},
            "no column 'body'; it has docid, title, subtitle, abstract",
        ),
        ("documents", {"body": "x"}, "'documents' must have data, id, text"),
        ("queries", {"data": "none.jsonl"}, "none.jsonl cannot be read"),
        ("qrels", {"relevance": "docid"}, "row 1: the relevance 'a' is not an integer"),
        ("qrels", {"document": "qid"}, "1 relevant documents are not in the corpus .the first: 1."),
        ("queries", {"id": "query"}, "query 1 is not among queries"),
        ("queries", {"text": "qid"}, "row 1: 1 is not text"),
    ],
)
def test_what_does_not_fit_is_said(mapping, part, change, reason, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    mapping.write_text(json.dumps({**MAPPING, part: {**MAPPING[part], **change}}))
    with pytest.raises(DataError, match=reason):
        load_collection(f"hf:{mapping}")


def test_a_pair_or_an_id_twice(mapping):
    lines(mapping.parent / "qrels.jsonl", *[{"qid": 1, "docid": "a", "rel": 1}] * 2)
    with pytest.raises(DataError, match="row 2: 1 a is judged twice"):
        load_judgements(f"hf:{mapping}")
    lines(mapping.parent / "queries.jsonl", *[{"qid": 1, "query": "x"}] * 2)
    with pytest.raises(DataError, match="row 2: a second query 1"):
        load_collection(f"hf:{mapping}")


def test_clirudit_in_the_layout_of_its_card(mapping):
    """The bundled mapping over a local copy with the Hub's configurations and splits."""
    from importlib import resources

    import pyarrow
    from pyarrow import parquet

    root = mapping.parent / "ftvalentini" / "clirudit"
    tables = {"docs/fr.test": DOCS, "queries/en.test": [{"qid": 1, "query": "water"}],
              "qrels/en_fr.test": [{"qid": 1, "docid": "a", "rel": 1}]}  # fmt: skip
    configs = ""
    for name, rows in tables.items():
        path = root / f"{name}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True)
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        config, split = name.split("/")
        configs += (
            f"- config_name: {config}\n  data_files:\n  - split: {split}\n    path: {name}-*\n"
        )
    (root / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    bundled = resources.files("polyrank.data") / "clirudit.json"
    mapping.write_text(bundled.read_text())
    held = load_collection(f"hf:{mapping}")
    assert held.documents["b"] == Document("b", "Du feu.", "Feu Un", "fr")
    assert held.qrels == [Judgement("1", "a", 1)] and len(held.queries) == 1
    with pytest.raises(UsageError, match="documents in fr"):
        load_collection("clirudit", documents="en")
