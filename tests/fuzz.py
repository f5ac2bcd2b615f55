"""A seeded fuzzer of everything that reads a file: damaged input is read, or refused in words.

    python tests/fuzz.py --count 100000 --seed 1

Each case takes a small sound input, damages one of its files, and reads it. Right are a result and
a `PolyrankError`. Wrong are any other exception, more than `PATIENCE` seconds, and, of a file with
a record on each line, fewer records than lines (`silent`).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from polyrank.errors import PolyrankError

os.environ["HF_HUB_OFFLINE"] = "1"  # a damaged name may be that of a data set on the Hub

PATIENCE = 10  # seconds
ODD = ["null", "true", "-1", "0", "1e999", "999999999999", "NaN", '""', "[]", "{}", '"\\ud800"']
BYTES = [b"\0", b"\xff", b"\n", b"\t", b" ", b'"', b"\x1b[31m", "\ufeff".encode(), b"\r", b"{"]


@dataclass(frozen=True)
class Target:
    """A reader and a sound input of it.

    Attributes:
        files: name → content; the reader is given the folder that holds them.
        read: of the folder.
        lines: the file whose every line is a record, which `read` returns all of.
        every: it takes part in one of so many rounds; for readers that are slow.
        folder: a folder to copy in place of `files`.
    """

    read: Callable[[Path], Any]
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    lines: str | None = None
    folder: Path | None = None
    every: int = 1

    def place(self, folder: Path) -> None:
        if self.folder is not None:
            shutil.copytree(self.folder, folder)
            return
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


@dataclass
class Outcome:
    """What a run of the fuzzer met: counts by what came of a case, and the wrong ones."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


