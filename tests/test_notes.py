"""Notes: counted by kind, added and subtracted, pickled, and read from the sentence they save."""

import json
import pickle

import pytest

from polyrank.notes import KINDS, Note, Notebook, Notes


def test_a_note_is_its_sentence_with_a_kind():
    note = Note("cut", "pairs cut to 32 tokens")
    assert note == "pairs cut to 32 tokens" and note.kind == "cut"
    assert json.dumps([note]) == '["pairs cut to 32 tokens"]'
    again = pickle.loads(pickle.dumps(note))
    assert again == note and again.kind == "cut"


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="unknown kind of note 'cuts'; use one of identified"):
        Note("cuts", "x")


def test_a_saved_sentence_keeps_its_kind():
    assert Note.read("zero-shot: trained over 'en'").kind == "transfer"
    assert Note.read("unverified: nobody knows").kind == "unverified"
    assert Note.read("anything").kind == "other"


def test_a_notebook_counts_and_gives_values():
    book = Notebook()
    book.add("cut", "a", 2)
    before = book.notes
    book.add("cut", "a")
    book.add("identified", "b")
    book.add("cut", "never", 0)
    assert before == {"a": 2} and book.notes == {"a": 3, "b": 1}
    assert book.notes - before == {"a": 1, "b": 1}
    assert book.notes + before == {"a": 5, "b": 1}
    assert book.notes.of_kind("cut") == {"a": 3} and book.notes.of_kind("cut").total() == 3
    assert book.notes.lines() == ["a (3 times)", "b"]


def test_equal_notes_have_one_hash_whatever_their_order():
    one, other = Note("cut", "a"), Note("other", "b")
    assert hash(Notes({one: 1, other: 2})) == hash(Notes({other: 2, one: 1}))
    assert all(KINDS.values())
