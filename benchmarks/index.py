"""The multi-vector index against exact search in plain PyTorch: time, memory, recall.

    python benchmarks/index.py --work runs/index --passages passages.jsonl --queries queries.jsonl \
        --count 20000 --output benchmarks/results/index.json [--fast-plaid OTHER/bin/python]
    python benchmarks/index.py --work runs/index --count 20000 --output …      # synthetic vectors

Texts are encoded once, however long that takes (--vectors-only stops there, so that the rest can be
measured when the machine is idle); every system gets these vectors. How fast texts are encoded is
measured on a sample. Each measurement is a process of its own,
with --threads threads, so that its peak memory is its own; it leaves a file under --work, and a
stopped run goes on. Memory is the peak of the process less what it had after its imports. Search is
one query at a time, the median over the queries after one that warms up. Recall is the share of
plain PyTorch's top k (fp32) that is found. fast-plaid pins another torch, hence its own Python.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from polyrank.base import DEFAULT_BASE
from polyrank.collections.jsonl import iter_documents, iter_queries
from polyrank.collections.records import Document, Query
from polyrank.index.multivector import (
    Binding,
    Change,
    Module,
    MultiVectorIndex,
    Plan,
    Pruning,
    build,
)
from polyrank.machine import machine

DEPTH, SAMPLE = 100, 256
CODECS = ("fp16", "int8", "residual-4", "residual-2", "residual-1")
SETTINGS = ("count", "asked", "centroids", "passages", "queries", "ranking", "seed", "threads")
Found = list[list[tuple[int, float]]]  # per query, passage numbers and scores


# --- vectors -------------------------------------------------------------------------------------


def prepare(options: argparse.Namespace) -> dict[str, Any]:
    """Write the vectors that every system gets; what they are."""
    make = encoded if options.passages else synthetic
    passages, queries = make(options)
    work: Path = options.work
    for name, vectors in (("passages", passages), ("queries", queries)):
        np.save(work / f"{name}.npy", np.concatenate(vectors).astype(np.float16))
        np.save(work / f"{name}.lengths.npy", np.array([len(v) for v in vectors]))
    return {
        "vectors": "encoded" if options.passages else "synthetic",
        "passages": len(passages),
        "queries": len(queries),
        "tokens": int(sum(map(len, passages))),
        "dimensions": int(passages[0].shape[1]),
    }


def encoded(options: argparse.Namespace) -> tuple[list[Any], list[Any]]:
    from itertools import islice

    from polyrank.late_interaction.model import LateInteraction

    model = LateInteraction(DEFAULT_BASE, options.ranking)
    documents = texts_of(options)
    queries = list(islice(iter_queries(options.queries, "en"), options.asked))
    passages: list[Any] = []
    for start in range(0, len(documents), 512):
        some = model.encode_documents(documents[start : start + 512])
        passages += [v.cpu().numpy() for v in some]
        print(f"encoded {len(passages)} of {len(documents)}", file=sys.stderr, flush=True)
    return passages, [v.cpu().numpy() for v in model.encode_queries(queries)]


def encoding(options: argparse.Namespace) -> dict[str, Any]:
    """How fast texts become vectors, on a sample of all lengths, after a batch that warms up."""
    from polyrank.late_interaction.model import LateInteraction

    base = resident()
    model = LateInteraction(DEFAULT_BASE, options.ranking)
    documents = texts_of(options)
    sample = documents[:: max(len(documents) // SAMPLE, 1)][:SAMPLE]
    model.encode_documents(sample[:16])
    start = time.perf_counter()
    vectors = model.encode_documents(sample)
    seconds = time.perf_counter() - start
    return {
        "documents": len(sample),
        "documents_a_second": len(sample) / seconds,
        "tokens_a_second": sum(map(len, vectors)) / seconds,
        "memory_mb": (peak() - base) / 1e6,
    }


def texts_of(options: argparse.Namespace) -> list[Document]:
    """The passages of all files, --count at most."""
    from itertools import chain, islice

    every = chain.from_iterable(iter_documents(path, "en") for path in options.passages)
    return list(islice(every, options.count))


def synthetic(options: argparse.Namespace) -> tuple[list[Any], list[Any]]:
    """Passages of 40 to 180 tokens about a topic each: words of Zipf's frequencies with noise.

    A query repeats 8 tokens of a passage and has 24 others, all with more noise.
    """
    draw = np.random.default_rng(options.seed)
    words = unit(draw.standard_normal((20_000, 128)))
    rank = 1 / np.arange(1, len(words) + 1)

    def tokens(picked: Any, noise: float) -> Any:
        return unit(words[picked] + noise * unit(draw.standard_normal((len(picked), 128))))

    topics = draw.integers(0, len(words), (max(options.count // 20, 1), 60))
    common = draw.choice(len(words), (options.count, 180), p=rank / rank.sum())
    contents, passages = [], []
    for number in range(options.count):
        own = draw.choice(topics[number % len(topics)], 180)
        picked = np.where(draw.random(180) < 0.5, own, common[number])[: draw.integers(40, 181)]
        contents.append(picked)
        passages.append(tokens(picked, 0.5))
    queries = []
    for number in draw.integers(0, options.count, options.asked):
        others = draw.choice(len(words), 24, p=rank / rank.sum())
        queries.append(tokens(np.concatenate([draw.choice(contents[number], 8), others]), 0.8))
    return passages, queries


def unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def load(work: Path, name: str) -> list[torch.Tensor]:
    """The vectors of passages or of queries, (n, d) fp16 each."""
    vectors = torch.from_numpy(np.load(work / f"{name}.npy", mmap_mode="c"))
    return list(vectors.split(np.load(work / f"{name}.lengths.npy").tolist()))


class Stored:
    """Hands out the vectors of the work folder, as an encoder does."""

    def __init__(self, work: Path) -> None:
        self.passages = load(work, "passages")
        dim = self.passages[0].shape[1]
        self.binding = Binding("-", "-", "-", "-", "-", "-", "none", rules={"dim": dim})

    def languages(self, documents: Sequence[Document]) -> list[str | None]:
        return ["en"] * len(documents)

    def module(self, language: str | None) -> Module | None:
        return None

    def encode_documents(self, documents: Sequence[Document]) -> list[torch.Tensor]:
        return [self.passages[int(d.id) % len(self.passages)].float() for d in documents]

    def encode_queries(
        self, queries: Sequence[Query], document_language: str | None = None
    ) -> list[torch.Tensor]:
        raise NotImplementedError("queries are searched by their vectors")


def documents(numbers: Iterable[int]) -> list[Document]:
    return [Document(f"{number:07}", f"passage {number}") for number in numbers]


# --- measurements, each in a process of its own --------------------------------------------------


def plain(work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Exact search in plain PyTorch: padded blocks, one einsum, a maximum, a sum, a sort."""
    base, passages = resident(), load(work, "passages")
    blocks, vectors = [], 0
    for start in range(0, len(passages), 256):
        block = [v.float() for v in passages[start : start + 256]]
        padded = torch.nn.utils.rnn.pad_sequence(block, batch_first=True)
        lengths = torch.tensor([len(v) for v in block])
        mask = torch.arange(padded.shape[1])[None, :] < lengths[:, None]
        blocks.append((padded, mask))
        vectors += padded.nbytes

    def search(query: torch.Tensor) -> list[tuple[int, float]]:
        scores = []
        for padded, mask in blocks:
            similarity = torch.einsum("sd,ntd->nst", query, padded)
            similarity.masked_fill_(~mask[:, None, :], -torch.inf)
            scores.append(similarity.amax(dim=2).sum(dim=1))
        best = torch.cat(scores).topk(min(DEPTH, len(passages)))
        return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))

    return {**timed(search, work, base), "vectors_mb": vectors / 1e6, "build_seconds": 0.0}


