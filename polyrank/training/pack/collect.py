"""Collects what a bare GPU machine needs into one folder, tokenised.

    python -m polyrank.training.pack.collect --text TEXT --output gpu_pack

TEXT comes from `python -m polyrank.data.training`. The folder holds

- `base/`: the base, its embeddings cut to the pieces that the text below uses;
- `pieces.npy`: for every piece kept, its id in the base; `counts.npy`: how often it was seen;
- `text/<language>.xz`, `pairs/<language>.xz`, `english.xz`: monolingual lines, and sentence pairs
  (of whose English sides each is there once);
- `squad/`, `development/`: questions, passages, which passage answers which question;
- `facts.json`: special ids, prefixes, the fingerprint of the base, lines and tokens by language.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polyrank.base import DEFAULT_BASE, Base, load_base
from polyrank.progress import note
from polyrank.training.pack.cut import SPECIAL, Renumbering, write_cut
from polyrank.training.pack.ragged import Ragged

LANGUAGES = """
    rw ig yo zu bem ak sn lg tt ha sw so am om ky ug tr ru zh en
""".split()  # noqa: SIM905
LINES, PAIRS = 8000, 6000  # of a language, at most; chosen at random by the seed
AFRIQA = ("ak", "bem", "ha", "ig", "rw", "yo", "zu")  # measured on AfriQA, the others on FLORES
FLORES = ("am", "ky", "lg", "om", "ru", "sn", "so", "sw", "tr", "tt", "ug", "zh")
SQUAD_MEASURED = 1000  # questions of its development set


class Tokens:
    """Everything that was tokenised, with the base's own ids, until they are renumbered.

    Args:
        tokenizer: of the base.
        size: of its vocabulary.
    """

    def __init__(self, tokenizer: Any, size: int) -> None:
        self.tokenizer = tokenizer
        self.counts = np.zeros(size, np.int64)
        self.rows: dict[str, list[list[int]]] = {}

    def add(self, name: str, texts: Sequence[str]) -> None:
        """Tokenise texts without special tokens, under a file's name."""
        rows: list[list[int]] = []
        for start in range(0, len(texts), 1000):
            part = self.tokenizer(
                list(texts[start : start + 1000]), add_special_tokens=False, verbose=False
            )["input_ids"]
            rows += part
            np.add.at(self.counts, np.concatenate([np.asarray(r, np.int64) for r in part]), 1)
        self.rows[name] = rows
        note(f"{name}: {len(rows):,} texts, {sum(map(len, rows)):,} tokens")

    def write(self, folder: Path, renumbering: Renumbering) -> None:
        for name, rows in self.rows.items():
            path = folder / f"{name}.xz"
            path.parent.mkdir(parents=True, exist_ok=True)
            Ragged.of([renumbering(row) for row in rows]).save(path)


