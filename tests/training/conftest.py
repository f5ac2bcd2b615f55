"""A tiny random base with a masked-language head, and text, pairs and judgements for it."""

from __future__ import annotations

import json
import random

import pytest

WORDS = [
    "sea",
    "ice",
    "melts",
    "every",
    "year",
    "water",
    "boils",
    "when",
    "heated",
    "stars",
    "are",
    "far",
    "away",
    "cats",
    "sleep",
]


@pytest.fixture(scope="session")
def tiny_mlm(tiny_bert, tmp_path_factory):
    """Folder of a random `BertForMaskedLM` over the tiny BERT's vocabulary."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    folder = tmp_path_factory.mktemp("mlm") / "tiny-mlm" / "base"
    torch.manual_seed(1)
    BertForMaskedLM(BertConfig.from_pretrained(tiny_bert)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def carded_mlm(tiny_mlm, tiny_card, tmp_path_factory):
    """The same in a folder of its own, with a card: a base for retrieval, with prefixes."""
    import shutil

    from polyrank.base.card import write_base_card

    folder = tmp_path_factory.mktemp("carded") / "tiny-carded" / "base"
    shutil.copytree(tiny_mlm, folder)
    write_base_card(tiny_card, folder)
    return folder


@pytest.fixture(scope="session")
def text_file(tmp_path_factory):
    """Sixty lines of a few words each."""
    source = random.Random(0)
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n".join(" ".join(source.choices(WORDS, k=8)) for _ in range(60)) + "\n")
    return path


@pytest.fixture(scope="session")
def pairs_file(tmp_path_factory):
    """Forty sentence pairs in one language, and one of another."""
    source = random.Random(1)
    rows = [("de", " ".join(source.choices(WORDS, k=5))) for _ in range(40)] + [("fi", "ice")]
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    path.write_text("".join(f"{tag}\t{text[::-1]}\t{text}\n" for tag, text in rows))
    return path


@pytest.fixture(scope="session")
def judgements(tmp_path_factory):
    """(queries, passages): twelve passages, a question for each."""
    folder = tmp_path_factory.mktemp("judgements")
    source = random.Random(2)
    passages = [" ".join(source.choices(WORDS, k=12)) for _ in range(12)]
    with (folder / "passages.jsonl").open("w") as file:
        for i, text in enumerate(passages):
            file.write(json.dumps({"_id": f"p{i}", "title": "", "text": text}) + "\n")
    with (folder / "queries.jsonl").open("w") as file:
        for i, text in enumerate(passages):
            row = {"_id": f"q{i}", "text": " ".join(text.split()[:3]), "pos": f"p{i}"}
            file.write(json.dumps(row) + "\n")
    return folder / "queries.jsonl", folder / "passages.jsonl"


@pytest.fixture
def cross_encoder():
    """A random cross-encoder of one logit over a base's vocabulary: cross_encoder(base, folder,
    config)."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    def save(base, folder, config=None):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            config = config or AutoConfig.from_pretrained(base, num_labels=1)
            AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
        AutoTokenizer.from_pretrained(base).save_pretrained(folder)
        return folder

    return save
