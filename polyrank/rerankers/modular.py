"""A cross-encoder over a composition: a query and a document in one sequence, one logit out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from polyrank.base import DEFAULT_BASE, Base, device_of, load_base
from polyrank.collections.records import Document, Query
from polyrank.collections.texts import as_pairs
from polyrank.composition.plan import Composition, check_routing, compose
from polyrank.composition.routing import usual_routing
from polyrank.encoders.batching import usual_tokens
from polyrank.encoders.fastest import PAIRS, settled
from polyrank.encoders.modular import Active, ModularEncoder, Row
from polyrank.encoders.routed import query_length, score
from polyrank.encoders.tokens import encode_pairs, position_limit
from polyrank.languages import tags
from polyrank.modules.card import read_card
from polyrank.modules.kinds import DEFAULT_KIND
from polyrank.notes import Notebook, Notes
from polyrank.rerankers.identity import composition_identity
from polyrank.rerankers.pairs import PairScorer
from polyrank.zoo.find import find

T = TypeVar("T")


class ModularReranker(PairScorer):
    """Scores query–document pairs with a base, language modules and a ranking module.

    Texts get the prefixes that the ranking module was trained with, if any.
    A pair's language modules are those of its own two languages, so pairs may mix any languages.
    Where neither a record nor an option names a language, it is identified; `notes` counts what
    was assumed or cut.

    Args:
        base: 'e5-small', a Hub id, a folder, or a loaded base.
        ranking: the ranking module's name or folder.
        kind: of the modules: 'adapter', 'mask', or 'full' for a fully fine-tuned model without
            modules.
        routing: which tokens see which language module: 'none', 'query', 'document', 'split'
            (adapters only; their default) or 'both' (masks only, whose default is 'document').
        fallback: for a language without module: 'error', 'related' or 'none'.
        max_length: tokens of a pair that are read; the longer side is cut first.
        batch_tokens: tokens in one batch, padding included; None for what is fastest.
        device: 'cpu', 'cuda', ...; by default a GPU when there is one.
        precision: of the encoder: 'fp32' (default), 'bf16', 'fp16', 'int8' or 'auto'; the head is
            fp32.
        zoo: a folder to search for modules before `$POLYRANK_ZOO` and the bundled zoo.
        ranking_kind: of the ranking module, where it is another than `kind`, so that language masks
            lie under a ranking adapter or language adapters over a ranking mask.

    Rerankers with masks may share a `Base`: they change its weights while they score and put back
    what stood there. Rerankers of one `Base` wait for each other, so threads may score with them;
    run nothing else with that base's model in another thread meanwhile.

    Raises:
        ModuleError: a module or base that is missing, broken, or does not fit the other.
        CompositionError: a routing that these modules do not allow.
    """

    headed = True  # whether the ranking module has a head that scores pairs
    reserved = 0  # tokens of a row that are not the pair's

    def __init__(
        self,
        base: str | Base = DEFAULT_BASE,
        ranking: str = "squad",
        kind: str = DEFAULT_KIND,
        routing: str | None = None,
        fallback: str = "error",
        max_length: int = 256,
        batch_tokens: int | None = None,
        device: str | None = None,
        precision: str | None = None,
        zoo: str | Path | None = None,
        ranking_kind: str | None = None,
    ) -> None:
        self.device = device_of(device)
        super().__init__(batch_tokens or usual_tokens(self.device))
        self.kind, self.ranking, self.fallback, self.zoo = kind, ranking, fallback, zoo
        self.ranking_kind = ranking_kind or kind
        self.routing = routing or usual_routing(kind, self.ranking_kind)
        check_routing(kind, self.routing, self.ranking_kind)
        self.max_length = max_length
        self.base = load_base(base) if isinstance(base, str) else base
        self._compositions: dict[tuple[str | None, str | None], Composition] = {}
        self._plain = self._compose("none")
        self.precision = settled(
            precision, PAIRS, self.base, self.base.model, self.device, self._notebook
        )
        self._engine = ModularEncoder.for_pairs(
            self.base, self._plain, self.device, self.precision, zoo, self.headed
        )
        folder = find(self.base.name, "ranking", self.ranking_kind, ranking, zoo)
        self.prefixes = read_card(folder, verify=False).prefixes

    # ------------------------------------------------------------------------------- languages

    def composition(
        self, query_language: str | None = None, document_language: str | None = None
    ) -> Composition:
        """What is active where for a pair of languages; print it to see.

        Raises:
            LanguageError: a language that has no module, under fallback 'error'.
        """
        key = (query_language, document_language)
        if key not in self._compositions:
            sides = {"query": key[:1], "document": key[1:], "split": key, "both": key}
            used = sides.get(self.routing, ())
            fallback = self.fallback
            if (
                None in used
            ):  # a text that tells no language: no module there, whatever the fallback
                for language in filter(None, used):
                    self.composition(language, language)  # but the other side keeps the fallback
                fallback = "none" if fallback == "error" else fallback
            self._compositions[key] = self._compose(self.routing, *key, fallback=fallback)
        return self._compositions[key]

    def _compose(
        self,
        routing: str,
        query: str | None = None,
        document: str | None = None,
        fallback: str = "error",
    ) -> Composition:
        return compose(
            self.base,
            self.ranking,
            query,
            document,
            routing=routing,
            kind=self.kind,
            fallback=fallback,
            zoo=self.zoo,
            ranking_kind=self.ranking_kind,
        )

    def _active(self, pairs: Sequence[tuple[Query, Document]]) -> list[Active]:
        """Per pair, the modules that act on it."""
        if self.routing == "none":
            return [self._engine.active(self._plain)] * len(pairs)
        keys = zip(
            self._languages([query for query, _ in pairs], "query"),
            self._languages([document for _, document in pairs], "document"),
            strict=True,
        )
        found = [self.composition(*key) for key in keys]
        self._notebook.update(_assumed_by(found))
        return [self._engine.active(composition) for composition in found]

    def assumed(self, pairs: Sequence[tuple[Query, Document]]) -> Notes:
        if self.routing == "none":
            return Notes()
        return _assumed_by(
            self.composition(_named(query), _named(document)) for query, document in as_pairs(pairs)
        )

    def _languages(
        self, records: Sequence[Query] | Sequence[Document], side: str
    ) -> list[str | None]:
        """Of each record on a side; nothing is identified that the routing does not ask for."""
        if self.routing in (side, "split", "both"):
            return self.identified(records)
        return [_named(record) for record in records]

    def seek_module(self, language: str) -> None:
        self.composition(language, language)

    def identity(self) -> Mapping[str, str]:
        """Weights of the base, the ranking module, and every language module that may be used."""
        folder = find(self.base.name, "ranking", self.ranking_kind, self.ranking, self.zoo)
        files = read_card(folder, verify=False).files
        weights = composition_identity(self.base, files, self.routing, self.kind, self.zoo)
        return {**weights, **self.precision.identity()}

    def size(self) -> tuple[int, int]:
        """Parameters and bytes of the weights as they are held: encoder, head, adapters used so
        far. A mask changes weights of the encoder, and adds none."""
        return self._engine.size()

    # --------------------------------------------------------------------------------- scoring

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> list[float]:
        """Raw logits of pairs, higher is better, in the order given.

        Pairs with the same masks are scored in one run, so that masks are put on once each.
        Within it pairs are sorted by length and batched under the token budget; when memory runs
        out the budget is halved, down to one pair. Equal pairs are scored once, so their scores are
        equal.
        """
        return self._run(as_pairs(pairs), self._forward)

    def _run(
        self,
        pairs: Sequence[tuple[Query, Document]],
        forward: Callable[[Sequence[Row]], Sequence[T]],
    ) -> list[T]:
        """What `forward` makes of each pair's row, in batches."""
        if not pairs:
            return []
        return self._batcher.run_by_masks(
            self._encode(pairs, self._active(pairs)),
            lambda row: row.active.masks,
            self._engine.under,
            lambda row: len(row.ids),
            forward,
        )

    def _encode(
        self, pairs: Sequence[tuple[Query, Document]], active: Sequence[Active]
    ) -> list[Row]:
        limit = position_limit(self._engine.encoder.config) - self.reserved
        limit = min(self.max_length, limit)
        encoded = encode_pairs(self.base.tokenizer, pairs, limit, self.prefixes, self._notebook)
        return [
            Row(tuple(row.ids), tuple(row.type_ids), query_length(row), modules)
            for row, modules in zip(encoded, active, strict=True)
        ]

    def _forward(self, rows: Sequence[Row]) -> list[float]:
        """Logits of one batch."""
        states = self._engine.firsts(rows)[:, None]  # (B, 1, H)
        logits: list[float] = score(states, self._engine.head).tolist()
        return logits


def _named(record: Query | Document) -> str | None:
    return tags.normalise(record.language) if record.language else None


def _assumed_by(compositions: Iterable[Composition]) -> Notes:
    """What compositions, one of each pair, assume."""
    notebook = Notebook()
    for composition in compositions:
        notebook.update(dict.fromkeys(composition.assumed, 1))
    return notebook.notes
