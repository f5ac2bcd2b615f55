"""A head for a base without one: learns, is found, resumes, is refused for another base."""

from __future__ import annotations

import json

import pytest
import torch

from polyrank.base import load_base
from polyrank.errors import DataError, ModuleError, UsageError
from polyrank.modules.card import Data
from polyrank.training.head.head_folder import HEAD_CARD, head_of, read_head_card, save_head_folder
from polyrank.training.head.output_head import HEAD_FILE
from polyrank.training.head.train_head import train_head


def train(base, text, output, **options):
    sizes = {"steps": 6, "batch_size": 4, "length": 24, "rate": 1e-2}
    return train_head(str(base), text, output, **{**sizes, **options})


def test_perplexity_falls_and_the_head_is_found(tiny_folder, text_file, tmp_path, monkeypatch):
    base = load_base(str(tiny_folder))
    place = tmp_path / "zoo" / base.name / "head"
    card = train(tiny_folder, text_file, place, steps=60, data=[Data("words", "CC0-1.0")])
    assert card.figures["perplexity after"] < 0.9 * card.figures["perplexity before"]
    assert card == read_head_card(place)
    assert "- words, CC0-1.0" in (place / "README.md").read_text()
    assert not (tmp_path / "zoo" / base.name / "head.work").exists()

    with pytest.raises(UsageError, match="polyrank train head --base tiny"):
        head_of(base)
    monkeypatch.setenv("POLYRANK_ZOO", str(tmp_path / "zoo"))
    found = head_of(base)
    assert found.name == card.sha256 == head_of(base, place).name
    assert torch.equal(found.words, base.model.get_input_embeddings().weight)


def test_a_language_is_trained_with_it(tiny_folder, text_file, tmp_path):
    from polyrank.training.language.train_language import train_language_module

    head = train(tiny_folder, text_file, tmp_path / "head", steps=30)
    card = train_language_module(
        str(tiny_folder), "de", text_file, tmp_path / "de", head=tmp_path / "head",
        steps=40, batch_size=4, length=24, rate=1e-2,
    )  # fmt: skip
    assert card.figures["perplexity after"] < card.figures["perplexity before"]
    assert card.recipe["head"] == head.sha256


def test_the_base_stays_as_it_is(tiny_bert, text_file, tmp_path, monkeypatch, as_it_was):
    from polyrank.training.head import train_head

    loaded = load_base(str(tiny_bert))
    monkeypatch.setattr(train_head, "load_base", lambda _: loaded)
    unchanged = as_it_was(loaded.model)
    train(tiny_bert, text_file, tmp_path / "head")
    assert unchanged()


def test_files_and_folders_of_several_languages(tiny_bert, text_file, tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "de.txt").write_text("wasser und eis\n" * 20)
    (tmp_path / "text" / "fi.txt").write_text("vesi\n" * 3)  # shorter than a sequence
    card = train(tiny_bert, [text_file, tmp_path / "text"], tmp_path / "head")
    assert card.recipe["files"] == 3 and card.recipe["lines"] == 83


def test_an_interrupted_run_ends_with_the_same_bytes(tiny_bert, text_file, tmp_path, monkeypatch):
    from polyrank.training.head import train_head
    from polyrank.training.loop import steps

    class Killed(Exception):
        pass

    def killed(self, step):
        if step == 4:
            raise Killed
        return BATCH(self, step)

    BATCH = train_head.HeadBatches.__call__
    train(tiny_bert, text_file, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(train_head.HeadBatches, "__call__", killed)
        patch.setattr(
            train_head, "Schedule", lambda **kw: steps.Schedule(**{**kw, "save_every": 2})
        )
        with pytest.raises(Killed):
            train(tiny_bert, text_file, tmp_path / "halves")
    train(tiny_bert, text_file, tmp_path / "halves", resume=True)
    one, two = (tmp_path / name / HEAD_FILE for name in ("whole", "halves"))
    assert one.read_bytes() == two.read_bytes()


def test_another_base_and_altered_files_are_refused(tiny_bert, tiny_xlmr, text_file, tmp_path):
    folder = tmp_path / "head"
    card = train(tiny_bert, text_file, folder, steps=1)
    with pytest.raises(ModuleError, match="was made for base 'tiny-bert'(.|\n)*train head --base"):
        head_of(load_base(str(tiny_xlmr)), folder)
    record = json.loads((folder / HEAD_CARD).read_text())
    (folder / HEAD_CARD).write_text(json.dumps({**record, "format_version": 2}))
    with pytest.raises(ModuleError, match="format version 2"):
        read_head_card(folder)
    (folder / HEAD_CARD).write_text(json.dumps(record))
    (folder / HEAD_FILE).write_bytes(b"other")
    with pytest.raises(ModuleError, match="was altered"):
        read_head_card(folder)
    with pytest.raises(ModuleError, match="not overwritten"):
        save_head_folder(None, folder, card)


def test_bad_input_says_what_to_do(tiny_bert, tmp_path):
    (tmp_path / "one.txt").write_text("one line\n")
    with pytest.raises(DataError, match="one.txt: only one line"):
        train(tiny_bert, tmp_path / "one.txt", tmp_path / "head")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"a folder without \*.txt"):
        train(tiny_bert, tmp_path / "none", tmp_path / "head")
