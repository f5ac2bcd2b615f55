"""What a precision loses on development data, by language: what 'auto' goes by.

    python benchmarks/precision.py --output benchmarks/results/precision.json --write

AfriQA's development questions of each language over the passages that answer them: nDCG@10 of fp32
less that of the precision, for dense retrieval, late interaction and the cross-encoder over dense
candidates. --write puts the losses where polyrank reads them (`polyrank/encoders/losses.json`).
Families that --output has already, of the same base and questions, stay if they are not asked for
again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import polyrank as pr
from polyrank.base import load_base
from polyrank.collections.records import Collection, Document, Query, Run
from polyrank.encoders.fastest import DENSE, LATE, PAIRS
from polyrank.evaluation import evaluate
from polyrank.index.dense import Dense
from polyrank.machine import machine
from polyrank.rerankers.base import rerank_run
from polyrank.rerankers.load import load_reranker

LANGUAGES = ("bem", "ha", "ig", "rw", "zu")
FIELD, MEASURE = 50, "nDCG@10"  # candidates of late interaction


def development(count: int) -> Collection:
    """So many questions of each language, and all passages that answer one of them."""
    queries: dict[str, Query] = {}
    documents: dict[str, Document] = {}
    judged = []
    for language in LANGUAGES:
        found = pr.load_collection("afriqa", queries=language, documents="en", split="dev")
        asked = {one.query_id for one in found.qrels} & set(found.queries)
        some = sorted(asked)[:count]
        queries |= {identity: found.queries[identity] for identity in some}
        judged += [one for one in found.qrels if one.query_id in set(some)]
        documents |= {
            one.document_id: found.documents[one.document_id]
            for one in judged
            if one.document_id in found.documents
        }
    return Collection("development", documents, queries, judged)


def by_language(run: Run, texts: Collection) -> dict[str, float]:
    report = evaluate(run, texts.qrels, MEASURE).per_query[MEASURE]
    found: dict[str, list[float]] = {}
    for identity, value in report.items():
        found.setdefault(str(texts.queries[identity].language), []).append(value)
    return {language: sum(values) / len(values) for language, values in sorted(found.items())}


def runs(family: str, precision: str, texts: Collection, first: Run | None, depth: int) -> Run:
    """One family's run in a precision, over fp32's dense candidates where it reranks."""
    if family == DENSE:
        dense = Dense(texts.documents.values(), precision=precision, progress=False)
        return dense.search(texts.queries.values(), FIELD)
    assert first is not None
    ranking = {LATE: "squad-li", PAIRS: "squad"}[family]
    name = f"e5-small/ranking/adapter/{ranking}"
    made = load_reranker(name, precision=precision, keep=1 << 28, fallback="none")
    return rerank_run(made, texts, first, depth, progress=False).run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=50, help="of each language")
    parser.add_argument("--families", default=f"{DENSE},{LATE},{PAIRS}")
    parser.add_argument("--precisions", default="int8")
    parser.add_argument("--write", action="store_true", help="for 'auto' to read")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    texts, base = development(options.queries), load_base("e5-small")
    first = runs(DENSE, "fp32", texts, None, FIELD)
    result: dict[str, Any] = {
        "machine": machine(),
        "base": base.fingerprint.weights,
        "queries": {x: sum(q.language == x for q in texts.queries.values()) for x in LANGUAGES},
        "documents": len(texts.documents),
        "measure": MEASURE,
        "values": {},
        "loss": {},
    }
    if options.output.is_file():
        before = json.loads(options.output.read_text())
        if all(before.get(key) == result[key] for key in ("base", "queries", "measure")):
            result = before
    for family in options.families.split(","):
        depth = {PAIRS: 10}.get(family, FIELD)
        values = {
            precision: by_language(runs(family, precision, texts, first, depth), texts)
            for precision in ("fp32", *options.precisions.split(","))
        }
        result["values"][family] = values
        result["loss"][family] = {
            precision: {x: round(values["fp32"][x] - found[x], 4) for x in found}
            for precision, found in values.items()
            if precision != "fp32"
        }
        print(family, json.dumps(result["loss"][family]), flush=True)
        options.output.write_text(json.dumps(result, indent=1) + "\n")
    if options.write:
        place = Path(__file__).parents[1] / "polyrank" / "encoders" / "losses.json"
        kept = json.loads(place.read_text())
        kept.setdefault(base.fingerprint.weights, {}).update(result["loss"])
        place.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
