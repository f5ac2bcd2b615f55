"""A critical-difference diagram (Demšar 2006, fig. 1): mean ranks on an axis, and what is alike."""

from __future__ import annotations

from typing import Any

from polyrank.errors import UsageError
from polyrank.evaluation.friedman import RankTest
from polyrank.experiments.plots import OKABE_ITO, STYLE, drawing, svg_of

STEP, TOP = 0.45, 1.2  # between two lines of text, and where the axis is, in units of height


def critical_difference(test: RankTest) -> str:
    """The diagram as an SVG element: bars join systems that differ by less than the CD.

    Raises:
        UsageError: matplotlib is absent.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError("the diagram needs matplotlib:  pip install 'polyrank[plots]'") from error
    with matplotlib.rc_context(STYLE):
        figure, axes = drawing(7.0, 1.6 + 0.2 * len(test.names))
        _axis(axes, test)
        _names(axes, test)
        for level, group in enumerate(test.groups(), 1):
            ends = [test.ranks[test.names.index(name)] for name in (group[0], group[-1])]
            axes.plot(ends, [TOP - 0.3 * level] * 2, color=OKABE_ITO[1], linewidth=3)
        return svg_of(figure)


def _axis(axes: Any, test: RankTest) -> None:
    count = len(test.names)
    axes.set_xlim(0.8, count + 0.2)
    lowest = -STEP * ((count + 1) // 2 + 3)  # below the last name
    axes.set_ylim(lowest, TOP)
    axes.xaxis.tick_top()
    axes.set_xticks(range(1, count + 1))
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.set_yticks([])
    width = min(test.critical_difference, count - 1)
    axes.plot([1, 1 + width], [lowest + 0.2] * 2, color=OKABE_ITO[6], linewidth=2)
    axes.text(
        1, lowest + 0.3, f"CD {test.critical_difference:.2f} at α {test.alpha:g}", va="bottom"
    )
    axes.set_xlabel(
        f"mean rank over {test.blocks} blocks; Friedman χ² {test.statistic:.2f}, "
        f"p {test.p_value:.2g}"
    )


def _names(axes: Any, test: RankTest) -> None:
    """The better half is named on the left, the others on the right."""
    count = len(test.names)
    half = (count + 1) // 2
    for place, (name, rank) in enumerate(zip(test.names, test.ranks, strict=True)):
        left = place < half
        level = place if left else count - 1 - place
        height, end = -STEP * (level + 2), 0.8 if left else count + 0.2
        axes.plot([rank, rank, end], [TOP, height, height], color=OKABE_ITO[0], linewidth=0.8)
        axes.text(
            end, height, f"{name} {rank:.2f} " if left else f" {name} {rank:.2f}",
            ha="right" if left else "left", va="center", clip_on=False,
        )  # fmt: skip
