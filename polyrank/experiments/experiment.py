"""An experiment from its file to its report, or to a list of what it would need."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from polyrank.collections.files import writing
from polyrank.errors import ModuleError, UsageError
from polyrank.experiments.data import missing_data, missing_runs, must_be_there
from polyrank.experiments.modules import Missing, gaps
from polyrank.experiments.reader import read_specification
from polyrank.experiments.specification import Collection, Specification, System, slug
from polyrank.locks import locked

if TYPE_CHECKING:
    from polyrank.experiments.results import Results

REPORTS = ("results.json", "values.tsv", "report.md", "report.html", "table.tex")


@dataclass(frozen=True)
class Plan:
    """What an experiment consists of, and what it lacks.

    Attributes:
        systems: that were asked for, and those they are over.
        modules: system → what it lacks.
        data: collection → what of it is not at hand.
        cells: of all systems.
        finished: cells whose run is in the work folder.
    """

    specification: Specification
    systems: tuple[System, ...]
    modules: dict[str, list[Missing]]
    data: dict[str, list[Missing]]
    cells: int
    finished: int

    def runnable(self) -> list[System]:
        return [system for system in self.systems if system.name not in self.modules]

    def __str__(self) -> str:
        spec = self.specification
        lines = [f"{spec.title} ({spec.path})", ""]
        for c in spec.collections:
            asked = f"{c.queries} queries each" if c.queries else "all queries"
            lines.append(f"{c.name}: {c.source}, {len(c.pairs)} pairs, {asked}")
        lines += ["", f"{len(self.systems)} systems, {self.cells} cells, {self.finished} finished:"]
        width = max(len(system.name) for system in self.systems)
        for system in self.systems:
            state = "missing" if system.name in self.modules else "ready"
            state += ", optional" if system.optional else ""
            lines.append(f"  {system.name.ljust(width)}  {_how(system)} [{state}]")
        tested = len(spec.comparisons) * len(spec.groups)
        lines += ["", f"groups: {', '.join(group.name for group in spec.groups)}"]
        lines += [f"comparisons: {len(spec.comparisons)}, at most {tested} tests", ""]
        missing = {one for found in (*self.modules.values(), *self.data.values()) for one in found}
        if not missing:
            return "\n".join([*lines, "nothing is missing"])
        lines.append("missing:")
        shown = dict.fromkeys(
            one for found in (*self.data.values(), *self.modules.values()) for one in found
        )
        lines += [f"  {one.what}\n    {one.command}" for one in shown]
        return "\n".join(lines)


def _how(system: System) -> str:
    if system.search is not None:
        return f"search by {system.search}"
    routing = f", routing {system.routing}" if system.routing else ""
    weight = f", weight {system.interpolate.weight}" if system.interpolate else ""
    return f"{system.rerank}{routing}, best {system.depth} of {system.over}{weight}"


def plan(specification: Specification, work: Path, only: Sequence[str] = ()) -> Plan:
    """What there is to do; reads no data and no weights.

    Args:
        only: names or patterns of systems; all when empty.

    Raises:
        UsageError: a pattern that fits no system.
    """
    systems = chosen(specification, only)
    tasks = specification.tasks()
    modules = gaps(specification)
    for system in systems:
        runs = missing_runs(system, [t for t in tasks if specification.measured(system, t)])
        if runs:
            modules[system.name] = runs
        if system.over in modules and system.name not in modules:
            modules[system.name] = modules[system.over]
    cells = [(s, t) for s in systems for t in tasks if specification.measured(s, t)]
    collections: list[Collection] = list(specification.collections)
    if specification.development is not None:
        collections.append(specification.development)
    return Plan(
        specification,
        tuple(systems),
        {s.name: modules[s.name] for s in systems if s.name in modules},
        {c.name: found for c in collections if (found := missing_data(c))},
        len(cells),
        sum((work / "runs" / slug(s.name) / f"{t.file}.trec").exists() for s, t in cells),
    )


def chosen(specification: Specification, only: Sequence[str]) -> list[System]:
    """The systems that fit a pattern, and those they are over.

    Raises:
        UsageError: a pattern that fits none.
    """
    if not only:
        return list(specification.systems)
    names: set[str] = set()
    for pattern in only:
        fits = [s.name for s in specification.systems if fnmatchcase(s.name, pattern)]
        if not fits:
            known = ", ".join(repr(s.name) for s in specification.systems)
            raise UsageError(f"no system is called {pattern!r}; there are: {known}")
        names.update(fits)
    for system in reversed(specification.systems):  # each stands below the one it is over
        if system.name in names and system.over is not None:
            names.add(system.over)
    return [system for system in specification.systems if system.name in names]


def run_experiment(
    path: str | Path,
    work: str | Path,
    output: str | Path,
    only: Sequence[str] = (),
    limit: int | None = None,
    command: str = "",
    tell: Callable[[str], None] = print,
) -> Results:
    """Run what is missing of an experiment and write its reports.

    Args:
        path: of the YAML file.
        work: folder for runs, scores and indexes; what is finished there is kept.
        output: folder for the reports: `REPORTS`.
        only: names or patterns of systems; all when empty.
        limit: at most so many queries a pair, to try things out.
        command: to name in the report.
        tell: is given a line for every pair of languages that is done.

    Raises:
        DataError: a file that is wrong, with its line.
        ModuleError: modules that are missing and not optional.
        UsageError: data that is missing, or a work folder of other settings, modules or texts.
    """
    started = time.monotonic()
    specification, work, output = read_specification(path), Path(work), Path(output)
    ready = plan(specification, work, only)
    _check(ready)
    with locked(work, inside=True):
        from polyrank.experiments.results import results_of
        from polyrank.experiments.runner import Runner

        found = Runner(specification, ready.runnable(), work, limit).run(tell)
        minutes = (time.monotonic() - started) / 60
        results = results_of(specification, found, ready.modules, command, minutes, limit)
        from polyrank.experiments.results import write_values

        output.mkdir(parents=True, exist_ok=True)
        write_values(output / "values.tsv", found)
        write_reports(results, output)
    return results


def write_reports(results: Results, output: Path) -> None:
    """Write results.json and everything that is made from it."""
    from polyrank.experiments.latex import latex
    from polyrank.experiments.report_html import html
    from polyrank.experiments.report_markdown import markdown
    from polyrank.experiments.results import write_results

    write_results(output / "results.json", results)
    for name, render in (("report.md", markdown), ("report.html", html), ("table.tex", latex)):
        with writing(output / name) as file:
            file.write(render(results))


def _check(ready: Plan) -> None:
    """Refuse to start without what cannot be left out."""
    data = [one for c in ready.specification.collections for one in must_be_there(c)]
    if data:
        listed = "\n".join(f"  {one.what}\n    {one.command}" for one in dict.fromkeys(data))
        raise UsageError(f"data is missing:\n{listed}")
    needed = {
        one
        for system in ready.systems
        if not system.optional
        for one in ready.modules.get(system.name, [])
    }
    if needed:
        listed = "\n".join(
            f"  {one.what}\n    {one.command}"
            for one in sorted(needed, key=lambda missing: missing.what)
        )
        raise ModuleError(
            f"what these systems need is missing:\n{listed}\n"
            "Make it, or write 'optional: true' into the systems that may be left out."
        )
    if not ready.runnable():
        raise ModuleError("every system that was asked for lacks a module; see --dry-run")