# -------------------------------------------------------------------------------- the damage


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The same bytes with one to three things wrong."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = chance.choice(DAMAGE)(data, chance)
    return data


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _flip(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return b"\0"
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def _insert(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.choice(BYTES) + data[place:]


def _remove(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + data[place + chance.randrange(1, 9) :]


def _line(data: bytes, chance: random.Random) -> bytes:
    """A line twice, none, or elsewhere."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    line = lines.pop(chance.randrange(len(lines)))
    for _ in range(chance.randrange(3)):
        lines.insert(chance.randrange(len(lines) + 1), line)
    return b"".join(lines)


def _field(data: bytes, chance: random.Random) -> bytes:
    """A field between blanks, or a value of JSON or YAML, replaced by something odd."""
    words = data.replace(b"\t", b" ").split(b" ")
    place = chance.randrange(len(words))
    odd = chance.choice(ODD).encode()
    ending = b",\n" if words[place].endswith(b",\n") else b"\n" if b"\n" in words[place] else b""
    words[place] = odd + ending
    return b" ".join(words)


def _value(data: bytes, chance: random.Random) -> bytes:
    """One value somewhere in a JSON text, of another type, or a key that is gone."""
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return _field(data, chance)
    inner = record
    while isinstance(inner, dict | list) and inner:
        key = chance.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
        below = inner[key]
        if not (isinstance(below, dict | list) and below) or chance.random() < 0.3:
            if chance.random() < 0.2:
                del inner[key]
            else:
                inner[key] = chance.choice(
                    [None, True, -1, 0, 1.5, 10**12, "", "x", [], {}, ["x"], {"x": 1}, "../x"]
                )
            break
        inner = below
    return json.dumps(record, indent=1).encode()


def _nothing(data: bytes, chance: random.Random) -> bytes:
    return b""


DAMAGE = (_cut, _flip, _insert, _remove, _line, _field, _value, _value, _nothing)


# ------------------------------------------------------------------------------- the readers


def targets(scratch: Path) -> dict[str, Target]:
    """Every reader by name; folders that are needed are made in `scratch`."""
    from polyrank.collections.columns import read_columns
    from polyrank.collections.jsonl import iter_documents, iter_queries
    from polyrank.collections.load import load_collection
    from polyrank.collections.stream import iter_run_by_query
    from polyrank.collections.text_files import read_documents
    from polyrank.collections.trec import iter_run, read_qrels
    from polyrank.composition.saved import read_composition
    from polyrank.evaluation.value_files import read_values
    from polyrank.experiments.reader import read_specification
    from polyrank.index.dense_folder import load as load_dense
    from polyrank.modules.card import read_card
    from polyrank.modules.load import load_module
    from polyrank.rerankers.llm.prompt import load_prompt
    from polyrank.training.examples.comparisons import labelled
    from polyrank.training.examples.rows import read_rows
    from polyrank.training.language.text import read_lines, read_pairs

    def each(read: Callable[..., Any], name: str, lines: bool = True) -> Target:
        return Target(lambda f: list(read(f / name)), {name: SOUND[name]}, name if lines else None)

    def query_ids(folder: Path) -> Any:
        from polyrank.collections.records import Query

        queries = {"q1": Query("q1", "ice"), "q2": Query("q2", "sun")}
        return labelled(folder / "comparisons.jsonl", queries)

    mask, dense = _mask(scratch / "mask"), _dense(scratch / "dense")
    rows = {name: SOUND[name] for name in ("rows.jsonl", "docs.jsonl")}
    beir = {"corpus.jsonl": SOUND["docs.jsonl"], "queries.jsonl": SOUND["queries.jsonl"],
            "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n"}  # fmt: skip
    table = {name: SOUND[name] for name in ("mapping.json", "d.jsonl", "q.jsonl", "r.jsonl")}
    return {
        "documents.jsonl": each(iter_documents, "docs.jsonl"),
        "queries.jsonl": each(iter_queries, "queries.jsonl"),
        "documents.tsv": each(read_documents, "docs.tsv"),
        "run": each(iter_run, "run.trec"),
        "run.jsonl": each(iter_run, "run.jsonl"),
        "run by query": each(iter_run_by_query, "run.trec", lines=False),
        "qrels": each(read_qrels, "qrels.txt"),
        "text": each(read_lines, "text.txt"),
        "pairs": each(read_pairs, "pairs.tsv", lines=False),
        "values": each(read_values, "values.tsv", lines=False),
        "comparisons": Target(query_ids, {"comparisons.jsonl": SOUND["comparisons.jsonl"]}),
        "rows": Target(lambda f: read_rows(f / "rows.jsonl", f / "docs.jsonl"), rows),
        "beir": Target(lambda f: load_collection(str(f)), beir),
        "columns": Target(lambda f: read_columns(f / "mapping.json"), table, every=25),
        "prompt": Target(
            lambda f: load_prompt(f / "prompt.yaml"), {"prompt.yaml": SOUND["prompt.yaml"]}
        ),
        "composition": Target(
            lambda f: read_composition(f / "c.json"), {"c.json": SOUND["composition.json"]}
        ),
        "experiment": Target(
            lambda f: read_specification(f / "e.yaml"), {"e.yaml": SOUND["experiment.yaml"]}
        ),
        "card": Target(read_card, folder=mask),
        "mask": Target(load_module, folder=mask),
        "dense": Target(lambda f: np.asarray(load_dense(f)[2]).sum(), folder=dense),
    }


SOUND: dict[str, str] = {
    "docs.jsonl": '{"_id": "d1", "text": "ice melts", "language": "en"}\n'
    '{"_id": "d2", "title": "Sun", "text": "far away"}\n{"_id": "d3", "text": "salt"}\n',
    "queries.jsonl": '{"_id": "q1", "text": "ice", "language": "en"}\n'
    '{"_id": "q2", "text": "sun"}\n',
    "docs.tsv": "d1\tice melts\nd2\tthe sun\nd3\tsalt\n",
    "run.trec": "q1 Q0 d1 1 2.5 t\nq1 Q0 d2 2 1.5 t\nq2 Q0 d1 1 0.5 t\n",
    "run.jsonl": '{"query_id": "q1", "document_id": "d1", "score": 2.5}\n'
    '{"query_id": "q1", "document_id": "d2", "score": 1.5}\n',
    "qrels.txt": "q1 0 d1 1\nq1 0 d2 0\nq2 0 d2 2\n",
    "text.txt": "Ice melts in the sun.\nSalt is white.\nA long river.\n",
    "pairs.tsv": "sw\tmaji\twater\nsw\tjua\tsun\nky\tsuu\twater\n",
    "values.tsv": "query_language\tdocument_language\tquery_id\tmeasure\tvalue\n"
    "tr\ten\tq1\tRR\t0.5\n\t\tq2\tRR\t1\n",
    "comparisons.jsonl": '{"query": "q1", "winner": "d1", "loser": "d2"}\n'
    '{"query": "q1", "winner": "d1", "loser": "d3", "weight": 2}\n',
    "rows.jsonl": '{"_id": "q1", "text": "ice", "pos": ["d1"], "neg": ["d2", "d3"]}\n'
    '{"_id": "q2", "text": "sun", "pos": "d2", "pos_score": 1.5, "neg": ["d1"], '
    '"neg_scores": [0.5]}\n',
    "mapping.json": '{"licence": "CC0-1.0",\n "documents": {"data": "d.jsonl", '
    '"id": "id", "text": "text", "language": "en"},\n "queries": {"data": "q.jsonl", "id": "id", '
    '"text": "text", "language": "en"},\n "qrels": {"data": "r.jsonl", "query": "q", '
    '"document": "d", "relevance": "rel"}}\n',
    "d.jsonl": '{"id": "d1", "text": "ice"}\n{"id": "d2", "text": "sun"}\n',
    "q.jsonl": '{"id": "q1", "text": "cold"}\n',
    "r.jsonl": '{"q": "q1", "d": "d1", "rel": 1}\n',
    "prompt.yaml": "scorer: groupwise\nsystem: You grade passages.\n"
    'prefix: "Here are {count} passages. Question: {query}\\n"\n'
    'document: "[{id}] {text}\\n"\nsuffix: "Grade them."\nidentifiers: numbers\n'
    "output: '(?P<answer>x+)'\nstop: [end]\nmax_tokens: 64\n",
    "composition.json": json.dumps(
        {
            "format_version": 1,
            "base": "tiny",
            "composition": {
                "base": "tiny",
                "ranking": "squad",
                "routing": "split",
                "kind": "adapter",
                "ranking_kind": "adapter",
                "query_language": "ky",
                "document_language": "en",
                "query_module": "ky",
                "document_module": "en",
                "notes": [],
                "fingerprint": {"weights": "1" * 16, "vocabulary": "2" * 16},
            },
            "modules": [
                {
                    "role": "language",
                    "kind": "adapter",
                    "name": "ky",
                    "files": {"adapter.safetensors": "3" * 64},
                }
            ],
        },
        indent=1,
    ),  # fmt: skip
    "experiment.yaml": "title: A test\nseed: 7\nmeasures: [nDCG@3, RR]\ncollections:\n"
    "  ntrex: {source: ntrex, pairs: [[tr, en]], queries: 3}\nsystems:\n"
    "  BM25: {search: bm25}\n  dense: {search: dense}\n"
    '  "mixed, {routing}": {rerank: adapter, over: BM25, routing: [none, split]}\ncompare:\n'
    "  - {system: dense, against: BM25}\n",
}


def _mask(folder: Path) -> Path:
    import torch

    from polyrank.base import Fingerprint
    from polyrank.modules.card import ModuleCard
    from polyrank.modules.mask.mask_folder import save_mask_module
    from polyrank.modules.mask.sparse import SparseDifference

    card = ModuleCard("language", "mask", "ky", "ky", "tiny", Fingerprint("1" * 16, "2" * 16))
    difference = SparseDifference((8, 8), torch.tensor([1, 5, 40]), torch.tensor([0.5, 1.0, 2.0]))
    save_mask_module({"encoder.weight": difference}, folder, card)
    return folder


def _dense(folder: Path) -> Path:
    from polyrank.index.dense_folder import DenseManifest, build

    vectors = np.eye(4, dtype=np.float32)
    manifest = DenseManifest("tiny", "1" * 16, "2" * 16, 64, 4, 4, "0" * 64, "mean")
    build(folder, manifest, ["d1", "d2", "d3", "d4"], lambda start, end: vectors[start:end])
    return folder


# ------------------------------------------------------------------------------------ a case


def _alarm(*_: Any) -> None:
    raise TimeoutError(f"more than {PATIENCE} s")


def attempt(name: str, target: Target, folder: Path, chance: random.Random) -> tuple[str, str]:
    """(what came of a case, what was done and said)."""
    shutil.rmtree(folder, ignore_errors=True)
    target.place(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    file = chance.choice(files)
    content = damaged(file.read_bytes(), chance)
    file.write_bytes(content)
    case = f"{name}: {file.relative_to(folder)} = {content[:300]!r}"
    signal.alarm(PATIENCE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = target.read(folder)
    except PolyrankError as error:
        return "refused", f"{case}\n{error}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        kind = "hang" if isinstance(error, TimeoutError) else "crash"
        return kind, f"{case}\n{''.join(traceback.format_exception(error)[-3:])}"
    finally:
        signal.alarm(0)
    if target.lines == str(file.relative_to(folder)):
        lines = [line for line in content.decode("utf-8-sig").split("\n") if line.strip()]
        header = len(lines) - len(found) == 1 and not _is_record(name, lines[0])
        if len(found) != len(lines) and not header:
            return "silent", f"{case}\n{len(found)} records of {len(lines)} lines"
    return "read", case


def _is_record(name: str, line: str) -> bool:
    """Whether a first line is data; of some files it may name the columns."""
    return not (name in ("documents.tsv", "qrels") and not any(i in line for i in ("d1", "d2")))


def fuzz(targets: dict[str, Target], count: int, seed: int, scratch: Path) -> Outcome:
    """So many cases, the targets in turn; the same seed gives the same cases."""
    outcome, names = Outcome(), list(targets)
    for name, target in targets.items():  # sound before it is damaged, and its imports are done
        target.place(scratch / "sound" / name)
        target.read(scratch / "sound" / name)
    before = signal.signal(signal.SIGALRM, _alarm)
    try:
        for number in range(count):
            turn, place = divmod(number, len(names))
            name = names[place] if turn % targets[names[place]].every == 0 else names[0]
            kind, case = attempt(
                name, targets[name], scratch / "case", random.Random(f"{seed} {number}")
            )
            outcome.counts[kind] += 1
            if kind not in ("read", "refused"):
                outcome.wrong.append(f"[{number}] {kind}: {case}")
    finally:
        signal.signal(signal.SIGALRM, before)
    return outcome


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--count", type=int, default=2000)
    asked.add_argument("--seed", type=int, default=1)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        outcome = fuzz(targets(scratch), options.count, options.seed, scratch)
    print(json.dumps(outcome.counts))
    print("\n".join(outcome.wrong[:50]), file=sys.stderr)
    return int(bool(outcome.wrong))


if __name__ == "__main__":
    sys.exit(main())