def make(work: Path, options: argparse.Namespace, codec: str) -> dict[str, Any]:
    """Build one index."""
    folder, encoder = work / "indexes" / codec, Stored(work)
    for path in (folder, folder.with_name(folder.name + ".work")):
        shutil.rmtree(path, ignore_errors=True)
    base, start = resident(), time.perf_counter()
    texts = documents(range(len(encoder.passages)))
    done = build(folder, texts, encoder, Plan(codec, options.centroids or None, seed=options.seed))
    seconds = time.perf_counter() - start
    info = MultiVectorIndex(folder, encoder).info()
    return {
        "build_seconds": seconds,
        "build_memory_mb": (peak() - base) / 1e6,
        "index_mb": info.bytes / 1e6,
        "bytes_a_token": info.bytes / done.tokens,
        "centroids": info.centroids,
    }


def search_index(
    work: Path, options: argparse.Namespace, codec: str, pruning: Pruning | None
) -> dict[str, Any]:
    """Search one index."""
    base = resident()
    index = MultiVectorIndex(work / "indexes" / codec)

    def search(query: torch.Tensor) -> list[tuple[int, float]]:
        (hits,) = index.search_vectors([query], DEPTH, pruning=pruning)
        return [(int(identity), score) for identity, score in hits]

    return timed(search, work, base)


