"""polyrank index: multi-vector indexes of documents in any mix of languages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrank.errors import DataError, UsageError
from polyrank.messages import note

from . import checks, options
from .options import AsJson, Fallback, Kind, Routing
from .ray_workers import asks_for_ray, pool_of
from .scorers import report

if TYPE_CHECKING:
    from polyrank.collections.records import Document
    from polyrank.index.multivector import Change, Encoder, MultiVectorIndex, Pruning
    from polyrank.scale_out import RayPool

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Build, change and check multi-vector indexes; polyrank search --index searches them.",
)


class LanguageKind(Enum):
    adapter = "adapter"
    mask = "mask"


class Codec(Enum):
    fp16 = "fp16"
    int8 = "int8"
    residual_1 = "residual-1"
    residual_2 = "residual-2"
    residual_4 = "residual-4"
    residual_8 = "residual-8"


class Duplicates(Enum):
    error = "error"
    replace = "replace"
    skip = "skip"


class Missing(Enum):
    error = "error"
    skip = "skip"


Folder = Annotated[Path, typer.Argument(help="The folder of the index.", show_default=False)]
Languages = Annotated[
    str | None, typer.Option(help="Only documents in these languages, such as ky,sw.")
]
Base = Annotated[str | None, typer.Option(help="The base, where it is not where the index says.")]
Ranking = Annotated[
    str | None, typer.Option(help="The late-interaction module, likewise: a name or a folder.")
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Encode by the workers of this Ray cluster; 'local' starts some here.",
    ),
]
Probe = Annotated[
    int | None,
    typer.Option(min=1, help="Centroids looked at for a query token; without it, all documents."),
]
Candidates = Annotated[
    int, typer.Option(min=1, help="With --probe: documents that are scored in full.")
]


@app.command("build")
def build(
    folder: Folder,
    collection: options.CollectionName = None,
    documents: options.DocumentsFile = None,
    document_language: options.DocumentLanguage = None,
    languages: Languages = None,
    codec: Annotated[
        Codec, typer.Option(help="How vectors are stored: exact, or residual codes of b bits.")
    ] = Codec.fp16,
    centroids: Annotated[
        int | None,
        typer.Option(min=0, help="For --probe; else ColBERTv2's rule for residual codes, or none."),
    ] = None,
    base: options.Base = "mini",
    ranking: Annotated[
        str, typer.Option(help="The late-interaction module: a name of the zoo or a folder.")
    ] = "squad-li",
    kind: Annotated[Kind, typer.Option(help="The kind of that module.")] = Kind.adapter,
    language_kind: Annotated[
        LanguageKind | None,
        typer.Option(
            help="Of the language modules; else as --kind, adapters under a full model. Not for an "
            "XMOD, which has its own."
        ),
    ] = None,
    routing: Annotated[
        Routing | None,
        typer.Option(
            help="Which language module texts pass through: split their own language's, document "
            "the documents' (queries too), none; else as the module was trained.",
        ),
    ] = None,
    fallback: options.FallbackOption = Fallback.error,
    document_length: Annotated[
        int | None, typer.Option(min=8, help="Tokens of a document that are read.")
    ] = None,
    shard: Annotated[
        int, typer.Option(min=1, help="Documents between points from which --resume goes on.")
    ] = 2048,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a build.")] = False,
    device: options.Device = None,
    dtype: options.DataType = None,
    seed: options.Seed = 0,
    ray: Ray = None,
    ray_workers: options.RayWorkers = None,
    as_json: AsJson = False,
) -> None:
    """Encode documents into a new index. A build that was stopped goes on with --resume.

    The index keeps --routing and the modules of its documents, and searches with these.
    With --ray a worker gets a shard at a time, and its death costs that shard's encoding alone.

    \b
    Example (NTREX articles of three languages in one index, asked in a fourth):
      polyrank index build articles --collection ntrex --languages en,sw,tr
      polyrank search --index articles --query-language ky --no-rerank \\
          --query "Лондондогу полиция" --languages sw
    """
    from polyrank.index.multivector import ModelEncoder, MultiVectorIndex, Plan
    from polyrank.index.multivector import build as build_index
    from polyrank.rerankers.late_interaction import LateInteraction

    plan = Plan(codec.value, centroids, shard, seed)
    texts = _documents(collection, documents, document_language, languages)

    def encoder() -> ModelEncoder:
        return ModelEncoder(
            LateInteraction(
                base,
                ranking,
                kind.value,
                routing and routing.value,
                language_kind=language_kind and language_kind.value,
                fallback=fallback.value,
                document_length=document_length,
                device=device,
                dtype=dtype,
            )
        )

    local = encoder()
    with scaled_out(local, encoder, ray, ray_workers) as scaled:
        done = build_index(folder, texts, scaled, plan, resume)
        report(scaled)
    report(local.model)
    words = f"{done.documents} documents, {done.tokens} token vectors"
    note(f"built {folder}: {words}{_empty(done.empty)}")
    _tell_cost(MultiVectorIndex(folder))
    if done.resumed:
        note(f"{done.resumed} shards had been encoded before")
    if as_json:
        print(json.dumps(asdict(done)))


@app.command("add")
def add(
    folder: Folder,
    collection: options.CollectionName = None,
    documents: options.DocumentsFile = None,
    document_language: options.DocumentLanguage = None,
    languages: Languages = None,
    duplicates: Annotated[
        Duplicates, typer.Option(help="Documents whose id is there: stop, replace or skip them.")
    ] = Duplicates.error,
    base: Base = None,
    ranking: Ranking = None,
    device: options.Device = None,
    dtype: options.DataType = None,
    ray: Ray = None,
    ray_workers: options.RayWorkers = None,
    as_json: AsJson = False,
) -> None:
    """Add documents to an index: all of them, or on any error none.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages en
      polyrank index add articles --collection ntrex --languages sw,tr
    """
    from polyrank.index.multivector import MultiVectorIndex
    from polyrank.index.multivector import add as add_documents

    texts = _documents(collection, documents, document_language, languages)
    index = open_index(folder, base, ranking, device, dtype)
    local = index.encoder

    def encoder() -> Encoder:
        return open_index(folder.absolute(), base, ranking, device, dtype).encoder

    with scaled_out(local, encoder, ray, ray_workers) as scaled:
        change = add_documents(folder, texts, scaled, duplicates.value)
        report(scaled)
    report(getattr(local, "model", None))
    old = f", {change.deleted} of them in place of older ones" if change.deleted else ""
    _say(folder, change, f"added {change.added} documents{old}{_empty(change.empty)}", as_json)
    if change.added:
        _tell_cost(MultiVectorIndex(folder))


@app.command("delete")
def delete(
    folder: Folder,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of documents.")] = None,
    ids_file: Annotated[
        Path | None, typer.Option("--ids", help="A file with an id on each line.")
    ] = None,
    languages: Annotated[
        str | None, typer.Option(help="All documents in these languages, such as ky,sw.")
    ] = None,
    missing: Annotated[
        Missing, typer.Option(help="Ids that the index lacks: stop, or skip them.")
    ] = Missing.error,
    as_json: AsJson = False,
) -> None:
    """Delete documents; they are never found again. Their space is freed by 'index compact'.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages en,sw
      polyrank index delete articles --languages sw
    """
    from polyrank.collections.files import numbered_lines
    from polyrank.index.multivector import MultiVectorIndex

    wanted = list(ids or [])
    if ids_file is not None:
        wanted += [line for _, line in numbered_lines(ids_file)]
    if not wanted and languages is None:
        raise UsageError("name documents to delete: ids, --ids FILE, or --languages")
    change = MultiVectorIndex(folder).delete(wanted, split(languages) or (), missing.value)
    _say(folder, change, f"deleted {change.deleted} documents", as_json)


@app.command("compact")
def compact(folder: Folder, as_json: AsJson = False) -> None:
    """Free the space of deleted documents and merge segments. No result changes.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages en,sw
      polyrank index delete articles --languages sw
      polyrank index compact articles
    """
    from polyrank.index.multivector import MultiVectorIndex

    change = MultiVectorIndex(folder).compact()
    _say(folder, change, f"freed {change.deleted} deleted documents", as_json)


@app.command("info")
def info(folder: Folder, as_json: AsJson = False) -> None:
    """What is in an index, and in which state it is.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages en,sw --codec residual-4
      polyrank index info articles
    """
    from polyrank.index.multivector import MultiVectorIndex

    found = MultiVectorIndex(folder).info()
    if as_json:
        print(json.dumps(asdict(found), ensure_ascii=False))
        return
    for name, value in asdict(found).items():
        print(f"{name}\t{_shown(value)}")
    if found.leftovers:
        note(f"{len(found.leftovers)} leftovers of a killed process; the next change removes them")


@app.command("verify")
def verify(folder: Folder, as_json: AsJson = False) -> None:
    """Read every file of an index and check its sha256; exit code 2 when one is wrong.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages en
      polyrank index verify articles
    """
    from polyrank.index.multivector import verify as verify_index

    found = verify_index(folder)
    if as_json:
        print(json.dumps(asdict(found)))
    if found.problems:
        listed = "\n".join(f"  - {problem}" for problem in found.problems)
        raise DataError(
            folder, None, f"is damaged:\n{listed}\nRestore it from a copy, or build it again."
        )
    if not as_json:
        print(f"{found.files} files, {found.bytes} bytes: all as the manifest says")


@app.command("fidelity")
def fidelity(
    folder: Folder,
    collection: options.CollectionName = None,
    queries: options.QueriesFile = None,
    query_language: options.QueryLanguage = None,
    languages: Languages = None,
    probe: Probe = None,
    candidates: Candidates = 1024,
    depths: Annotated[str, typer.Option(help="Depths of recall.")] = "10,100",
    limit: options.Limit = None,
    base: Base = None,
    ranking: Ranking = None,
    device: options.Device = None,
    as_json: AsJson = False,
) -> None:
    """Hold an index against exact search: recall, and nDCG where there are judgements, by language.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages en,sw --codec residual-2
      polyrank index fidelity articles --collection ntrex --query-language tr --limit 20 --probe 4
    """
    from polyrank.evaluation.fidelity import fidelity as hold

    texts = _queries(collection, queries, query_language)
    asked = list(texts.queries.values())[:limit]
    index = open_index(folder, base, ranking, device)
    found = hold(
        index,
        asked,
        texts.qrels,
        [_number(word) for word in depths.split(",")],
        pruning_of(probe, candidates),
        split(languages),
    )
    print(json.dumps(asdict(found)) if as_json else found)


@app.command("export")
def export(
    folder: Folder,
    output: Annotated[Path, typer.Option(help="The folder to write.")],
) -> None:
    """Write a residual index in the layout of fast-plaid and PyLate.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages en,sw --codec residual-4
      polyrank index export articles --output plaid/articles
    """
    from polyrank.index.multivector import MultiVectorIndex
    from polyrank.index.multivector.export import export_fast_plaid

    done = export_fast_plaid(MultiVectorIndex(folder).snapshot, output)
    left_out = f"; {done.empty} without text left out" if done.empty else ""
    note(f"wrote {output}: {done.documents} documents, {done.tokens} token vectors{left_out}")
    note("not carried over: which model made it, and languages as a filter (documents.jsonl)")


# --- what the verbs, and polyrank search, share --------------------------------------------------


def open_index(
    folder: Path,
    base: str | None = None,
    ranking: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> MultiVectorIndex:
    """An index whose model is loaded when it is needed."""
    from polyrank.index.multivector import MultiVectorIndex

    given = {"base": base, "ranking": ranking, "device": device, "dtype": dtype}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return MultiVectorIndex(folder, None, device, chosen)


@contextmanager
def scaled_out(
    local: Encoder, build: Callable[[], Encoder], ray: str | None, workers: int | None
) -> Iterator[Encoder]:
    """The encoder itself, or workers of a Ray cluster that build the same one.

    Raises:
        UsageError: without Ray, or where a worker has another model.
    """
    if not asks_for_ray(ray, workers):
        yield local
        return
    from polyrank.scale_out import RayEncoder

    with worker_pool(build, local, ray, workers) as pool:
        yield RayEncoder(local, pool)


def worker_pool(build: Callable[[], Any], local: Encoder, ray: str, workers: int | None) -> RayPool:
    """Workers whose encoder, or index, has the local encoder's model and modules."""
    expected = local.binding
    device = getattr(getattr(local, "model", None), "device", None)

    def check(made: Any) -> None:
        if changed := expected.differences(getattr(made, "encoder", made).binding):
            raise UsageError(
                "a node of the Ray cluster has another model than this machine: "
                f"{'; '.join(changed)}.\nInstall the same polyrank and the same zoo on every "
                "node, at the same paths."
            )

    return pool_of(build, check, ray, workers, gpu=getattr(device, "type", "cpu") == "cuda")


