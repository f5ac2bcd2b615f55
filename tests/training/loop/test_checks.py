"""Numbers of a recipe that no training can use are refused before anything is loaded."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from polyrank.errors import UsageError
from polyrank.training.distillation.recipe import DistillationRecipe, General, Task
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.head.recipe import HeadRecipe
from polyrank.training.kinds.contract import Shape
from polyrank.training.language.recipe import LanguageRecipe
from polyrank.training.late_interaction.recipe import LateInteractionRecipe, TokenSettings
from polyrank.training.llm.recipe import LLMRecipe, LowRank, Policy
from polyrank.training.loop.checks import check_numbers
from polyrank.training.loop.run import Place, train
from polyrank.training.loop.sparsity import Sparsity
from polyrank.training.ranking.architectures import MultiView
from polyrank.training.ranking.recipe import RankingRecipe

ROWS = JudgedRows("rows.jsonl")
RANKING = RankingRecipe("base", ROWS)
LANGUAGE = LanguageRecipe("base", "ky", "ky.txt")
DISTILLED = DistillationRecipe("base", "en", "ky", {"en": Path("e"), "ky": Path("k")}, ROWS)
LLM = LLMRecipe("model", ROWS)
LATE = LateInteractionRecipe("base", ROWS, TokenSettings())


@pytest.mark.parametrize("recipe", [RANKING, LANGUAGE, DISTILLED, LLM, LATE, HeadRecipe("b", "t")])
def test_the_usual_numbers_are_fine(recipe):
    check_numbers(recipe)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (replace(RANKING, rate=math.nan), "rate is nan; give a finite number"),
        (replace(RANKING, rate=math.inf), "rate is inf"),
        (replace(RANKING, rate=0.0), "rate is 0.0; give a number above 0"),
        (replace(RANKING, steps=0), "steps is 0; give 1 or more"),
        (replace(RANKING, seed=-1), "seed is -1; give 0 or more"),
        (replace(RANKING, rows=replace(ROWS, mine=-1)), "mine is -1"),
        (replace(RANKING, shape=Shape(reduction=0)), "reduction is 0"),
        (replace(RANKING, shape=Shape(sparsity=Sparsity(l1=math.nan))), "l1 is nan"),
        (replace(RANKING, shape=Shape(sparsity=Sparsity(full_steps=0))), "full_steps is 0"),
        (replace(RANKING, architecture=MultiView(orthogonality=math.inf)), "orthogonality is inf"),
        (replace(LANGUAGE, rate=-1e-3), "rate is -0.001; give a number above 0"),
        (replace(LANGUAGE, length=7), "length is 7; give 8 or more"),
        (replace(DISTILLED, general=General(rate=math.nan)), "rate is nan"),
        (replace(DISTILLED, task=Task(rate=math.inf)), "rate is inf"),
        (replace(LATE, settings=TokenSettings(dim=0)), "dim is 0"),
        (replace(LLM, generation=math.nan, loss="infonce", objective="setwise"), "generation is"),
        (replace(LLM, lora=LowRank(rank=-1)), "rank is -1"),
        (replace(LLM, policy=Policy(temperature=0.0)), "temperature is 0.0"),
        (replace(LLM, policy=Policy(beta=math.inf)), "beta is inf"),
        (HeadRecipe("base", "text", rate=math.nan), "rate is nan"),
    ],
)
def test_what_no_training_can_use_is_refused(recipe, message, tmp_path):
    def make(recipe, place):
        raise AssertionError("the recipe was not checked first")

    with pytest.raises(UsageError, match=message):
        train(make, recipe, Place(tmp_path / "m"))


@pytest.mark.parametrize("least", [math.nan, math.inf, -0.1, 1.0])
def test_a_least_probability_is_one(least):
    with pytest.raises(UsageError, match="--min-probability is"):
        replace(DISTILLED, min_probability=least)


@pytest.mark.parametrize("dropout", [math.nan, -0.1, 1.0])
def test_a_dropout_leaves_something(dropout):
    with pytest.raises(UsageError, match="dropout is"):
        LowRank(dropout=dropout)
