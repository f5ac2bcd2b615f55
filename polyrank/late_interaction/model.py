"""Late interaction over a composition: token vectors of queries and documents, scored by MaxSim.

ColBERT (Khattab & Zaharia 2020, arXiv 2004.12832) with a language module per text, as ColBERT-XM
(Louis et al. 2025, arXiv 2402.15059) has one per collection: here every query and every document is
encoded through the module of its own language, so one batch, and one index, may mix them all.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from polyrank.base import DEFAULT_BASE, Base, device_of
from polyrank.collections.records import Document, Query
from polyrank.collections.texts import as_documents, as_pairs, as_queries
from polyrank.composition.plan import Composition
from polyrank.encoders.batching import usual_tokens
from polyrank.encoders.fastest import LATE, settled
from polyrank.encoders.masked import MaskedEncoder
from polyrank.encoders.tokens import position_limit
from polyrank.errors import ModuleError, UsageError
from polyrank.late_interaction.checkpoints import (
    Checkpoint,
    is_checkpoint,
    weight_files,
    write_pylate,
)
from polyrank.late_interaction.kept_vectors import KeptVectors
from polyrank.late_interaction.marked_text import MarkedText, TextRow, padded
from polyrank.late_interaction.parts import (
    check_options,
    load_parts,
    token_encoder,
    with_ranking,
)
from polyrank.late_interaction.skiplist import skipped_ids
from polyrank.late_interaction.text_modules import TextModules
from polyrank.late_interaction.token_spans import spans_of
from polyrank.modules.card import read_card
from polyrank.modules.folder import new_folder
from polyrank.modules.interaction import refuse_interaction
from polyrank.modules.kinds import KINDS, NO_RANKING
from polyrank.modules.projection import Projection, embed, load_projection
from polyrank.notes import Notes
from polyrank.progress import bar
from polyrank.rerankers.identity import composition_identity
from polyrank.rerankers.pairs import PairScorer
from polyrank.zoo.find import find

AT_ONCE = 256  # texts tokenised, and pairs scored, at a time

K = TypeVar("K", bound=Hashable)


class LateInteraction(PairScorer):
    """Encodes queries and documents to token vectors and scores pairs of them by MaxSim.

    Where neither a record nor an option names a language, it is identified; `notes` counts what
    was assumed or cut.

    Args:
        base: 'e5-small', a Hub id, a folder, or a loaded base.
        ranking: the late-interaction module's name or folder; or the folder of a checkpoint of
            PyLate, of Stanford's ColBERT or of sentence-transformers 6, which then is the base too;
            or 'none' for MaxSim over the base's own token states, which takes no training where
            the base's card says that its vectors are for retrieval. None takes the module
            'squad-li' where there is one, and else 'none'.
        kind: of the ranking module: 'adapter', 'mask', or 'full' where shared weights moved.
        routing: which language module a text passes through: 'split' that of its own language,
            'document' that of the documents' language on both sides, 'query' that of the query's,
            'none' none; by default 'split' where the ranking module was trained over a language
            module. Every text is a sequence of its own, so masks may be 'split' too.
        fallback: for a language without module: 'error', 'related' or 'none'.
        query_length, document_length: tokens of a text that are read; None as in training.
        batch_tokens: tokens in one batch, padding included; None for what is fastest.
        device: 'cpu', 'cuda', ...; by default a GPU when there is one.
        precision: of the encoder: 'fp32' (default), 'bf16', 'fp16', 'int8' or 'auto'; the
            projection and the vectors are fp32.
        zoo: a folder to search for modules before `$POLYRANK_ZOO` and the bundled zoo.
        language_kind: of the language modules, 'adapter' or 'mask'; by default as the ranking
            module, and adapters under a full model. Not for an XMOD, which runs its own.
        keep: bytes of document vectors that `score` keeps for its next calls, since candidates of
            one query are often those of the next. Then the last digits of a score depend on what
            was scored before, so a resumed run may differ in them.

    Models with masks may share a `Base` with each other and with rerankers, as those may.

    Raises:
        ModuleError: a module or base that is missing, broken, or does not fit the other.
        UsageError: an unknown kind or routing, or a kind of language modules for an XMOD.
    """

    def __init__(
        self,
        base: str | Base = DEFAULT_BASE,
        ranking: str | None = None,
        kind: str = "adapter",
        routing: str | None = None,
        fallback: str = "error",
        query_length: int | None = None,
        document_length: int | None = None,
        batch_tokens: int | None = None,
        device: str | None = None,
        precision: str | None = None,
        zoo: str | Path | None = None,
        language_kind: str | None = None,
        keep: int = 0,
    ) -> None:
        check_options(routing, kind, language_kind)
        self.device = device_of(device)
        super().__init__(batch_tokens or usual_tokens(self.device))
        self.fallback, self.zoo = fallback, zoo
        self._kept = KeptVectors(keep)
        base, self.ranking = with_ranking(base, ranking, kind, zoo)
        parts = load_parts(base, self.ranking, kind, zoo, self._read)
        self.base, self.kind = parts.base, parts.ranking.kind
        row = KINDS[self.kind]
        self.precision = settled(
            precision, LATE, self.base, parts.encoder, self.device, self._notebook
        )
        self.routing = routing or (row.late_routing if parts.modular else "none")
        self.language_kind = language_kind or row.beneath
        self._masked = MaskedEncoder(
            parts.encoder, self.device, self.precision, self.base.tokenizer
        )
        self._encoder = self._masked.encoder
        self._tokens, self._plans = token_encoder(
            parts, self._masked, self.ranking, self.language_kind, language_kind, fallback, zoo
        )
        self._modules = TextModules(self._tokens, self._plans, self.routing, self._notebook)
        self._projection = parts.projection.to(self.device)
        rules = replace(
            parts.projection.rules,
            query_length=query_length or parts.projection.rules.query_length,
            document_length=document_length or parts.projection.rules.document_length,
        )
        self._text = MarkedText(self.base.tokenizer, rules, position_limit(self._encoder.config))
        self.rules = self._text.rules
        table = self._encoder.embeddings.word_embeddings
        self._skipped = skipped_ids(self.base.tokenizer, rules, table.num_embeddings + 2).to(
            self.device
        )

    @staticmethod
    def _read(folder: Path) -> Projection:
        """What lies beside the weights of a ranking module."""
        refuse_interaction(folder)
        return load_projection(folder)

    @property
    def dim(self) -> int:
        """Width of a token vector."""
        return self.rules.dim

    @property
    def projection(self) -> Projection:
        """The projection and its rules, to which an index must be bound."""
        return self._projection

    def identity(self) -> Mapping[str, str]:
        """The rules of texts, and the weights of the base, the ranking module, and every language
        module that may be used."""
        return {
            "rules": json.dumps(self.rules.record()),
            **self.precision.identity(),
            **composition_identity(
                self.base, self.ranking_files(), self.routing, self.language_kind, self.zoo
            ),
        }

    def ranking_files(self) -> dict[str, str]:
        """sha256 of the ranking module's files, or of a checkpoint's weights; none without one:
        then the base and the rules say everything."""
        if self.ranking == NO_RANKING:
            return {}
        if is_checkpoint(self.ranking):
            return weight_files(self.ranking)
        folder = find(self.base.name, "ranking", self.kind, self.ranking, self.zoo)
        return dict(read_card(folder, verify=False).files)

    # ------------------------------------------------------------------------------- languages

    def composition(
        self, query_language: str | None = None, document_language: str | None = None
    ) -> Composition:
        """What is active where for texts of these languages; print it to see.

        Raises:
            LanguageError: a language that has no module, under fallback 'error'.
        """
        return self._plans.compose(query_language, document_language, self.routing)

    def language_module(self, language: str | None, side: str = "document") -> str | None:
        """The name of the module that a text passes through; None for none.

        Args:
            language: whose module the routing takes: under 'split' the text's own.
            side: 'query' or 'document'; only messages differ.

        Raises:
            LanguageError: a language that has no module, under fallback 'error'.
        """
        return self._modules.name(language, side)

    def seek_module(self, language: str) -> None:
        self.language_module(language)

    def _acting(
        self, records: Sequence[Query] | Sequence[Document], side: str, other: str | None
    ) -> list[str | None]:
        """Per record of a side, the language whose module it passes through.

        Args:
            other: the language of the other side, which the routing may ask for.
        """
        if self.routing in ("split", side):
            return self.identified(records)
        return [self._modules.of_other_side(other, side)] * len(records)

    # -------------------------------------------------------------------------------- encoding

    def encode_queries(
        self,
        queries: Sequence[str | Query],
        language: str | None = None,
        document_language: str | None = None,
    ) -> list[Tensor]:
        """Token vectors of queries.

        Args:
            queries: texts, or records with their languages.
            language: of texts and of records without one; None identifies it.
            document_language: of the documents that they are to be compared with, 'und' for an
                unknown one; routing 'document' needs it.

        Returns:
            Per query (n, dim), fp32, unit vectors, on the model's device; n counts the mask tokens
            of an augmented query too.
        """
        records = as_queries(queries, language)
        return self._queries(records, self._acting(records, "query", document_language))

    def query_sizes(self, queries: Sequence[str | Query]) -> list[int]:
        """How many vectors each query has: a MaxSim with it is no larger, as they are unit vectors.

        Nothing is encoded.
        """
        rows, _ = self._text.queries([query.text for query in as_queries(queries)])
        pad = self.base.tokenizer.pad_token_id or 0
        return [int(padded([row], pad)[2].sum()) for row in rows]

    def query_spans(self, queries: Sequence[str | Query]) -> list[list[tuple[int, int] | None]]:
        """Per query and vector the characters of its text; None for what is no text, as markers."""
        texts = [query.text for query in as_queries(queries)]
        return spans_of(self._text, texts, self._text.queries(texts)[0], "query", None)

    def document_spans(
        self, documents: Sequence[str | Document]
    ) -> list[list[tuple[int, int] | None]]:
        """Per document and vector the characters of its `full_text`; None for what is no text."""
        texts = [document.full_text for document in as_documents(documents)]
        rows = self._text.documents(texts)[0]
        return spans_of(self._text, texts, rows, "document", self._skipped)

    def _queries(self, records: Sequence[Query], acting: Sequence[str | None]) -> list[Tensor]:
        rows, cut = self._text.queries([query.text for query in records])
        self._count(cut, "queries", self.rules.query_length)
        return self._encode(self._modules.put_under(rows, acting, "query"))

    def encode_documents(
        self,
        documents: Sequence[str | Document],
        language: str | None = None,
        progress: bool = False,
        query_language: str | None = None,
    ) -> list[Tensor]:
        """Token vectors of documents, punctuation left out.

        Args:
            documents: texts, or records with their languages; title and text are encoded.
            language: of texts and of records without one; None identifies it.
            progress: show a bar on stderr when it is a terminal.
            query_language: of the queries that they are to be compared with, 'und' for an unknown
                one; routing 'query' needs it.

        Returns:
            Per document (n, dim), fp32, unit vectors, on the model's device; n is at least 1.
        """
        records = as_documents(documents, language)
        acting = self._acting(records, "document", query_language)
        return self._documents(records, acting, progress)

    def _documents(
        self, records: Sequence[Document], acting: Sequence[str | None], progress: bool = False
    ) -> list[Tensor]:
        rows, cut = self._text.documents([document.full_text for document in records])
        self._count(cut, "documents", self.rules.document_length)
        under = self._modules.put_under(rows, acting, "document")
        return self._encode(under, self._skipped, progress)

    def _count(self, cut: int, what: str, length: int) -> None:
        self._notebook.add("cut", f"{what} cut to {length} tokens", cut)

    def _encode(
        self, rows: Sequence[TextRow], skipped: Tensor | None = None, progress: bool = False
    ) -> list[Tensor]:
        with bar("encoding", len(set(rows)), progress) as drawn:

            def forward(batch: Sequence[TextRow]) -> list[Tensor]:
                vectors = self._forward(batch, skipped)
                drawn.advance(len(batch))
                return vectors

            return self._batcher.run_by_masks(
                rows,
                lambda row: self._tokens.masks(row.module),
                self._masked.under,
                lambda row: len(row.ids),
                forward,
            )

    @torch.inference_mode()
    def _forward(self, rows: Sequence[TextRow], skipped: Tensor | None) -> list[Tensor]:
        pad = self.base.tokenizer.pad_token_id or 0
        ids, attended, scored = padded(rows, pad, self.device, skipped)
        words = embed(ids, self._encoder.embeddings.word_embeddings, self._projection.markers)
        modules = torch.tensor([row.module for row in rows], device=self.device)
        lengths = [len(row.ids) for row in rows]
        states = self._tokens(ids, attended, modules, words, lengths)
        vectors = self._projection(states)  # (B, L, dim)
        return [row[keep] for row, keep in zip(vectors, scored, strict=True)]

    # --------------------------------------------------------------------------------- scoring

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> list[float]:
        """MaxSim of pairs in fp32, higher is better, in the order given; no normalisation.

        score(q, d) = Σ_i max_j q_i · d_j (Khattab & Zaharia 2020, eq. 3).
        """
        pairs = as_pairs(pairs)
        queries = list(dict.fromkeys(query for query, _ in pairs))
        documents = list(dict.fromkeys(document for _, document in pairs))
        known: dict[Any, str | None] = {}
        if self.routing in ("split", "query"):
            known |= zip(queries, self.identified(queries), strict=True)
        if self.routing in ("split", "document"):
            known |= zip(documents, self.identified(documents), strict=True)

        asked, held = self._modules.acting(pairs, known)
        query_keys, document_keys = list(dict.fromkeys(asked)), list(dict.fromkeys(held))
        vectors: dict[Any, Tensor] = {}
        vectors |= zip(query_keys, self._queries(*_columns(query_keys)), strict=True)
        vectors |= self._kept.get(document_keys, lambda keys: self._documents(*_columns(keys)))
        scores: list[float] = []
        for start in range(0, len(pairs), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            scores += self._meet(
                [vectors[key] for key in asked[some]], [vectors[key] for key in held[some]]
            )
        return scores

    def assumed(self, pairs: Sequence[tuple[Query, Document]]) -> Notes:
        return self._modules.assumed_of(as_pairs(pairs))

    def _meet(self, queries: list[Tensor], documents: list[Tensor]) -> list[float]:
        """Scores of pairs, by their vectors, (n, dim) each."""
        from polyrank.kernels import maxsim_pairs

        found: list[float] = maxsim_pairs(*together(queries, documents)).tolist()
        return found

    # --------------------------------------------------------------------------------- writing

    def export_pylate(self, folder: str | Path, language: str | None = None) -> None:
        """Write the model in PyLate's layout, whose vectors PyLate then computes alike.

        Masks are merged into the weights.

        Args:
            folder: where to; an empty folder or none.
            language: whose mask is merged too, under a routing that takes language masks; the
                checkpoint is then for texts in that language alone.

        Raises:
            ModuleError: a model with adapters, an XMOD, or rules that PyLate does not have; or a
                folder that holds something.
            LanguageError: a language that has no mask, under fallback 'error'.
            UsageError: masks of the texts' languages without a language, or one with nothing to
                merge.
        """
        used = {self.kind} | ({self.language_kind} if self.routing != "none" else set())
        if any(KINDS[kind].acts == "tokens" for kind in used):
            raise ModuleError(
                "PyLate has no language or ranking adapters, so it cannot compute these vectors.\n"
                "Export masks (kind='mask'), which are merged into the weights, or a full model "
                "(--recipe colbert-xm) with routing='none'."
            )
        if (self.routing == "none") != (language is None):
            raise UsageError(
                "routing 'none' takes no language mask, so leave out the language"
                if language
                else "PyLate has one encoder for all texts, so the mask of one language is merged."
                "\nGive language, such as 'ky', or use routing='none' for no language mask."
            )
        masks = self._tokens.masks(self._modules.number(language, "document"))
        projection = self._projection.to(torch.device("cpu"))
        projection = replace(projection, rules=self.rules)
        encoder, tokenizer = self._masked.copy(masks), copy.deepcopy(self.base.tokenizer)
        with new_folder(folder) as temporary:
            write_pylate(Checkpoint(encoder.cpu().float(), tokenizer, projection), temporary)


def _columns(keys: Sequence[tuple[K, str | None]]) -> tuple[list[K], list[str | None]]:
    return [text for text, _ in keys], [language for _, language in keys]


def together(
    queries: list[Tensor], documents: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Vectors of pairs as batches: (B, Lq, dim), (B, Ld, dim), and which there are, (B, Lq) and
    (B, Ld)."""
    from torch.nn.utils.rnn import pad_sequence

    def batch(vectors: list[Tensor]) -> tuple[Tensor, Tensor]:
        lengths = torch.tensor([len(v) for v in vectors], device=vectors[0].device)
        rows = pad_sequence(vectors, batch_first=True)  # (B, L, dim)
        place = torch.arange(rows.shape[1], device=lengths.device)
        return rows, place[None, :] < lengths[:, None]

    (q, q_mask), (d, d_mask) = batch(queries), batch(documents)
    return q, d, q_mask, d_mask
