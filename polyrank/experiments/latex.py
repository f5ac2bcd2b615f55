"""The table of results for a paper; needs the booktabs package."""

from __future__ import annotations

from polyrank.experiments import tables
from polyrank.experiments.results import Results

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "–": "--", "−": "$-$", "→": r"$\rightarrow$", "×": r"$\times$", "<": "$<$", ">": "$>$",
}  # fmt: skip


def latex(results: Results) -> str:
    """One table; the best value of a column is bold, which says nothing about significance."""
    (head, body), best = tables.main_table(results), tables.best(results)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(results['title'])}. {escaped(tables.measured(results))}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
        r"\toprule",
        _row(list(map(escaped, head))),
        r"\midrule",
    ]
    for name, *values in body:
        cells = [
            rf"\textbf{{{value}}}" if value == best[group] else escaped(value)
            for group, value in zip(head[1:], values, strict=True)
        ]
        lines.append(_row([escaped(name), *cells]))
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def escaped(text: str) -> str:
    """Text in which no character is a command.

    >>> escaped("95 % & more")
    '95 \\\\% \\\\& more'
    """
    return "".join(_SPECIAL.get(character, character) for character in text)
