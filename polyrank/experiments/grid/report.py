"""What came of a grid: a table, the tests of ranks, a diagram, and every cell as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import mean

from polyrank.collections.files import writing
from polyrank.errors import UsageError
from polyrank.evaluation.friedman import RankTest, rank_test
from polyrank.experiments.grid.run import Values
from polyrank.experiments.grid.specification import Cell, Grid
from polyrank.experiments.grid.tasks import Tasks
from polyrank.machine import machine
from polyrank.progress import note

Found = Mapping[Cell, Values]


def write_report(grid: Grid, found: Found, output: Path) -> str:
    """Write report.md, results.json and, with matplotlib, ranks.svg; return the Markdown."""
    output.mkdir(parents=True, exist_ok=True)
    try:
        test: RankTest | None = rank_test(by_block(grid, found))
    except UsageError as error:
        test = None
        note(f"no test of ranks: {error}")
    before = Tasks(grid).before()
    text = markdown(grid, found, test, before)
    with writing(output / "report.md") as file:
        file.write(text)
    with writing(output / "results.json") as file:
        json.dump(record(grid, found, test, before), file, indent=1, ensure_ascii=False)
        file.write("\n")
    if test is not None:
        _draw(test, output / "ranks.svg")
    return text


def by_block(grid: Grid, found: Found) -> dict[str, list[float]]:
    """What is ranked → its value in each block: a backbone in a pair of languages, mean over seeds.

    Seeds of one backbone are no blocks of their own, since they are not independent of each other.
    """
    columns: dict[str, list[float]] = {}
    for treatment in dict.fromkeys(cell.treatment for cell in found):
        column = columns.setdefault(name_of(grid, treatment), [])
        for backbone in grid.backbones:
            cells = [
                values
                for cell, values in found.items()
                if cell.treatment == treatment and cell.backbone == backbone
            ]
            column += [mean(values[task.name] for values in cells) for task in grid.tasks()]
    return columns


def name_of(grid: Grid, treatment: tuple[str, str, str]) -> str:
    """Of what is ranked: transfer, student and loss, as far as there are several of each."""
    counts = (len(grid.transfers), len(grid.students), len(grid.losses))
    told = [name for name, count in zip(treatment, counts, strict=True) if count > 1]
    return ", ".join(told) or treatment[-1]


def markdown(grid: Grid, found: Found, test: RankTest | None, before: Values) -> str:
    """The report: a row a loss, a column a backbone, mean over pairs and seeds ± half the range of
    the seeds.

    Args:
        before: what BM25's own order has, by pair.
    """
    lines = [f"# {grid.title}", ""]
    lines += [grid.about, ""] if grid.about else []
    pairs = ", ".join(task.name for task in grid.tasks())
    lines += [
        f"{grid.measure} over the best {grid.depth} of BM25: {pairs}. "
        f"{len(grid.seeds)} seeds; ± is half the range between them. BM25's own order has "
        f"{mean(before.values()):.3f}.",
        "",
        f"| trained by | {' | '.join(backbone.name for backbone in grid.backbones)} | mean rank |",
        f"|---|{'---:|' * (len(grid.backbones) + 1)}",
    ]
    ranks = dict(zip(test.names, test.ranks, strict=True)) if test else {}
    treatments = dict.fromkeys(cell.treatment for cell in found)
    names = {name_of(grid, treatment): treatment for treatment in treatments}
    for name in sorted(names, key=lambda one: ranks.get(one, 0.0)):
        cells = [_shown(found, backbone, names[name]) for backbone in grid.backbones]
        rank = f"{ranks[name]:.2f}" if name in ranks else "–"
        lines.append(f"| {name} | {' | '.join(cells)} | {rank} |")
    return "\n".join([*lines, "", *_tests(test)])


def _shown(found: Found, backbone: object, treatment: tuple[str, str, str]) -> str:
    """Mean over pairs and seeds, and half the range of the seeds' means."""
    seeds = [
        mean(values.values())
        for cell, values in found.items()
        if cell.backbone == backbone and cell.treatment == treatment
    ]
    return f"{mean(seeds):.3f} ± {(max(seeds) - min(seeds)) / 2:.3f}"


def _tests(test: RankTest | None) -> list[str]:
    if test is None:
        return ["Too few losses or blocks for a test of ranks.", ""]
    alike = "; ".join(" = ".join(group) for group in test.groups()) or "none"
    return [
        f"Friedman over {test.blocks} blocks (backbone × pair): χ² = {test.statistic:.2f}, "
        f"p = {test.p_value:.3g}. Nemenyi's critical difference at α = {test.alpha:g}: "
        f"{test.critical_difference:.2f} ranks. Not told apart: {alike}.",
        "",
    ]


def record(grid: Grid, found: Found, test: RankTest | None, before: Values) -> dict[str, object]:
    """Everything, for machines."""
    cells = [
        {
            "transfer": cell.treatment[0],
            "backbone": cell.backbone.name,
            "student": cell.student,
            "loss": cell.loss,
            "seed": cell.seed,
            "values": values,
        }
        for cell, values in found.items()
    ]
    ranks = None
    if test is not None:
        pairs = [{"of": list(pair), "p": p} for pair, p in test.pairs.items()]
        ranks = {**asdict(test), "pairs": pairs, "alike": test.groups()}
    return {
        "title": grid.title, "machine": machine(), "measure": grid.measure, "depth": grid.depth,
        "train": dict(grid.train), "BM25": before, "cells": cells, "ranks": ranks,
    }  # fmt: skip


def _draw(test: RankTest, path: Path) -> None:
    from polyrank.experiments.critical_difference import critical_difference

    try:
        picture = critical_difference(test)
    except UsageError as error:
        note(str(error))
        return
    with writing(path) as file:
        file.write(picture)
