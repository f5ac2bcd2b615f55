"""The command line with masks, alone and mixed with adapters."""

import pytest


@pytest.fixture
def asked(tiny, mask_zoo, tiny_zoo, monkeypatch, tmp_path):
    """rerank with one query and three passages, over both zoos."""
    import os

    monkeypatch.setenv("POLYRANK_ZOO", os.pathsep.join([str(mask_zoo), str(tiny_zoo)]))
    (tmp_path / "passages.txt").write_text("water boils\nthe river is long\nsalt\n")
    return [
        *("rerank", *tiny, "--query", "su kaynar", "--passages", tmp_path / "passages.txt"),
        *("--query-language", "tr", "--document-language", "en"),
    ]


def scores(result):
    assert result.exit_code == 0, result.stderr
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert {row[3] for row in rows} == {"water boils", "the river is long", "salt"}
    return {row[2]: float(row[1]) for row in rows}


def test_masks_and_mixtures(asked, polyrank):
    options = [
        ["--kind", "mask"],
        ["--kind", "mask", "--routing", "both"],
        ["--kind", "mask", "--routing", "both", "--ranking-kind", "adapter"],
        ["--kind", "adapter", "--ranking-kind", "mask"],
        ["--kind", "adapter"],
    ]
    found = [scores(polyrank(*asked, *o)) for o in options]
    for place, one in enumerate(found):
        assert all(one != other for other in found[:place])
    default = scores(polyrank(*asked, "--kind", "mask", "--routing", "document"))
    assert found[0] == default


def test_what_masks_cannot_do_is_one_message(asked, polyrank):
    result = polyrank(*asked, "--kind", "mask", "--routing", "split")
    assert result.exit_code == 2 and "masks cannot be routed 'split'" in result.stderr
    result = polyrank(*asked, "--kind", "adapter", "--ranking-kind", "mask", "--routing", "both")
    assert result.exit_code == 2 and "adapters cannot be routed 'both'" in result.stderr


def test_search_takes_them_too(source, asked, tiny, polyrank):
    arguments = ["search", *source, *tiny, "--first-stage", "bm25", "--json"]
    masks = polyrank(*arguments, "--kind", "mask", "--routing", "both")
    mixed = polyrank(*arguments, "--kind", "mask", "--ranking-kind", "adapter")
    assert masks.exit_code == mixed.exit_code == 0, masks.stderr + mixed.stderr
    assert masks.stdout != mixed.stdout != ""


def test_resume_refuses_another_kind_of_ranking_module(
    source, asked, tiny, polyrank, files, monkeypatch
):
    from polyrank import Reranker

    run, output, score = files / "first.trec", files / "out.trec", Reranker.score
    polyrank("search", *source, *tiny, "--no-rerank", "--output", run)
    arguments = ["rerank", *source, *tiny, "--run", run, "--output", output, "--kind", "mask"]
    left = [2]

    def stops(self, pairs):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return score(self, pairs)

    monkeypatch.setattr(Reranker, "score", stops)
    assert polyrank(*arguments).exit_code == 130
    monkeypatch.setattr(Reranker, "score", score)
    refused = polyrank(*arguments, "--resume", "--ranking-kind", "adapter")
    assert refused.exit_code == 2
    assert "ranking-kind was 'mask' and is now 'adapter'" in refused.stderr
    finished = polyrank(*arguments, "--resume")
    assert finished.exit_code == 0 and "2 queries were already there" in finished.stderr
