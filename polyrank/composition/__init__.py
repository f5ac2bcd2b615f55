"""Which module acts where: a plan, its saved file, and its merge into one checkpoint."""

from polyrank.composition.plan import Composition, compose

__all__ = ["Composition", "compose"]