def pruning_of(probe: int | None, candidates: int) -> Pruning | None:
    from polyrank.index.multivector import Pruning

    return None if probe is None else Pruning(probe, candidates)


def split(languages: str | None) -> list[str] | None:
    """Languages between commas."""
    return None if languages is None else [tag.strip() for tag in languages.split(",")]


def _number(word: str) -> int:
    if not word.strip().isdigit():
        raise UsageError(f"--depths takes numbers between commas, such as 10,100; not '{word}'")
    return int(word)


def _documents(
    collection: str | None, documents: Path | None, language: str | None, languages: str | None
) -> Sequence[Document]:
    from polyrank.collections.load import load_collection
    from polyrank.collections.text_files import read_documents
    from polyrank.languages import normalise

    checks.one_of(collection=collection, documents=documents)
    texts: Iterable[Document]
    if collection is not None:
        texts = load_collection(collection, documents=language).documents.values()
    else:
        assert documents is not None
        texts = read_documents(documents, language).values()
    tags = None if languages is None else [normalise(tag) for tag in split(languages) or ()]
    chosen = [text for text in texts if tags is None or text.language in tags]
    if absent := set(tags or ()) - {text.language for text in chosen}:
        raise UsageError(f"there is no document in {', '.join(sorted(absent))}")
    return chosen


