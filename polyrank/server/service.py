"""From a request to an answer, without HTTP."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from polyrank.collections.records import Document, Query
from polyrank.languages import tags
from polyrank.server.answers import (
    about_document,
    listed_texts,
    query_language,
    rows_of,
    tei_row,
    warnings_of,
)
from polyrank.server.contracts import (
    DetectBody,
    ExplainBody,
    RerankBody,
    ScoreBody,
    SearchBody,
    Spans,
)
from polyrank.server.dispatcher import Caller, Dispatcher
from polyrank.server.explaining import explanation, modules
from polyrank.server.lists import Listed, Reading, Together, about, part_of
from polyrank.server.metrics import Metrics
from polyrank.server.models import Served
from polyrank.server.problems import Problem
from polyrank.server.records import documents_of, one_of, query_of, spread, tag_of, with_languages
from polyrank.server.settings import Settings
from polyrank.server.work import Call, Job, Pairs, WorkQueue

if TYPE_CHECKING:
    from polyrank.index.multivector import MultiVectorIndex
    from polyrank.rerankers.base import Ranking


class Service:
    """Models, indexes, and the queue before them.

    Args:
        models: by name; the first is the default.
        indexes: by name; the first is the default.
        settings: limits.
        metrics: count what happens.
    """

    def __init__(
        self,
        models: Mapping[str, Served],
        indexes: Mapping[str, MultiVectorIndex] | None = None,
        settings: Settings | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.models, self.indexes = dict(models), dict(indexes or {})
        self.settings = settings = settings or Settings()
        self.metrics = metrics or Metrics()
        self.queue = WorkQueue(
            settings.step_tokens,
            settings.max_queued_tokens,
            settings.max_queued_tokens_per_key,
            self.metrics.step,
        )
        self._dispatcher = Dispatcher(self.queue, self.metrics)
        for served in self.models.values():
            _smaller_batches(served, settings.step_tokens)

    def start(self) -> None:
        """Begin to work."""
        self.queue.start()

    def close(self) -> None:
        """Finish what was taken, and stop."""
        self.queue.close()
        self._dispatcher.close()

    # ---------------------------------------------------------------------------------- routes

    async def rerank(self, body: RerankBody, caller: Caller) -> Any:
        """An answer of `RerankAnswer`, or for TEI's bodies a list of `TeiRow`."""
        served = self._served(body.model)
        query, (documents, ids) = query_of(body), documents_of(body)
        self._check(query, documents)
        ((listed, ranking, sure),) = await self._ranked(served, [(query, documents)], body, caller)
        rows = rows_of(listed, ranking, body.raw, body.min_score)[: body.rows]
        if body.documents is None:
            return [tei_row(row, documents, body.returns_text) for row in rows]
        for row in rows:
            row |= about_document(row["index"], listed, documents, ids, body)
        if body.return_modules:
            await self._add_modules(listed, rows, caller)
        if body.relevant_spans:
            await self._add_spans(listed, rows, body.relevant_spans, caller)
        said = warnings_of([(listed, ranking)])
        if body.instruction:
            said.append("instruction is not read; prompts belong to the model's specification")
        return {
            "id": uuid.uuid4().hex,
            "object": "rerank",
            "created": int(time.time()),
            "model": served.name,
            "results": rows,
            "data": rows,
            "usage": {"prompt_tokens": listed.tokens, "total_tokens": listed.tokens},
            "meta": {
                "api_version": {"version": "2"},
                "billed_units": {"search_units": 1},
                "tokens": {"input_tokens": listed.tokens, "output_tokens": 0},
                "warnings": said,
            },
            "query_language": query_language(listed.query.language, sure),
        }

    async def explain(self, body: ExplainBody, caller: Caller) -> dict[str, Any]:
        """What in each document answers the query, in the order of the documents."""
        served = self._served(body.model)
        query, (documents, ids) = query_of(body), documents_of(body)
        self._check(query, documents)
        usual = served.usual_languages()
        query, filled, sure = await self._dispatcher.aside(with_languages, query, documents, usual)
        rows: list[dict[str, Any]] = []
        for index, document in enumerate(filled):
            guessed = (sure is not None, documents[index].language is None)
            work = partial(explanation, served, query, document, index, guessed)
            call = Call(about(document.full_text), caller.owner, function=work)
            row = await self._dispatcher.done(call, caller, bounded=not rows)
            if ids[index] is not None:
                row["id"] = ids[index]
            rows.append(row)
        return {
            "id": uuid.uuid4().hex,
            "object": "explain",
            "model": served.name,
            "results": rows,
            "query_language": query_language(query.language, sure),
        }

    async def score(self, body: ScoreBody, caller: Caller) -> dict[str, Any]:
        """Scores of pairs, in vLLM's form."""
        served = self._served(body.model)
        one_of(body.text_1, body.queries, ("text_1", "queries"))
        one_of(body.text_2, body.documents, ("text_2", "documents"))
        first = listed_texts(body.queries if body.text_1 is None else body.text_1)
        second = listed_texts(body.documents if body.text_2 is None else body.text_2)
        if not first or not second or len(first) not in (1, len(second)):
            raise Problem(
                422,
                f"{len(first)} texts cannot be paired with {len(second)}; give one or as many",
                "text_1",
            )
        asked = [
            Query("query", text, language)
            for text, language in zip(
                first, spread(body.query_language, len(first), "query_language"), strict=True
            )
        ]
        documents = [
            Document(str(place), text, language=language)
            for place, (text, language) in enumerate(
                zip(second, spread(body.document_language, len(second), "document_language"),
                    strict=True)
            )
        ]  # fmt: skip
        for query in asked:
            self._check(query, documents)
        lists = [(asked[0], documents)]
        if len(asked) > 1:
            lists = [(q, [d]) for q, d in zip(asked, documents, strict=True)]
        data, tokens, said = await self._score_lists(served, lists, body, caller)
        return {
            "id": uuid.uuid4().hex,
            "object": "list",
            "created": int(time.time()),
            "model": served.name,
            "data": data,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            "meta": {"warnings": said},
        }

    async def _score_lists(
        self,
        served: Served,
        lists: Sequence[tuple[Query, list[Document]]],
        body: ScoreBody,
        caller: Caller,
    ) -> tuple[list[dict[str, Any]], int, list[str]]:
        """Rows in the order of the documents, which have their places as ids, tokens read, and
        warnings."""
        data, tokens = [], 0
        wanted = RerankBody(query="-", raw_scores=body.raw)
        ranked = await self._ranked(served, lists, wanted, caller)
        for listed, ranking, _ in ranked:
            tokens += listed.tokens
            places = {document.id: place for place, document in enumerate(listed.documents)}
            for hit in ranking.hits:
                place = places[hit.document_id]
                score = hit.score if body.raw else listed.relevance(place, hit.score)
                data.append({"index": int(hit.document_id), "object": "score", "score": score})
        said = warnings_of([(listed, ranking) for listed, ranking, _ in ranked])
        return sorted(data, key=lambda row: row["index"]), tokens, said

    async def search(self, body: SearchBody, caller: Caller) -> dict[str, Any]:
        """What an index finds, reranked when a model is named."""
        if not self.indexes:
            raise Problem(404, "no index is served; start with --index FOLDER", "index")
        name = body.index or next(iter(self.indexes))
        if name not in self.indexes:
            raise Problem(404, f"no index of that name; there are: {', '.join(self.indexes)}")
        if not body.query.strip():
            raise Problem(422, "the query is empty; give a text", "query", "empty")
        served = self._served(body.model) if body.model else None
        index = self.indexes[name]
        query = Query("query", body.query, tag_of(body.query_language, "query_language"))
        self._check(query, ())
        query, _, sure = await self._dispatcher.aside(with_languages, query, (), (None, None))
        wanted = [tag_of(one, "languages") or tags.UNKNOWN for one in body.languages or ()] or None
        depth = max(body.top_n, body.depth or (50 if served else 0))
        if depth > self.settings.max_documents:
            raise Problem(422, f"depth is over {self.settings.max_documents}", "depth")

        def find() -> tuple[list[tuple[str, float]], dict[str, Document]]:
            run = index.search([query], depth, wanted)[query.id]
            hits = [(hit.document_id, hit.score) for hit in run]
            return hits, index.documents([identity for identity, _ in hits])

        hits, texts = await self._dispatcher.done(
            Call(about(query.text), caller.owner, function=find), caller
        )
        rows = [{"id": identity, "score": score} for identity, score in hits]
        said: list[str] = []
        if served and hits:
            guessed = sure is not None
            asked = replace(query, language=None) if guessed else query  # the model may lack it
            rows, said = await self._reranked(served, asked, hits, texts, body, caller)
        for row in rows[: body.top_n]:
            document = texts[row["id"]]
            row["language"] = document.language
            if body.return_documents:
                row["document"] = {"text": document.text, "title": document.title}
        return {
            "id": uuid.uuid4().hex,
            "object": "search",
            "index": name,
            "model": served and served.name,
            "results": rows[: body.top_n],
            "meta": {"warnings": said},
            "query_language": query_language(query.language, sure),
        }

    async def _reranked(
        self,
        served: Served,
        query: Query,
        hits: Sequence[tuple[str, float]],
        texts: Mapping[str, Document],
        body: SearchBody,
        caller: Caller,
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """Rows of what was found, in a model's order, and warnings."""
        first = dict(hits)
        wanted = RerankBody(query="-", raw_scores=body.raw_scores)
        documents = [texts[identity] for identity in first]
        ((listed, ranking, _),) = await self._ranked(served, [(query, documents)], wanted, caller)
        rows = []
        for row in rows_of(listed, ranking, wanted.raw, body.min_score):
            identity = documents[row["index"]].id
            rows.append(
                {
                    "id": identity,
                    "score": first[identity],
                    "relevance_score": row["relevance_score"],
                }
            )
        return rows, warnings_of([(listed, ranking)])

    async def detect(self, body: DetectBody) -> dict[str, Any]:
        """The languages of texts."""
        texts = [body.texts] if isinstance(body.texts, str) else body.texts
        if not texts:
            raise Problem(400, "`texts` cannot be empty", "texts", "empty")
        self._check(None, [Document("", text) for text in texts])
        found = await self._dispatcher.aside(tags.identify, texts)
        rows = [
            {"index": place, "language": one.language, "confidence": round(one.confidence, 6)}
            for place, one in enumerate(found)
        ]
        return {"object": "list", "data": rows}

    # ------------------------------------------------------------------------------- questions

    def about_models(self) -> dict[str, Any]:
        """The list of models, in OpenAI's form."""
        rows = [
            {"id": name, "object": "model", "created": 0, "owned_by": "polyrank"}
            for name in self.models
        ]
        return {"object": "list", "data": rows}

    def info(self) -> dict[str, Any]:
        """What runs here, beginning with the fields that TEI's clients look for."""
        import polyrank

        first = next(iter(self.models.values()))
        settings = self.settings
        return {
            "model_id": first.name,
            "model_type": {"reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}},
            "max_input_length": first.longest,
            "max_batch_tokens": settings.step_tokens,
            "max_client_batch_size": settings.max_documents,
            "max_queued_tokens": settings.max_queued_tokens,
            "auto_truncate": True,
            "long_documents": settings.long_documents,
            "version": polyrank.__version__,
            "models": [served.describe() for served in self.models.values()],
            "indexes": [
                {"name": name, "documents": len(index), "languages": dict(index.snapshot.counts)}
                for name, index in self.indexes.items()
            ],
        }

    @property
    def healthy(self) -> bool:
        """Whether requests are taken and worked on."""
        return self.queue.alive

    # ------------------------------------------------------------------------------------ parts

    def _served(self, name: str | None) -> Served:
        if not name:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise Problem(
                404,
                f"no model '{name[:100]}' is served here; there are: {', '.join(self.models)}",
                "model",
                "model_not_found",
            )
        return self.models[name]

    def _check(self, query: Query | None, documents: Sequence[Document]) -> None:
        """Refuse too many or too long texts."""
        settings = self.settings
        if len(documents) > settings.max_documents:
            raise Problem(
                422,
                f"{len(documents)} documents in one request; at most {settings.max_documents}",
                "documents",
                "too_many",
            )
        if query is not None and len(query.text) > settings.max_characters:
            raise Problem(
                422, f"the query has over {settings.max_characters} characters", "query", "too_long"
            )
        for place, document in enumerate(documents):
            if len(document.full_text) > settings.max_characters:
                raise Problem(
                    422,
                    f"document {place} has over {settings.max_characters} characters",
                    "documents",
                    "too_long",
                )

    async def _ranked(
        self,
        served: Served,
        lists: Sequence[tuple[Query, Sequence[Document]]],
        body: RerankBody,
        caller: Caller,
    ) -> list[tuple[Listed, Ranking, float | None]]:
        """Rankings of lists, each with how sure its query's language is where it was identified."""
        mode = body.long_documents or self.settings.long_documents
        most = min(body.max_chunks_per_doc or 1 << 30, self.settings.max_passages)
        reading = Reading(mode == "split", most, body.max_tokens_per_doc, body.refuses_long)

        def known() -> list[tuple[Listed, float | None]]:
            found = []
            for query, documents in lists:
                unsaid = frozenset(i for i, one in enumerate(documents) if one.language is None)
                query, filled, sure = with_languages(query, documents, served.usual_languages())
                listed = Listed(served, query, tuple(filled), reading, sure is not None, unsaid)
                found.append((listed, sure))
            return found

        prepared = await self._dispatcher.aside(known)
        together = Together([listed for listed, _ in prepared])
        job: Job
        if served.divisible:
            count = sum(len(documents) for _, documents in lists)
            job = Pairs(
                together.estimate(),
                caller.owner,
                model=served,
                prepare=together.prepare,
                left=count,
            )
            rankings = together.finished(await self._dispatcher.done(job, caller))
        else:
            job = Call(together.estimate(), caller.owner, function=together.whole)
            rankings = await self._dispatcher.done(job, caller)
        return [
            (listed, ranking, sure)
            for (listed, sure), ranking in zip(prepared, rankings, strict=True)
        ]

    async def _add_modules(
        self, listed: Listed, rows: Sequence[dict[str, Any]], caller: Caller
    ) -> None:
        """Which modules acted on each row, planned once for each language."""
        languages = {row["index"]: listed.documents[row["index"]].language for row in rows}

        def plan() -> dict[str | None, dict[str, Any] | None]:
            asked = listed.query.language
            return {one: modules(listed.served, asked, one) for one in set(languages.values())}

        found = await self._dispatcher.done(
            Call(1, caller.owner, function=plan), caller, bounded=False
        )
        for row in rows:
            row["modules"] = found[languages[row["index"]]]

    async def _add_spans(
        self, listed: Listed, rows: Sequence[dict[str, Any]], wanted: Spans | bool, caller: Caller
    ) -> None:
        """What in each row's document speaks for it, row by row through the queue."""
        from polyrank.server.spans import relevant_spans

        asked = wanted if isinstance(wanted, Spans) else Spans()
        for row in rows:
            document, moved = listed.documents[row["index"]], -listed.before[row["index"]]
            if piece := listed.best.get(row["index"]):
                document, moved = part_of(document, piece), moved + piece.start
            explain = partial(relevant_spans, listed.served, listed.query, document, asked, moved)
            call = Call(about(document.full_text), caller.owner, function=explain)
            row["relevant_spans"] = await self._dispatcher.done(call, caller, bounded=False)


def _smaller_batches(served: Served, tokens: int) -> None:
    """Let a model's own batches be no larger than a step."""
    own = getattr(served.reranker, "batch_tokens", None)
    if isinstance(own, int) and own > tokens:
        served.reranker.batch_tokens = tokens  # type: ignore[attr-defined]
