"""A plan model on disk: `plan.safetensors`, and `polyrank_plan.json` with what it was made for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from polyrank.base import Base, Fingerprint, load_base
from polyrank.errors import ModuleError
from polyrank.modules.card import Data, sha256
from polyrank.modules.folder import new_folder
from polyrank.modules.record import read_record, write_record
from polyrank.summaries.plan_model import PlanModel

PLAN_CARD, WEIGHTS = "polyrank_plan.json", "plan.safetensors"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class PlanCard:
    """What a plan model was made for, and how.

    Attributes:
        base, base_fingerprint: the frozen encoder beneath.
        fineness: of the units, 'clause' or 'sentence'.
        longest: units of a plan at most.
        width, inner: of the model.
        recipe: command, hyper-parameters, steps, seed, machine, minutes.
        figures: held out.
        data: what it was trained on, with licences.
        sha256: of its weights; filled in when it is written.
    """

    base: str
    base_fingerprint: Fingerprint
    fineness: str
    longest: int
    width: int
    inner: int
    recipe: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[Data, ...] = ()
    sha256: str = ""
    format_version: int = FORMAT_VERSION


def save_plan_model(model: PlanModel, folder: str | Path, card: PlanCard) -> PlanCard:
    """Write the folder in one step; return the card as written.

    Raises:
        ModuleError: a folder that holds something.
    """
    with new_folder(folder) as temporary:
        tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
        save_file(tensors, temporary / WEIGHTS)
        written = replace(card, sha256=sha256(temporary / WEIGHTS))
        write_record(written, temporary / PLAN_CARD)
    return written


def read_plan_card(folder: str | Path) -> PlanCard:
    """The card of a plan model.

    Raises:
        ModuleError: no plan model, or a card that cannot be read.
    """
    path = Path(folder) / PLAN_CARD
    if not path.is_file():
        raise ModuleError(
            f"'{folder}' is not a plan model: it has no {PLAN_CARD}.\n"
            "Train one with:  polyrank summaries train-plan --documents FILE --output DIR"
        )
    try:
        return read_record(path, PlanCard, FORMAT_VERSION)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModuleError(
            f"the plan model in '{folder}' cannot be read ({error!r}).\nTrain it again."
        ) from error


def load_plan_model(
    folder: str | Path, base: str | None = None
) -> tuple[PlanModel, PlanCard, Base]:
    """A plan model with the base that it was made for.

    Args:
        base: where to find the base, if not by the name in the card.

    Raises:
        ModuleError: a model that is missing, altered, or made for another base.
    """
    card = read_plan_card(folder)
    path = Path(folder) / WEIGHTS
    try:
        altered = sha256(path) != card.sha256
        model = PlanModel(card.width, card.inner)
        if not altered:
            model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModuleError(f"'{path}' cannot be read ({error}).\nTrain it again.") from error
    if altered:
        raise ModuleError(f"'{path}' was altered: its card has another sha256.\nTrain it again.")
    loaded = load_base(base or card.base)
    if loaded.fingerprint != card.base_fingerprint:
        raise ModuleError(
            f"the plan model in '{folder}' was made for base '{card.base}' "
            f"({card.base_fingerprint}), but this base is '{loaded.name}' ({loaded.fingerprint}).\n"
            "Name the right one with --base, or train a model for this one."
        )
    return model.eval(), card, loaded
