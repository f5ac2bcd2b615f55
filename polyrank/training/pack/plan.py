"""Which jobs a GPU machine runs, on how many workers, the most valuable first.

`FINAL` is what goes into the zoo. `COMPARISON` holds the recipes that were tried for it, with their
figures on development data, so that the choice can be made again. `BASELINE` is full fine-tuning of
late interaction in three ways; the best of them on development data is what modules are held up to.
"""

from __future__ import annotations

from polyrank.training.pack.jobs import FULL_LATE, HEAD, SHARED, Job
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


LATE = RankingRecipe(steps=3000, queries=32, negatives=3, width=96, temperature=0.03)
CROSS = RankingRecipe(steps=3000, queries=32, negatives=5, width=96)

# One list a worker, each in order.
COMPARISON: list[list[Job]] = [
    [Job(HEAD, "head", ALL, minutes=0.4), *_tried("align-masked"), *_tried("masked")],
    [SHARED_JOB, *_tried("shared-align"), *_tried("shared-align-tokens")],
    [*_tried("align"), *_tried("align-tokens"), *_tried("align-slow")],
    [*_tried("contrast"), *_tried("distance"), *_tried("align-masked-tokens")],
    [*_tried("align-long"), *_tried("shared-masked")],
]
LOW, FEW = ALIGN.but(steps=600), ALIGN.but(steps=350)


def _final(recipe: Recipe, *languages: str, needs: tuple[str, ...] = ()) -> list[Job]:
    return [Job(language, "language", (language,), recipe, needs) for language in languages]


WITH = ("rw", "ig", "ak", "ha", "yo", "zu")  # whose adapters ranking modules are measured with
TAUGHT = (*WITH, "sw", "so", "am", "om", "bem", "ug")  # and whose sentence pairs they see
_MASK = Recipe(steps=300)
MASKED_ALONE = Recipe(distance=0.0, contrast=0.0, masked=1.0, shared="rw", steps=300)
FINAL: list[list[Job]] = [
    [
        *_final(ALIGN.but(steps=100), "en"),
        *_final(LOW, "rw", "ha"),
        *_final(FEW, "yo", "tt"),
        Job("squad-english", "cross-encoder", WITH, CROSS, ("en", *WITH), minutes=3.1, keep=False),
    ],
    [
        *_final(FEW, "ig", "zu"),
        *_final(LOW, "sw", "so"),
        *_final(FEW, "ky"),
        Job("squad-li", "late-interaction", TAUGHT, LATE.but(dim=384, parallel=0.5),
            ("en", *TAUGHT), minutes=1.8),
        Job("squad-full", "full", ("rw", "ig", "ak"), CROSS.but(rate=5e-5), ("en",), minutes=1.8),
    ],
    [
        *_final(FEW, "ak", "bem"),
        *_final(LOW, "om", "am"),
        *_final(FEW, "ug"),
        Job("squad", "cross-encoder", TAUGHT, CROSS.but(parallel=0.3), ("en", *TAUGHT),
            minutes=3.1),
    ],
    [
        *_final(FEW, "lg", "tr", "ru", "zh"),
        Job("squad-li-128", "late-interaction", TAUGHT, LATE.but(dim=128, parallel=0.5),
            ("en", *TAUGHT), minutes=1.8, keep=False),
        Job("squad-li-english", "late-interaction", WITH, LATE.but(dim=384), ("en", *WITH),
            minutes=1.0, keep=False),
    ],
    [
        Job(HEAD, "head", ALL, minutes=0.7),
        # masked tokens alone, which cost retrieval everything: figures only
        Job("sn", "language", ("sn",), MASKED_ALONE, (HEAD, "rw"), keep=False),
        *[Job(f"mask-{language}", "mask", (language,), _MASK, minutes=0.6)
          for language in ("rw", "yo", "sw", "ug", "en")],
    ],
]  # fmt: skip


def _full(name: str, recipe: RankingRecipe, keep: bool = True) -> list[Job]:
    return [Job(f"squad-li-full-{name}", FULL_LATE, WITH, recipe, minutes=3.0, keep=keep)]


FULL = LATE.but(dim=384)
BASELINE: list[list[Job]] = [
    _full("2e-5", FULL.but(rate=2e-5)),
    _full("5e-5", FULL.but(rate=5e-5)),
    _full("5e-5-short", FULL.but(rate=5e-5, steps=600), keep=False),
]
