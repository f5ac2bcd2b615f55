"""What a late-interaction model is put together from, as it lies on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyrank.base import Base, base_name, fingerprint_of, load_base
from polyrank.composition.plan import compose
from polyrank.composition.routing import check_late_routing
from polyrank.encoders.masked import MaskedEncoder
from polyrank.encoders.modular import ModularEncoder
from polyrank.encoders.ranking_module import RankingModule, ranking_module
from polyrank.encoders.xmod import XmodTokens
from polyrank.errors import ModuleError, UsageError, first_line
from polyrank.late_interaction.checkpoints import is_checkpoint, read_checkpoint
from polyrank.late_interaction.token_encoder import Plans, TextPlans, TokenEncoder
from polyrank.modules.card import read_card, train_command
from polyrank.modules.kinds import (
    DEFAULT_KIND,
    FULL,
    KINDS,
    NO_RANKING,
    language_kind_named,
    language_kinds,
)
from polyrank.modules.projection import DEFAULT_RANKING, Projection, untrained
from polyrank.zoo.find import find, list_modules


@dataclass(frozen=True, eq=False)
class Parts:
    """What a late-interaction model is put together from, however it was stored.

    base: what language modules must fit. encoder: fine-tuned, or the base's own. ranking: the
    module, less its projection. source: language of the judgements. modular: whether language
    modules belong under it.
    """

    base: Base
    encoder: Any
    projection: Projection
    ranking: RankingModule = RankingModule(FULL.name)
    source: str = "en"
    modular: bool = False


def with_ranking(
    base: str | Base, ranking: str | None, kind: str, zoo: str | Path | None
) -> tuple[str | Base, str]:
    """A base, and the name of the ranking module: the one that was asked for; of None `squad-li`
    where the zoo has it or the base needs a module, else none."""
    if ranking is not None:
        return base, ranking
    loaded = load_base(base) if isinstance(base, str) else base
    if not loaded.card.vectors:
        return loaded, DEFAULT_RANKING
    there = list_modules(loaded.name, "ranking", kind, zoo=zoo)
    trained = any(entry.card.name == DEFAULT_RANKING for entry in there)
    return loaded, DEFAULT_RANKING if trained else NO_RANKING


def load_parts(
    base: str | Base,
    ranking: str,
    kind: str,
    zoo: str | Path | None,
    read: Callable[[Path], Projection],
) -> Parts:
    """Read a late-interaction model: a module over a base, or a base alone.

    Args:
        read: the projection of a module's folder.

    Raises:
        ModuleError: missing, broken, a cross-encoder, or made for another base; or no module over a
            base whose vectors are not for retrieval.
        UsageError: a whole model, with no module.
    """
    if is_checkpoint(ranking):
        return _checkpoint_parts(Path(ranking))
    loaded = load_base(base) if isinstance(base, str) else base
    if ranking == NO_RANKING:
        if "language" not in KINDS[kind].roles:
            usable = " or ".join(f"'{name}'" for name in language_kinds())
            raise UsageError(
                f"kind '{kind}' is of a ranking module, and there is none here.\nUse {usable}, "
                "which then is the kind of the language modules."
            )
        return Parts(loaded, loaded.model, untrained(loaded), RankingModule(kind))
    try:
        folder = find(loaded.name, "ranking", kind, ranking, zoo)
    except ModuleError as error:  # it names the command for cross-encoders
        command = train_command(loaded.name, "ranking", kind, Path(ranking).name, late=True)
        raise ModuleError(f"{first_line(error)}\nTrain one with:  {command}") from error
    compose(loaded, ranking, routing="none", kind=kind, zoo=zoo)  # checks that it fits the base
    card, projection = read_card(folder), read(folder)
    module = ranking_module(kind, folder, ranking)
    encoder = module.encoder or loaded.model
    modular = card.parent is not None or encoder.config.model_type == "xmod"
    return Parts(loaded, encoder, projection, module, card.language, modular)


def _checkpoint_parts(folder: Path) -> Parts:
    """A ColBERT checkpoint of another system: its encoder is the base too."""
    found = read_checkpoint(folder)
    fingerprint = fingerprint_of(found.encoder, found.tokenizer)
    base = Base(base_name(str(folder)), str(folder), found.encoder, found.tokenizer, fingerprint)
    modular = found.encoder.config.model_type == "xmod"
    return Parts(base, found.encoder, found.projection, modular=modular)


def token_encoder(
    parts: Parts,
    masked: MaskedEncoder,
    ranking: str,
    kind: str,
    asked: str | None,
    fallback: str,
    zoo: str | Path | None,
) -> tuple[TokenEncoder, Plans]:
    """The encoder of the parts, with language modules of a kind, and the plans for it.

    Args:
        masked: the parts' own encoder, where it is to run.
        ranking: its name, for compositions.
        kind, asked: of the language modules, and what the user asked for.

    Raises:
        UsageError: an XMOD, with modules of another kind than its own.
    """
    if masked.encoder.config.model_type != "xmod":
        module = parts.ranking
        named = None if KINDS[module.kind].acts == "model" else module.kind
        plans = TextPlans(parts.base, module.name, named, kind, fallback, zoo)
        return ModularEncoder(parts.base, masked, module, kind, zoo), plans
    if "weights" in (KINDS[parts.ranking.kind].acts, KINDS[kind].acts):
        raise UsageError(
            "an XMOD has its language modules inside and takes no masks.\nUse it with "
            "kind='full', or a base of type bert or xlm-roberta."
        )
    if asked is not None:
        raise UsageError(
            f"an XMOD runs the language modules that it has inside, so 'language_kind' "
            f"(--language-kind), here '{asked}', would be ignored.\nLeave it out; the routing "
            "says which of them a text passes through."
        )
    xmod = XmodTokens(parts.base, masked.encoder, ranking, parts.source, fallback)
    return xmod, xmod


def check_options(routing: str | None, kind: str, language_kind: str | None) -> None:
    """Refuse a routing or a kind of modules that late interaction does not have.

    Raises:
        UsageError: it says which there are.
    """
    check_late_routing(kind, routing or KINDS[DEFAULT_KIND].late_routing)
    if language_kind is not None:
        language_kind_named(language_kind)
