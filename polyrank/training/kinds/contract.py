"""What a kind of module must say to be trained.

To add a kind: write a class like `TrainedKind`, whose `parts` say for each role that it can play
what is built, how that is fitted and how it is saved, and name it in the kind's row as its
training. Everything else (text, batches, losses, work folder, resuming, the card) is the same for
every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from polyrank.training.loop.sparsity import PLAIN, Sparsity

if TYPE_CHECKING:
    from torch import Tensor

    from polyrank.base import Base
    from polyrank.modules.adapter.tensors import Head
    from polyrank.training.distillation.teacher import Teacher
    from polyrank.training.loop.averaging import Snapshots
    from polyrank.training.loop.steps import Schedule

LANGUAGE = "language"
RANKING = "ranking"
LATE_INTERACTION = "late-interaction"  # a ranking module whose encoder gives token vectors
MULTI_VIEW = "multi-view"  # a ranking module whose encoder gives vectors of views
SINGLE_TEXTS = "single-texts"  # a ranking module whose encoder reads texts one by one
STUDENT = "student"  # what phase 2 of distillation trains
OF_KINDS = (  # options of the command line that some kinds have no use for
    *("k", "full-steps", "l1", "freeze-norms", "candidates", "iterations"),
    *("reduction", "start", "half", "over"),
)
ROLES = (LANGUAGE, RANKING, LATE_INTERACTION, MULTI_VIEW, SINGLE_TEXTS, STUDENT)

MODULAR, SHARED = "modular", "colbert-xm"  # recipes of late interaction: what of the model moves


@dataclass(frozen=True)
class Shape:
    """The options of a recipe that only some kinds read.

    Attributes:
        reduction: width of the base over width of an adapter; None for the usual one.
        sparsity: of a mask.
        start: the module to start from: a name of the zoo or a folder; None for a new one.
        half: whether a whole model may be stored in fp16.
    """

    reduction: int | None = None
    sparsity: Sparsity = PLAIN
    start: str | None = None
    half: bool = False


@dataclass(frozen=True, eq=False)
class Ground:
    """What a module is built on.

    Attributes:
        base: the base, on its device.
        name: of the module to be.
        role: one of `ROLES`.
        shape: options of the kind.
        seed: of new weights; the global generator stands at it when `build` is called.
        below: folder of the language module beneath a ranking module; None for none.
        zoo: where modules are searched first.
        prefixes: put before questions and passages.
    """

    base: Base
    name: str
    role: str
    shape: Shape = field(default_factory=Shape)
    seed: int = 13
    below: Path | None = None
    zoo: str | Path | None = None
    prefixes: tuple[str, str] = ("", "")


@dataclass(frozen=True, eq=False)
class StudentGround(Ground):
    """What a distilled model is built on: `base` is the trimmed one.

    Attributes:
        encoder: the student after phase 1.
        head: of the teacher, where a student can start from it.
        folder: where the encoder beneath a module is kept.
    """

    encoder: Any = None
    head: Head | None = None
    folder: Path = Path()


@dataclass(frozen=True, eq=False)
class Fitting:
    """What a model is fitted with.

    Attributes:
        batches: step → batch.
        loss: of the model on a batch.
        work: folder of the run.
        checkpoints: folder of a plain run's checkpoints.
        resume: whether to go on with what is there.
        snapshots: of the last steps, whose mean the model is set to; None for the last step's.
    """

    batches: Callable[[int], Mapping[str, Any]]
    loss: Callable[[Any, Mapping[str, Any]], Tensor]
    schedule: Schedule
    work: Path
    checkpoints: Path
    resume: bool = False
    snapshots: Snapshots | None = None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained model.

    Attributes:
        model: what `build` made, trained.
        facts: for the card: steps, minutes, machine, seed, precision, and what a kind adds.
        changes: what a kind stores in place of the model's own weights: the differences of a mask.
        probe: of a distilled model, inputs over which its weights in fp16 must give what the
            trained ones do.
    """

    model: Any
    facts: Mapping[str, Any]
    changes: Any = None
    probe: Sequence[Any] = ()


class Part(Protocol):
    """How a kind is trained for one role.

    Attributes:
        rate: the usual peak learning rate.
        reads: options of the command line that it makes use of, among `OF_KINDS`.
        replaces: option → the one that it only helps to choose, and that is enough by itself.
        beneath: the kind of language module that lies beneath; None where there is none.
        recipe: of late interaction, which recipe trains this kind.
        form: of a student, what its folder is: see `DistilledCard`.
    """

    rate: float
    reads: frozenset[str]
    replaces: Mapping[str, str]
    beneath: str | None
    recipe: str
    form: str

    def build(self, ground: Any) -> Any:
        """What is trained; exactly the parameters with `requires_grad` move.

        - language: like `language.students.Student`: inputs → hidden states.
        - ranking: a sequence classifier of one logit, with `base_model`.
        - late interaction, multi-view, single texts: a model with the encoder as `base_model`.
        - student: a sequence classifier that gives states and attention.

        Raises:
            UsageError: options that do not fit the base.
        """

    def options(self, ground: Any, model: Any) -> Mapping[str, Any]:
        """The options that count, with their defaults: for the card, and for what a resumed run
        must have the same."""

    def longest(self, ground: Any, steps: int) -> int:
        """Steps of its longest phase."""

    def fit(self, model: Any, ground: Any, fitting: Fitting) -> Fitted:
        """Train it: `plain`, or in phases of its own."""

    def save(self, fitted: Fitted, ground: Any, output: Path, card: Any) -> Any:
        """Write the folder, with the card; return the card as written."""


class Teaching(Protocol):
    """How modules of a kind teach a student over a trimmed vocabulary."""

    def languages(self, trimmed: Base, kept: Sequence[int], folders: Mapping[str, Any]) -> Teacher:
        """A frozen encoder that runs each batch with one language's module (a folder, or None)."""

    def ranking(
        self, trimmed: Base, kept: Sequence[int], language: str, below: Path | None, folder: Path
    ) -> tuple[Teacher, Head]:
        """The same for one language, with a ranking module over it; and that module's head."""


class TrainedKind(Protocol):
    """What the row of a kind names as its training.

    Attributes:
        parts: role → how it is trained for it. A role that is absent cannot be played.
        teaching: how its modules teach in distillation; None where they cannot.
    """

    parts: Mapping[str, Part]
    teaching: Teaching | None


class PlainPart:
    """A part that reads no options and is fitted plainly; others change what differs."""

    rate = 1e-4
    reads: frozenset[str] = frozenset()
    replaces: Mapping[str, str] = {}
    beneath: str | None = None
    recipe = MODULAR
    form = "cross-encoder"

    def options(self, ground: Any, model: Any) -> Mapping[str, Any]:
        return {}

    def longest(self, ground: Any, steps: int) -> int:
        return steps

    def fit(self, model: Any, ground: Any, fitting: Fitting) -> Fitted:
        return plain(model, fitting)


def plain(model: Any, fitting: Fitting) -> Fitted:
    """One phase that moves all that may move."""
    from polyrank.training.loop.steps import fit

    callbacks = [fitting.snapshots] if fitting.snapshots else []
    facts = fit(
        model, fitting.batches, fitting.loss, fitting.schedule, fitting.checkpoints,
        fitting.resume, callbacks,
    )  # fmt: skip
    if fitting.snapshots is not None:
        fitting.snapshots.average_into(model)
    return Fitted(model, facts)
