"""Which of the teacher's layers a student starts as. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable

from polyrank.errors import UsageError

# How many teacher layers there are, and how many per student layer → a teacher layer for each.
LAYERS: dict[str, Callable[[int, int], list[int]]] = {
    "regular": lambda layers, factor: [(j + 1) * factor - 1 for j in range(layers // factor)],
    "bottom": lambda layers, factor: list(range(layers // factor)),
    "last": lambda layers, factor: list(range(layers - layers // factor, layers)),
}


def layer_map(layers: int, factor: int, name: str = "regular") -> list[int]:
    """Which teacher layer each student layer is copied from.

    'regular' is that of BiStil: student layer j from teacher layer (j + 1)·factor - 1; 'bottom'
    takes the first ones, 'last' the last ones.

    >>> layer_map(6, 2)
    [1, 3, 5]

    Raises:
        UsageError: another name, or a factor that does not divide the layers.
    """
    if name not in LAYERS:
        raise UsageError(f"unknown --layers '{name}'; use one of {', '.join(LAYERS)}")
    if factor < 1 or layers % factor:
        fitting = [str(f) for f in range(2, layers + 1) if layers % f == 0]
        raise UsageError(
            f"--factor {factor} does not divide the {layers} layers of the base; use one of "
            f"{', '.join(fitting)}"
        )
    return LAYERS[name](layers, factor)
