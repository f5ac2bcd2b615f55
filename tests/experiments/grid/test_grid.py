"""A grid: its file, its blocks by hand, and a tiny one from training to the report."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from polyrank.base.card import BaseCard, read_base_card, write_base_card
from polyrank.errors import DataError, UsageError
from polyrank.experiments.grid.binding import bind
from polyrank.experiments.grid.report import by_block, markdown, name_of, write_report
from polyrank.experiments.grid.run import run_grid, start_of, teacher_scores
from polyrank.experiments.grid.specification import Backbone, read_grid
from polyrank.experiments.grid.tasks import Tasks
from polyrank.experiments.grid.transfers import mixed
from polyrank.locks import locked
from polyrank.training.examples.rows import read_rows

SHIPPED = sorted((Path(__file__).parents[3] / "experiments/grids").glob("*.yaml"))
FILE = """\
title: A test
data: {queries: rows.jsonl, passages: passages.jsonl}
backbones: {one: %s, two: {base: %s, start: random}}
losses: [infonce, margin-mse, ranknet]
seeds: [1, 2]
train: {kind: adapter, steps: 1, batch_queries: 2, negatives: 1, length: 48}
evaluate: {source: "%s", pairs: [[en, en]], queries: 3, depth: 3, measure: nDCG@3}
"""
WORDS = ["water boils", "a long river", "old iron", "white salt"]


@pytest.fixture
def grid(tiny_bert, tmp_path, monkeypatch):
    """The file of a grid over rows that have scores, and a collection in the same folder."""
    monkeypatch.chdir(tmp_path)
    passages = [{"_id": f"d{i}", "text": f"{words} here"} for i, words in enumerate(WORDS)]
    Path("passages.jsonl").write_text("\n".join(map(json.dumps, passages)))
    rows = [
        {"_id": f"q{i}", "text": words, "pos": f"d{i}", "neg": f"d{i - 1}" if i else "d3",
         "pos_score": 2 + i, "neg_scores": [i]}
        for i, words in enumerate(WORDS)
    ]  # fmt: skip
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(Path("passages.jsonl").read_text())
    asked = [{"_id": row["_id"], "text": row["text"]} for row in rows]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, asked)))
    qrels = "".join(f"q{i}\td{i}\t1\n" for i in range(len(WORDS)))
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + qrels)
    path = tmp_path / "grid.yaml"
    path.write_text(FILE % (tiny_bert, tiny_bert, folder))
    return path


def test_blocks_and_table_by_hand(grid):
    found = read_grid(grid)
    assert len(found.cells()) == 12 and found.losses == ("infonce", "margin_mse", "ranknet")
    assert found.cells()[0].folder == "one/cross-encoder/infonce/1"
    (task,) = found.tasks()
    height = {"infonce": 0.6, "margin_mse": 0.5, "ranknet": 0.4}
    values = {
        cell: {task.name: height[cell.loss] + 0.02 * (cell.seed == 2) + 0.1 * cell.backbone.random}
        for cell in found.cells()
    }
    columns = by_block(found, values)
    assert columns["infonce"] == pytest.approx([0.61, 0.71])  # a backbone each, mean over seeds
    from polyrank.evaluation.friedman import rank_test

    text = markdown(found, values, rank_test(columns), {"en→en": 0.5, "tr→en": 0.25})
    assert "BM25's own order has 0.375." in text
    assert "| infonce | 0.610 ± 0.010 | 0.710 ± 0.010 | 1.00 |" in text
    # three losses in the same order in two blocks: χ² = 12 · 2 · Σ (r − 2)² / (3 · 4) = 4
    assert "Friedman over 2 blocks (backbone × pair): χ² = 4.00" in text


@pytest.mark.slow
def test_from_training_to_the_report(grid, tmp_path):
    told = []
    wanted = read_grid(grid)
    found = run_grid(wanted, tmp_path / "w", told.append)
    assert len(found) == 12 and told[0].startswith("1/12 one/cross-encoder/infonce/1: ")
    write_report(wanted, found, tmp_path / "o")
    record = json.loads((tmp_path / "o/results.json").read_text())
    assert len(record["cells"]) == 12 and record["ranks"]["blocks"] == 2
    assert set(record["BM25"]) == {task.name for task in wanted.tasks()}
    (values,) = (tmp_path / "w/cells/two/cross-encoder/infonce").glob("1/values.json")
    before = values.stat().st_mtime_ns
    assert run_grid(wanted, tmp_path / "w", told.append) == found  # nothing is done again
    assert values.stat().st_mtime_ns == before
    edited(grid, "steps: 1", "steps: 4")
    with pytest.raises(UsageError, match="train: steps was 1 and is now 4"):
        run_grid(read_grid(grid), tmp_path / "w")


def bound(grid, work):
    found = read_grid(grid)
    bind(found, Tasks(found), work)


def edited(grid, old, new):
    assert old in grid.read_text()
    grid.write_text(grid.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps: 1", "steps: 4", "train: steps was 1 and is now 4"),
        ("queries: 3", "queries: 2", "evaluate: queries was 3 and is now 2"),
        ("depth: 3", "depth: 2", "evaluate: depth was 3 and is now 2"),
        ("nDCG@3", "RR", 'evaluate: measure was "nDCG@3" and is now "RR"'),
        ("start: random", "start: pretrained", "two: random was true and is now false"),
        (
            "passages.jsonl}",
            "passages.jsonl, base: BASE, teacher: bm25}",
            "data: teachers was .* now",
        ),
        (
            "passages.jsonl}",
            "passages.jsonl, base: BASE, mine: 1}",
            "data: mine was 0 and is now 1",
        ),
        (
            "passages.jsonl}",
            "passages.jsonl, questions: 3}",
            "data: questions was null and is now 3",
        ),
    ],
)
def test_a_work_folder_of_other_settings_is_refused(grid, tiny_bert, tmp_path, old, new, message):
    work = tmp_path / "w"
    bound(grid, work)
    bound(grid, work)  # the same again
    edited(grid, old, new.replace("BASE", str(tiny_bert)))
    with pytest.raises(UsageError, match=rf"{message}(?s:.*)rm -r {work}\n"):
        bound(grid, work)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("rows.jsonl", "data: queries was"),
        ("passages.jsonl", "data: passages was"),
        ("beir/corpus.jsonl", "en→en: documents was"),
        ("beir/queries.jsonl", "en→en: queries was"),
        ("beir/qrels/test.tsv", "en→en: judgements was"),
    ],
)
def test_a_work_folder_of_other_data_is_refused(grid, tmp_path, file, message):
    bound(grid, tmp_path / "w")
    path = tmp_path / file
    text = path.read_text()
    new = text.replace("\t1\n", "\t2\n") if path.suffix == ".tsv" else text.replace("old", "odd")
    path.write_text(new)
    with pytest.raises(UsageError, match=message):
        bound(grid, tmp_path / "w")


def test_what_is_trained_again_is_another_base_or_teacher(grid, tiny_bert, tmp_path):
    """Under the same name: other weights, another card, another teacher's weights."""
    from safetensors.torch import load_file, save_file

    base, teacher = tmp_path / "own" / "base", tmp_path / "teacher"
    shutil.copytree(tiny_bert, base)
    shutil.copytree(tiny_bert, teacher)
    grid.write_text(grid.read_text().replace(str(tiny_bert), str(base)))
    edited(grid, "passages.jsonl}", f"passages.jsonl, base: {base}, teacher: {teacher}}}")
    bound(grid, tmp_path / "w")
    bound(grid, tmp_path / "w")

    def moved(folder):
        weights = load_file(folder / "model.safetensors")
        name = "encoder.layer.0.output.dense.weight"
        weights[name] = weights[name] + 1
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    moved(teacher)
    with pytest.raises(UsageError, match="data: teacher weights: .*teacher was .* is now") as told:
        bound(grid, tmp_path / "w")
    assert "backbones" not in str(told.value)
    bound(grid, tmp_path / "w2")
    write_base_card(BaseCard(query_prefix="ask: "), base)
    with pytest.raises(UsageError, match="backbones: one: prefixes was .* is now"):
        bound(grid, tmp_path / "w2")
    bound(grid, tmp_path / "w3")
    moved(base)
    with pytest.raises(UsageError, match="backbones: two: weights was .* is now") as told:
        bound(grid, tmp_path / "w3")
    assert "data: base facts: weights was" in str(told.value)


