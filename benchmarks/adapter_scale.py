"""How much of a bundled language adapter to keep, measured on development data.

    python -m polyrank.data.training --source SETS --output text
    python benchmarks/adapter_scale.py --measured text/afriqa.measured.tsv --languages rw,ig,tr

`polyrank.training.pack.scale` does this for what a GPU machine sent back; here the adapters are
those of the zoo. Dense nDCG@10 with 0 (the base alone), a quarter, a half, three quarters and all
of an adapter: on the AfriQA questions that no module was trained on, searching the passages that
answer one of them and some others; for languages without, every second FLORES sentence among all
English ones. Questions pass through the adapter, passages through the base alone. `--apply` writes
what is best into `--output`, a zoo, when it gains `--least` over the whole adapter.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from polyrank import load_collection
from polyrank.base import Base, load_base
from polyrank.collections.bundled import query_languages
from polyrank.modules.card import read_card, write_card
from polyrank.modules.folder import replaced
from polyrank.modules.search import find
from polyrank.rerankers.pooled_vectors import PooledVectors
from polyrank.training.pack.measure import ndcg_of_one

FACTORS = (0.0, 0.25, 0.5, 0.75, 1.0)
OUTER = (".adapter_up.", ".F.2.", ".G.2.")  # the layers whose output is added to a hidden state
STEP = 2  # every second FLORES sentence is asked
AFRIQA, FLORES = "AfriQA", "FLORES, every second"


def scaled(whole: Path, folder: Path, factor: float, recorded: dict[str, Any]) -> None:
    """Writes an adapter whose changes to the hidden states are `factor` times as large.

    Args:
        recorded: figures for its card.
    """
    card = read_card(whole)
    with replaced(folder) as temporary:
        for path in whole.iterdir():
            if path.name in card.files:
                (temporary / path.name).write_bytes(path.read_bytes())
        tensors = load_file(whole / "adapter.safetensors")
        part = {
            name: tensor * factor if any(mark in name for mark in OUTER) else tensor
            for name, tensor in tensors.items()
        }
        save_file(part, temporary / "adapter.safetensors", metadata={"format": "pt"})
        figures = {f"whole: {key}": value for key, value in card.figures.items()}
        recipe = {**card.recipe, "scale": factor}
        write_card(temporary, replace(card, recipe=recipe, figures={**figures, **recorded}))


class Development:
    """Questions of a language and what they search, which is encoded once."""

    def __init__(self, base: Base, measured: set[str], others: int) -> None:
        self.base, self.measured, self.others = base, measured, others
        self.bare = PooledVectors(base, "none", routing="none", document_length=200)
        self._afriqa: tuple[list[str], Tensor] | None = None
        self._flores: tuple[list[str], Tensor] | None = None

    def questions(self, language: str) -> tuple[str, list[Any], Tensor, Tensor]:
        """Where they are from, they themselves, what is searched, and the place of each answer."""
        if language not in query_languages("afriqa"):
            asked = load_collection("flores", queries=language, documents="en")
            ids, vectors = self.flores(asked)
            kept = list(asked.queries.values())[::STEP]
            return FLORES, kept, vectors, torch.tensor([ids.index(query.id) for query in kept])
        asked = load_collection("afriqa", queries=language, documents="en")
        ids, vectors = self.afriqa(asked)
        gold = {j.query_id: j.document_id for j in asked.qrels}
        kept = [query for query in asked.queries.values() if query.id in self.measured]
        return AFRIQA, kept, vectors, torch.tensor([ids.index(gold[query.id]) for query in kept])

    def afriqa(self, collection: Any) -> tuple[list[str], Tensor]:
        if self._afriqa is None:
            everything = load_collection("afriqa", documents="en")
            answers = {j.document_id for j in everything.qrels if j.query_id in self.measured}
            rest = [name for name in collection.documents if name not in answers]
            step = max(1, len(rest) // max(1, self.others))
            wanted = answers | set(rest[::step])
            ids = [name for name in collection.documents if name in wanted]
            self._afriqa = ids, self.vectors(collection.documents[name] for name in ids)
        return self._afriqa

    def flores(self, collection: Any) -> tuple[list[str], Tensor]:
        if self._flores is None:
            ids = list(collection.documents)
            self._flores = ids, self.vectors(collection.documents.values())
        return self._flores

    def vectors(self, documents: Iterable[Any]) -> Tensor:
        return torch.cat(self.bare.encode_documents(list(documents)))


def measured(development: Development, language: str, zoo: Path | None) -> dict[str, Any]:
    """nDCG@10 at each factor."""
    base, found = development.base, {}
    whole = find(base.name, "language", "adapter", language, zoo)
    on, queries, vectors, gold = development.questions(language)
    for factor in FACTORS:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / base.name / "language" / "adapter" / language
            folder.parent.mkdir(parents=True)
            scaled(whole, folder, factor, {})
            model = PooledVectors(base, "none", routing="split", zoo=place)
            asked = torch.cat(model.encode_queries(queries))
        found[factor] = round(ndcg_of_one(asked @ vectors.T, gold), 4)
    return {"on": on, "questions": len(queries), "searched": len(vectors), "nDCG@10": found}


def main() -> None:
    """Measure, print a line for each language, perhaps write what gains."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--languages", required=True, help="with commas between")
    parser.add_argument("--measured", type=Path, required=True, help="ids of AfriQA's questions")
    parser.add_argument("--others", type=int, default=600, help="passages that answer none of them")
    parser.add_argument("--base", default="e5-small")
    parser.add_argument("--zoo", type=Path, help="where the whole adapters are, if not bundled")
    parser.add_argument("--least", type=float, default=0.005, help="gain that is worth a change")
    parser.add_argument("--apply", action="store_true", help="write the adapters that gain")
    parser.add_argument("--output", type=Path, default=Path("adapters_zoo"), help="a zoo")
    options = parser.parse_args()
    ids = set(options.measured.read_text(encoding="utf-8").split())
    development = Development(load_base(options.base), ids, options.others)
    for language in options.languages.split(","):
        row = measured(development, language, options.zoo)
        figures = row["nDCG@10"]
        best = max(figures, key=lambda factor: figures[factor])
        gain = figures[best] - figures[1.0]
        print(
            json.dumps({"language": language, "best": best, "gain": round(gain, 4), **row}),
            flush=True,
        )
        if options.apply and gain >= options.least and best > 0:
            name = development.base.name
            recorded = {f"nDCG@10 at scale {factor:g}": value for factor, value in figures.items()}
            on = f"{row['on']}, {row['questions']} questions, {row['searched']} passages"
            whole = find(name, "language", "adapter", language, options.zoo)
            folder = options.output / name / "language" / "adapter" / language
            scaled(whole, folder, best, {**recorded, "scale chosen on": on})


if __name__ == "__main__":
    main()
