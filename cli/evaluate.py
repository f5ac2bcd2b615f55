"""polyrank evaluate: measures of a run, by languages, and a paired test against another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrank.errors import UsageError
from polyrank.progress import note, say

from . import checks
from .judged import By, Judged, Measures, Missing, Truth, asks_for_languages, split_measures, truth
from .options import AsJson, DocumentLanguage, DocumentsFile, QueriesFile, QueryLanguage, Split

if TYPE_CHECKING:
    from polyrank.collections.records import Run
    from polyrank.evaluation import Languages, Report
    from polyrank.evaluation.by_language import Groups


def evaluate(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="The run: TREC, or .jsonl.")],
    qrels: Annotated[Path | None, typer.Argument(help="Relevance judgements, TREC or TSV.")] = None,
    collection: Judged = None,
    queries: QueriesFile = None,
    documents: DocumentsFile = None,
    split: Split = None,
    query_language: QueryLanguage = None,
    document_language: DocumentLanguage = None,
    measures: Measures = "nDCG@10,AP,RR",
    by: By = "all",
    against_language: Annotated[
        str | None,
        typer.Option(
            help="With --by query-language: the difference to the same topics asked in this one."
        ),
    ] = None,
    translated: Annotated[
        Path | None,
        typer.Option(
            help="With --by query-language: ids of the queries that were translated into their "
            "language, one a line (or .jsonl, .tsv); the difference of the others, which were "
            "written in it, to these."
        ),
    ] = None,
    per_query: Annotated[
        Path | None, typer.Option(help="Write every query's values here, TSV or .jsonl.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="A second run, to test the first against, query by query.")
    ] = None,
    missing: Missing = "refuse",
    as_json: AsJson = False,
) -> None:
    """Evaluate a run; with --baseline, a paired test of the difference.

    Values are those of 'trec_eval -c': ties by document id downwards, a judged query that the run
    lacks counts 0. By language of documents, or by pair, a mixed ranking is measured once for each
    language of documents, the others taken out of it.

    \b
    Examples (the first three write runs, which the others measure):
      polyrank search --collection ntrex --query-language tr --document-language en \\
          --first-stage bm25 --no-rerank --output bm25.trec
      polyrank search --collection ntrex --query-language tr --document-language en \\
          --no-rerank --output dense.trec
      polyrank search --collection xquad --query-language tr --limit 50 --no-rerank \\
          --first-stage bm25 --output mixed.trec
      polyrank evaluate dense.trec --collection ntrex --baseline bm25.trec
      polyrank evaluate mixed.trec --collection xquad --query-language tr \\
          --missing intersect --measures nDCG@10,LPR,LangnDCG@10,PEER@20,FourWay
      polyrank evaluate mixed.trec --collection xquad --query-language tr \\
          --missing intersect --by pair
    """
    from polyrank.collections.trec import read_run
    from polyrank.evaluation import evaluate as measured

    if baseline is not None and by != "all":
        raise UsageError("to test by languages:  polyrank compare RUN RUN --by " + by)
    if against_language is not None and by != "query-language":
        raise UsageError("--against-language goes with --by query-language")
    if translated is not None and by != "query-language":
        raise UsageError("--translated goes with --by query-language")
    names = split_measures(measures)
    if qrels is not None and not asks_for_languages(names, by):
        checks.of_no_use(
            context,
            "a QRELS file, unless --by or a measure asks for languages",
            ("queries", "documents", "query-language", "document-language"),
        )
    foreign = _ids(translated) if translated is not None else set()
    ranked = read_run(run)
    other = read_run(baseline) if baseline is not None else None
    runs = [ranked] if other is None else [ranked, other]
    known = truth(
        runs, qrels, collection, queries, documents, query_language, document_language, split
    )
    report = measured(
        ranked, known.qrels, names, baseline=other, collection=known.pool, missing=missing
    )
    kept = {i for values in report.per_query.values() for i in values}
    kept |= {i for ids in report.undefined.values() for i in ids}
    known = Truth([j for j in known.qrels if j.query_id in kept], known.pool)
    groups = _groups(ranked, known, names, by)
    if per_query is not None:
        from polyrank.evaluation import write_values

        write_values(groups, per_query)
    effects: list[Effect] = []
    if against_language is not None:
        effects.append(
            ("effects", f"− {against_language}", _mother_tongue(groups, against_language))
        )
    if translated is not None:
        effects.append(("locality", "written − translated", _locality(groups, foreign, translated)))
    if as_json:
        found = _as_dict(report, groups, names, by)
        found |= {field: values for field, _, values in effects}
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    if by == "all":
        say(report.text())
        return
    say("\n".join(_lines(report, groups, names, by, effects)))


def _groups(ranked: Run, known: Truth, names: list[str], by: str) -> Groups:
    from polyrank.evaluation import by_language
    from polyrank.evaluation.measures import parse_measures

    return by_language("the run", ranked, known.qrels, parse_measures(names), known.pool, by)


def _means(groups: Groups, names: list[str]) -> dict[str, dict[Languages, float]]:
    from polyrank.evaluation.by_language import means
    from polyrank.evaluation.measures import parse_measures

    return means(groups, parse_measures(names))


Differences = dict[str, dict[str, float]]  # measure → language → difference
Effect = tuple[str, str, Differences]  # the field in JSON, the heading of a column


def _mother_tongue(groups: Groups, reference: str) -> Differences:
    """The difference to the same topics in the reference language."""
    from polyrank.evaluation import mother_tongue_effect

    measures = next(iter(groups.values()))
    return {
        name: mother_tongue_effect({str(x): v[name] for x, v in groups.items()}, reference)
        for name in measures
    }


def _ids(path: Path) -> set[str]:
    """Ids of queries: of a .jsonl or .tsv file of queries, else one a line."""
    from polyrank.collections.files import has_ending, holds_json_lines, numbered_lines
    from polyrank.collections.text_files import read_queries

    if has_ending(path, ".tsv") or holds_json_lines(path):
        return set(read_queries(path))

    return {line.strip() for _, line in numbered_lines(path)}


def _locality(groups: Groups, translated: set[str], path: Path) -> Differences:
    """The difference of queries written in a language to those translated into it; languages that
    have but one of the two are left out and named."""
    from polyrank.evaluation import locality_effect

    measures = next(iter(groups.values()))
    asked = {i for values in groups.values() for row in values.values() for i in row}
    if unknown := translated - asked:
        note(
            f"{len(unknown)} of {len(translated)} ids in {path} are not among the evaluated queries"
        )
    found: Differences = {}
    for name in measures:
        rows = {str(x): values[name] for x, values in groups.items()}
        sides = [
            {
                x: {i: v for i, v in row.items() if (i in translated) is side}
                for x, row in rows.items()
            }
            for side in (False, True)
        ]
        both = [x for x in rows if sides[0][x] and sides[1][x]]
        if not both:
            raise UsageError(
                f"no language has both queries that {path} names and other queries; the effect of "
                "translation needs both"
            )
        if len(both) < len(rows):
            listed = ", ".join(x for x in rows if x not in both)
            note(f"{name}: no difference for {listed}, where all or none are translated")
        found[name] = locality_effect(*({x: side[x] for x in both} for side in sides))
    return found


def _lines(
    report: Report, groups: Groups, names: list[str], by: str, effects: list[Effect]
) -> list[str]:
    """A row per group of languages, then one per measure that sums them up."""
    from polyrank.evaluation import aggregates
    from polyrank.evaluation.text_tables import aligned, shown

    means = _means(groups, names)
    header = [by.replace("pair", "query→documents"), "queries"]
    for name in means:
        header += [name, *(heading for _, heading, _ in effects)]
    rows = [header]
    for languages, values in groups.items():
        row = [str(languages), str(max(map(len, values.values())))]
        for name in means:
            row.append(shown(means[name][languages]))
            row += [shown(e[name].get(str(languages)), "+.4f") for _, _, e in effects]
        rows.append(row)
    lines = [*aligned(rows), ""]
    for name, by_languages in means.items():
        defined = {str(x): v for x, v in by_languages.items() if v == v}
        lines.append(f"{name}: {aggregates(defined)}" if defined else f"{name}: undefined")
    return [*lines, *report.notes()]


def _as_dict(report: Report, groups: Groups, names: list[str], by: str) -> dict[str, Any]:
    from dataclasses import asdict

    from polyrank.evaluation import aggregates

    if by == "all":
        return report.to_dict()
    means = _means(groups, names)
    rows = [
        {
            "query_language": x.query,
            "document_language": x.document,
            "queries": max(map(len, per.values())),
            "mean": {m: None if (v := means[m][x]) != v else v for m in means},
        }
        for x, per in groups.items()
    ]
    summed = {
        m: asdict(aggregates({str(x): float(v) for x, v in row.items()}))
        for m, row in means.items()
        if any(v == v for v in row.values())
    }
    return {**report.to_dict(), "by": by, "groups": rows, "aggregates": summed}