def test_a_grid_grows_by_seeds_losses_and_students(grid, tmp_path):
    bound(grid, tmp_path / "w")
    edited(grid, "seeds: [1, 2]", "seeds: [1, 2, 3]\nstudents: [cross-encoder, late-interaction]")
    edited(grid, "ranknet", "ranknet, adr_mse")
    bound(grid, tmp_path / "w")


def test_parts_of_a_transfer_are_bound(grid, tmp_path):
    part = "{queries: rows.jsonl, passages: passages.jsonl%s}"
    edited(grid, part % "", "{}\ntransfers: {one: %s}" % (part % ", share: 0.5"))
    bound(grid, tmp_path / "w")
    edited(grid, "share: 0.5", "share: 0.25")
    with pytest.raises(UsageError, match="one: part 1: share was 0.5 and is now 0.25"):
        bound(grid, tmp_path / "w")


def test_wrong_data_binds_nothing_and_what_nobody_bound_is_refused(grid, tmp_path):
    rows = Path("rows.jsonl").read_text()
    Path("rows.jsonl").write_text("{}")
    with pytest.raises(DataError):
        bound(grid, tmp_path / "w")
    Path("rows.jsonl").write_text(rows)
    bound(grid, tmp_path / "w")
    (tmp_path / "old/cells").mkdir(parents=True)
    with pytest.raises(UsageError, match="holds cells, and no grid.json says what"):
        bound(grid, tmp_path / "old")