def change(work: Path, options: argparse.Namespace, codec: str) -> dict[str, Any]:
    """Add 1 % to a copy of an index, delete 1 %, and compact it."""
    folder = work / "indexes" / f"{codec}-changed"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(work / "indexes" / codec, folder)
    encoder = Stored(work)
    index, count = MultiVectorIndex(folder, encoder), len(encoder.passages)
    some = max(count // 100, 1)
    steps: dict[str, Callable[[], Change]] = {
        "add": lambda: index.add(documents(range(count, count + some))),
        "delete": lambda: index.delete([d.id for d in documents(range(some))]),
        "compact": index.compact,
    }
    found: dict[str, Any] = {"documents": some}
    for name, step in steps.items():
        start = time.perf_counter()
        step()
        found[f"{name}_seconds"] = time.perf_counter() - start
    shutil.rmtree(folder)
    return found


def timed(
    search: Callable[[torch.Tensor], list[tuple[int, float]]], work: Path, base: int
) -> dict[str, Any]:
    """Seconds of one query at a time, memory, and what was found."""
    queries = [v.float() for v in load(work, "queries")]
    search(queries[0])
    seconds, found = [], []
    for query in queries:
        start = time.perf_counter()
        found.append(search(query))
        seconds.append(time.perf_counter() - start)
    return {
        "query_ms": 1000 * median(seconds),
        "query_ms_p95": 1000 * sorted(seconds)[int(0.95 * (len(seconds) - 1))],
        "search_memory_mb": (peak() - base) / 1e6,
        "found": found,
    }


def resident() -> int:
    """Bytes of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# --- the whole -----------------------------------------------------------------------------------


def stages(options: argparse.Namespace) -> dict[str, Callable[[Path], dict[str, Any]]]:
    """Every measurement by its name; those of one index follow its build."""
    pruning = Pruning(options.probe, options.candidates)
    found: dict[str, Callable[[Path], dict[str, Any]]] = {
        "plain": lambda work: plain(work, options)
    }
    codecs = options.codecs.split(",")
    for codec in codecs:
        found[f"build {codec}"] = lambda work, codec=codec: make(work, options, codec)
        found[f"search {codec}"] = lambda work, codec=codec: search_index(
            work, options, codec, None
        )
        if codec.startswith("residual"):
            found[f"pruned {codec}"] = lambda work, codec=codec: search_index(
                work, options, codec, pruning
            )
    for codec in ("fp16", "residual-4"):
        if codec not in codecs or not options.changes:
            continue
        found[f"change {codec}"] = lambda work, codec=codec: change(work, options, codec)
    return found


def run_stage(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """One measurement in a process of its own, unless it was done."""
    path = options.work / "stages" / f"{name.replace(' ', '-')}.json"
    if not path.exists():
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        command = [sys.executable, __file__, *sys.argv[1:], "--stage", name]
        if name == "fast-plaid":
            peer = Path(__file__).with_name("index_fast_plaid.py")
            command = [options.fast_plaid, peer, options.work, "--depth", DEPTH]
            command += ["--probe", options.probe, "--candidates", options.candidates]
        threads = {"OMP_NUM_THREADS": str(options.threads), "MKL_NUM_THREADS": str(options.threads)}
        done = subprocess.run(
            [str(word) for word in command],
            env={**os.environ, **threads},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(done.stdout.splitlines()[-1])
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def recall(found: Found, exact: Found, k: int) -> float:
    shares = [
        len({i for i, _ in ours[:k]} & {i for i, _ in theirs[:k]}) / len(theirs[:k])
        for ours, theirs in zip(found, exact, strict=True)
    ]
    return sum(shares) / len(shares)


def row(name: str, measured: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any]:
    """A measurement beside plain PyTorch's."""
    found = measured.pop("found", None)
    if found is None:
        return {"name": name, **measured}
    return {
        "name": name,
        **measured,
        "times_as_fast_as_plain": reference["query_ms"] / measured["query_ms"],
        "recall@10": recall(found, reference["found"], 10),
        "recall@100": recall(found, reference["found"], 100),
    }


def check(options: argparse.Namespace) -> None:
    """Refuse a work folder of other settings."""
    path = options.work / "settings.json"
    now = json.loads(json.dumps({name: getattr(options, name) for name in SETTINGS}, default=str))
    if path.exists() and json.loads(path.read_text()) != now:
        sys.exit(f"{options.work} holds measurements of other settings; give another --work")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(now, indent=1))


