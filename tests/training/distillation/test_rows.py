"""Phase 2 reads the rows that a ranking module is trained on, and gives the same model for each."""

import json

import pytest

import polyrank as pr
from polyrank.errors import DataError, UsageError
from polyrank.training.distillation import ranking_phase as module
from polyrank.training.distillation.distil import General, Task

TEXTS = {"a": "ice melts every year", "b": "cats sleep", "c": "stars are far away"}
QUERIES = {"q": "ice melts", "r": "stars far"}
LISTS = {"q": ("a", "b"), "r": ("c", "b")}  # positive, negative


@pytest.fixture
def distil(tiny_bert, text_file, cross_encoder, monkeypatch, tmp_path):
    """distil(**rows) -> what a batch of phase 2 is made of: (query, passages) as texts."""
    judge = cross_encoder(tiny_bert, tmp_path / "judge")
    seen = []

    class Kept(module.PairBatches):
        def __init__(self, examples, documents, *rest, **options):
            seen[:] = [(e.query.text, *(documents[i].text for i in e.candidates)) for e in examples]
            super().__init__(examples, documents, *rest, **options)

    monkeypatch.setattr(module, "PairBatches", Kept)

    def run(queries, **rows):
        pr.distill_bilingual(
            str(tiny_bert), "en", "ky", (text_file, text_file), tmp_path / "small",
            queries=queries, factor=3, general=General(steps=1, batch_size=2, length=16),
            task=Task(steps=1, batch_queries=2, negatives=1, length=48, mine=0),
            fallback="none", teacher=str(judge), **rows,
        )  # fmt: skip
        return sorted(seen)

    return run


WANTED = sorted((QUERIES[q], *(TEXTS[i] for i in ids)) for q, ids in LISTS.items())


def lines(path, *rows):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


def test_polyrank(distil, tmp_path):
    rows = [{"_id": q, "text": QUERIES[q], "pos": p, "neg": n} for q, (p, n) in LISTS.items()]
    passages = lines(tmp_path / "p.jsonl", *({"_id": i, "text": t} for i, t in TEXTS.items()))
    assert distil(lines(tmp_path / "q.jsonl", *rows), passages=passages) == WANTED


def test_flagembedding_without_passages_and_with_scores_that_are_not_used(distil, tmp_path, capsys):
    rows = [
        {"query": QUERIES[q], "pos": [TEXTS[p]], "neg": [TEXTS[n]], "pos_scores": [1.0],
         "neg_scores": [0.0]}
        for q, (p, n) in LISTS.items()
    ]  # fmt: skip
    assert distil(lines(tmp_path / "q.jsonl", *rows)) == WANTED
    assert "the scores in 2 rows are not used" in capsys.readouterr().err


def test_margin_tsv(distil, tmp_path):
    rows = [f"9\t1\t{q}\t{p}\t{n}" for q, (p, n) in LISTS.items()]
    found = distil(
        lines(tmp_path / "margins.tsv", *rows),
        passages=lines(tmp_path / "p.tsv", *(f"{i}\t{t}" for i, t in TEXTS.items())),
        query_texts=lines(tmp_path / "q.tsv", *(f"{i}\t{t}" for i, t in QUERIES.items())),
    )
    assert found == WANTED


def test_datasets_by_columns(distil, tmp_path):
    from datasets import Dataset

    rows = {
        "question": list(QUERIES.values()),
        "good": [TEXTS[p] for p, _ in LISTS.values()],
        "bad": [TEXTS[n] for _, n in LISTS.values()],
    }
    Dataset.from_dict(rows).save_to_disk(tmp_path / "rows")
    columns = {"query": "question", "pos": "good", "neg": "bad"}
    assert distil(str(tmp_path / "rows"), columns=columns) == WANTED


def test_a_malformed_row_stops_before_phase_1(distil, tmp_path):
    path = lines(tmp_path / "q.jsonl", {"query": "ice", "pos": []})
    with pytest.raises(DataError, match="q.jsonl:1"):
        distil(path)
    with pytest.raises(UsageError, match="go with --queries"):
        distil(None, query_texts=path)
    assert not (tmp_path / "small.work").exists()


def test_scores_in_the_rows_reach_the_loss(distil, tmp_path, monkeypatch):
    seen = []
    real = module.DistilledRankingLoss.__call__

    def kept(self, model, batch):
        seen.append(batch)
        return real(self, model, batch)

    monkeypatch.setattr(module.DistilledRankingLoss, "__call__", kept)
    rows = [
        {"_id": q, "text": QUERIES[q], "pos": p, "neg": [n], "pos_score": 7, "neg_scores": [-2]}
        for q, (p, n) in LISTS.items()
    ]
    passages = lines(tmp_path / "p.jsonl", *({"_id": i, "text": t} for i, t in TEXTS.items()))
    path = lines(tmp_path / "q.jsonl", *rows)
    distil(path, passages=passages, row_scores=True)
    assert seen[0]["teacher"].tolist() == [[7.0, -2.0]] * 2
    card = json.loads((tmp_path / "small" / "distilled.json").read_text())
    assert card["recipe"]["ranking"]["targets"] == "the scores in the rows"
    unscored = lines(tmp_path / "u.jsonl", {k: v for k, v in rows[0].items() if "score" not in k})
    with pytest.raises(DataError, match="u.jsonl:1"):
        distil(unscored, passages=passages, row_scores=True)
