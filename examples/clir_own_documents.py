"""Cross-language search over documents of your own.

    python examples/clir_own_documents.py FOLDER [documents.tsv queries.tsv QUERY_LANGUAGE LANGUAGE]

Documents and queries have a line each: id, tab, text. Without files it writes some that come with
polyrank: Turkish headlines that search English articles. The runs stand in FOLDER.
"""

import sys
from pathlib import Path

import polyrank as pr


def sample(folder: Path) -> list[str]:
    """Two files of bundled texts, as anybody's might look."""
    collection = pr.load_collection("ntrex", queries="tr", documents="en", limit=5)
    for name, records in (
        ("documents.tsv", list(collection.documents.values())[:40]),
        ("queries.tsv", collection.queries.values()),
    ):
        lines = [f"{one.id}\t{' '.join(one.text.split())}\n" for one in records]
        (folder / name).write_text("".join(lines), encoding="utf-8")
    return [str(folder / "documents.tsv"), str(folder / "queries.tsv"), "tr", "en"]


def read(path: str) -> dict[str, str]:
    """Id and text of each line."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t", 1) for line in lines)


folder = Path(sys.argv[1])
documents_file, queries_file, asked, written = sys.argv[2:] or sample(folder)
documents = [pr.Document(i, text, language=written) for i, text in read(documents_file).items()]
queries = [pr.Query(i, text, asked) for i, text in read(queries_file).items()]

# The first stage finds candidates by words and by vectors; the reranker orders them.
first_stage = pr.Fusion([pr.BM25(documents), pr.ModularDense(documents)])
pipeline = pr.Pipeline(first_stage, pr.load_reranker("e5-small"), documents, depth=10)
run = pipeline.search(queries)
pr.write_run(run, folder / "run.trec")
for query in queries:
    best = run[query.id][0]
    print(f"{query.text}\n  {best.score:.3f}  {best.document_id}")