def told(value: Any) -> str:
    """A setting for the report: of a file its name, whatever its folder."""
    if isinstance(value, list):
        return ", ".join(map(told, value))
    return value.name if isinstance(value, Path) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument(
        "--passages", type=Path, nargs="+", help="JSON lines; without it, synthetic vectors"
    )
    parser.add_argument("--queries", type=Path, help="JSON lines, with --passages")
    parser.add_argument("--ranking", default="squad-li", help="the late-interaction module")
    parser.add_argument("--count", type=int, default=20_000, help="passages")
    parser.add_argument("--asked", type=int, default=100, help="queries")
    parser.add_argument("--codecs", default=",".join(CODECS), help="between commas")
    parser.add_argument(
        "--changes",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="add, delete, compact",
    )
    parser.add_argument("--centroids", type=int, default=0, help="0: ColBERTv2's rule")
    parser.add_argument("--probe", type=int, default=8)
    parser.add_argument("--candidates", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fast-plaid", help="a Python that has fast-plaid")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--vectors-only", action="store_true", help="encode, and measure nothing")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if bool(options.passages) != bool(options.queries):
        sys.exit("--passages and --queries go together")
    if options.stage:
        actions = {"vectors": prepare, "encoding": encoding}
        if options.stage in actions:
            result = actions[options.stage](options)
        else:
            result = stages(options)[options.stage](options.work)
        print(json.dumps(result))
        return
    check(options)
    vectors = run_stage(options, "vectors")
    if options.vectors_only:
        return
    names = [*stages(options), *(["fast-plaid"] if options.fast_plaid else [])]
    measured = {name: run_stage(options, name) for name in names}
    reference = dict(measured["plain"])
    report = {
        "machine": machine(),
        "settings": {name: told(getattr(options, name)) for name in SETTINGS},
        "probe": options.probe,
        "candidates": options.candidates,
        "vectors": vectors,
        "encoding": run_stage(options, "encoding") if options.passages else "not measured",
        "fast-plaid": "measured" if options.fast_plaid else "not run: no --fast-plaid was given",
        "rows": [row(name, dict(found), reference) for name, found in measured.items()],
    }
    text = json.dumps(report, indent=1)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