def _queries(collection: str | None, queries: Path | None, language: str | None) -> Any:
    from polyrank.collections.load import load_collection
    from polyrank.collections.records import Collection
    from polyrank.collections.text_files import read_queries

    checks.one_of(collection=collection, queries=queries)
    if collection is not None:
        return load_collection(collection, queries=language)
    assert queries is not None
    return Collection(queries.name, {}, read_queries(queries, language))


def _tell_cost(index: MultiVectorIndex) -> None:
    """What routing 'document' costs a search: by the languages in the index, where those that the
    documents did not name were identified."""
    found = index.info()
    if found.routing == "document" and len(found.languages) > 1:
        note(
            f"routing 'document': a search encodes each query {len(found.languages)} times, once "
            f"per language of the documents ({', '.join(found.languages)})"
        )


def _empty(count: int) -> str:
    return f"; {count} without text, which are kept and never found" if count else ""


def _say(folder: Path, change: Change, what: str, as_json: bool) -> None:
    note(f"{what}; {folder} is at generation {change.generation}")
    if change.skipped:
        note(f"{change.skipped} ids skipped")
    if change.leftovers:
        note(f"{change.leftovers} leftovers of a killed process removed")
    if as_json:
        print(json.dumps(asdict(change)))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item or 'none'}" for name, item in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)
