"""The kernels on a CUDA card, within a time limit: parity, then every shape, then the peers.

    python benchmarks/gpu.py --limit 300 --output gpu.json
    python benchmarks/gpu.py --sweep --limit 150 --output gpu-sweep.json

The checkout need not be installed; of third parties only PyTorch and Triton are needed. Peers
(late-interaction-kernels, flash-maxsim) are timed where they can be imported.

The most telling measurements come first, and what the limit leaves no time for is listed as
skipped. The file is written after each measurement. What raises is recorded with its message, and
the rest goes on: work is done in a child process, and one that a CUDA error broke, that died, or
that hung is replaced by another that leaves out what broke it. While parity is checked, other
processes compile the kernels of the later stages into Triton's cache on disk, on the other cores.

`--sweep` times other tiles than those of kernels/triton/configuration.py on the main shapes.
`--tiny` takes small shapes, without a GPU in Triton's interpreter, to test this program.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
for folder in (HERE.parent, HERE.parents[1]):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
import torch  # noqa: E402

if not torch.cuda.is_available():  # must be said before anything imports Triton
    os.environ.setdefault("TRITON_INTERPRET", "1")

import gpu_parity  # noqa: E402
import gpu_timing as timing  # noqa: E402
import maxsim as shapes  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from gpu_timing import DEVICE, GPU, Call  # noqa: E402
from maxsim import Case, Shape, Unable  # noqa: E402

from polyrank.kernels.routed_adapter import add_adapters, assign, stack_adapters  # noqa: E402

STALL = 100  # seconds that one measurement may take before its process is replaced
ROTATED = 1 << 27  # bytes of inputs that follow one another in the loop: beyond the L2 cache
BROKEN = 3  # exit status of a child whose CUDA context is of no more use
LATER = {"torch eager": 2.0, "torch eager bf16": 2.0, "torch.compile bf16": 6.0}  # s, at least

FIRST = [
    Shape("rerank", 1, 10_000),
    Shape("train", 256, 256),
    Shape("train", 256, 256, backward=True),
    Shape("rerank", 8, 10_000),
    Shape("residual-2", 1, 100_000, centroids=1 << 14),
    Shape("int8", 1, 100_000),
    Shape("lists", 32, 32, 300, backward=True),
    Shape("rerank", 1, 1000),
    Shape("rerank", 1, 100_000),
    Shape("rerank", 32, 10_000),
    Shape("residual-4", 16, 100_000, centroids=1 << 14),
    Shape("ragged", 1, 10_000, 300),
    Shape("packed", 1, 10_000, 300),
    Shape("train", 512, 512, 300, backward=True),
    Shape("int8", 16, 100_000),
    Shape("scan", 64, 1_000_000),
    Shape("rerank", 1, 1000, 1024, 1024),
    Shape("scan", 1, 1_000_000),
]
TINY = [
    Shape("rerank", 1, 6, 9, 4, 16),
    Shape("ragged", 2, 6, 12, 4, 16),
    Shape("packed", 1, 6, 12, 4, 16),
    Shape("holes", 1, 6, 12, 4, 16),
    Shape("train", 3, 3, 9, 4, 16),
    Shape("train", 3, 3, 9, 4, 16, backward=True),
    Shape("lists", 3, 2, 9, 4, 16, backward=True),
    Shape("scan", 2, 120, 6, 4, 16),
    Shape("int8", 2, 6, 12, 4, 16),
    Shape("residual-2", 2, 6, 12, 4, 16, centroids=8),
    Shape("residual-4", 1, 6, 12, 4, 16, centroids=8),
]


# What is measured.


def all_shapes(tiny: bool) -> list[Shape]:
    if tiny:
        return TINY
    return [*FIRST, *(shape for shape in shapes.GPU_SHAPES if shape not in FIRST)]


@cache
def _compiled_einsum() -> Callable[..., torch.Tensor]:
    return torch.compile(shapes._einsum_as_is, dynamic=False)


def compiled(case: Case) -> Call:
    if case.shape.kind in ("scan", "lists"):
        raise Unable("the eager row stands for it")
    return shapes.eager(case, _compiled_einsum())


def flash_maxsim_int8(case: Case) -> Call:
    if not (GPU and case.shape.kind == "int8" and case.shape.queries == 1):
        raise Unable("takes one query over int8 on a GPU")
    package = import_module("flash_maxsim")
    assert case.mask is not None
    documents, scales = package.quantize_int8_symmetric(case.documents)
    lengths, query = case.mask.sum(1).to(torch.int32), case.queries[0]
    return lambda: package.flash_maxsim_int8_symmetric(query, documents, scales, lengths)


def late_interaction_kernels_topk(case: Case) -> Call:
    function = import_module("late_interaction_kernels.topk").maxsim_topk
    return lambda: function(case.queries, case.documents, 100)


def systems(shape: Shape) -> dict[str, Callable[[Case], Call]]:
    """Ours first, peers, then PyTorch."""
    if shape.kind in shapes.COMPRESSED:
        return {
            "polyrank": shapes.ours_compressed,
            "late-interaction-kernels": shapes.late_interaction_kernels_residual,
            "flash-maxsim": flash_maxsim_int8,
            "decode, then score": shapes.decoded,
        }
    peer = shapes.late_interaction_kernels
    return {
        "polyrank": shapes.ours,
        "late-interaction-kernels": late_interaction_kernels_topk if shape.kind == "scan" else peer,
        "flash-maxsim": shapes.flash_maxsim,
        "torch eager bf16": partial(shapes.eager, score=shapes._einsum_as_is),
        "torch.compile bf16": compiled,
        "torch eager": shapes.eager,
    }


def work(case: Case) -> dict[str, float]:
    """Least bytes from memory, products, and tokens of the documents."""
    shape = case.shape
    tokens = float(sum(case.lengths()) or case.documents.shape[:-1].numel())
    own = shape.kind == "lists"
    products = 2 * tokens * (1 if own else shape.queries) * shape.query_length * shape.width
    each = {"int8": shape.width + 4, "residual-2": shape.width // 4 + 8}
    each |= {"residual-4": shape.width // 2 + 8}
    bytes_each = each.get(shape.kind, shape.width * case.documents.element_size())
    return {"bytes": tokens * bytes_each, "flop": products, "tokens": tokens}


def cases(shape: Shape) -> list[Case]:
    """The shape's tensors, several times where they are small."""
    first = Case.make(shape)
    size = first.documents.numel() * first.documents.element_size()
    more = 0 if shape.backward or not GPU else min(ROTATED // size, 7)
    made = [first]
    for _ in range(more):
        documents = first.documents.roll(1, 0) + 0  # other memory
        made.append(Case(shape, first.queries, documents, first.mask))
    return made


def measure(shape: Shape, name: str, limits: dict[str, float]) -> dict[str, Any]:
    """One system on one shape."""
    given = cases(shape)
    case = given[0]
    make = systems(shape)[name]
    mine = name == "polyrank"
    calls = [shapes._with_backward(make(one), one) for one in (given if mine else given[:1])]
    call = calls[0]
    row: dict[str, Any] = {"first_call_s": round(timing.first_call(call), 3)}
    slow = row["first_call_s"] > 1 and timing.first_call(call) > 0.5
    budget = 0.02 if slow else 0.12
    row["ms"], row["calls"] = timing.device_ms(call, budget)
    if not slow:
        row["host_ms"] = timing.host_ms(call, timing.repeats(row["ms"], 15))
        row["loop_ms"] = timing.loop_ms(calls, timing.repeats(row["ms"], 40))
    row["peak_mb"] = timing.peak_mb(call)
    if mine:
        row["again_ms"] = timing.device_ms(call, budget)[0]
        row["same_bits"] = shapes.same_bits(call, case)
        row |= rates(case, row["ms"], limits)
    return row


def rates(case: Case, ms: float, limits: dict[str, float]) -> dict[str, float]:
    done, seconds = work(case), ms / 1000
    found = {
        "gb_s": done["bytes"] / seconds / 1e9,
        "tflop_s": done["flop"] / seconds / 1e12,
        "gtoken_s": done["tokens"] / seconds / 1e9,
        "queries_s": case.shape.queries / seconds,
    }
    if limits and not case.shape.backward:
        floor = max(done["bytes"] / limits["copy"], done["flop"] / limits["flops"])
        found["of_copy"] = done["bytes"] / seconds / limits["copy"]
        found["of_flops"] = done["flop"] / seconds / limits["flops"]
        found["of_floor"] = floor / seconds
    return {key: round(value, 4) for key, value in found.items()}


def graphed(shape: Shape) -> dict[str, Any]:
    case = Case.make(shape)
    return {"graph_ms": timing.graph_ms(torch.no_grad()(systems(shape)["polyrank"](case)))}


# Routed adapters: one layer's, with random weights of the sizes of MiniLM and XLM-R.


def adapter_ways(
    width: int, rank: int, tokens: int, dtype: torch.dtype, modules: int = 10
) -> dict[str, Call]:
    """Ways to run one layer's adapters over so many tokens, by name; the first is the measure."""
    torch.manual_seed(0)

    def weight(*shape: int) -> torch.Tensor:
        return (torch.randn(*shape, device=DEVICE) / shape[-1] ** 0.5).to(dtype)

    adapters = [
        ((weight(rank, width), weight(rank)), (weight(width, rank), weight(width)))
        for _ in range(modules)
    ]
    stack = stack_adapters(adapters, "relu")
    assert stack is not None
    z, onto = weight(tokens, width), weight(tokens, width)
    one = torch.ones(tokens, dtype=torch.int64, device=DEVICE)
    by_row = (torch.arange(tokens, device=DEVICE) // 64) % modules
    by_token = torch.arange(tokens, device=DEVICE) % modules
    given = {
        "one language, add_adapters": assign(one, modules),
        "ten languages by row, add_adapters": assign(by_row, modules),
        "ten languages by token, add_adapters": assign(by_token, modules),
    }
    members = [(by_row == number).nonzero().squeeze(1) for number in range(modules)]

    def dense(x: torch.Tensor, number: int) -> torch.Tensor:
        down, up = adapters[number]
        return F.linear(F.linear(x, *down).relu(), *up)

    def loop() -> None:
        for number, member in enumerate(members):
            onto.index_add_(0, member, dense(z.index_select(0, member), number))

    ways: dict[str, Call] = {
        name: partial(add_adapters, z, onto, stack, assignment)
        for name, assignment in given.items()
    }
    ways["assign, once a batch"] = lambda: assign(by_row, modules)
    ways["one language, dense"] = lambda: onto.add_(dense(z, 0))
    ways["ten languages, Python loop"] = loop
    return ways


def adapters(width: int, rank: int, tokens: int, dtype: torch.dtype) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    with torch.inference_mode():
        for name, way in adapter_ways(width, rank, tokens, dtype).items():
            first = timing.first_call(way)
            ms = timing.device_ms(way, 0.06)[0]
            rows[name] = {"ms": ms, "host_ms": timing.host_ms(way), "first_call_s": first}
    base = rows["one language, add_adapters"]["ms"]
    for row in rows.values():
        row["times one language"] = round(row["ms"] / base, 3)
    return rows


def encoder(rows: int, length: int) -> dict[str, Any]:
    """A whole encoder of MiniLM's size with random weights: ten languages against one of them."""
    from unittest.mock import patch

    from transformers import BertConfig, BertModel

    from polyrank.encoders import routed

    layers, width = (2, 32) if rows < 100 else (12, 384)
    config = BertConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 16 if rows < 100 else 12,
        intermediate_size=4 * width,
        vocab_size=20_000,
    )
    dtype = torch.bfloat16 if GPU else torch.float32
    torch.manual_seed(0)
    model = BertModel(config, add_pooling_layer=False).eval().to(DEVICE, dtype)
    languages = [_language(layers, width) for _ in range(10)]
    engine = routed.RoutedEncoder(model, languages)
    ids = torch.randint(1000, 20_000, (rows, length), device=DEVICE)
    mask, index = torch.ones_like(ids), torch.arange(rows, device=DEVICE)[:, None] % 10
    types = torch.zeros_like(ids)
    ways = {
        "one language": torch.ones_like(ids),
        "ten languages by row": index.expand(rows, length).contiguous(),
    }
    found: dict[str, Any] = {}
    with patch.object(routed, "_attention_bias", lambda *_: None):  # no padding here
        for name, module in ways.items():
            way = partial(engine.forward, ids, mask, types, module)
            first = timing.first_call(way)
            ms = timing.device_ms(way, 0.3)[0]
            found[name] = {"ms": ms, "host_ms": timing.host_ms(way), "first_call_s": first}
    ratio = found["ten languages by row"]["ms"] / found["one language"]["ms"]
    return found | {"ratio": round(ratio, 3)}


def _language(layers: int, width: int) -> Any:
    from polyrank.modules.adapter.tensors import AdapterModule, Bottleneck

    rank = width // 4

    def linear(out: int, into: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.randn(out, into) / into**0.5, torch.randn(out)

    output = {n: Bottleneck(linear(rank, width), linear(width, rank)) for n in range(layers)}
    return AdapterModule("random", "relu", True, output, {})


# The plan: measurements by name, most telling first, each with the seconds that it may need.

Step = tuple[str, float, Callable[[dict[str, Any]], Any]]


def parity_plan(tiny: bool) -> Iterator[Step]:
    for name, check in gpu_parity.checks(tiny):
        yield f"parity · {name}", 1.0, lambda _, check=check: _judged(*check())


def _judged(found: float, allowed: float) -> dict[str, Any]:
    return {"error": found, "allowed": allowed, "right": found <= allowed}


def timing_plan(tiny: bool) -> Iterator[Step]:
    every = all_shapes(tiny)
    yield "limits", 2.0, lambda _: timing.limits(tiny)

    def run(shape: Shape, name: str) -> Callable[[dict[str, Any]], Any]:
        return lambda results: measure(shape, name, _value(results, "limits"))

    main = every if tiny else every[: len(FIRST)]
    quick = [shape for shape in main if shape.kind != "scan"]
    scans = [shape for shape in main if shape.kind == "scan"]  # many seconds to prepare
    for shape in quick:
        yield f"{shape} · polyrank", _need(shape), run(shape, "polyrank")
    half, full = (torch.bfloat16, torch.float32) if GPU else (torch.float16, torch.float32)
    sizes = [(24, 8, 50)] if tiny else [(384, 96, 64_000), (768, 48, 64_000)]
    for size in sizes:
        for dtype in (half, full):
            name = "adapters · {}→{} {} tokens".format(*size)
            yield f"{name} {gpu_parity._type(dtype)}", 2.0, lambda _, a=(*size, dtype): adapters(*a)
    for peer in ("late-interaction-kernels", "flash-maxsim"):
        for shape in quick:
            if peer in systems(shape):
                yield f"{shape} · {peer}", 2 + _need(shape), run(shape, peer)
    for name in ("polyrank", "late-interaction-kernels", "flash-maxsim"):
        for shape in scans:
            if name in systems(shape):
                yield f"{shape} · {name}", _need(shape), run(shape, name)
    for shape in main[:3] + [s for s in main if s.documents <= 1000 and not s.backward][:2]:
        if shape.kind not in ("scan", "lists") and not shape.backward:
            yield f"graph · {shape}", 1.5, lambda _, shape=shape: graphed(shape)
    yield "encoder · MiniLM", 12.0, lambda _: encoder(4 if tiny else 1000, 8 if tiny else 64)
    for shape in every[len(main) :]:
        yield f"{shape} · polyrank", _need(shape), run(shape, "polyrank")
    for baseline in ("torch eager bf16", "decode, then score", "torch.compile bf16"):
        for shape in main:
            if baseline in systems(shape):
                yield f"{shape} · {baseline}", 4 + _need(shape), run(shape, baseline)
    for shape in every[len(main) :]:
        for name in list(systems(shape))[1:]:
            yield f"{shape} · {name}", LATER.get(name, 2.0) + _need(shape), run(shape, name)


def _need(shape: Shape) -> float:
    """Seconds that its tensors and calls may take."""
    numbers = shape.documents * shape.length * shape.width
    return 0.8 + numbers / 5e9 * (2 if shape.kind == "scan" else 1)


def _value(results: dict[str, Any], name: str) -> Any:
    return results["measured"].get(name, {})


# Warming up: what compiles, in other processes, into Triton's cache on disk.

Task = tuple[str, Callable[[], Any]]  # with the name of what it is for


def small(shape: Shape) -> Shape:
    """The same kernels over few documents."""
    if shape.kind in ("train", "lists"):
        return shape if shape.queries <= 64 else Shape(**{**vars(shape), "queries": 64})
    return Shape(**{**vars(shape), "documents": min(shape.documents, 200)})


def warm_tasks(tiny: bool) -> list[Task]:
    tasks: list[Task] = []
    seen = set()
    for name in ("late-interaction-kernels", "flash-maxsim", "polyrank"):
        for shape in all_shapes(tiny)[: len(FIRST)]:
            if name not in systems(shape):
                continue
            # Peers compile for a query's length and the kind of documents, ours for more.
            alike = (name, shape.kind, shape.query_length, shape.backward)
            alike += (shape,) if name == "polyrank" else ()
            if alike not in seen:
                tasks.append((f"{shape} · {name}", partial(_warm, small(shape), name)))
            seen.add(alike)
    half = torch.bfloat16 if GPU else torch.float16
    for size in [(24, 8, 50)] if tiny else [(384, 96, 64_000), (768, 48, 64_000)]:
        for dtype in (half, torch.float32):
            tasks.append(("adapters", partial(_warm_adapters, *size, dtype)))
    return tasks


def _warm(shape: Shape, name: str) -> None:
    case = Case.make(shape)
    shapes._with_backward(systems(shape)[name](case), case)()


def _warm_adapters(width: int, rank: int, tokens: int, dtype: torch.dtype) -> None:
    next(iter(adapter_ways(width, rank, tokens, dtype).values()))()


def warm(part: int, parts: int, tasks: list[Task], only: list[str]) -> None:
    asked = [task for name, task in tasks if any(part in name for part in only)]
    for task in asked[part::parts]:
        try:
            task()
        except Exception:  # it is recorded where it is measured
            if not _sound():
                return


# Running a plan in a child process.


def save(results: dict[str, Any], output: Path) -> None:
    text = json.dumps(results, indent=1, default=str) + "\n"
    draft = output.with_name(output.name + ".part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(output)


def load(output: Path) -> dict[str, Any]:
    return json.loads(output.read_text("utf-8"))


def child(plan: Iterator[Step], output: Path, deadline: float, only: list[str]) -> int:
    """Measure what the file lacks; 0 when nothing is left to do."""
    results = load(output)
    for name, need, step in plan:
        if name in results["measured"] or name in results["failed"]:
            continue
        if name != "limits" and not any(part in name for part in only):
            continue
        if time.time() + need > deadline:
            results["skipped"].setdefault(name, "no time left")
            continue
        results["skipped"].pop(name, None)
        results["running"], results["since"] = name, time.time()
        save(results, output)
        try:
            found = step(results)
            timing.wait()
            results["measured"][name] = found
        except Unable as reason:
            results["failed"][name] = f"not taken: {reason}"
        except ImportError as reason:
            results["failed"][name] = f"not installed: {reason}"
        except Exception as reason:  # whatever it is, the next measurement may work
            text = " ".join(f"{type(reason).__name__}: {reason}".split())
            results["failed"][name] = text[:600]
            print(f"FAILED {name}: {text[:300]}", file=sys.stderr, flush=True)
        if GPU and name not in results["failed"]:
            print(f"{time.time() - results['started']:6.1f} s  {name}", flush=True)
        results["running"] = None
        save(results, output)
        if not _sound():
            return BROKEN
        if GPU:
            torch.cuda.empty_cache()
    save(results, output)
    return 0


def _sound() -> bool:
    """Whether the card still takes work from this process."""
    try:
        timing.wait()
        return bool((torch.ones(8, device=DEVICE) + 1).sum() == 16)
    except RuntimeError:
        return False


def supervise(arguments: list[str], output: Path, deadline: float) -> None:
    """Run a child until nothing is left to do, and another where one died or hung."""
    for _ in range(12):
        started = time.time()
        process = subprocess.Popen([sys.executable, str(HERE), *arguments])
        while process.poll() is None:
            time.sleep(0.2)
            now, results = time.time(), load(output)
            stalled = results["running"] and now - max(results["since"], started) > STALL
            if stalled or now > deadline + 8:
                process.kill()
                process.wait()
        results = load(output)
        if process.returncode == 0:
            return
        if results["running"]:
            name, status = results["running"], process.returncode
            late = time.time() > deadline
            where = results["skipped" if late else "failed"]
            where[name] = f"its process ended with status {status}, or had to be ended"
            results["running"] = None
            save(results, output)
        elif process.returncode != BROKEN:
            results["failed"][f"process {len(results['failed'])}"] = (
                f"status {process.returncode} outside any measurement"
            )
            save(results, output)
            return
        if time.time() > deadline:
            return


# The table.


def table(results: dict[str, Any]) -> Iterator[str]:
    measured, failed = results["measured"], results["failed"]
    about = results["machine"]
    yield f"\n{about['card']}  {about['versions']}"
    if "limits" in measured:
        limit = measured["limits"]
        yield f"copy {limit['copy'] / 1e12:.2f} TB/s, bf16 {limit['flops'] / 1e12:.0f} TFLOP/s"
    checks = {n: v for n, v in measured.items() if n.startswith("parity")}
    wrong = [f"{n}: {v['error']:.1e} > {v['allowed']:.0e}" for n, v in checks.items()]
    wrong = [line for line, v in zip(wrong, checks.values(), strict=True) if not v["right"]]
    yield f"parity: {len(checks) - len(wrong)} of {len(checks)} right"
    yield from (f"  WRONG {line}" for line in wrong)
    rows: dict[str, dict[str, Any]] = {}
    for name, value in measured.items():
        shape, _, system = name.rpartition(" · ")
        if isinstance(value, dict) and "peak_mb" in value:
            rows.setdefault(shape, {})[system] = value
    head = f"{'shape':46}{'ms':>9}{'host':>7}{'loop':>8}{'copy':>6}{'flops':>6}{'Gtok/s':>8}"
    yield head + f"{'q/s':>9}{'MB':>8}  times ours"
    short = {"late-interaction-kernels": "lik", "flash-maxsim": "flash"}
    for shape, row in rows.items():
        mine = row.get("polyrank")
        others = {short.get(n, n): v["ms"] for n, v in row.items() if n != "polyrank"}
        if mine is None:
            yield f"{shape:46}  ours failed; {others}"
            continue
        ratios = "  ".join(f"{n} {ms / mine['ms']:.2f}" for n, ms in others.items())
        yield (
            f"{shape:46}{mine['ms']:9.3f}{_number(mine.get('host_ms'), 7, 3)}"
            f"{_number(mine.get('loop_ms'), 8, 3)}{_number(mine.get('of_copy'), 6, 2)}"
            f"{_number(mine.get('of_flops'), 6, 2)}{mine['gtoken_s']:8.2f}"
            f"{mine['queries_s']:9.0f}{_number(mine['peak_mb'], 8, 0)}  {ratios}"
            f"{'' if mine['same_bits'] else '  NOT THE SAME BITS TWICE'}"
        )
    for name, value in measured.items():
        if name.startswith("adapters"):
            ways = "  ".join(
                f"{n} {w['ms']:.3f} ({w['times one language']})" for n, w in value.items()
            )
            yield f"{name}: {ways}"
        elif name.startswith(("graph", "encoder")):
            yield f"{name}: {json.dumps(value)}"
        elif name.startswith("sweep"):
            yield from _swept(name, value)
    for name, reason in failed.items():
        if not reason.startswith(("not taken", "not installed")):
            yield f"FAILED {name}: {reason[:160]}"
    absent = {reason for reason in failed.values() if reason.startswith("not installed")}
    yield from sorted(absent)
    left = list(results["skipped"])
    if left:
        yield f"skipped for lack of time: {len(left)}, from '{left[0]}' on"


def _number(value: float | None, width: int, digits: int) -> str:
    return " " * (width - 1) + "–" if value is None else f"{value:{width}.{digits}f}"


def _swept(name: str, value: dict[str, Any]) -> Iterator[str]:
    tiles = {tile: ms for tile, ms in value.items() if isinstance(ms, float)}
    now = value["now"]
    best = sorted(tiles, key=lambda tile: tiles[tile])[:4]
    listed = ", ".join(f"{tile} {tiles[tile]:.4f}" for tile in best)
    now_ms = tiles.get(now)
    yield f"{name}: now {now} {now_ms if now_ms is None else round(now_ms, 4)} ms; best {listed}"


# The command.


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--limit", type=float, default=300, help="seconds that all may take")
    parser.add_argument("--output", type=Path, help="default: benchmarks/results/gpu[-sweep].json")
    parser.add_argument("--sweep", action="store_true", help="time other tiles instead")
    parser.add_argument("--tiny", action="store_true", help="small shapes, to test this program")
    parser.add_argument("--warmers", type=int, help="processes that compile ahead")
    parser.add_argument("--only", nargs="+", default=[""], help="names that contain one of these")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(min(torch.get_num_threads(), 1 if options.tiny else 4))
    name = "gpu-sweep.json" if options.sweep else "gpu.json"
    output = options.output or HERE.parent / "results" / name
    if not GPU:
        if not options.tiny:
            print("there is no CUDA device; --tiny runs small shapes without one", file=sys.stderr)
            return 1
        _interpret()
    if options.stage:
        return stage(options, output)
    started = time.time()
    deadline = started + options.limit - 4
    output.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "machine": timing.card(),
        "started": started,
        "limit": options.limit,
        "running": None,
        "since": started,
        "measured": {},
        "failed": {},
        "skipped": {},
    }
    save(results, output)
    run(options, output, deadline)
    results = load(output)
    results["seconds"] = round(time.time() - started, 1)
    save(results, output)
    print("\n".join(table(results)), flush=True)
    wrong = any(v["right"] is False for n, v in results["measured"].items() if "right" in v)
    return 1 if wrong else 0


def run(options: argparse.Namespace, output: Path, deadline: float) -> None:
    """Warm up beside the parity checks, then time on a quiet machine."""
    both = ["--output", str(output), "--deadline", str(deadline)]
    both += ["--tiny"] * options.tiny + ["--sweep"] * options.sweep
    both += ["--only", *options.only]
    count = options.warmers
    if count is None:
        count = 0 if options.tiny else max(min((os.cpu_count() or 2) - 4, 10), 0)
    warmers = [
        subprocess.Popen(
            [sys.executable, str(HERE), *both, "--stage", f"warm-{part}-{count}"],
            stderr=subprocess.DEVNULL,
        )
        for part in range(count)
    ]
    if not options.sweep:
        supervise([*both, "--stage", "parity"], output, deadline)
    until = min(time.time() + 60, time.time() + (deadline - time.time()) / 3)
    while any(process.poll() is None for process in warmers) and time.time() < until:
        time.sleep(0.2)
    for process in warmers:
        if process.poll() is None:
            process.kill()
            process.wait()
    supervise([*both, "--stage", "time"], output, deadline)


def stage(options: argparse.Namespace, output: Path) -> int:
    if options.sweep:
        gpu_sweep = import_module("gpu_sweep")
        plan, tasks = gpu_sweep.plan, gpu_sweep.warm_tasks
    else:
        plan, tasks = timing_plan, warm_tasks
    if options.stage.startswith("warm"):
        _, part, parts = options.stage.split("-")
        warm(int(part), int(parts), tasks(options.tiny), options.only)
        return 0
    steps = parity_plan(options.tiny) if options.stage == "parity" else plan(options.tiny)
    return child(steps, output, options.deadline, options.only)


def _interpret() -> None:
    """Without a GPU: send everything to Triton all the same, whose interpreter runs it."""
    from polyrank.kernels import autograd, routed_adapter
    from polyrank.kernels.codecs import int8, residual_scoring
    from polyrank.kernels.triton import configuration

    if find_spec("triton") is None:
        sys.exit("Triton is not installed: pip install triton")
    autograd._on_triton = configuration.fits  # type: ignore[assignment]
    for module in (int8, residual_scoring, routed_adapter):
        module.use_triton = lambda tensor: True  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
