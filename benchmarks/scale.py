"""How a multi-vector index grows: build time, disk, memory and search time, exact and pruned.

    python benchmarks/scale.py --results benchmarks/results/index-2k.json \\
        benchmarks/results/index.json --output benchmarks/results/scale.json \\
        --plot benchmarks/results/scale.svg
    python benchmarks/scale.py --run 200000 --work runs/scale …      # measures more sizes first

Reads what `benchmarks/index.py` measured at several numbers of passages (--run measures synthetic
vectors, whose words have Zipf's frequencies, at more). Larger sizes are by arithmetic and say so: a
figure grows with the power of the passages that its last two sizes show, and no slower than must
be: disk, memory of the vectors, building and exact search in proportion; pruned search with the
root, as there are about as many centroids as vectors to a centroid.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SIZES = (200_000, 1_000_000, 100_000_000)  # by arithmetic where they were not measured
CODEC = "residual-4"
# figure → the row of `index.py`'s results, and its field
FIGURES = {
    "build s": (f"build {CODEC}", "build_seconds"),
    "disk MB": (f"build {CODEC}", "index_mb"),
    "build memory MB": (f"build {CODEC}", "build_memory_mb"),
    "search memory MB": (f"search {CODEC}", "search_memory_mb"),
    "exact fp16 ms": ("search fp16", "query_ms"),
    "exact ms": (f"search {CODEC}", "query_ms"),
    "pruned ms": (f"pruned {CODEC}", "query_ms"),
    "pruned recall@10": (f"pruned {CODEC}", "recall@10"),
}
LEAST = {
    "build s": 1.0,
    "disk MB": 1.0,
    "search memory MB": 1.0,
    "exact fp16 ms": 1.0,
    "exact ms": 1.0,
    "pruned ms": 0.5,
}
SHARES = ("pruned recall@10",)  # neither grows nor is extrapolated


def measured(file: Path) -> tuple[int, dict[str, float]]:
    """Passages, and figure → value."""
    found = json.loads(file.read_text())
    rows = {row["name"]: row for row in found["rows"]}
    values = {
        figure: rows[name][field]
        for figure, (name, field) in FIGURES.items()
        if field in rows.get(name, {})
    }
    return found["vectors"]["passages"], values


def powers(table: dict[int, dict[str, float]]) -> dict[str, float]:
    """Figure → the power of the passages with which it grew between the two largest sizes."""
    small, large = sorted(table)[-2:]
    return {
        figure: math.log(table[large][figure] / table[small][figure]) / math.log(large / small)
        for figure in FIGURES
        if figure not in SHARES and figure in table[small] and figure in table[large]
    }


def extrapolated(table: dict[int, dict[str, float]], size: int) -> dict[str, float]:
    """The figures at a size, by their powers from the largest measured one."""
    largest = max(table)
    return {
        figure: table[largest][figure] * (size / largest) ** max(power, LEAST.get(figure, 0.0))
        for figure, power in powers(table).items()
    }


def table_of(rows: dict[int, dict[str, float]], known: Sequence[int]) -> str:
    """In Markdown; a size by arithmetic is marked."""
    lines = ["| passages | " + " | ".join(FIGURES) + " |", "|---" * (len(FIGURES) + 1) + "|"]
    for size, values in sorted(rows.items()):
        mark = "" if size in known else " (by arithmetic)"
        cells = [f"{values[one]:.3g}" if one in values else "–" for one in FIGURES]
        lines.append(f"| {size:,}{mark} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(rows: dict[int, dict[str, float]], known: Sequence[int], file: Path) -> None:
    """One plot, both axes logarithmic; hollow marks are by arithmetic."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "polyrank"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5))
    for name in FIGURES:
        sizes = [size for size in sorted(rows) if name in rows[size]]
        if name in SHARES or not sizes:
            continue
        (line,) = axes.plot(sizes, [rows[size][name] for size in sizes], label=name)
        for size in sizes:
            face = line.get_color() if size in known else "white"
            axes.plot(size, rows[size][name], "o", color=line.get_color(), markerfacecolor=face)
    axes.set(xscale="log", yscale="log", xlabel="passages", title=f"{CODEC}, one machine")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, nargs="*", default=[])
    parser.add_argument("--run", type=int, nargs="*", default=[], help="passages to measure")
    parser.add_argument("--work", type=Path, default=Path("runs/scale"))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    files = list(options.results)
    for count in options.run:
        folder = options.work / str(count)
        files.append(folder / "result.json")
        subprocess.run(
            [
                *(sys.executable, str(Path(__file__).with_name("index.py"))),
                *("--work", str(folder), "--count", str(count), "--output", str(files[-1])),
                *("--codecs", f"fp16,{CODEC}"),
            ],
            check=True,
        )
    table = dict(measured(file) for file in files)
    if len(table) < 2:
        parser.error("growth needs two sizes: give more --results or --run")
    rows = table | {size: extrapolated(table, size) for size in SIZES if size not in table}
    print(table_of(rows, list(table)))
    if options.plot:
        draw(rows, list(table), options.plot)
    result = {"measured": sorted(table), "codec": CODEC, "powers": powers(table), "rows": rows}
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
