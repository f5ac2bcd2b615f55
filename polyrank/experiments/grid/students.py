"""What a student can be: a name, and how one is trained on rows with teacher scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyrank.training.kinds.contract import LATE_INTERACTION
from polyrank.training.ranking.architectures import ARCHITECTURES

Train = Callable[[str, Path, "Path | None", Path, str, int, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Student:
    """What a student is trained as, a role of `polyrank.training.kinds`, and how."""

    role: str
    train: Train


def _ranking(architecture: str) -> Student:
    def train(
        base: str, rows: Path, passages: Path | None, output: Path, loss: str, seed: int,
        options: Mapping[str, Any],
    ) -> None:  # fmt: skip
        from polyrank.training.ranking.train_ranking import train_ranking_module

        train_ranking_module(
            base, rows, passages, output, loss=loss, seed=seed, mine=0, resume=True, over="",
            architecture=architecture, **options,
        )  # fmt: skip

    return Student(ARCHITECTURES[architecture].role, train)


def _of_tokens(
    base: str, rows: Path, passages: Path | None, output: Path, loss: str, seed: int,
    options: Mapping[str, Any],
) -> None:  # fmt: skip
    """Late interaction: the shared weights move (full), or a ranking adapter or mask."""
    from polyrank.training.kinds import part_of
    from polyrank.training.late_interaction.train_late_interaction import train_late_interaction

    chosen = {**options, "recipe": part_of(options["kind"], LATE_INTERACTION).recipe}
    if "length" in chosen:
        chosen["train_length"] = chosen.pop("length")
    train_late_interaction(
        base, rows, passages, output, loss=loss, seed=seed, mine=0, resume=True, over="", **chosen
    )


STUDENTS: Mapping[str, Student] = {
    "cross-encoder": _ranking("cross-encoder"),
    "multi-view": _ranking("multi-view"),
    "dot-product": _ranking("dot-product"),
    "kernel-pooling": _ranking("kernel-pooling"),
    "late-interaction": Student(LATE_INTERACTION, _of_tokens),
}
