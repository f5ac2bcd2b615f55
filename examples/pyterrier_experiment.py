"""An experiment in PyTerrier: two first stages, with and without the reranker. No Java is needed.

Needs polyrank[pyterrier]: pyterrier

    python examples/pyterrier_experiment.py FOLDER [QUERIES]

Swahili headlines search 25 English articles. The table stands in FOLDER as table.csv.
"""

import sys
from pathlib import Path

import pandas as pd
import pyterrier as pt

import polyrank as pr
from polyrank.neighbours.pyterrier import Rerank, Retrieve

folder = Path(sys.argv[1])
limit = int(sys.argv[2]) if len(sys.argv) > 2 else 5
collection = pr.load_collection("ntrex", queries="sw", documents="en", limit=limit)
asked = {one.document_id for one in collection.qrels}
others = [one for i, one in collection.documents.items() if i not in asked]
documents = [collection.documents[i] for i in sorted(asked)] + others[:20]

topics = pd.DataFrame(
    [
        {"qid": query.id, "query": query.text, "query_language": query.language}
        for query in collection.queries.values()
    ]
)
qrels = pd.DataFrame(
    [
        {"qid": one.query_id, "docno": one.document_id, "label": one.relevance}
        for one in collection.qrels
    ]
)

bm25 = Retrieve(pr.BM25(documents), documents, depth=5)
dense = Retrieve(pr.ModularDense(documents), documents, depth=5)
rerank = Rerank(pr.load_reranker("e5-small"))
systems = {
    "BM25": bm25,
    "BM25, reranked": bm25 >> rerank,
    "dense with modules": dense,
    "dense with modules, reranked": dense >> rerank,
}
measures = [pt.measures.nDCG @ 10, pt.measures.RR]
table = pt.Experiment(list(systems.values()), topics, qrels, measures, names=list(systems))
table.to_csv(folder / "table.csv", index=False)
print(table)
