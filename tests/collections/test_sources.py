"""Collections are a table of sources: a new format is one file and one row."""

from __future__ import annotations

import json
import sys

import pytest

from polyrank.collections import Document, Judgement, Query, load_collection, load_judgements
from polyrank.collections.catalogue import (
    SOURCES,
    collection_card,
    list_collections,
    needs_of,
    source_of,
    sources,
)
from polyrank.errors import UsageError

FILE = """
from pathlib import Path

from polyrank.collections.cards import CollectionCard
from polyrank.collections.collection_source import (
    Selection, Source, counted, folder_needs, starts_with,
)
from polyrank.collections.records import Collection, Document, Judgement, Query


def judgements(selection):
    return [Judgement("1", "line1", 1)]


def read(selection):
    lines = Path(selection.name.removeprefix("lines:"), "lines.txt").read_text().splitlines()
    documents = {f"line{n}": Document(f"line{n}", text) for n, text in enumerate(lines, 1)}
    return Collection(selection.name, documents, {"1": Query("1", lines[0])}, judgements(selection))


CARD = CollectionCard(
    "lines:FOLDER", "A document a line", "lines", (), (), (None, None), "the data's own", "-", 0,
    "all", "as its publisher says", "-", "a folder with lines.txt",
    "polyrank search --collection lines:FOLDER",
)
SOURCE = Source(
    "lines", (CARD.name,), (CARD,), starts_with("lines:"), read, judgements,
    needs=lambda name, pairs: folder_needs(Path(name.removeprefix("lines:"))),
    counts=lambda name: counted(read(Selection(name))),
)
"""


@pytest.fixture
def lines(tmp_path, monkeypatch):
    (tmp_path / "line_source.py").write_text(FILE)
    (tmp_path / "lines.txt").write_text("one\ntwo\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(SOURCES, "lines", "line_source:SOURCE")
    monkeypatch.delitem(sys.modules, "line_source", raising=False)
    return f"lines:{tmp_path}"


def test_a_toy_source_is_read_listed_and_described(lines):
    collection = load_collection(lines)
    assert collection.documents["line2"] == Document("line2", "two")
    assert collection.queries == {"1": Query("1", "one")}
    assert load_judgements(lines) == [Judgement("1", "line1", 1)]
    assert [card.name for card in list_collections(source="lines")] == ["lines:FOLDER"]
    assert collection_card(lines).example.endswith(f"--collection {lines}")
    assert needs_of(lines, []) == []
    assert [need.what for need in needs_of("lines:nowhere", [])] == ["the folder nowhere"]
    with pytest.raises(UsageError, match="lines:FOLDER"):  # an unknown name is told of it
        load_collection("nothing")


def test_the_command_line_shows_a_toy_source(lines, polyrank):
    record = json.loads(polyrank("collections", "info", lines, "--json").stdout)
    assert record["counted"]["documents"] == 2 and record["missing"] == []


def test_every_card_is_of_the_source_that_takes_its_name():
    for source in sources():
        for card in source.cards:
            assert card.source == source.name
            assert card.name == "FOLDER" or source_of(card.name) is source


def test_a_folder_does_not_hide_a_bundled_collection(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "xquad").mkdir()
    assert source_of("xquad").name == "bundled" and source_of(str(tmp_path)).name == "beir"


def test_needs_name_the_command_that_provides_them(monkeypatch, tmp_path):
    monkeypatch.setattr("polyrank.collections.irds.is_installed", lambda name: False)
    (need,) = needs_of("irds:vaswani", [])
    assert need.remedy == "pip install 'polyrank[ir-datasets]'" and not need.fetched
    monkeypatch.setattr("polyrank.collections.columns.is_installed", lambda name: False)
    package, data = needs_of("clirudit", [])
    assert package.remedy == "pip install 'polyrank[train]'" and data.fetched
    assert needs_of("afriqa", [("ha", "en")]) == []
    (need,) = needs_of("xquad", [("fr", "en")])
    assert need.what == "xquad in fr" and need.remedy == "it exists in de, en, es, ru, tr, zh"
    assert needs_of("clef:nowhere", [])[0].what == "the folder nowhere"
    assert needs_of("nowhere", [])[0].what == "the folder nowhere"
