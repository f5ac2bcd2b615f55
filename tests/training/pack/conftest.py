"""A pack of a few made-up sentences over the tiny XLM-R, and the text it was collected from."""

import gzip
import json
from types import SimpleNamespace

import pytest

from polyrank.base import load_base
from polyrank.base.card import BaseCard, write_base_card
from polyrank.training.pack import collect as collecting


def _lines(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def _words(number):
    letters = "abcdefghijklmnopqrstuvwxyz"
    return " ".join(letters[(number * k) % 26] * (1 + k % 3) for k in (3, 5, 7, 11))


@pytest.fixture(scope="session")
def packed_base(tiny_xlmr, tmp_path_factory):
    """Like `e5-small`: a random BERT with XLM-R's tokenizer and prefixes."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = tmp_path_factory.mktemp("pack-base") / "tiny" / "base"
    tokenizer = AutoTokenizer.from_pretrained(tiny_xlmr)
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=256,
            initializer_range=0.15,
        )
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    write_base_card(BaseCard("query: ", "passage: ", vectors=True), folder)
    return load_base(str(folder))


@pytest.fixture(scope="session")
def words():
    """The made-up sentence of a number."""
    return _words


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    """Training text of rw and en, in the layout of `python -m polyrank.data.training`."""
    folder = tmp_path_factory.mktemp("text")
    _lines(folder / "text/rw.txt.gz", [_words(n) for n in range(80)])
    (folder / "text/rw.sources.tsv").write_text("made up\tCC0-1.0\n")
    _lines(folder / "pairs.tsv.gz", [f"rw\t{_words(n)}\t{_words(n + 3)}" for n in range(40)])
    (folder / "pairs.sources.tsv").write_text("rw\tmade up\tCC0-1.0\t40\n")
    for there in ("", "development."):
        passages = [{"_id": f"p{n}", "title": "t", "text": _words(n)} for n in range(30)]
        queries = [
            {"_id": f"q{n}", "text": _words(n)[:6], "pos": f"p{n}", "neg": [f"p{n + 5}"]}
            for n in range(20)
        ]
        for name, records in (("passages", passages), ("queries", queries)):
            _lines(folder / f"squad/{there}{name}.jsonl.gz", map(json.dumps, records))
    (folder / "afriqa.measured.tsv").write_text("afriqa-kin-dev-0\nafriqa-kin-dev-1\n")
    _lines(folder / "development.tsv.gz", [])
    return folder


@pytest.fixture(scope="session")
def pack_folder(text, packed_base, tmp_path_factory):
    """What `collect` makes of it."""
    from polyrank.collections.records import Document, Judgement, Query

    def few(name, queries, documents):
        ids = range(4)
        assert (name, documents) == ("afriqa", "en")
        return SimpleNamespace(
            documents={f"d{n}": Document(f"d{n}", _words(n), language="en") for n in ids},
            queries={
                f"afriqa-kin-dev-{n}": Query(f"afriqa-kin-dev-{n}", _words(n)[:5], queries)
                for n in ids
                if queries == "rw"
            },
            qrels=[Judgement(f"afriqa-kin-dev-{n}", f"d{n}", 1) for n in ids],
        )

    folder = tmp_path_factory.mktemp("packed") / "pack"
    with pytest.MonkeyPatch.context() as patch:  # the bundled pool takes half a minute
        patch.setattr("polyrank.collections.load_collection", few)
        collecting.collect(text, folder, packed_base)
    return folder
