"""What the README shows from Python, twice in one process and one folder: the same result."""

import polyrank as pr
from polyrank.collections.records import Collection, Document, Judgement, Query

WORDS = ["water boils", "a long river", "old iron", "white salt"]


def test_a_second_run_works_and_gives_the_same(carded_base, tiny_zoo, tmp_path):
    collection = Collection(
        "toy",
        {f"d{i}": Document(f"d{i}", text, language="en") for i, text in enumerate(WORDS)},
        {f"q{i}": Query(f"q{i}", text, "tr") for i, text in enumerate(WORDS)},
        [Judgement(f"q{i}", f"d{i}", 1) for i in range(len(WORDS))],
    )

    def once():
        first = pr.ModularDense(
            collection.documents.values(), carded_base, zoo=tiny_zoo, progress=False
        ).search(collection.queries.values(), depth=3)
        reranker = pr.Reranker(carded_base, ranking="squad", routing="split", zoo=tiny_zoo)
        run = pr.interpolate(first, reranker.rerank(collection, first), weight=0.5)
        report = pr.evaluate(run, collection.qrels, ["nDCG@10", "AP", "RR"], baseline=first)
        pr.write_run(run, tmp_path / "tr-en.trec")
        return str(report), (tmp_path / "tr-en.trec").read_bytes()

    assert once() == once()