def collect(text: Path, output: Path, base: Base, seed: int = 13) -> None:
    """Write the pack.

    Args:
        text: folder written by `python -m polyrank.data.training`.
        output: folder to write; replaced when it is there.
        base: whose tokenizer and weights are taken.
        seed: of what is chosen where there is more than `LINES` or `PAIRS`.
    """
    if output.exists():
        shutil.rmtree(output)
    output.mkdir(parents=True)
    tokens = Tokens(base.tokenizer, base.model.config.vocab_size)
    tables: dict[str, np.ndarray] = {}
    _monolingual(text, tokens, seed)
    _pairs(text, tokens, tables, seed)
    _squad(text, tokens, tables, seed)
    _afriqa(text, tokens, tables)
    _flores(text, tokens)

    prefixes = {
        side: base.tokenizer(base.card.prefix(side).rstrip(), add_special_tokens=False)["input_ids"]
        for side in ("query", "passage")
    }
    vocabulary = base.tokenizer.get_vocab()
    special = [vocabulary[token] for token in SPECIAL]
    first = list(dict.fromkeys([*special, *(i for ids in prefixes.values() for i in ids)]))
    renumbering = Renumbering(tokens.counts, first)
    tokens.write(output, renumbering)
    (output / "base").mkdir()
    write_cut(base.model, renumbering.old, output / "base")
    np.save(output / "pieces.npy", renumbering.old.astype(np.int32))
    np.save(output / "counts.npy", tokens.counts[renumbering.old].astype(np.int32))
    np.savez_compressed(output / "tables.npz", **tables)  # type: ignore[arg-type]
    facts = {
        "base": base.name,
        "fingerprint": [base.fingerprint.weights, base.fingerprint.vocabulary],
        "special": {token: int(renumbering.new[vocabulary[token]]) for token in SPECIAL},
        "prefixes": {side: renumbering(ids).tolist() for side, ids in prefixes.items()},
        "languages": list(LANGUAGES),
        "afriqa": [name for name in AFRIQA if f"development/afriqa_{name}" in tokens.rows],
        "flores": [name for name in FLORES if f"development/flores_{name}" in tokens.rows],
        "seed": seed,
    }
    (output / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    note(f"{output}: {len(renumbering.old):,} pieces, {size / 2**20:.1f} MiB")


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _some(items: Sequence[Any], count: int, seed: int) -> list[Any]:
    return list(items) if len(items) <= count else random.Random(seed).sample(list(items), count)


def _monolingual(text: Path, tokens: Tokens, seed: int) -> None:
    for language in LANGUAGES:
        path = text / f"text/{language}.txt.gz"
        if path.is_file():
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                tokens.add(f"text/{language}", _some([line.strip() for line in lines], LINES, seed))


def _pairs(text: Path, tokens: Tokens, tables: dict[str, np.ndarray], seed: int) -> None:
    by_language: dict[str, list[tuple[str, str]]] = defaultdict(list)
    with gzip.open(text / "pairs.tsv.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            language, sentence, english = line.rstrip("\n").split("\t")
            by_language[language].append((sentence, english))
    english_places: dict[str, int] = {}
    for language in LANGUAGES:
        if rows := _some(by_language[language], PAIRS, seed):
            tokens.add(f"pairs/{language}", [sentence for sentence, _ in rows])
            places = [english_places.setdefault(e, len(english_places)) for _, e in rows]
            tables[f"pairs/{language}"] = np.array(places, np.int32)
    tokens.add("english", list(english_places))


def _squad(text: Path, tokens: Tokens, tables: dict[str, np.ndarray], seed: int) -> None:
    for here, there in (("squad/", ""), ("development/squad_", "development.")):
        passages = list(_records(text / f"squad/{there}passages.jsonl.gz"))
        place = {row["_id"]: number for number, row in enumerate(passages)}
        queries = list(_records(text / f"squad/{there}queries.jsonl.gz"))
        if there:
            queries = _some(queries, SQUAD_MEASURED, seed)
        tokens.add(f"{here}passages", [f"{row['title']} {row['text']}" for row in passages])
        tokens.add(f"{here}queries", [row["text"] for row in queries])
        positives = [
            row["pos"][0] if isinstance(row["pos"], list) else row["pos"] for row in queries
        ]
        tables[f"{here}positive"] = np.array([place[p] for p in positives], np.int32)
        if not there:
            negatives = np.full((len(queries), 5), -1, np.int32)
            for number, row in enumerate(queries):
                found = [place[n] for n in row.get("neg", ())][:5]
                negatives[number, : len(found)] = found
            tables[f"{here}negatives"] = negatives


def _afriqa(text: Path, tokens: Tokens, tables: dict[str, np.ndarray]) -> None:
    from polyrank.collections import load_collection

    measured = set((text / "afriqa.measured.tsv").read_text().split())
    passages: dict[str, int] = {}
    for language in AFRIQA:
        collection = load_collection("afriqa", queries=language, documents="en")
        if not passages:
            passages = {name: number for number, name in enumerate(collection.documents)}
            texts = [document.full_text for document in collection.documents.values()]
            tokens.add("development/afriqa_passages", texts)
        names = [name for name in collection.queries if name in measured]
        if not names:
            continue
        tokens.add(
            f"development/afriqa_{language}", [collection.queries[name].text for name in names]
        )
        answers = {j.query_id: j.document_id for j in collection.qrels if j.relevance > 0}
        gold = [passages[answers[name]] for name in names]
        tables[f"development/afriqa_{language}"] = np.array(gold, np.int32)


def _flores(text: Path, tokens: Tokens) -> None:
    by_language: dict[str, list[str]] = defaultdict(list)
    with gzip.open(text / "development.tsv.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            _, language, sentence = line.rstrip("\n").split("\t")
            by_language[language].append(sentence)
    for language in filter(by_language.get, ("en", *FLORES)):
        tokens.add(f"development/flores_{language}", by_language[language])


def main() -> None:
    """Collect, and say how large it became."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True, help="folder of the training text")
    parser.add_argument("--output", type=Path, default=Path("gpu_pack"), help="folder to write")
    parser.add_argument("--base", default=DEFAULT_BASE, help="base to train modules for")
    parser.add_argument("--seed", type=int, default=13, help="of what is chosen")
    options = parser.parse_args()
    torch.set_num_threads(1)
    collect(options.text, options.output, load_base(options.base), options.seed)


if __name__ == "__main__":
    main()
