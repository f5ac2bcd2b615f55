"""Polyrank's own measures by name, and as measures of `ir_measures`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from polyrank.errors import UsageError
from polyrank.evaluation.gains import MEMBERS
from polyrank.evaluation.lang_ndcg import lang_ndcg
from polyrank.evaluation.outcomes import OUTCOMES, outcome
from polyrank.evaluation.peer import peer
from polyrank.evaluation.pool import Pool
from polyrank.evaluation.preference import language_preference
from polyrank.evaluation.semantic import semantic_ndcg

if TYPE_CHECKING:
    import pandas
    from ir_measures import Measure

Value = Callable[..., float]

# Name → the function and the types of its parameters; @k is the parameter 'cutoff'.
MEASURES: dict[str, tuple[Value, dict[str, type | tuple[type, ...]]]] = {
    "SemnDCG": (semantic_ndcg, {"cutoff": int, "members": str}),
    "LangnDCG": (
        lang_ndcg,
        {"cutoff": int, "same": (int, float), "other": (int, float), "members": str},
    ),
    "LPR": (language_preference, {"cutoff": int, "rel": int}),
    "PEER": (peer, {"cutoff": int, "weights": dict}),
    **{
        name: (partial(outcome, right=right, same=same), {"rel": int})
        for name, (right, same) in OUTCOMES.items()
    },
}
SHORTHAND = {"FourWay": tuple(OUTCOMES)}


@dataclass(frozen=True)
class LanguageMeasure:
    """A language-aware measure with its parameters; `str` gives its name.

    Its value for a query is nan where it is undefined.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        rest = {k: v for k, v in self.params.items() if k != "cutoff"}
        inner = ",".join(f"{k}={v!r}" for k, v in rest.items()).replace(" ", "")
        cutoff = self.params.get("cutoff")
        return f"{self.name}{f'({inner})' if inner else ''}{f'@{cutoff}' if cutoff else ''}"

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def undefined_when_empty(self) -> bool:
        """Whether a query without a ranking is left out, rather than counted 0."""
        return self.name == "LPR" or self.name in OUTCOMES

    def __call__(
        self, query_id: str, ranking: list[str], judged: Mapping[str, int], pool: Pool
    ) -> float:
        """The value for one query."""
        function, _ = MEASURES[self.name]
        return function(ranking, judged, pool.query_language(query_id), pool, **self.params)

    def bound(self, pool: Pool) -> Measure:
        """The same as a measure of `ir_measures`, for a pool.

        Defined by `ir_measures.define` rather than `define_byquery`, whose cost grows with
        queries × judgements.
        """
        import ir_measures

        def values(qrels: pandas.DataFrame, run: pandas.DataFrame) -> Iterator[tuple[str, float]]:
            judged: dict[str, dict[str, int]] = {}
            rows = zip(qrels["query_id"], qrels["doc_id"], qrels["relevance"], strict=True)
            for query_id, document_id, relevance in rows:
                judged.setdefault(query_id, {})[document_id] = relevance
            rankings: dict[str, list[str]] = {}
            for query_id, document_id in zip(run["query_id"], run["doc_id"], strict=True):
                rankings.setdefault(query_id, []).append(document_id)  # sorted by the provider
            for query_id, ranking in rankings.items():
                if query_id in judged:
                    yield query_id, self(query_id, ranking, judged[query_id], pool)

        return ir_measures.define(values, name=str(self), support_cutoff=False)


def parse_own(name: str) -> LanguageMeasure | None:
    """A measure of this module by its name, such as LangnDCG(same=3,other=1)@10; None for others.

    Raises:
        UsageError: for an unknown or wrong parameter.
    """
    try:
        node: ast.expr = ast.parse(name.strip(), mode="eval").body
        params: dict[str, Any] = {}
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            params["cutoff"] = ast.literal_eval(node.right)
            node = node.left
        if isinstance(node, ast.Call) and not node.args:
            given = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
            node, params = node.func, {**given, **params}
    except (SyntaxError, ValueError):
        return None  # for ir_measures to judge
    if not isinstance(node, ast.Name) or node.id not in MEASURES:
        return None
    _, types = MEASURES[node.id]
    for key, value in params.items():
        if key not in types or not isinstance(value, types[key]) or isinstance(value, bool):
            raise UsageError(
                f"{node.id} has no parameter {key}={value!r}; it has {', '.join(types)}"
            )
    if params.get("cutoff", 1) < 1:
        raise UsageError(f"the cutoff of {name!r} must be 1 or more")
    if params.get("members", "all") not in MEMBERS:
        raise UsageError(f"members of {name!r} must be one of {', '.join(MEMBERS)}")
    return LanguageMeasure(node.id, params)
