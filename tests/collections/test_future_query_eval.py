"""FutureQueryEval's folder: its tables, its dates, and what is wrong with a broken one."""

from __future__ import annotations

import pytest

from polyrank.collections.dates import iso_date
from polyrank.collections.load import load_collection
from polyrank.errors import DataError, UsageError


@pytest.fixture
def folder(tmp_path):
    """Two questions, three documents."""
    (tmp_path / "queries.csv").write_text(
        'query_id,query_text,category,date\n1,"Who won, and when?",Sports,2025-06\n'
        "2,What rose?,News,\n"
    )
    (tmp_path / "corpus.tsv").write_text(
        'doc_id\ttitle\ttext\na\tFinal\tA "team" won.\nb\t\tPrices rose.\nc\t\tNothing.\n'
    )
    (tmp_path / "qrels.txt").write_text("1 0 a 1\n2 0 b 2\n2 0 c 0\n")
    return tmp_path


def test_questions_documents_and_dates(folder):
    collection = load_collection(f"futurequeryeval:{folder}")
    assert collection.queries["1"].text == "Who won, and when?"
    assert [query.date for query in collection.queries.values()] == ["2025-06-01", "2025-05-01"]
    assert collection.documents["a"].full_text == 'Final A "team" won.'
    assert {document.language for document in collection.documents.values()} == {"en"}
    assert len(collection.qrels) == 3
    assert len(load_collection(f"futurequeryeval:{folder}", limit=1).qrels) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("queries.csv", "number,words\n1,x\n", "queries.csv:1: no column 'query_id'"),
        ("queries.csv", "query_id,query_text\n1,x,y\n", "queries.csv:2: 3 cells"),
        ("queries.csv", "query_id,query_text\n1,x\n1,y\n", "queries.csv:3: the id '1'"),
        ("queries.csv", "query_id,query,date\n1,x,soon\n", "queries.csv:2: the date 'soon'"),
        ("queries.csv", "query_id,query_text\n1,x\n", "query 2 is not in queries.csv"),
        (
            "corpus.tsv",
            "doc_id\ttext\nb\tx\n",
            "1 relevant documents are not in the corpus .the first: a.",
        ),
        ("corpus.tsv", "", "corpus.tsv: the file is empty"),
    ],
)
def test_a_broken_folder_names_its_place(folder, name, text, message):
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=message):
        load_collection(f"futurequeryeval:{folder}")


def test_a_missing_file_is_named(folder):
    (folder / "corpus.tsv").unlink()
    with pytest.raises(DataError, match="no corpus.tsv"):
        load_collection(f"futurequeryeval:{folder}")


def test_it_has_one_split(folder):
    with pytest.raises(UsageError, match="no split"):
        load_collection(f"futurequeryeval:{folder}", split="dev")


@pytest.mark.parametrize("text", ["2025", "2025-13", "soon", "2025/04/01", ""])
def test_no_date(text):
    with pytest.raises(ValueError):
        iso_date(text)
