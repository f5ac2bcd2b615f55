"""An XMOD, whose language modules are inside the checkpoint: rows run through their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from polyrank.base import Base
from polyrank.composition.plan import Composition
from polyrank.encoders.masked import Masks
from polyrank.errors import LanguageError
from polyrank.languages import tags
from polyrank.notes import Note


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

    def __call__(
        self,
        ids: Tensor,
        attended: Tensor,
        modules: Tensor,
        words: Tensor,
        lengths: Sequence[int] | None = None,
    ) -> Tensor:
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
