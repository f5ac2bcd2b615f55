"""What a late-interaction model is put together from, as it lies on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyrank.base import Base, base_name, fingerprint_of, load_base
from polyrank.composition.plan import compose
from polyrank.encoders.token_encoders import ModuleTokens, RankingPart, TokenEncoder, XmodTokens
from polyrank.errors import ModuleError, UsageError
from polyrank.late_interaction.checkpoints import is_checkpoint, read_checkpoint
from polyrank.modules.adapter.adapter_folder import load_adapter_module
from polyrank.modules.card import ModuleCard, read_card, train_command
from polyrank.modules.full import load_full_encoder
from polyrank.modules.mask.mask_folder import load_mask_module
from polyrank.modules.projection import (
    DEFAULT_RANKING,
    NO_RANKING,
    Projection,
    load_projection,
    untrained,
)
from polyrank.zoo.find import find, list_modules

KINDS = ("adapter", "mask", "full")
LANGUAGE_KINDS = ("adapter", "mask")
ROUTINGS = ("split", "document", "query", "none")


@dataclass(frozen=True, eq=False)
class Parts:
    """What a late-interaction model is put together from, however it was stored.

    base: what language modules must fit. encoder: fine-tuned, or the base's own. source: language
    of the judgements. modular: whether language modules belong under it.
    """

    base: Base
    encoder: Any
    projection: Projection
    ranking: RankingPart = RankingPart("full")
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


def load_parts(base: str | Base, ranking: str, kind: str, zoo: str | Path | None) -> Parts:
    """Read a late-interaction model: a module over a base, or a base alone.

    Raises:
        ModuleError: missing, broken, a cross-encoder, or made for another base; or no module over a
            base whose vectors are not for retrieval.
        UsageError: 'full', with no module.
    """
    if is_checkpoint(ranking):
        return _checkpoint_parts(Path(ranking))
    loaded = load_base(base) if isinstance(base, str) else base
    if ranking == NO_RANKING:
        if kind == "full":
            raise UsageError(
                "kind 'full' is of a ranking module, and there is none here.\nUse 'adapter' or "
                "'mask', which then is the kind of the language modules."
            )
        return Parts(loaded, loaded.model, untrained(loaded), RankingPart(kind))
    try:
        folder = find(loaded.name, "ranking", kind, ranking, zoo)
    except ModuleError as error:  # it names the command for cross-encoders
        command = train_command(loaded.name, "ranking", kind, Path(ranking).name, late=True)
        raise ModuleError(f"{str(error).splitlines()[0]}\nTrain one with:  {command}") from error
    compose(loaded, ranking, routing="none", kind=kind, zoo=zoo)  # checks that it fits the base
    card, projection = read_card(folder), load_projection(folder)
    if kind == "adapter":
        part = RankingPart(kind, ranking, adapter=load_adapter_module(folder))
        return _parts(loaded, loaded.model, projection, card, part)
    if kind == "mask":
        load_mask_module(folder)  # a broken one is named now
        return _parts(
            loaded, loaded.model, projection, card, RankingPart(kind, ranking, mask=folder)
        )
    return _parts(loaded, load_full_encoder(folder), projection, card, RankingPart(kind))


def _parts(
    base: Base, encoder: Any, projection: Projection, card: ModuleCard, ranking: RankingPart
) -> Parts:
    modular = card.parent is not None or encoder.config.model_type == "xmod"
    return Parts(base, encoder, projection, ranking, card.language, modular)


def _checkpoint_parts(folder: Path) -> Parts:
    """A ColBERT checkpoint of another system: its encoder is the base too."""
    found = read_checkpoint(folder)
    fingerprint = fingerprint_of(found.encoder, found.tokenizer)
    base = Base(base_name(str(folder)), str(folder), found.encoder, found.tokenizer, fingerprint)
    modular = found.encoder.config.model_type == "xmod"
    return Parts(base, found.encoder, found.projection, modular=modular)


def token_encoder(
    parts: Parts,
    encoder: Any,
    ranking: str,
    kind: str,
    asked: str | None,
    fallback: str,
    zoo: str | Path | None,
) -> TokenEncoder:
    """The encoder of the parts, with language modules of a kind.

    Args:
        encoder: the parts' own, where it is to run.
        ranking: its name, for compositions.
        kind, asked: of the language modules, and what the user asked for.

    Raises:
        UsageError: an XMOD, with modules of another kind than its own.
    """
    if encoder.config.model_type != "xmod":
        return ModuleTokens(parts.base, encoder, parts.ranking, kind, fallback, zoo)
    if "mask" in (parts.ranking.kind, kind):
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
    return XmodTokens(parts.base, encoder, ranking, parts.source, fallback)


def usual_language_kind(kind: str) -> str:
    """The kind of the language modules under a ranking module of this kind."""
    return "mask" if kind == "mask" else "adapter"


def check_options(routing: str | None, kind: str, language_kind: str | None) -> None:
    """Refuse a routing or a kind of modules that late interaction does not have.

    Raises:
        UsageError: it says which there are.
    """
    if routing is not None and routing not in ROUTINGS:
        raise UsageError(
            f"late interaction encodes texts one by one, so routing '{routing}' means nothing "
            "there.\nUse 'split' (each text its own language), 'document' or 'query' (both sides "
            "that one's language), or 'none'."
        )
    if kind not in KINDS:
        raise UsageError(
            f"late interaction runs with modules of the kinds {', '.join(KINDS)}, not '{kind}'"
        )
    if language_kind is not None and language_kind not in LANGUAGE_KINDS:
        raise UsageError(
            f"language modules are of the kinds {', '.join(LANGUAGE_KINDS)}, not '{language_kind}'"
        )
