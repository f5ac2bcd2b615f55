"""What requests and answers hold: the fields of Cohere, Jina, Voyage, TEI, Infinity and vLLM.

One schema takes them all. Fields that it does not know are ignored, as clients send many. The
languages, `long_documents` and the rows' `passage` and `language` are polyrank's own.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Languages = str | None | list[str | None]
Count = Annotated[int, Field(ge=0, le=2**31)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", str_strip_whitespace=False)


class Text(BaseModel):
    """A document as a record; `rank_fields` may name other fields of it than `text`."""

    model_config = ConfigDict(extra="allow")

    id: str | int | None = None
    text: str | None = None
    title: str | None = None
    language: str | None = None


class QueryText(_Body):
    """A query as a record."""

    text: str
    language: str | None = None


class Spans(_Body):
    """Which passages of a document to point out (Cohere v2)."""

    mode: str | None = None
    threshold: float = Field(default=0.1, allow_inf_nan=False)
    max_spans: Annotated[int, Field(ge=1, le=2**31)] | None = None


class RerankBody(_Body):
    """Order `documents` for `query`; with `texts` in their place, the answer has TEI's form."""

    model: str | None = None
    query: str | QueryText
    documents: list[str | Text] | None = None
    texts: list[str] | None = Field(default=None, description="TEI's name for documents.")
    top_n: Count | None = Field(
        default=None, description="Rows in the answer; 0 and null mean all."
    )
    top_k: Count | None = Field(default=None, description="Voyage's name for top_n.")
    return_documents: bool | None = None
    return_text: bool | None = Field(default=None, description="TEI's name for return_documents.")
    raw_scores: bool | None = Field(default=None, description="Scores as the model gives them.")
    use_activation: bool | None = Field(default=None, description="vLLM: false is raw_scores.")
    truncate: bool | None = Field(default=None, description="TEI: false refuses what is too long.")
    truncation: bool | None = Field(default=None, description="Voyage's name for truncate.")
    max_tokens_per_doc: Annotated[int, Field(ge=1, le=2**31)] | None = None
    max_chunks_per_doc: Annotated[int, Field(ge=1, le=2**31)] | None = None
    rank_fields: list[str] | None = None
    relevant_spans: Spans | bool | None = None
    min_score: float | None = Field(
        default=None, allow_inf_nan=False, description="Rows that score less are left out."
    )
    return_modules: bool | None = Field(default=None, description="Which modules acted on a row.")
    instruction: str | None = None
    query_language: str | None = Field(default=None, description="BCP-47; identified when absent.")
    document_language: Languages = Field(default=None, description="Of all documents, or of each.")
    long_documents: Literal["cut", "split"] | None = None

    @property
    def rows(self) -> int | None:
        """How many rows the answer has; None for all."""
        return self.top_n or self.top_k or None

    @property
    def raw(self) -> bool:
        """Whether scores are given as the model computes them."""
        return bool(self.raw_scores) or self.use_activation is False

    @property
    def refuses_long(self) -> bool:
        """Whether a text that is too long is an error."""
        return self.truncate is False or self.truncation is False

    @property
    def returns_text(self) -> bool:
        """Whether rows hold their texts."""
        return bool(self.return_documents) or bool(self.return_text)


class ExplainBody(RerankBody):
    """Say of each document what in it answers the query; the fields are those of a reranking."""


class ScoreBody(_Body):
    """Score pairs: one text with each of several, or two lists of one length pair by pair."""

    model: str | None = None
    text_1: str | list[str] | None = None
    text_2: str | list[str] | None = None
    queries: str | list[str] | None = Field(default=None, description="Another name for text_1.")
    documents: str | list[str] | None = Field(default=None, description="Another name for text_2.")
    raw_scores: bool | None = None
    use_activation: bool | None = None
    query_language: Languages = None
    document_language: Languages = None

    @property
    def raw(self) -> bool:
        """Whether scores are given as the model computes them."""
        return bool(self.raw_scores) or self.use_activation is False


class SearchBody(_Body):
    """Search an index that was given at start, and rerank what is found when `model` is named."""

    query: str
    query_language: str | None = None
    index: str | None = None
    languages: list[str] | None = Field(default=None, description="Only documents in these.")
    top_n: Annotated[int, Field(ge=1, le=2**31)] = 10
    depth: Annotated[int, Field(ge=1, le=2**31)] | None = Field(
        default=None, description="Candidates to rerank."
    )
    model: str | None = Field(default=None, description="Reranks the candidates; null leaves them.")
    return_documents: bool = True
    raw_scores: bool | None = None
    min_score: float | None = Field(
        default=None, allow_inf_nan=False, description="Of reranked rows, as in a reranking."
    )


class DetectBody(_Body):
    """Identify the languages of texts."""

    texts: str | list[str]


class Span(BaseModel):
    """Characters of a document, as Unicode code points, `end` excluded."""

    start: int
    end: int
    score: float


class Row(BaseModel):
    """One document of an answer."""

    index: int
    relevance_score: float
    document: dict[str, Any] | None = None
    id: str | int | None = None
    language: str | None = Field(
        default=None, description="What was used; null where none was found."
    )
    language_identified: bool = False
    cut: bool | None = Field(default=None, description="True when not all of the text was read.")
    passage: dict[str, int] | None = Field(default=None, description="Which part gave the score.")
    relevant_spans: list[Span] | None = None
    modules: dict[str, Any] | None = Field(default=None, description="Routing, and who acted.")


class RerankAnswer(BaseModel):
    """The order, under the names that each client looks for; `data` is `results` again."""

    id: str
    object: Literal["rerank"] = "rerank"
    created: int
    model: str
    results: list[Row]
    data: list[Row]
    usage: dict[str, int]
    meta: dict[str, Any]
    query_language: dict[str, Any]


class TeiRow(BaseModel):
    """One document of an answer in TEI's form, which is a list of these."""

    index: int
    score: float
    text: str | None = None


SCHEMAS: tuple[type[BaseModel], ...] = (
    RerankBody, ExplainBody, ScoreBody, SearchBody, DetectBody, RerankAnswer, TeiRow,
)  # fmt: skip