def test_one_process_writes_in_a_work_folder(grid, tmp_path, monkeypatch):
    from polyrank import locks

    with locked(tmp_path / "w", inside=True):
        monkeypatch.setattr(locks, "_held", set())  # as another process
        with pytest.raises(UsageError, match="is being written by another process"):
            run_grid(read_grid(grid), tmp_path / "w")


def test_transfers_mix_rows_of_two_languages(grid, tmp_path):
    """All rows of the one, half of the other, under ids of their own; scores stay."""
    part = "{queries: rows.jsonl, passages: passages.jsonl%s}"
    text = grid.read_text().replace(part % "", "{}")
    both = f"[{part % ''}, {part % ', share: 0.5'}]"
    grid.write_text(text + f"transfers: {{one: {part % ''}, both: {both}}}\n")
    found = read_grid(grid)
    assert len(found.cells()) == 24 and found.cells()[-1].folder.startswith("both/two/")
    one, both = found.transfers
    rows, passages = mixed(both.parts, tmp_path / "mixed")
    read = [json.loads(line) for line in rows.read_text().splitlines()]
    assert [row["_id"][:2] for row in read] == ["1."] * 4 + ["2."] * 2
    assert read[1] | {"answers": []} == {
        "_id": "1.q1", "text": WORDS[1], "pos": ["1.d1"], "neg": ["1.d0"], "answers": [],
        "pos_scores": [3.0], "neg_scores": [1.0], "language": "en",
    }  # fmt: skip
    assert len(passages.read_text().splitlines()) == 8
    assert name_of(found, found.cells()[0].treatment) == "one, infonce"
    text = grid.read_text()
    for wrong, message in (
        ("share: 2", "'share' is a number above 0 and up to 1, not 2"),
        ("language: xx1", r"grid.yaml:\d+: .*xx1"),
    ):
        grid.write_text(text.replace("share: 0.5", wrong))
        with pytest.raises(DataError, match=message):
            read_grid(grid)


