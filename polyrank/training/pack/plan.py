"""Which jobs a GPU machine runs, on how many workers, the most valuable first.

`FINAL` is what goes into the zoo. `COMPARISON` holds the recipes that were tried for it, with their
figures on development data, so that the choice can be made again.
"""

from __future__ import annotations

from polyrank.training.pack.jobs import HEAD, SHARED, Job
from polyrank.training.pack.languages import Recipe
from polyrank.training.pack.ranking import RankingRecipe

AFRICAN = ("rw", "ha", "so", "om", "sw", "am", "yo", "ig", "zu", "bem", "ak", "lg")
ALL = ("rw", "ig", "yo", "sn", "lg", "tt", "ha", "sw", "so", "am", "om", "ky", "ug", "tr", "ru",
       "zh", "en")  # fmt: skip
TRIED = ("rw", "ig", "ak")  # many pairs; few pairs and text; few pairs alone

ALIGN = Recipe(steps=300)
_LANGUAGE_RECIPES: dict[str, Recipe] = {
    "align": ALIGN,
    "align-long": ALIGN.but(steps=900),
    "align-tokens": ALIGN.but(tokens=0.3),
    "contrast": ALIGN.but(distance=0.0, contrast=1.0),
    "distance": ALIGN.but(contrast=0.0),
    "align-slow": ALIGN.but(rate=3e-4),
    "align-masked": ALIGN.but(masked=0.1),
    "align-masked-tokens": ALIGN.but(masked=0.1, tokens=0.3),
    "masked": ALIGN.but(distance=0.0, contrast=0.0, masked=1.0),
    "shared-align": ALIGN.but(shared=SHARED),
    "shared-align-tokens": ALIGN.but(shared=SHARED, tokens=0.3),
    "shared-masked": ALIGN.but(shared=SHARED, masked=0.1, tokens=0.3),
}
SHARED_JOB = Job(SHARED, "language", AFRICAN, ALIGN.but(steps=1200, tokens=0.3), minutes=0.8)


def _tried(name: str) -> list[Job]:
    recipe = _LANGUAGE_RECIPES[name]
    needs = ((HEAD,) if recipe.masked else ()) + ((SHARED,) if recipe.shared else ())
    return [
        Job(f"{name}.{language}", "language", (language,), recipe, needs=needs, keep=False)
        for language in TRIED
    ]


LATE = RankingRecipe(steps=600, queries=32, negatives=3, width=96)
CROSS = RankingRecipe(steps=900, queries=32, negatives=7, width=96)

# One list a worker, each in order.
COMPARISON: list[list[Job]] = [
    [Job(HEAD, "head", ALL, minutes=0.4), *_tried("align-masked"), *_tried("masked")],
    [SHARED_JOB, *_tried("shared-align"), *_tried("shared-align-tokens")],
    [*_tried("align"), *_tried("align-tokens"), *_tried("align-slow")],
    [*_tried("contrast"), *_tried("distance"), *_tried("align-masked-tokens")],
    [*_tried("align-long"), *_tried("shared-masked")],
    [
        Job("late", "late-interaction", ("rw",), LATE, minutes=1.0, keep=False),
        Job("late-slow", "late-interaction", ("rw",), LATE.but(rate=1e-4), keep=False),
    ],
    [Job("cross", "cross-encoder", (), CROSS, minutes=2.2, keep=False)],
]
FINAL: list[list[Job]] = []
