"""Compares the analyses of BM25, language by language.

    python benchmarks/lexical.py --output benchmarks/results/lexical.json

Queries and documents of one language: XQuAD (question → passage) and NTREX (headline → article).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from polyrank.base import DEFAULT_BASE
from polyrank.collections.load import load_collection
from polyrank.evaluation import evaluate
from polyrank.index.analysis import ANALYSES
from polyrank.index.lexical import BM25
from polyrank.machine import machine

TASKS = {
    "xquad": ["en", "de", "es", "ru", "tr", "zh"],
    "ntrex": ["en", "de", "es", "fi", "fr", "pl", "ru", "tr", "ky", "sw", "ko", "zh", "ja", "th"],
}


def measure(name: str, language: str, base: str) -> dict[str, Any]:
    """RR@10, and seconds to index and search, of every analysis."""
    texts = load_collection(name, queries=language, documents=language)
    found: dict[str, Any] = {"queries": len(texts.queries), "documents": len(texts.documents)}
    for analysis in ANALYSES:
        start = time.perf_counter()
        bm25 = BM25(texts.documents.values(), analysis=analysis, base=base)
        run = bm25.search(texts.queries.values(), 10)
        seconds = time.perf_counter() - start
        mean = evaluate(run, texts.qrels, ["RR@10"]).mean["RR@10"]
        (by,) = {str(analyser) for _, analyser in bm25.languages}
        found[analysis] = {"by": by, "RR@10": round(mean, 3), "seconds": round(seconds, 2)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--base", default=DEFAULT_BASE, help="whose vocabulary makes the sub-words")
    options = parser.parse_args()
    results = {
        f"{name} {language}": measure(name, language, options.base)
        for name, languages in TASKS.items()
        for language in languages
    }
    options.output.write_text(
        json.dumps({"base": options.base, "machine": machine(), "results": results}, indent=1)
        + "\n"
    )
    for task, found in results.items():
        print(task, *(f"{analysis} {found[analysis]['RR@10']}" for analysis in ANALYSES), sep="\t")


if __name__ == "__main__":
    main()
