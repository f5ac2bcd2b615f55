"""MaxSim beside its peers: parity in float64 first, then every shape, in one run.

    python benchmarks/maxsim.py --rounds 11

Peers are whatever this environment can import: maxsim-cpu, sentence-transformers (>= 6), PyLate and
late-interaction-kernels' reference on a CPU; late-interaction-kernels and flash-maxsim on a GPU;
PyTorch, eager and compiled, on both. What could not be run is in the results with the reason.

All systems take turns, round after round, so that other work on the machine falls on each alike. A
ratio is the median over the rounds of (peer / ours) within a round; on a machine that others use,
compare the least times too. On a CPU 20 ms pass before each call: OpenMP's threads spin for some
milliseconds after work, on the cores of the system that comes next. `cpu_s` is the CPU time of the
process, which for one thread is nearly free of other work on the machine. Memory that an allocator
has kept from before is not seen.

maxsim-cpu gets as many threads as PyTorch, and documents whose masked tokens were cut out before it
is timed. Two einsums stand for a padded product: `torch eager` is "qsd,ntd->qnst" for any number of
queries, `torch einsum` is "sh,bth->bst" for a single one; both mask, take the maximum and sum.

The floor of a shape is the larger of bytes over bandwidth and products over the rate of a large
matrix product, both measured first: by a copy on a GPU, and on a CPU by a sum, and by the faster of
PyTorch's two libraries for products. `polyrank by AVX2` and `by
PyTorch` are ours as on lesser machines.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from polyrank.kernels import maxsim, maxsim_packed, maxsim_per_query, maxsim_topk, reference
from polyrank.kernels.codecs.int8 import Int8Documents, encode_int8, maxsim_int8
from polyrank.kernels.codecs.residual import ResidualCodec
from polyrank.kernels.codecs.residual_scoring import (
    ResidualDocuments,
    maxsim_residual,
    pack_documents,
)
from polyrank.kernels.cpu import native
from polyrank.kernels.cpu.product import Workspace, _multiply, product

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
DTYPE = torch.bfloat16 if GPU else torch.float32
SEED = 0
PAUSE = 0.02  # s
EAGER_SCORES = 1 << 29  # similarities that eager PyTorch may hold: 2 GB
COMPRESSED = ("int8", "residual-2", "residual-4")
PEERS = (
    "maxsim-cpu",
    "sentence-transformers",
    "pylate",
    "late-interaction-kernels",
    "flash-maxsim",
)


@dataclass(frozen=True)
class Shape:
    """kind: rerank, ragged (lengths from a sixth of `length` up), holes (a fifth of those tokens
    masked), train, lists (each query its own `documents`), scan (top 100), packed (ragged without
    padding); int8, residual-2 and residual-4 (bits; random bytes and `centroids`, ragged)."""

    kind: str
    queries: int
    documents: int
    length: int = 180
    query_length: int = 32
    width: int = 128
    backward: bool = False
    centroids: int = 0

    def __str__(self) -> str:
        both = " forward+backward" if self.backward else ""
        size = f"{self.queries}×{self.query_length} · {self.documents}×{self.length}×{self.width}"
        codec = f" of {self.centroids} centroids" if self.centroids else ""
        return f"{self.kind} {size}{codec}{both}"


CPU_SHAPES = [
    *(Shape(kind, 1, n) for n in (100, 1000) for kind in ("rerank", "ragged", "holes", "packed")),
    Shape("rerank", 16, 1000),
    Shape("lists", 16, 32),
    Shape("train", 32, 32),
    Shape("train", 32, 32, backward=True),
    Shape("scan", 4, 4000),
    *(Shape("int8", q, 1000) for q in (1, 16)),
    *(Shape(f"residual-{b}", q, 1000, centroids=4096) for b in (2, 4) for q in (1, 16)),
]
GPU_SHAPES = [
    *(
        Shape(kind, 1, n, 300 if kind != "rerank" else 180, width=w)
        for w in (128, 64)
        for n in (100, 1000, 10_000, 100_000)
        for kind in ("rerank", "ragged", "packed")
    ),
    *(Shape("rerank", q, 10_000) for q in (8, 32, 128)),
    *(Shape("scan", q, 1_000_000) for q in (1, 16, 64)),
    *(
        Shape("train", b, b * n, length, backward=backward)
        for b in (64, 128, 256, 512)
        for n in (1, 2)
        for length in (180, 300)
        for backward in (False, True)
    ),
    *(Shape("lists", 32, 32, 300, backward=backward) for backward in (False, True)),
    Shape("rerank", 1, 1000, 1024, 1024),
    Shape("holes", 1, 10_000, 300),
    *(Shape("int8", q, 100_000) for q in (1, 16)),
    *(
        Shape(f"residual-{bits}", q, 100_000, centroids=k)
        for bits in (2, 4)
        for k in (1 << 14, 1 << 16)
        for q in (1, 16)
    ),
]


@dataclass(eq=False)
class Case:
    """The tensors of a shape."""

    shape: Shape
    queries: Tensor  # (Q, Lq, d)
    documents: Tensor  # (D, Ld, d), or (Q, N, Ld, d) for lists
    mask: Tensor | None

    @classmethod
    def make(cls, shape: Shape, dtype: torch.dtype = DTYPE) -> Case:
        torch.manual_seed(SEED)
        queries = _unit(shape.queries, shape.query_length, shape.width, dtype)
        count = shape.documents * (shape.queries if shape.kind == "lists" else 1)
        documents = torch.empty(count, shape.length, shape.width, dtype=dtype, device=DEVICE)
        for part in documents.split(20_000):
            part.copy_(_unit(len(part), shape.length, shape.width, dtype))
        mask = None
        if shape.kind in ("ragged", "holes", "packed", *COMPRESSED):
            lengths = torch.randint(shape.length // 6, shape.length + 1, (count, 1), device=DEVICE)
            mask = torch.arange(shape.length, device=DEVICE) < lengths
        if shape.kind == "holes":
            assert mask is not None
            mask &= torch.rand(mask.shape, device=DEVICE) > 0.2
        if shape.kind == "lists":
            documents = documents.unflatten(0, (shape.queries, shape.documents))
        if shape.backward:
            queries.requires_grad_()
            documents.requires_grad_()
        return cls(shape, queries, documents, mask)

    def lengths(self) -> list[int]:
        return [] if self.mask is None else self.mask.sum(1).tolist()


def _unit(count: int, length: int, width: int, dtype: torch.dtype) -> Tensor:
    return F.normalize(torch.randn(count, length, width, device=DEVICE), dim=-1).to(dtype)


Call = Callable[[], Any]


def ours(case: Case) -> Call:
    if case.shape.kind == "lists":
        return lambda: maxsim_per_query(case.queries, case.documents)
    if case.shape.kind == "scan":
        return lambda: maxsim_topk(case.queries, case.documents, 100)
    if case.shape.kind == "packed":
        assert case.mask is not None
        flat = case.documents[case.mask]
        ends = F.pad(case.mask.sum(1).cumsum(0), (1, 0))
        queries, query_ends = case.queries.flatten(0, 1), torch.arange(case.shape.queries + 1)
        query_ends = query_ends.to(DEVICE) * case.shape.query_length
        return lambda: maxsim_packed(queries, query_ends, flat, ends)
    return lambda: maxsim(case.queries, case.documents, None, case.mask)


def _einsum(queries: Tensor, documents: Tensor, mask: Tensor | None) -> Tensor:
    return _einsum_as_is(queries.float(), documents.float(), mask)


def _einsum_as_is(queries: Tensor, documents: Tensor, mask: Tensor | None) -> Tensor:
    """Products and maxima in the type of the vectors; the sum is fp32."""
    similarity = torch.einsum("qsd,ntd->qnst", queries, documents)
    if mask is not None:
        similarity = similarity.masked_fill(~mask[None, :, None], -torch.inf)
    return similarity.amax(dim=-1).float().sum(dim=-1)


def eager(case: Case, score: Callable[..., Tensor] = _einsum) -> Call:
    """Eager fp32 PyTorch over padded documents, in parts of at most EAGER_SCORES similarities."""
    shape, mask = case.shape, case.mask
    if shape.kind == "lists":
        return lambda: reference.maxsim_per_query(case.queries, case.documents)
    each = shape.queries * shape.query_length * shape.length
    step = shape.documents if shape.backward else max(EAGER_SCORES // each, 1)
    if shape.backward and each * shape.documents > 8 * EAGER_SCORES:
        raise Unable("the similarity tensor would take over 16 GB")

    def call() -> Any:
        parts = [
            score(case.queries, part, None if mask is None else mask[i * step : (i + 1) * step])
            for i, part in enumerate(case.documents.split(step))
        ]
        scores = torch.cat(parts, dim=1)
        return scores.topk(100, dim=1) if shape.kind == "scan" else scores

    return call


def einsum(case: Case) -> Call:
    """The padded product of one query as kernels for it are often compared with."""
    one = case.shape.queries == 1 and case.shape.kind not in ("scan", "lists")
    _only(case, not GPU and one, "one query on a CPU")
    query, dead = case.queries[0], None if case.mask is None else ~case.mask[..., None]

    def call() -> Tensor:
        similarity = torch.einsum("sh,bth->bst", query, case.documents)
        if dead is not None:
            similarity = similarity.masked_fill(dead.transpose(1, 2), -torch.inf)
        return similarity.amax(dim=-1).sum(dim=-1)

    return call


def compiled(case: Case) -> Call:
    if case.shape.kind in ("scan", "lists"):
        raise Unable("the eager row stands for it")
    return eager(case, torch.compile(_einsum, dynamic=False))


def maxsim_cpu(case: Case) -> Call:
    _only(case, not GPU and case.shape.queries == 1, "one query on a CPU")
    package = import_module("maxsim_cpu")
    query, documents = case.queries[0].numpy(), case.documents.numpy()
    if case.mask is None:
        return lambda: package.maxsim_scores(query, documents)
    texts = [text[mask] for text, mask in zip(documents, case.mask.numpy(), strict=True)]
    return lambda: package.maxsim_scores_variable(query, texts)


def sentence_transformers(case: Case) -> Call:
    similarity = import_module("sentence_transformers.util.similarity")
    if not hasattr(similarity, "maxsim"):
        raise Unable("this version has no maxsim")
    if case.shape.kind == "lists":
        scoring = import_module("sentence_transformers.multi_vector_encoder.scoring.colbert")
        return lambda: scoring.colbert_kd_scores(case.queries, case.documents)
    _only(case, case.shape.kind != "scan", "scores, not a top 100")
    return lambda: similarity.maxsim(case.queries, case.documents, b_mask=case.mask)


def pylate(case: Case) -> Call:
    _only(case, case.shape.kind != "scan", "scores, not a top 100")
    _only(case, case.documents.numel() < 1 << 30, "small enough to materialise")
    scores = import_module("pylate.scores")
    if case.shape.kind == "lists":
        return lambda: scores.colbert_kd_scores(case.queries, case.documents)
    return lambda: scores.colbert_scores(case.queries, case.documents, documents_mask=case.mask)


def late_interaction_kernels(case: Case) -> Call:
    _only(case, case.shape.kind != "scan", "scores, not a top 100")
    if GPU:
        function = import_module("late_interaction_kernels").maxsim
    else:
        _only(case, case.shape.kind != "lists", "lists only with its GPU kernel")
        function = import_module("late_interaction_kernels.reference").maxsim_reference
    return lambda: function(case.queries, case.documents, None, case.mask)


def flash_maxsim(case: Case) -> Call:
    _only(case, GPU, "only a GPU")
    _only(case, case.shape.kind != "scan", "scores, not a top 100")
    _only(case, case.shape.kind != "holes", "lengths, not masks")
    package = import_module("flash_maxsim")
    shared = case.shape.kind != "lists"
    lengths = None if case.mask is None else case.mask.sum(1).to(torch.int32)
    function = package.flash_maxsim_batched
    if case.shape.backward:
        function = package.flash_maxsim_batched_train
    return lambda: function(case.queries, case.documents, shared_docs=shared, doc_lengths=lengths)


def at_level(make: Callable[[Case], Call], level: int) -> Callable[[Case], Call]:
    """Ours as on a lesser machine: 0, without a compiler; 1, with AVX2."""

    def lesser(case: Case) -> Call:
        _only(case, not GPU and native.level() > level, "a CPU whose kernel was compiled")
        call = make(case)

        def score() -> Any:
            with patch.object(native, "level", lambda: level):
                return call()

        return score

    return lesser


def compressed(case: Case) -> ResidualDocuments | Int8Documents:
    """The documents' live tokens in int8; for the speed of a residual codec its bytes are random
    ones in the format of ColBERT and fast-plaid."""
    assert case.mask is not None
    ends = F.pad(case.mask.sum(1).cumsum(0), (1, 0))
    if case.shape.kind == "int8":
        return encode_int8(case.documents[case.mask], ends)
    bits, tokens = int(case.shape.kind[-1]), int(ends[-1])
    centroids = _unit(1, case.shape.centroids, case.shape.width, torch.float16)[0]
    weights = torch.linspace(-0.1, 0.1, 2**bits, device=DEVICE)
    codec = ResidualCodec(centroids, (weights[1:] + weights[:-1]) / 2, weights)
    codes = torch.randint(case.shape.centroids, (tokens,), device=DEVICE)
    size = (tokens, codec.token_bytes)
    residuals = torch.randint(256, size, dtype=torch.uint8, device=DEVICE)
    return pack_documents(codec, codes, residuals, ends)


def ours_compressed(case: Case) -> Call:
    documents = compressed(case)
    return lambda: _score_compressed(case, documents)


def _score_compressed(case: Case, documents: ResidualDocuments | Int8Documents) -> Tensor:
    if isinstance(documents, Int8Documents):
        return maxsim_int8(case.queries, documents)
    return maxsim_residual(case.queries, documents)


def decoded(case: Case) -> Call:
    """Restore the vectors, then score them: what engines do that have no kernel for it."""
    documents, queries = compressed(case), case.queries.flatten(0, 1)
    ends = torch.arange(len(case.queries) + 1, device=DEVICE) * case.shape.query_length
    return lambda: maxsim_packed(queries, ends, documents.decode(), documents.offsets)


def late_interaction_kernels_residual(case: Case) -> Call:
    """Its kernel reads the slots of a byte in another order, so that only its speed compares."""
    _only(case, GPU and case.shape.kind != "int8", "residual codes on a GPU")
    documents = compressed(case)
    assert isinstance(documents, ResidualDocuments)
    codec, ends = documents.codec, documents.offsets.int()
    function = import_module("late_interaction_kernels.plaid").maxsim_residual_varlen
    parts = (documents.codes, documents.residuals, ends, codec.centroids, codec.weights)
    return lambda: function(case.queries, *parts, codec.bits, max_seqlen_d=case.shape.length)


SYSTEMS: dict[str, Callable[[Case], Call]] = {
    "polyrank": ours,
    "polyrank by AVX2": at_level(ours, 1),
    "polyrank by PyTorch": at_level(ours, 0),
    "torch eager": eager,
    "torch einsum": einsum,
    "torch.compile": compiled,
    "maxsim-cpu": maxsim_cpu,
    "sentence-transformers": sentence_transformers,
    "pylate": pylate,
    "late-interaction-kernels": late_interaction_kernels,
    "flash-maxsim": flash_maxsim,
}


COMPRESSED_SYSTEMS: dict[str, Callable[[Case], Call]] = {
    "polyrank": ours_compressed,
    "polyrank by AVX2": at_level(ours_compressed, 1),
    "polyrank by PyTorch": at_level(ours_compressed, 0),
    "decode, then score": decoded,
    "late-interaction-kernels": late_interaction_kernels_residual,
}


class Unable(Exception):
    """A system does not take a shape, or is not here; the reason goes into the results."""


def _only(case: Case, able: bool, what: str) -> None:
    if not able:
        raise Unable(f"takes {what}")


def _with_backward(call: Call, case: Case) -> Call:
    if not case.shape.backward:
        return torch.no_grad()(call)

    def step() -> Any:
        case.queries.grad = case.documents.grad = None
        scores = call()
        scores.sum().backward()
        return scores

    return step


# Measuring.


def seconds(call: Call) -> float:
    if not GPU:
        time.sleep(PAUSE)
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    start_event, end_event = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start_event.record()
    call()
    end_event.record()
    end_event.synchronize()
    return start_event.elapsed_time(end_event) / 1000


def host_seconds(call: Call) -> float | None:
    """What a call costs the host, while the GPU may still work. None on a CPU: it is all host."""
    if not GPU:
        return None
    times = []
    for _ in range(20):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


def graph_seconds(call: Call) -> float | None:
    """Replayed as a CUDA graph; None where there is no GPU."""
    if not GPU:
        return None
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return median(seconds(graph.replay) for _ in range(20))


def peak_bytes(call: Call) -> int | None:
    """Memory that a call takes beyond what was held before; None where it cannot be told."""
    if GPU:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
        before = _status("VmRSS")
        call()
        return max(_status("VmHWM") - before, 0)
    except OSError:
        return None


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def limits() -> dict[str, float]:
    """Bytes/s of a copy (read and write) on a GPU, of a sum on a CPU, and FLOP/s of a large product
    in the type that is timed, measured."""
    size, side = (1 << 31, 8192) if GPU else (1 << 28, 2048)
    source = torch.ones(size // 4, device=DEVICE)
    square = torch.randn(side, side, device=DEVICE, dtype=DTYPE)
    if GPU:
        target = torch.empty_like(source)
        copy = median(seconds(lambda: target.copy_(source)) for _ in range(20))
        products = [median(seconds(lambda: square @ square) for _ in range(20))]
        return {"copy": 2 * size / copy, "flops": 2 * side**3 / min(products)}
    read = min(seconds(source.sum) for _ in range(20))
    room = Workspace(square.device, DTYPE)
    products = []
    for way in (_multiply, product(square.device, DTYPE)):  # MKL's and oneDNN's
        call = partial(way, square, square, room)
        products.append(min(seconds(call) for _ in range(5)))
    return {"copy": size / read, "flops": 2 * side**3 / min(products)}


def floor_seconds(case: Case, measured: dict[str, float]) -> float | None:
    """The least time that the forward can take; None for a backward."""
    if case.shape.backward:
        return None
    tokens = sum(case.lengths()) or case.documents.shape[:-1].numel()
    queries = 1 if case.shape.kind == "lists" else case.shape.queries
    flops = 2 * tokens * queries * case.shape.query_length * case.shape.width
    width = case.shape.width
    bytes_read = tokens * width * case.documents.element_size()
    if case.shape.kind == "int8":
        bytes_read = tokens * (width + 4)
    elif case.shape.kind in COMPRESSED:
        bytes_read = tokens * (width * int(case.shape.kind[-1]) // 8 + 4 + 4)
    return max(bytes_read / measured["copy"], flops / measured["flops"])


def parity() -> dict[str, float]:
    """Largest difference of scores to float64, each system, on a small ragged shape."""
    case = Case.make(Shape("ragged", 1, 64, 50, width=128))
    exact = reference.maxsim(case.queries.double(), case.documents.double(), None, case.mask)
    errors = {}
    for name, make in SYSTEMS.items():
        try:
            scores = torch.as_tensor(make(case)())
        except (Unable, ImportError, RuntimeError):
            continue
        errors[name] = float((scores.reshape(1, -1).double() - exact).abs().max())
    for kind in COMPRESSED:
        case = Case.make(Shape(kind, 3, 64, 50, centroids=50))
        documents = compressed(case)
        scores = _score_compressed(case, documents)
        vectors, ends = documents.decode().double(), documents.offsets
        queries = torch.arange(4, device=DEVICE) * case.shape.query_length
        flat = case.queries.flatten(0, 1).double()
        exact = reference.maxsim_packed(flat, queries, vectors, ends)
        errors[f"polyrank {kind}"] = float((scores.double() - exact).abs().max())
    return errors


def same_bits(call: Call, case: Case) -> bool:
    """Whether a second call gives the same scores, and the same gradients, to the bit."""

    def result() -> list[Tensor]:
        scores = call()
        kept = list(scores) if isinstance(scores, tuple) else [scores]
        if case.shape.backward:
            kept += [x.grad.clone() for x in (case.queries, case.documents) if x.grad is not None]
        return [x.detach().clone() for x in kept]

    return all(torch.equal(a, b) for a, b in zip(result(), result(), strict=True))


def measure(shape: Shape, rounds: int, measured: dict[str, float]) -> dict[str, Any]:
    case = Case.make(shape)
    calls: dict[str, Call] = {}
    row: dict[str, Any] = {"shape": asdict(shape), "systems": {}, "not run": {}}
    systems = COMPRESSED_SYSTEMS if shape.kind in COMPRESSED else SYSTEMS
    for name, make in systems.items():
        try:
            call = _with_backward(make(case), case)
            start = time.perf_counter()
            call()
            if GPU:
                torch.cuda.synchronize()
            row["systems"][name] = {"first_call_s": time.perf_counter() - start}
            calls[name] = call
        except (Unable, ImportError, RuntimeError, AssertionError) as reason:
            row["not run"][name] = " ".join(f"{type(reason).__name__}: {reason}".split())[:200]
    times: dict[str, list[float]] = {name: [] for name in calls}
    busy: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            before = time.process_time()
            times[name].append(seconds(call))
            busy[name].append(time.process_time() - before)
    for name, call in calls.items():
        ratio = median(a / b for a, b in zip(times[name], times["polyrank"], strict=True))
        row["systems"][name] |= {
            "median_s": median(times[name]),
            "least_s": min(times[name]),
            "times_ours": ratio,
            "least_times_ours": min(times[name]) / min(times["polyrank"]),
            "cpu_s": None if GPU else median(busy[name]),
            "cpu_times_ours": None if GPU else median(busy[name]) / median(busy["polyrank"]),
            "peak_bytes": peak_bytes(call),
            "host_s": host_seconds(call),
        }
    row["load"] = os.getloadavg()[0]  # more than the cores: others worked at the same time
    row["same_bits"] = same_bits(calls["polyrank"], case)
    if GPU and not shape.backward:
        row["systems"]["polyrank"]["graph_s"] = graph_seconds(calls["polyrank"])
    floor = floor_seconds(case, measured)
    if floor is not None:
        row["of_floor"] = floor / row["systems"]["polyrank"]["median_s"]
    return row


def lines(shape: Shape, row: dict[str, Any]) -> Iterator[str]:
    floor = f"{row['of_floor']:.0%} of the floor" if "of_floor" in row else ""
    bits = "" if row["same_bits"] else "NOT THE SAME BITS TWICE"
    yield f"\n{shape}  load {row['load']:.1f}  {floor}  {bits}"
    for name, numbers in row["systems"].items():
        memory, host, cpu = (numbers[key] for key in ("peak_bytes", "host_s", "cpu_times_ours"))
        yield "  ".join(
            [
                f"  {name:25s}{numbers['median_s'] * 1e3:10.3f} ms",
                f"least {numbers['least_s'] * 1e3:9.3f}",
                f"{numbers['times_ours']:6.2f}× ours (least {numbers['least_times_ours']:5.2f}×)",
                "" if cpu is None else f"CPU time {cpu:5.2f}×",
                "" if memory is None else f"{memory / 2**20:9.1f} MB",
                f"first {numbers['first_call_s']:6.2f} s",
                "" if host is None else f"host {host * 1e3:7.3f} ms",
            ]
        )


def versions() -> dict[str, str]:
    found: dict[str, str] = {"torch": torch.__version__}
    for name in ("triton", *PEERS):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def main() -> int:
    from polyrank.machine import machine

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=50 if GPU else 11)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of a CPU")
    parser.add_argument(
        "--only", nargs="+", default=[""], help="measure shapes whose name contains one of these"
    )
    parser.add_argument("--add", action="store_true", help="keep the file's other shapes")
    parser.add_argument(
        "--output", type=Path, help="default: benchmarks/results/maxsim-MACHINE.json"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)  # of maxsim-cpu, imported later
    slug = re.sub(r"[^a-z0-9]+", "-", machine().lower()).strip("-")
    output = options.output or Path(__file__).parent / "results" / f"maxsim-{slug}.json"

    errors = parity()
    allowed = 1e-3 if GPU else 1e-4
    print(f"{machine()}\nlargest difference to float64: {errors}")
    if max(error for name, error in errors.items() if name.startswith("polyrank")) > allowed:
        print(f"polyrank differs by more than {allowed}: nothing was timed", file=sys.stderr)
        return 1
    measured = limits()
    results: dict[str, Any] = {
        "machine": machine(),
        "versions": versions(),
        "limits": measured,
        "parity": errors,
        "compiled": ("no", "AVX2", "AVX-512")[native.level()],
    }
    results |= {"seed": SEED, "rounds": options.rounds, "shapes": []}
    before = json.loads(output.read_text("utf-8")) if options.add and output.exists() else results
    if any(before.get(key) != results[key] for key in ("machine", "versions", "seed", "rounds")):
        print(f"{output} is of another run; leave out --add, or give --output", file=sys.stderr)
        return 2
    rows = {json.dumps(row["shape"]): row for row in before["shapes"]}
    for shape in GPU_SHAPES if GPU else CPU_SHAPES:
        if not any(part in str(shape) for part in options.only):
            continue
        row = measure(shape, options.rounds, measured)
        rows[json.dumps(row["shape"])] = row
        print("\n".join(lines(shape, row)), flush=True)
        results["shapes"] = list(rows.values())
        output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
