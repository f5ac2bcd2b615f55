"""Tables of text: aligned for a terminal, Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

Rows = Sequence[Sequence[str]]  # the header first


def shown(value: float | None, form: str = ".4f") -> str:
    """Four digits, or a dash for what is undefined."""
    return "–" if value is None or isnan(value) else format(value, form)


def aligned(rows: Rows) -> list[str]:
    """Columns of equal width, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def markdown(rows: Rows) -> list[str]:
    """A table with a header, the first column to the left and the others to the right."""
    header, *body = (f"| {' | '.join(row)} |" for row in rows)
    return [header, f"|---|{'---:|' * (len(rows[0]) - 1)}", *body]


_LATEX = {"\\": r"\textbackslash{}", "–": "--", "→": r"$\rightarrow$", "−": "$-$"}
_LATEX |= {c: rf"\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\^{}"}


def latex(rows: Rows) -> list[str]:
    """A `tabular` with the rules of the package `booktabs`."""
    header, *body = (
        " & ".join("".join(_LATEX.get(c, c) for c in cell) for cell in row) + r" \\" for row in rows
    )
    columns = "l" + "r" * (len(rows[0]) - 1)
    return [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        header,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
