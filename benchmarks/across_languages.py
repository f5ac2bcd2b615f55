"""Dense retrieval and late interaction over all pairs of a parallel collection's languages.

    python benchmarks/across_languages.py --collection xquad --every 10 \
        --output benchmarks/results/xquad.json

Every language's documents and questions are encoded once for each system, so that all pairs take
little longer than one. Systems: dense and late interaction over the base alone, both with language
modules where the zoo has one, and the bundled ranking module over them. Figures are nDCG@10.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank import evaluate, load_collection
from polyrank.collections.records import ScoredDocument
from polyrank.kernels import maxsim_packed
from polyrank.late_interaction.model import LateInteraction
from polyrank.late_interaction.pooled_vectors import PooledVectors
from polyrank.machine import machine

MEASURE = "nDCG@10"


def systems(base: str, length: int) -> dict[str, LateInteraction]:
    """By name; all are late interaction, the dense ones with one vector a text."""
    options: dict[str, Any] = {"fallback": "none", "document_length": length, "device": "cpu"}
    return {
        "dense": PooledVectors(base, "none", routing="none", **options),
        "dense, language modules": PooledVectors(base, "none", routing="split", **options),
        "late interaction": LateInteraction(base, "none", routing="none", **options),
        "late interaction, language modules": LateInteraction(
            base, "none", routing="split", **options
        ),
        "late interaction, language and ranking module": LateInteraction(
            base, "squad-li", routing="split", **options
        ),
    }


def encoded(encode: Callable[[Any], list[Tensor]], records: Any) -> tuple[Tensor, Tensor]:
    """Token vectors of texts one after the other, and where each begins: (T, dim), (N + 1,)."""
    rows = encode(list(records))
    starts = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
    return torch.cat(rows), starts


def measured(
    model: LateInteraction, collections: Mapping[tuple[str, str], Any], languages: list[str]
) -> dict[str, float]:
    """nDCG@10 by pair, `query language-document language`."""
    documents, queries = {}, {}
    for language in languages:
        texts = collections[language, language]
        documents[language] = encoded(model.encode_documents, texts.documents.values())
        queries[language] = encoded(model.encode_queries, texts.queries.values())
    found = {}
    for (asked, searched), texts in collections.items():
        scores = maxsim_packed(*queries[asked], *documents[searched])  # (questions, documents)
        ids, run = list(texts.documents), {}
        for query, row in zip(texts.queries, scores, strict=True):
            best = torch.argsort(row, descending=True, stable=True)[:10].tolist()
            run[query] = [ScoredDocument(query, ids[i], float(row[i])) for i in best]
        found[f"{asked}-{searched}"] = round(evaluate(run, texts.qrels, [MEASURE])[MEASURE], 4)
    return found


def main() -> None:
    """Measure, print the means, write every pair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collection", default="xquad")
    parser.add_argument("--languages", default="de,en,es,ru,tr,zh", help="with commas between")
    parser.add_argument("--every", type=int, default=10, help="take every n-th question")
    parser.add_argument("--base", default="e5-small")
    parser.add_argument("--length", type=int, default=256, help="tokens of a document")
    parser.add_argument("--only", nargs="+", help="names of systems")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    languages = options.languages.split(",")
    collections = {}
    for asked in languages:
        for searched in languages:
            texts = load_collection(options.collection, queries=asked, documents=searched)
            kept = set(list(texts.queries)[:: options.every])
            collections[asked, searched] = replace(
                texts,
                queries={name: query for name, query in texts.queries.items() if name in kept},
                qrels=[judgement for judgement in texts.qrels if judgement.query_id in kept],
            )
    facts = {"collection": options.collection, "questions": len(kept), "machine": machine()}
    facts["length"] = options.length
    results: dict[str, Any] = {}
    if options.output and options.output.is_file():  # systems measured before are kept
        before = json.loads(options.output.read_text())
        if {key: before[key] for key in facts} == facts:
            results = before["systems"]
    for name, model in systems(options.base, options.length).items():
        if name in results or options.only and name not in options.only:
            continue
        started = time.time()
        pairs = measured(model, collections, languages)
        same = [v for k, v in pairs.items() if len(set(k.split("-"))) == 1]
        across = [v for k, v in pairs.items() if len(set(k.split("-"))) == 2]
        results[name] = {
            "same language": round(sum(same) / len(same), 4),
            "across languages": round(sum(across) / max(1, len(across)), 4),
            "seconds": round(time.time() - started, 1),
            "pairs": pairs,
        }
        row = results[name]
        print(f"{name:50} {row['same language']:.3f} {row['across languages']:.3f}", flush=True)
        if options.output:
            options.output.write_text(json.dumps({**facts, "systems": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
