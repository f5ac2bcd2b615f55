"""Reranking on a GPU, from texts to scores, beside sentence-transformers' CrossEncoder.

    python benchmarks/rerank_gpu.py --tokenizer FOLDER --output benchmarks/results/rerank_gpu.json

FOLDER holds a fast tokenizer of BERT's kind. Weights are random, of the sizes of MiniLM-L6 and of
BERT-base: what is measured is speed, and that all engines give the same scores. Queries are
XQuAD's, in English, each with 100 or 1,000 of its passages at their real lengths, 256 tokens of a
pair at most; of 1,000 most come several times, cut at their beginnings. Engines take turns, query
by query, in one process, which for all of them leaves cuDNN out of attention. The first queries are
left out of the median: a GPU loads its kernels as they are first asked for. The very first is told
apart.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from gpu_timing import card

from polyrank.collections.load import load_collection
from polyrank.collections.records import Document, Query
from polyrank.rerankers.load import load_reranker

LENGTH = 256
WARM = 5  # queries before those that count; 2 where a query has many candidates
SIZES = {"MiniLM-L6": (6, 384), "BERT-base": (12, 768)}  # layers, width
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Request = tuple[str, list[str]]
Score = Callable[[str, list[str]], list[float]]


def make_model(tokenizer: str, layers: int, width: int, folder: str) -> None:
    """A cross-encoder with one logit and random weights."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    words = AutoTokenizer.from_pretrained(tokenizer)
    config = BertConfig(
        vocab_size=len(words),
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=12,
        intermediate_size=4 * width,
        initializer_range=0.06,  # wide enough that scores differ by more than rounding
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    words.save_pretrained(folder)


def polyrank(precision: str, folder: str) -> Score:
    reranker: Any = load_reranker(folder, precision=precision, max_length=LENGTH, device=DEVICE)

    def score(query: str, texts: list[str]) -> list[float]:
        asked = Query("q", query, "en")
        return list(
            reranker.score([(asked, Document(str(i), t, "", "en")) for i, t in enumerate(texts)])
        )

    return score


def sentence_transformers(dtype: torch.dtype, batch: int, folder: str) -> Score:
    from sentence_transformers import CrossEncoder

    options = {"max_length": LENGTH, "device": DEVICE}
    encoder = CrossEncoder(folder, **options, model_kwargs={"dtype": dtype})

    def score(query: str, texts: list[str]) -> list[float]:
        scores = encoder.predict(
            [(query, text) for text in texts],
            batch_size=batch,
            activation_fn=torch.nn.Identity(),
            show_progress_bar=False,
        )
        return [float(one) for one in scores]

    return score


ENGINES: dict[str, Callable[[str], Score]] = {
    "polyrank fp32": lambda folder: polyrank("fp32", folder),
    "polyrank bf16": lambda folder: polyrank("bf16", folder),
    "sentence-transformers fp32, batches of 32 (default)": lambda folder: sentence_transformers(
        torch.float32, 32, folder
    ),
    "sentence-transformers bf16, batches of 128": lambda folder: sentence_transformers(
        torch.bfloat16, 128, folder
    ),
}


def requests(count: int, depth: int) -> list[Request]:
    collection = load_collection("xquad", queries="en", documents="en")
    texts = [document.full_text for document in collection.documents.values()]
    asked = list(collection.queries.values())[:: len(collection.queries) // count][:count]
    made = []
    for number, query in enumerate(asked):
        # More than there are are cut differently, so that no two are equal.
        some = [texts[(number + i) % len(texts)][i // len(texts) :] for i in range(depth)]
        made.append((query.text, some))
    return made


def timed(score: Score, request: Request) -> tuple[float, list[float]]:
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    scores = score(*request)
    return time.perf_counter() - start, scores


def compared(folder: str, asked: list[Request], seconds: float) -> dict[str, Any]:
    """All engines over the queries, for so many seconds once all are warm."""
    depth = len(asked[0][1])
    warm = WARM if depth < 500 else 2
    found: dict[str, Any] = {}
    running: dict[str, Score] = {}
    for name, load in ENGINES.items():
        try:
            start = time.perf_counter()
            running[name] = load(folder)
            found[name] = {"load_s": time.perf_counter() - start, "s": [], "peak_mb": 0.0}
        except Exception as error:  # a library may be missing: that is the result
            found[name] = {"error": f"{type(error).__name__}: {error}"[:300]}
    if not running:
        return found
    reference: list[list[float]] = []  # of the first engine that runs
    started = time.time()
    for number, request in enumerate(asked):
        if number == warm:
            started = time.time()
        if number > warm and time.time() - started > seconds:
            break
        for name, score in running.items():
            if DEVICE == "cuda":
                torch.cuda.reset_peak_memory_stats()
            took, scores = timed(score, request)
            row = found[name]
            row["s"].append(took)
            if DEVICE == "cuda":
                row["peak_mb"] = max(row["peak_mb"], torch.cuda.max_memory_allocated() / 2**20)
            if name == next(iter(running)):
                reference.append(scores)
            row.setdefault("furthest", []).append(
                max(abs(a - b) for a, b in zip(scores, reference[-1], strict=True))
            )
        # how far scores of one query lie apart, to read `furthest` by
        found["spread"] = max(reference[-1]) - min(reference[-1])
    for row in found.values():
        if isinstance(row, dict) and "s" in row:
            counted = row["s"][warm:] or row["s"][-1:]
            row["counted"], row["pairs_a_second"] = len(counted), depth / median(counted)
            row["first_s"], row["ms"] = row["s"][0], 1000 * median(counted)
            row["furthest"] = max(row["furthest"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizer", required=True, help="folder of a fast tokenizer")
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--depths", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--seconds", type=float, default=10, help="for each size and depth")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": card(), "found": {}}
    asked = {depth: requests(options.queries, depth) for depth in options.depths}
    for size, (layers, width) in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            make_model(options.tokenizer, layers, width, folder)
            for depth in options.depths:
                found = compared(folder, asked[depth], options.seconds)
                result["found"][f"{size}, {depth} candidates"] = found
                for name, row in found.items():
                    if isinstance(row, dict):
                        said = row.get("error") or (
                            f"{row['ms']:9.1f} ms {row['pairs_a_second']:9.0f} pairs/s over "
                            f"{row['counted']}, first {row['first_s']:.2f} s, "
                            f"off by {row['furthest']:.1e}"
                        )
                        print(f"{size} {depth} {name}: {said}", flush=True)
                options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
