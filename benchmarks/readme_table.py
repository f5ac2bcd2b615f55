"""Write the tables of an experiment's results into a README, between two markers.

    python benchmarks/readme_table.py benchmarks/results/transfer.json README.md

What stands between `<!-- table -->` and `<!-- /table -->` is replaced; nothing else is touched. The
table of tests keeps those with p < .05 before the correction; all of them are in the results.
"""

from __future__ import annotations

import sys
from pathlib import Path

from polyrank.experiments import tables
from polyrank.experiments.report_markdown import table
from polyrank.experiments.results import Results, read_results

BEGIN, END = "<!-- table -->", "<!-- /table -->"


def block(results: Results) -> str:
    """What stands between the markers."""
    kept = {**results, "tests": [t for t in results["tests"] if t["p"] < 0.05]}
    seed, machine, minutes = (results[key] for key in ("seed", "machine", "minutes"))
    made = (
        f"`make transfer`, seed {seed}, {machine}, torch {results['versions']['torch']}, "
        f"{minutes:.0f} minutes."
    )
    asked = "; ".join(
        f"{name}: {g['pairs']} pairs, {g['topics']} topics" for name, g in results["groups"].items()
    )
    parts = [tables.measured(results), f"{asked}. {made}", table(tables.main_table(results))]
    parts += [f"- {line}" for line in tables.missing_lines(results)]
    parts.append(tables.verdict(results))
    if kept["tests"]:
        parts += ["Those with p < .05 before the correction:", table(tables.tests_table(kept))]
    return "\n\n".join(parts)


def main(source: str, readme: str) -> None:
    """Replace what stands between the markers."""
    path, text = Path(readme), Path(readme).read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        sys.exit(f"{readme} needs one {BEGIN} and, after it, one {END}; put them where it belongs")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    found = block(read_results(source))
    path.write_text(f"{before}{BEGIN}\n{found}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python benchmarks/readme_table.py RESULTS.json README.md")
    main(*sys.argv[1:])
