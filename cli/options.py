"""Options that several verbs share, and what is made from them."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrank.errors import UsageError

if TYPE_CHECKING:
    from polyrank.collections.records import Collection, Document, Query, Run
    from polyrank.rerankers.cross_encoder import Reranker
    from polyrank.rerankers.standalone import CrossEncoder
    from polyrank.saved_composition import SavedComposition
    from polyrank.scale_out import RayScorer
    from polyrank.scoring import Scorer


class Kind(Enum):
    adapter = "adapter"
    mask = "mask"
    full = "full"


class Routing(Enum):
    none = "none"
    query = "query"
    document = "document"
    split = "split"
    both = "both"


class Fallback(Enum):
    error = "error"
    related = "related"
    none = "none"


class Normalise(Enum):
    min_max = "min-max"
    z_score = "z-score"


class FirstStage(Enum):
    bm25 = "bm25"
    dense = "dense"
    fused = "fused"


class Analysis(Enum):
    words = "words"
    stems = "stems"
    subwords = "subwords"


CollectionName = Annotated[
    str | None,
    typer.Option(
        "--collection",
        help="A name of 'polyrank collections list': bundled, a folder, irds:ID, clef:FOLDER.",
    ),
]
Split = Annotated[
    str | None,
    typer.Option("--split", help="With --collection: which of its queries, such as dev."),
]
QueriesFile = Annotated[
    Path | None, typer.Option("--queries", help="Queries in a .jsonl or .tsv file.")
]
DocumentsFile = Annotated[
    Path | None, typer.Option("--documents", help="Documents in a .jsonl or .tsv file.")
]
QueryLanguage = Annotated[
    str | None, typer.Option(help="Language of the queries, such as ky; else it is identified.")
]
DocumentLanguage = Annotated[
    str | None, typer.Option(help="Language of the documents, such as en; else it is identified.")
]
Base = Annotated[str, typer.Option(help="The base: 'mini', a Hub id or a folder.")]
Ranking = Annotated[str, typer.Option(help="The ranking module: a name of the zoo or a folder.")]
KindOption = Annotated[Kind, typer.Option("--kind", help="The kind of the modules.")]
RankingKindOption = Annotated[
    Kind | None,
    typer.Option("--ranking-kind", help="The kind of the ranking module, where it is another."),
]
RoutingOption = Annotated[
    Routing | None,
    typer.Option(
        "--routing",
        help="Which tokens see which language module; else split for adapters, document for masks.",
    ),
]
FallbackOption = Annotated[
    Fallback,
    typer.Option(
        "--fallback", help="For a language without a module: stop, its nearest relative, or none."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="A cross-encoder in place of modules: a folder of 'polyrank distill', or any of "
        "Hugging Face with one logit.",
    ),
]
WITH_MODEL = ("ranking", "kind", "ranking-kind", "routing", "fallback")  # that --model decides
Interpolate = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Mix with the first stage: weight of the reranker, such as 0.5; else 1.",
    ),
]
NormaliseOption = Annotated[
    Normalise | None,
    typer.Option(
        "--normalise",
        help="With --interpolate: how scores are made alike within a query; else min-max.",
    ),
]
MaxLength = Annotated[int, typer.Option(help="Tokens of a query-document pair.", min=16)]
DataType = Annotated[
    str | None, typer.Option("--dtype", help="float32 (default), bfloat16 or float16.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1; else the best there is.")]
Depth = Annotated[int, typer.Option(help="Candidates per query.", min=1)]
Limit = Annotated[int | None, typer.Option(help="Only the first so many queries.", min=1)]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
AnalysisOption = Annotated[
    Analysis,
    typer.Option(
        "--analysis",
        help="Tokens of BM25: words; stems where there is a stemmer; sub-words of the base.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Score by the workers of this Ray cluster; 'local' starts some here.",
    ),
]
RayWorkers = Annotated[
    int | None, typer.Option(min=1, help="With --ray: how many; else one per GPU, or per CPU.")
]
Half = Annotated[
    bool,
    typer.Option(
        "--half",
        help="Store a whole model in fp16, where its scores stay the same to 2 % of their "
        "deviation; else in fp32.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for machines.")]


def note(message: str) -> None:
    """A message to the user, on stderr."""
    print(f"polyrank: {message}", file=sys.stderr)


def one_of(**options: Any) -> None:
    """Refuse none or several of the options.

    Raises:
        UsageError: unless exactly one is given.
    """
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    names = [f"--{name.replace('_', '-')}" for name in options]
    if len(given) != 1:
        found = f"not {' and '.join(given)} together" if given else "none was given"
        raise UsageError(f"give one of {', '.join(names)}; {found}")


def typed(name: str, value: str | None) -> None:
    """Refuse a text that holds nothing, or what the terminal did not send as UTF-8.

    Raises:
        UsageError: such a text.
    """
    if value is None:
        return
    if not value.strip():
        raise UsageError(f"{name} is empty; give a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{name} is not UTF-8: {value!r}.\nSet the terminal to UTF-8 (LANG=C.UTF-8), or "
            "convert the text with iconv."
        ) from None


def writable(output: Path | None, *inputs: Path | None) -> None:
    """Refuse, before the work, an output that cannot be written or that is read.

    Raises:
        UsageError: such an output.
    """
    from polyrank.collections.files import check_writable, refuse_over

    if output is not None:
        refuse_over(output, *inputs)
        check_writable(output)


def routing_for(kind: Kind, routing: Routing | None, ranking_kind: Kind | None = None) -> str:
    """The routing that was asked for, or the usual one of the kinds."""
    if routing is not None:
        return routing.value
    if ranking_kind is Kind.full:
        return "none"
    return {Kind.adapter: "split", Kind.mask: "document", Kind.full: "none"}[kind]


def reranker(
    base: str,
    ranking: str,
    kind: Kind,
    routing: Routing | None,
    fallback: Fallback,
    max_length: int,
    device: str | None,
    dtype: str | None,
    seed: int,
    ranking_kind: Kind | None = None,
) -> Reranker:
    import torch

    from polyrank.rerankers.cross_encoder import Reranker

    torch.manual_seed(seed)
    return Reranker(
        base=base,
        ranking=ranking,
        kind=kind.value,
        ranking_kind=(ranking_kind or kind).value,
        routing=routing_for(kind, routing, ranking_kind),
        fallback=fallback.value,
        max_length=max_length,
        device=device,
        dtype=dtype,
    )


def read_composition(path: Path) -> SavedComposition:
    from polyrank.saved_composition import read_composition

    return read_composition(path)


def composed(
    composition: SavedComposition,
    base: str,
    max_length: int,
    device: str | None,
    dtype: str | None,
    seed: int,
) -> Reranker:
    """A reranker for a composition that was planned before."""
    import torch

    from polyrank.rerankers.composed import ComposedReranker

    torch.manual_seed(seed)
    return ComposedReranker(composition, base, max_length=max_length, device=device, dtype=dtype)


def standalone(
    model: str, max_length: int, device: str | None, dtype: str | None, seed: int
) -> CrossEncoder:
    """A model of its own, without modules."""
    import torch

    from polyrank.rerankers.standalone import CrossEncoder

    torch.manual_seed(seed)
    return CrossEncoder(model, max_length=max_length, device=device, dtype=dtype)


def is_given(context: typer.Context, name: str) -> bool:
    """Whether an option was given, rather than left at its default."""
    source = context.get_parameter_source(name.replace("-", "_"))
    return getattr(source, "name", None) == "COMMANDLINE"


def not_beside(context: typer.Context, option: str, others: Sequence[str]) -> None:
    """Refuse options that another one decides.

    Raises:
        UsageError: when one of them is given.
    """
    given = [f"--{name}" for name in others if is_given(context, name)]
    if given:
        raise UsageError(f"--{option} says that already; leave out {', '.join(given)}")


def identity(scorer: Reranker | CrossEncoder) -> dict[str, str]:
    """Of which weights the scores are, for a later --resume."""
    from polyrank.rerankers.standalone import CrossEncoder

    if isinstance(scorer, CrossEncoder):
        return scorer.identity()
    from polyrank.modules.card import read_card
    from polyrank.modules.search import find, list_modules

    folder = find(scorer.base.name, "ranking", scorer.ranking_kind, scorer.ranking, scorer.zoo)
    files = read_card(folder, verify=False).files
    weights = ", ".join(f"{name} {files[name][:12]}" for name in sorted(files))
    found = {"base weights": str(scorer.base.fingerprint), "ranking weights": weights}
    if scorer.routing != "none":  # any of them may be used: languages are known as texts come
        modules = list_modules(scorer.base.name, "language", scorer.kind, zoo=scorer.zoo)
        every = sorted(f"{m.card.name} {sorted(m.card.files.items())}" for m in modules)
        digest = hashlib.sha256("\n".join(every).encode()).hexdigest()[:12]
        found["language weights"] = f"{len(every)} modules {digest}"
    return found


@contextmanager
def scaled_out(
    scorer: Reranker | CrossEncoder,
    build: Callable[[], Reranker | CrossEncoder],
    ray: str | None,
    workers: int | None,
) -> Iterator[Reranker | CrossEncoder | RayScorer]:
    """The scorer itself, or workers of a Ray cluster that build the same one.

    Raises:
        UsageError: without Ray, or where a worker finds other weights.
    """
    if ray is None:
        if workers is not None:
            raise UsageError("--ray-workers goes with --ray")
        yield scorer
        return
    from polyrank.scale_out import RayPool, RayScorer

    expected, zoo = identity(scorer), os.environ.get("POLYRANK_ZOO")

    def on_worker() -> Reranker | CrossEncoder:
        if zoo is not None:
            os.environ["POLYRANK_ZOO"] = zoo
        made = build()
        if identity(made) != expected:
            raise UsageError(
                "a node of the Ray cluster has another base or other modules than this machine.\n"
                "Install the same polyrank and the same zoo on every node, at the same paths."
            )
        return made

    with RayPool(on_worker, ray, workers, gpu=scorer.device.type == "cuda") as pool:
        yield RayScorer(pool)


def report(scorer: Reranker | CrossEncoder | RayScorer) -> None:
    """What the reranker assumed or cut, on stderr."""
    for message, times in scorer.notes.items():
        note(f"{message} ({times} times)" if times > 1 else message)


def load(
    collection: str | None,
    queries: Path | None,
    documents: Path | None,
    query_language: str | None,
    document_language: str | None,
    split: str | None = None,
) -> Collection:
    """The collection that the options name: by its name, or by two files.

    Raises:
        UsageError: when both or neither are named.
    """
    from polyrank.collections.load import load_collection
    from polyrank.collections.records import Collection

    if collection is not None:
        if queries is not None or documents is not None:
            raise UsageError("give --collection, or --queries with --documents, not both")
        loaded = load_collection(collection, query_language, document_language, split)
        for message in loaded.notes:
            note(message)
        return loaded
    if split is not None:
        raise UsageError("--split goes with --collection")
    if queries is None or documents is None:
        raise UsageError("give --collection NAME, or --queries FILE with --documents FILE")
    return Collection(
        name=documents.name,
        documents=read_documents(documents, document_language),
        queries=read_queries(queries, query_language),
    )


def read_documents(path: Path, language: str | None) -> dict[str, Document]:
    """Documents of a .tsv file, else of JSON lines."""
    from polyrank.collections import jsonl, tsv

    read = tsv.iter_documents if is_table(path) else jsonl.iter_documents
    return {document.id: document for document in read(path, language)}


def read_queries(path: Path, language: str | None) -> dict[str, Query]:
    """Queries of a .tsv file, else of JSON lines."""
    from polyrank.collections import jsonl, tsv

    read = tsv.iter_queries if is_table(path) else jsonl.iter_queries
    return {query.id: query for query in read(path, language)}


def read_passages(path: Path, language: str | None) -> list[Document]:
    """Documents of a .jsonl or .tsv file; of any other a passage per line, named by its number."""
    from polyrank.collections.files import numbered_lines
    from polyrank.collections.records import Document

    if is_table(path) or path.name.removesuffix(".gz").endswith((".jsonl", ".json")):
        return list(read_documents(path, language).values())
    return [Document(str(number), line, language=language) for number, line in numbered_lines(path)]


def is_table(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(".tsv")


def search_first(
    collection: Collection,
    stage: FirstStage,
    base: str,
    depth: int,
    limit: int | None,
    device: str | None = None,
    analysis: Analysis = Analysis.stems,
) -> Run:
    """The first stage's candidates for the first `limit` queries; how BM25 read them, on stderr."""
    from polyrank.index.lexical import BM25

    queries = list(collection.queries.values())[:limit]
    documents = list(collection.documents.values())
    retrievers: dict[str, Any] = {}
    if stage is not FirstStage.dense:
        bm25 = retrievers["bm25"] = BM25(documents, analysis=analysis.value, base=base)
        note(repr(bm25))
        for message, times in bm25.notes.items():
            note(f"{message} ({times} documents)")
    if stage is not FirstStage.bm25:
        from polyrank.index.dense import Dense

        retrievers["dense"] = Dense(documents, base=base, device=device)
    if stage is FirstStage.fused:
        from polyrank.retrieval import Fusion

        return Fusion(list(retrievers.values())).search(queries, depth)
    run: Run = retrievers[stage.value].search(queries, depth)
    return run


def normalisation(interpolate: float | None, normalise: Normalise | None) -> str:
    """By which scores are mixed.

    Raises:
        UsageError: --normalise without --interpolate.
    """
    if normalise is not None and interpolate is None:
        raise UsageError("--normalise goes with --interpolate")
    return (normalise or Normalise.min_max).value


def reranked(scorer: Scorer, texts: Collection, found: Run) -> Run:
    """A first stage in memory, every query in the scorer's order."""
    from polyrank.progress import track
    from polyrank.scoring import rerank_queries

    work = [
        (texts.queries[query_id], [texts.documents[hit.document_id] for hit in hits])
        for query_id, hits in found.items()
        if hits
    ]
    ranked = track(rerank_queries(scorer, work), "reranking", len(work))
    return {query.id: hits for query, hits in ranked}
