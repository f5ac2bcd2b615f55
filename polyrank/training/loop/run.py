"""One training run, whatever is trained: from a recipe to a folder.

    check → read → build → begin → prepare → fit → save → clean up

A recipe checks itself when it is made. An objective (`Objective`) is made of it: it loads the base
and reads the data. The run owns the rest: the seed, the work folder `<output>.work` with the
settings that a resumed run must have the same, what is resumed, the card's common part, and the
removal of the work folder once the result is written. Under `torchrun` or `accelerate launch` every
process does the same, but only the main one writes and reports.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from polyrank.base import Base
from polyrank.errors import UsageError
from polyrank.locks import locked
from polyrank.modules.card import Data, ModuleCard, Parent
from polyrank.training.kinds.contract import Fitted, Fitting, PlainPart
from polyrank.training.loop import processes
from polyrank.training.loop.averaging import Snapshots
from polyrank.training.loop.checks import check_name, check_numbers
from polyrank.training.loop.steps import Batch, Schedule

SETTINGS = "settings.json"  # in a work folder

Card = TypeVar("Card", covariant=True)
Recipe = TypeVar("Recipe", bound="Seeded")


class Seeded(Protocol):
    """What every recipe has."""

    @property
    def seed(self) -> int:
        """Of everything random."""


@dataclass(frozen=True)
class Place:
    """Where a training reads and writes, beside its data, and what the card says of it.

    Attributes:
        output: folder to write.
        resume: whether to go on with what is in the work folder.
        zoo: where modules are searched first.
        data: sources and licences for the card.
        command: what the card quotes as its recipe.
    """

    output: Path
    resume: bool = False
    zoo: str | Path | None = None
    data: tuple[Data, ...] = ()
    command: str = ""

    @property
    def name(self) -> str:
        """Of what is trained."""
        return self.output.name

    @property
    def work(self) -> Path:
        """Folder of checkpoints and of what is prepared, until the end."""
        return Path(f"{self.output}.work")


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a model is trained with, once everything is prepared.

    Attributes:
        model: what is trained.
        batches: step → batch, by the seed and the step alone.
        loss: of the model on a batch; see `processes` for what it shares and gathers.
        schedule: steps, rates, seed.
        part, ground: of a kind, which says how it is fitted; plainly unless it says otherwise.
        snapshots: of the last steps, to be averaged; None for none.
        folder: of what the fitting writes, in the work folder.
        checkpoints: the same of a plain fitting's checkpoints.
    """

    model: Any
    batches: Callable[[int], Batch]
    loss: Callable[[Any, Batch], Tensor]
    schedule: Schedule
    part: Any = PlainPart()
    ground: Any = None
    snapshots: Snapshots | None = None
    folder: str = "."
    checkpoints: str = "checkpoints"


class Objective(Protocol[Card]):
    """One training: made of a recipe, which it has checked and whose base and data it has read."""

    def build(self) -> Any:
        """What is trained, at its start; the global generator stands at the seed."""

    def settings(self, model: Any) -> Mapping[str, Any]:
        """What a resumed run must have the same."""

    def prepare(self, model: Any, place: Place) -> Lesson | Fitted:
        """Batches and loss; what takes long is kept in the work folder. A `Fitted` where there is
        nothing more to train."""

    def save(self, fitted: Fitted, place: Place) -> Card:
        """Measure, write the folder, return the card as written. In the main process alone."""


def train(make: Callable[[Recipe, Place], Objective[Card]], recipe: Recipe, place: Place) -> Card:
    """Run one training from its recipe to its folder.

    Args:
        make: the objective of a recipe.

    Raises:
        UsageError: numbers that no training can use, options that do not fit, a resume with other
            settings, or another process that writes there.
        DataError: data that are missing or malformed.
    """
    check_numbers(recipe)
    processes.start()
    alone = locked(place.output) if processes.is_main() else nullcontext()
    with alone, processes.one_voice():
        check_name(place.name)
        objective = make(recipe, place)
        torch.manual_seed(recipe.seed)
        model = objective.build()
        begin(place.work, objective.settings(model), place.resume)
        lesson = objective.prepare(model, place)
        fitted = lesson if isinstance(lesson, Fitted) else _fitted(lesson, place)
        card = None
        if processes.is_main():
            card = objective.save(fitted, place)
            clear(place.work)
        written: Card = processes.from_main(card)  # type: ignore[assignment]
        return written


def _fitted(lesson: Lesson, place: Place) -> Fitted:
    fitting = Fitting(
        lesson.batches,
        lesson.loss,
        lesson.schedule,
        place.work / lesson.folder,
        place.work / lesson.checkpoints,
        place.resume,
        lesson.snapshots,
    )
    fitted: Fitted = lesson.part.fit(lesson.model, lesson.ground, fitting)
    return fitted


def begin(work: Path, settings: Mapping[str, Any], resume: bool) -> None:
    """Make the work folder, or make sure that the one to go on with had the same settings.

    Raises:
        UsageError: on a resume with other settings; it names them.
    """
    path, now = work / SETTINGS, json.loads(json.dumps(settings))
    if processes.is_main():
        if resume and path.is_file():
            _compare(work, json.loads(path.read_text()), now)
        else:
            if work.exists():
                shutil.rmtree(work)
            work.mkdir(parents=True)
            path.write_text(json.dumps(now, indent=1) + "\n")
    processes.wait()


def clear(work: Path) -> None:
    """Remove a work folder, its settings last: what a kill leaves of it can be told as such."""
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != SETTINGS:
            path.unlink()
    shutil.rmtree(work)


def is_left(work: Path) -> bool:
    """Whether a folder is what a training left, whole or partly cleared."""
    return work.is_dir() and ((work / SETTINGS).is_file() or not any(work.iterdir()))


def _compare(work: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    changed = [key for key in {**then, **now} if then.get(key) != now.get(key)]
    if changed:
        listed = ", ".join(f"{key} was {then.get(key)}, is {now.get(key)}" for key in changed)
        raise UsageError(
            f"{work} was started with other settings and cannot be resumed: {listed}.\n"
            f"Use the same settings as before, or another --output. To start over:  rm -r {work}"
        )


def module_card(
    place: Place,
    base: Base,
    role: str,
    kind: str,
    language: str,
    recipe: Mapping[str, Any],
    parent: Parent | None = None,
    figures: Mapping[str, Any] | None = None,
) -> ModuleCard:
    """The card of a module that a run has trained."""
    return ModuleCard(
        role=role,
        kind=kind,
        name=place.name,
        language=language,
        base=base.name,
        base_fingerprint=base.fingerprint,
        parent=parent,
        recipe=recipe,
        figures=figures or {},
        data=place.data,
    )
