"""Encoders whose rows each pass through a language module of their own.

`ModuleTokens` puts adapters or masks on a BERT or XLM-R; `XmodTokens` uses the language modules
that an XMOD checkpoint has inside. Both say which module a language gets, as a `Composition`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from polyrank.base import Base
from polyrank.composition.plan import Composition, compose
from polyrank.encoders.masked import Masks, WholeEncoder
from polyrank.encoders.routed import NO_MODULE, RoutedEncoder
from polyrank.errors import LanguageError
from polyrank.languages import tags
from polyrank.modules.adapter.adapter_folder import load_adapter_module
from polyrank.modules.adapter.tensors import AdapterModule
from polyrank.notes import Note
from polyrank.zoo.find import find


class TokenEncoder(Protocol):
    """What late interaction needs of an encoder."""

    def compose(self, query: str | None, document: str | None, routing: str) -> Composition:
        """What is active where for texts of these languages."""
        ...

    def module(self, name: str | None) -> int:
        """The number by which `masks` and `__call__` know a language module; None is no module."""
        ...

    def masks(self, module: int) -> Masks:
        """What must lie on the weights while rows of this module are run."""
        ...

    def __call__(self, ids: Tensor, attended: Tensor, modules: Tensor, words: Tensor) -> Tensor:
        """Hidden states: ids (B, L), attended (B, L), modules (B,), words (B, L, H) → (B, L, H)."""
        ...


@dataclass(frozen=True, eq=False)
class RankingPart:
    """The ranking module of a late-interaction model, less its projection.

    kind: 'adapter', 'mask', or 'full', where the encoder itself was fine-tuned. name: for the
    composition. adapter, mask: the module, or the folder, of those kinds.
    """

    kind: str
    name: str | None = None
    adapter: AdapterModule | None = None
    mask: Path | None = None


class ModuleTokens:
    """A BERT or XLM-R with a language module for each row and at most one ranking module over them.

    Adapters act on the rows of one batch alike; masks act on its weights, so that its rows must
    have the same (see `masks`).

    Args:
        base: whose fingerprint the language modules must have.
        encoder: of the base, or a fine-tuned copy of it.
        ranking: the ranking module.
        kind: of the language modules, 'adapter' or 'mask'.
        fallback: for a language without module, as in `compose`.
        zoo: a folder to search first.

    Raises:
        CompositionError: an encoder that these kinds cannot be used with.
    """

    def __init__(
        self,
        base: Base,
        encoder: Any,
        ranking: RankingPart,
        kind: str,
        fallback: str,
        zoo: str | Path | None,
    ) -> None:
        self.base, self.ranking, self.kind = base, ranking, kind
        self.fallback, self.zoo = fallback, zoo
        self._encoder, self._numbers = encoder, dict[str, int]()
        self._folders: list[Path] = []  # of the language masks, by their numbers
        self._ranking_masks = () if ranking.mask is None else (ranking.mask,)
        bare = kind == "mask" and ranking.adapter is None
        self._run: Any = (
            WholeEncoder(encoder) if bare else RoutedEncoder(encoder, [], ranking.adapter)
        )
        self._types = getattr(encoder.config, "type_vocab_size", 0) > 1

    def compose(self, query: str | None, document: str | None, routing: str) -> Composition:
        if (self.kind, routing) == ("mask", "split"):
            return self._apart(query, document)
        full = self.ranking.kind == "full"  # it is the encoder: no module over the others
        return compose(
            self.base,
            None if full else self.ranking.name,
            query,
            document,
            routing=routing,
            kind=self.kind,
            fallback=self.fallback,
            zoo=self.zoo,
            ranking_kind=None if full else self.ranking.kind,
        )

    def _apart(self, query: str | None, document: str | None) -> Composition:
        """Masks in 'split', which one sequence of two languages could not have: here every text is
        a sequence of its own."""
        asked = self.compose(query, None, "query")
        held = self.compose(None, document, "document")
        return replace(
            asked,
            document_language=held.document_language,
            document_module=held.document_module,
            routing="split",
            notes=tuple(dict.fromkeys(asked.notes + held.notes)),
        )

    def module(self, name: str | None) -> int:
        if name is None:
            return NO_MODULE
        if name not in self._numbers:
            folder = find(self.base.name, "language", self.kind, name, self.zoo)
            self._numbers[name] = self._add(folder)
        return self._numbers[name]

    def _add(self, folder: Path) -> int:
        if self.kind == "mask":
            self._folders.append(folder)
            return len(self._folders) - 1
        weight = self._encoder.embeddings.word_embeddings.weight
        module = load_adapter_module(folder).to(weight.device, weight.dtype)
        self._run.languages.append(module)
        return len(self._run.languages) - 1

    def masks(self, module: int) -> Masks:
        if self.kind != "mask" or module == NO_MODULE:
            return self._ranking_masks
        return (*self._ranking_masks, self._folders[module])

    def __call__(self, ids: Tensor, attended: Tensor, modules: Tensor, words: Tensor) -> Tensor:
        types = torch.zeros_like(ids) if self._types else None
        if self.kind == "mask":  # they lie on the weights
            modules = torch.full_like(modules, NO_MODULE)
        index = modules[:, None].expand_as(ids)
        hidden: Tensor = self._run(ids, attended, types, index, words)
        return hidden


class XmodTokens:
    """An XMOD with its own language modules (Pfeiffer et al. 2022, arXiv 2205.06266).

    Every layer always runs one, so fallback 'none' takes the language it was fine-tuned in.

    Args:
        base: its name and fingerprint, for the composition.
        encoder: an `XmodModel`.
        source: language of the judgements it was fine-tuned on.
        fallback: 'error', 'related', or 'none'.
    """

    def __init__(
        self, base: Base, encoder: Any, ranking_name: str | None, source: str, fallback: str
    ) -> None:
        self.base, self.ranking_name = base, ranking_name
        self.source, self.fallback, self._encoder = source, fallback, encoder
        self.codes = xmod_languages(encoder.config.languages)
        self._numbers = {code: place for place, code in enumerate(encoder.config.languages)}

    def compose(self, query: str | None, document: str | None, routing: str) -> Composition:
        notes: list[Note] = []
        asked = {"query": query, "document": document}
        codes = {
            side: self._code(tag, notes) if routing in (side, "split") else None
            for side, tag in asked.items()
        }
        return Composition(
            base=self.base.name,
            fingerprint=self.base.fingerprint,
            query_language=query,
            document_language=document,
            query_module=codes["query"],
            document_module=codes["document"],
            ranking=self.ranking_name,
            routing=routing,
            kind="full",
            notes=tuple(dict.fromkeys(notes)),
        )

    def _code(self, language: str | None, notes: list[Note]) -> str:
        if language is not None and language in self.codes:
            return self.codes[language]
        nearest = None
        if language is not None and self.fallback == "related":
            nearest = next((t for t in tags.related(language) if t in self.codes), None)
        if nearest is None and language is not None and self.fallback == "error":
            raise LanguageError(
                f"the XMOD base '{self.base.name}' has no module for '{language}'. It has: "
                f"{', '.join(sorted(self.codes))}.\n'--fallback related' takes the nearest "
                f"relative, '--fallback none' the module of '{self.source}' (in Python "
                "fallback='related', 'none')."
            )
        taken = nearest or self.source
        if taken not in self.codes:
            raise LanguageError(
                f"the XMOD base '{self.base.name}' has no module for '{taken}', so nothing can "
                f"stand in for '{language}'.\nGive texts in: {', '.join(sorted(self.codes))}."
            )
        what = f"'{language}'" if language else "a text of unknown language"
        notes.append(
            Note("fallback", f"XMOD has no module for {what}: the one of '{taken}' is used.")
        )
        return self.codes[taken]

    def module(self, name: str | None) -> int:
        # Rows without a module exist only where routing is 'none': then all take the source's.
        return self._numbers[self.codes[self.source] if name is None else name]

    def masks(self, module: int) -> Masks:
        return ()

    def __call__(self, ids: Tensor, attended: Tensor, modules: Tensor, words: Tensor) -> Tensor:
        return xmod_hidden(self._encoder, attended, modules, words)


def xmod_hidden(encoder: Any, attended: Tensor, modules: Tensor, words: Tensor) -> Tensor:
    """The last hidden state of an XMOD, each row through its own module: (B, L, H)."""
    # XMOD runs neighbours of one language together: rows in order of language are fastest.
    order = modules.argsort(stable=True)
    back = order.argsort(stable=True)
    states = encoder(
        inputs_embeds=words[order], attention_mask=attended[order], lang_ids=modules[order]
    ).last_hidden_state
    return states[back]


def xmod_languages(codes: list[str]) -> Mapping[str, str]:
    """Tag → XMOD's code, such as sw → sw_KE; zh_TW is zh-Hant, other regions are dropped."""
    found: dict[str, str] = {}
    for code in codes:
        tag = "zh-Hant" if code == "zh_TW" else tags.normalise(code.split("_")[0])
        found.setdefault(tag, code)
    return found
