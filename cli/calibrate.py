"""polyrank calibrate: what a raw score means, as a probability, in each pair of languages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.errors import UsageError
from polyrank.progress import note

from .judged import Judged, truth
from .options import DocumentLanguage, DocumentsFile, QueriesFile, QueryLanguage, Split

if TYPE_CHECKING:
    from polyrank.collections.records import Run
    from polyrank.evaluation.looking import Texts


def calibrate(
    run: Annotated[Path, typer.Argument(help="A run with a reranker's raw scores.")],
    output: Annotated[
        Path, typer.Option(help="Where to; FILE.calibration.json is found beside FILE.json.")
    ],
    qrels: Annotated[Path | None, typer.Option(help="Relevance judgements, TREC or TSV.")] = None,
    collection: Judged = None,
    queries: QueriesFile = None,
    documents: DocumentsFile = None,
    split: Split = None,
    query_language: QueryLanguage = None,
    document_language: DocumentLanguage = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Of late interaction, whose scores grow with the query: the model, which says how "
            "many vectors a query has."
        ),
    ] = None,
    judged_only: Annotated[
        bool,
        typer.Option(
            "--judged-only",
            help="Leave candidates out that nobody judged; else they count as not relevant.",
        ),
    ] = False,
) -> None:
    """Fit a temperature and an offset to raw scores, for each pair of languages.

    A sigmoid then makes probabilities of them: 0.8 is relevant in 80 of 100 cases. The table shows
    how far that holds on queries that the fit did not see. 'polyrank serve' reads the file.

    \b
    Examples (the first writes a run; that of a reranker is calibrated alike):
      polyrank search --collection ntrex --query-language en --document-language en \\
          --first-stage bm25 --no-rerank --depth 10 --output bm25.trec
      polyrank calibrate bm25.trec --collection ntrex --query-language en \\
          --document-language en --output bm25.calibration.json
    """
    from polyrank.collections.trec import read_run
    from polyrank.evaluation.calibration import calibrate as fitted

    ranked = read_run(run)
    known = truth(
        [ranked], qrels, collection, queries, documents, query_language, document_language, split
    )
    sizes = _sizes(model, ranked, known.texts) if model is not None else None
    found = fitted(
        ranked,
        known.qrels,
        known.pool,
        judged_only=judged_only,
        sizes=sizes,
        source=f"{run.name}, {collection or qrels}",
    )
    found.write(output)
    for pair, one in {**found.pairs, "others": found.whole}.items():
        print(f"{pair}\ttemperature {one.temperature:.4g}\toffset {one.offset:.4g}")
    print("\n".join(found.reliability.lines()))
    note(f"wrote {output}")


def _sizes(model: str, run: Run, texts: Texts | None) -> dict[str, int]:
    """How many vectors each query of the run has.

    Raises:
        UsageError: a model that is not of late interaction, or queries without texts.
    """
    from polyrank.rerankers.load import load_reranker

    loaded = load_reranker(model, fallback="none")
    counted = getattr(loaded, "query_sizes", None)
    if counted is None:
        raise UsageError(f"--model: '{model}' is not of late interaction; leave --model out")
    known = texts.queries if texts else {}
    if missing := [query_id for query_id in run if query_id not in known]:
        raise UsageError(f"--model needs the queries' texts; that of '{missing[0]}' is missing")
    return dict(zip(run, counted([known[query_id] for query_id in run]), strict=True))