@pytest.mark.parametrize("tiny_folder", ["tiny_bert"], indirect=True, scope="session")
def test_a_teacher_scores_each_part_in_its_language(
    grid, tiny_bert, tiny_base, tiny_zoo, tmp_path, monkeypatch
):
    """As a reranker does that is told the language; under the source's the scores are others."""
    from polyrank.rerankers.modular import ModularReranker

    monkeypatch.setenv("POLYRANK_ZOO", str(tiny_zoo))
    part = "{queries: rows.jsonl, passages: passages.jsonl%s}"
    both = f"[{part % ''}, {part % ', language: TR'}]"
    data = f"{{teacher: squad, base: {tiny_bert}}}"
    edited(grid, part % "", f"{data}\ntransfers: {{both: {both}}}")
    found = read_grid(grid)
    queries, passages = mixed(found.transfers[0].parts, tmp_path / "mixed")
    written = [json.loads(line)["language"] for line in passages.read_text().splitlines()]
    assert written == ["en"] * 4 + ["tr"] * 4
    teaching = replace(found.teaching, queries=queries, passages=passages)
    rows, _ = teacher_scores(teaching, tmp_path / "w")
    scores = {row["_id"]: row["pos_scores"] for row in map(json.loads, rows.open())}
    assert len(scores) == 8
    reranker = ModularReranker(tiny_base, "squad", zoo=tiny_zoo)
    for name, language in (("1.q1", "en"), ("2.q1", "tr")):
        (hit,) = reranker.rank(WORDS[1], [f"{WORDS[1]} here"], language, language)
        assert scores[name] == pytest.approx([hit.score], abs=1e-5)
    assert scores["1.q1"] != pytest.approx(scores["2.q1"], abs=1e-5)


def test_only_so_many_questions_are_learned_from(grid, tmp_path):
    """Also where nobody teaches, and of rows that carry their texts."""
    edited(grid, "passages.jsonl}", "passages.jsonl, questions: 2}")
    teaching = read_grid(grid).teaching
    rows, passages = teacher_scores(teaching, tmp_path)
    given, _ = read_rows("rows.jsonl", "passages.jsonl")
    taken, _ = read_rows(rows, passages)
    assert len(taken) == 2 and all(one in given for one in taken)
    texts = [{"query": words, "pos": [f"{words} here"], "neg": ["no"]} for words in WORDS]
    Path("texts.jsonl").write_text("\n".join(map(json.dumps, texts)))
    carrying = replace(teaching, queries=Path("texts.jsonl"), passages=None)
    taken, documents = read_rows(*teacher_scores(carrying, tmp_path / "texts"))
    assert len(taken) == 2
    for one in taken:
        assert documents[one.positives[0]].text == f"{one.query.text} here"
    everything = replace(teaching, questions=None)
    assert teacher_scores(everything, tmp_path) == (teaching.queries, teaching.passages)


def test_a_random_start_reads_as_its_base(tiny_bert, tmp_path):
    """Its card, but for the fingerprint, which is of other weights."""
    from polyrank.base import fingerprint_of, load_base
    from polyrank.base.card import stored_as

    like = tmp_path / "like" / "base"
    shutil.copytree(tiny_bert, like)
    own = fingerprint_of(load_base(str(like)).model, load_base(str(like)).tokenizer)
    card = BaseCard("ask: ", "tell: ", "first", 62, True, "MIT", {"from": "here"})
    stored = {"fingerprint": (own.weights, own.vocabulary), "stored": stored_as(like)}
    write_base_card(replace(card, **stored), like)
    start = start_of(Backbone("new", str(like), random=True), tmp_path)
    assert read_base_card(start) == card
    assert load_base(start).fingerprint.weights != own.weights


