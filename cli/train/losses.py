"""polyrank train losses."""

from __future__ import annotations


def losses() -> None:
    """List the losses of --loss: name with parameters, what it needs, what it is, its source.

    Those that need labels or a teacher are of rankings; a teacher's scores come from the rows, or
    from --teacher. Those that need text or pairs are of 'train language'. Sums are written as
    infonce+0.5*margin_mse; '-' and '_' are the same. For the temperatures: both sides are divided.

    \b
    Example:
      polyrank train losses
    """
    from polyrank.training.language import language_objective
    from polyrank.training.losses import catalogue

    print(catalogue())
    print(language_objective.catalogue())
