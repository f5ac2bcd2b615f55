"""The pictures of a report, as SVG text: heat maps, routing differences, quality against latency.

Colours are of palettes that colour-blind readers can tell apart (cividis; Okabe & Ito 2008), and
nothing is said by colour alone. Needs `polyrank[plots]`.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from polyrank.experiments.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "path",  # looks the same everywhere, without fonts
    "svg.hashsalt": "polyrank",  # the same picture has the same bytes
}


def plots(results: Results) -> list[tuple[str, str, str]]:
    """(title, what it shows, SVG) of every picture; none without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return []
    with matplotlib.rc_context(STYLE):
        found = heat_maps(results)
        if results["routings"]:
            found.append(routing_plot(results))
        if len(results["means"]) > 1:
            found.append(latency_plot(results))
    return [(title, what, svg) for title, what, svg in found if svg]


def drawing(width: float, height: float) -> tuple[Figure, Any]:
    """An empty picture of so many inches, and its axes."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots()


def svg_of(figure: Figure) -> str:
    """The figure as an svg element."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


# -------------------------------------------------------------------------------- heat maps


def heat_maps(results: Results) -> list[tuple[str, str, str]]:
    """One picture for each collection of a system, query languages by document languages."""
    measure, made = results["measures"][0], []
    systems = results["heat_maps"] or [row["system"] for row in results["tests"][:1]]
    for system in dict.fromkeys(s for s in systems if s in results["means"]):
        rows = [row for row in results["pairs"] if row["system"] == system]
        by_source: dict[str, list[dict[str, Any]]] = {}
        sources = {c["name"]: c["source"] for c in results["collections"]}
        for row in rows:
            by_source.setdefault(sources[row["collection"]], []).append(row)
        for source, of_source in by_source.items():
            if len(of_source) > 1:
                made.append(_heat_map(system, source, of_source, measure))
    return made


def _heat_map(
    system: str, source: str, rows: list[dict[str, Any]], measure: str
) -> tuple[str, str, str]:
    import numpy as np

    asked = list(dict.fromkeys(sorted(row["queries"] for row in rows)))
    found = list(dict.fromkeys(sorted(row["documents"] for row in rows)))
    grid = np.full((len(asked), len(found)), np.nan)  # (query languages, document languages)
    for row in rows:
        grid[asked.index(row["queries"]), found.index(row["documents"])] = row[measure]
    figure, axes = drawing(1.6 + 0.5 * len(found) + 1.0, 1.1 + 0.42 * len(asked))
    image = axes.imshow(grid, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(grid):
        if not np.isnan(value):
            colour = "white" if value < 0.55 else "black"
            text = f"{value:.2f}".lstrip("0") if value < 1 else "1.0"
            axes.text(x, y, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(found)), found)
    axes.set_yticks(range(len(asked)), asked)
    axes.set_xlabel("language of the documents")
    axes.set_ylabel("language of the queries")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, label=measure)
    what = f"{measure} of “{system}” in every pair of languages of {source}."
    return f"{system}: {source}", what, svg_of(figure)


# ------------------------------------------------------------------------------- differences


def routing_plot(results: Results) -> tuple[str, str, str]:
    """What language modules change: each routing minus none, with its interval, by group."""
    rows, groups = results["routings"], list(results["groups"])
    systems = list(dict.fromkeys(row["system"] for row in rows))
    band = 0.75 / len(systems)
    figure, axes = drawing(7.5, 1.4 + len(groups) * (0.25 + 0.17 * len(systems)))
    for number, system in enumerate(systems):
        own = [row for row in rows if row["system"] == system]
        places = [groups.index(r["group"]) + (number - (len(systems) - 1) / 2) * band for r in own]
        values = [row["difference"] for row in own]
        # Percentile intervals may leave the mean outside: a bar has no negative length.
        low = [max(0.0, row["difference"] - row["interval"][0]) for row in own]
        high = [max(0.0, row["interval"][1] - row["difference"]) for row in own]
        axes.errorbar(
            values,
            places,
            xerr=[low, high],
            fmt=MARKERS[number % len(MARKERS)],
            color=OKABE_ITO[number % len(OKABE_ITO)],
            markersize=4.5,
            capsize=2,
            linewidth=1.2,
            label=f"{system} − {own[0]['baseline']}",
        )
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.set_yticks(range(len(groups)), groups)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    for place in range(1, len(groups)):
        axes.axhline(place - 0.5, color="#dddddd", linewidth=0.6)
    axes.set_xlabel(f"difference in {results['measures'][0]} (95 % bootstrap interval)")
    figure.legend(loc="outside lower center", ncols=1, frameon=False, fontsize=8)
    what = (
        "Each routing against the same system without language modules. Right of zero, language "
        "modules help; an interval that covers zero says nothing either way."
    )
    return "What language modules change", what, svg_of(figure)


# ----------------------------------------------------------------------------------- latency


def latency_plot(results: Results) -> tuple[str, str, str]:
    """Mean over the groups against the time of a query."""
    measure, groups = results["measures"][0], list(results["groups"])
    points = []
    for name, means in results["means"].items():
        values = [means[group].get(measure) for group in groups]
        time = results["systems"][name]["milliseconds"]
        if time > 0 and all(value is not None for value in values):
            points.append((name, time, sum(v for v in values if v is not None) / len(values)))
    if len(points) < 2:
        return "", "", ""
    height = 2.4 + 0.2 * len(points)
    figure, axes = drawing(7.5, height)
    for number, (name, time, value) in enumerate(points):
        axes.plot(
            time,
            value,
            MARKERS[number % len(MARKERS)],
            color=OKABE_ITO[number % len(OKABE_ITO)],
            markersize=7,
            linestyle="none",
            label=f"{number + 1}  {name}",
        )
    _number(axes, points, height)
    axes.set_xscale("log")
    axes.grid(color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("milliseconds a query (median over pairs, log scale)")
    axes.set_ylabel(f"{measure}, mean over the groups")
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    what = (
        "Search and scoring on the machine named below. Systems that were not measured in all "
        "groups, or whose time nobody knows, are left out."
    )
    return "Quality against latency", what, svg_of(figure)


def _number(axes: Any, points: list[tuple[str, float, float]], height: float) -> None:
    """Write each point's number beside it; of points that lie together, one above the other."""
    values = [value for _, _, value in points]
    span = (max(values) - min(values)) or 1.0
    inch = 72 * 0.75 * height / span  # typographic points of the axes per unit of the measure
    placed: list[tuple[float, float]] = []  # time, height of the label
    for number, (_, time, value) in sorted(enumerate(points, 1), key=lambda row: row[1][2]):
        y = value * inch
        near = [other for at, other in placed if 0.5 < at / time < 2]
        y = max([y, *(other + 9 for other in near)])
        placed.append((time, y))
        moved = y - value * inch
        axes.annotate(
            str(number),
            (time, value),
            xytext=(12, moved - 3),
            textcoords="offset points",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.5},
        )