def test_a_random_start_has_the_shape_and_no_weights(tiny_bert, tmp_path):
    import torch

    from polyrank.base import load_base

    backbone = Backbone("new", str(tiny_bert), random=True)
    start = load_base(start_of(backbone, tmp_path)).model
    like = load_base(str(tiny_bert)).model
    weight = "encoder.layer.0.output.dense.weight"
    ours, theirs = start.state_dict()[weight], like.state_dict()[weight]
    assert ours.shape == theirs.shape and not torch.allclose(ours, theirs)


def test_a_random_start_that_is_cut_leaves_nothing(tiny_bert, tmp_path, monkeypatch):
    """The weights are written before the tokenizer; without it the folder is no base."""
    from transformers import PreTrainedTokenizerBase

    def killed(self, folder):
        raise KeyboardInterrupt

    backbone = Backbone("new", str(tiny_bert), random=True)
    with monkeypatch.context() as patch:
        patch.setattr(PreTrainedTokenizerBase, "save_pretrained", killed)
        with pytest.raises(KeyboardInterrupt):
            start_of(backbone, tmp_path)
    assert not list(tmp_path.glob("backbones/new/*"))
    assert (Path(start_of(backbone, tmp_path)) / "tokenizer.json").is_file()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("margin-mse", "hinges", "unknown loss 'hinges'"),
        ("losses:", "students: [dot]\nlosses:", "unknown student 'dot'; use one of cross-encoder"),
        ("start: random", "start: new", "'start' is 'new'"),
        ("seeds: [1, 2]", "seeds: [-1]", "'seeds' must be a whole number"),
        ("[[en, en]]", "[[en]]", "a pair is"),
        ("[[en, en]]", "[[en, en], [EN, en]]", "this pair of languages stands twice"),
        ("[[en, en]]", "[[xx1, en]]", "xx1"),
        ("passages.jsonl}", "passages.jsonl, source: xx1}", "xx1"),
        ("steps: 1", "rate: 0", "'rate' is a number above 0"),
        ("steps: 1", "rate: .nan", "'rate' is a number above 0"),
        ("steps: 1", "rate: .inf", "'rate' is a number above 0"),
        ("passages.jsonl}", "passages.jsonl, base: e5-small}", "'base' mines negatives and serves"),
        ("passages.jsonl}", "passages.jsonl, teacher_scale: z-score}", "'teacher_scale' is of a"),
        ("nDCG@3", "nDGC@3", "unknown measure 'nDGC@3'"),
        ("nDCG@3", "PEER@3", "'PEER@3' is of lists in several languages"),
        ("kind: adapter", "kind: adaptr", "'adaptr' cannot be trained for the role 'ranking'; use"),
        (
            "train: {kind: adapter",
            "students: [cross-encoder, multi-view]\ntrain: {kind: mask",
            "'mask' cannot be trained for the role 'multi-view'",
        ),
        ("one:", "Two:", r"the names 'two' and 'Two' \(line 3\) are the same as names of files"),
        ("margin-mse", "infonce", r"'infonce' stands twice, on line 4 too"),
        ("ranknet", "margin_mse", "'margin_mse' stands twice"),
        ("[1, 2]", "[1, 2, 1]", "'1' stands twice"),
        ("losses:", "students: [multi-view, multi-view]\nlosses:", "'multi-view' stands twice"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(grid, old, new, message):
    edited(grid, old, new)
    with pytest.raises(DataError, match=rf"grid.yaml:\d+: .*{message}"):
        read_grid(grid)


def test_transfers_that_share_a_folder_are_refused(grid):
    part = "{queries: rows.jsonl, passages: passages.jsonl}"
    edited(grid, part, f"{{}}\ntransfers: {{10 %: {part}, '10': {part}}}")
    with pytest.raises(DataError, match="the names '10' and '10 %' .* the same as names of files"):
        read_grid(grid)


def test_a_measure_goes_by_its_canonical_name(grid):
    edited(grid, "nDCG@3", "MRR@3")
    assert read_grid(grid).measure == "RR@3"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_is_read(path):
    count = {"distillation-losses": 30, "students": 4, "transfer": 10}[path.stem]
    assert len(read_grid(path).cells()) == count
