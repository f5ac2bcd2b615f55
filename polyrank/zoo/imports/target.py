"""What a module from elsewhere is to become in the zoo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyrank.base import Base, Fingerprint
from polyrank.errors import UsageError
from polyrank.locks import locked
from polyrank.modules.card import UNVERIFIED, ModuleCard
from polyrank.modules.folder import refuse_existing

# What a Hugging Face model with a head calls its encoder, by `model_type`.
PREFIXES = {
    "bert": "bert.",
    "roberta": "roberta.",
    "xlm-roberta": "roberta.",
    "camembert": "roberta.",
}


@dataclass(frozen=True, eq=False)
class Wanted:
    """What the user says of a module that does not say it itself.

    Attributes:
        source: as given: a folder or a name of the Hub.
        zoo: the folder to bring it into.
        role: `language` or `ranking`.
        language: normalised tag: of its text, or of its judgements.
        name: in the zoo; by default the language, or for a ranking module its own name.
        base: the base that it is for, loaded, where the user names one; the module is checked
            against its shapes.
        trust_base: the user vouches that it was trained on exactly those weights.
        licence: of the weights.
        overwrite: a module of that name in the zoo may be replaced.
    """

    source: str
    zoo: Path
    role: str
    language: str
    name: str | None = None
    base: Base | None = None
    trust_base: bool = False
    licence: str = "unknown"
    overwrite: bool = False

    @contextmanager
    def place(self, card: ModuleCard) -> Iterator[Path]:
        """The folder of the new module, which this process alone writes.

        Raises:
            ModuleError: it is there, and may not be replaced.
            UsageError: another process writes it.
        """
        target = self.zoo / card.full_name
        with locked(target):
            if not self.overwrite:
                refuse_existing(target, "name the new one with --name, or replace it: --overwrite")
            yield target

    def base_name(self, recorded: str | None) -> str:
        """The base's name: the user's, or what the source records.

        Raises:
            UsageError: neither.
        """
        if self.base is not None:
            return self.base.name
        if not recorded:
            raise UsageError(
                f"'{self.source}' does not say for which base it is.\n"
                "Name it with --base, e.g. --base bert-base-multilingual-cased."
            )
        return recorded

    def card(
        self,
        kind: str,
        base: str,
        format: str,
        own_name: str | None = None,
        fingerprint: Fingerprint | None = None,
    ) -> ModuleCard:
        """The card of the module, before its files are written.

        Args:
            kind: `adapter` or `mask`.
            base: the base's name.
            format: where it comes from.
            own_name: what it was called there.
            fingerprint: of the base, where the source itself leaves no doubt.

        Raises:
            UsageError: a ranking module without a name.
        """
        name = self.name or (self.language if self.role == "language" else own_name)
        if not name:
            raise UsageError("a ranking module needs a name in the zoo.\nGive --name.")
        recipe: dict[str, Any] = {
            "imported from": Path(self.source).name if Path(self.source).exists() else self.source,
            "format": format,
        }
        if self.trust_base and self.base is not None:
            recipe["base weights"] = "vouched for by whoever imported it"
            fingerprint = self.base.fingerprint
        return ModuleCard(
            role=self.role,
            kind=kind,
            name=name,
            language=self.language,
            base=base,
            base_fingerprint=fingerprint or UNVERIFIED,
            recipe=recipe,
            licence=self.licence,
        )


@dataclass(frozen=True)
class Imported:
    """A module that was brought in.

    Attributes:
        card: as written.
        folder: where it lies.
        notes: what was left out or assumed; each is one sentence.
    """

    card: ModuleCard
    folder: Path
    notes: tuple[str, ...] = ()
