"""Runs of a small experiment: what is kept, what a kill loses, what is refused."""

import json

import numpy as np
import pytest

from polyrank.collections.load import load_collection
from polyrank.collections.records import ScoredDocument
from polyrank.collections.trec import read_run
from polyrank.errors import ModuleError, UsageError
from polyrank.evaluation.significance import holm, randomisation_test
from polyrank.experiments.experiment import REPORTS, chosen, run_experiment
from polyrank.experiments.reader import read_specification
from polyrank.experiments.runner import Runner, with_rest
from polyrank.experiments.sampling import spread
from polyrank.experiments.store import open_scores


def run(path, folder, **options):
    lines = []
    found = run_experiment(path, folder / "w", folder / "o", tell=lines.append, **options)
    return found, lines


def runs_of(folder):
    return {
        p.relative_to(folder): p.read_bytes() for p in sorted((folder / "w/runs").rglob("*.trec"))
    }


def test_a_whole_experiment(small, tmp_path, beir, tiny_base, tiny_zoo):
    results, lines = run(small, tmp_path)
    assert len(lines) == 2 and sorted(p.name for p in (tmp_path / "o").iterdir()) == sorted(REPORTS)
    # Scores are those of the reranker itself, called on the same candidates.
    from polyrank import Reranker

    texts = load_collection(str(beir), queries="tr", documents="en")
    first = read_run(tmp_path / "w/runs/bm25/small.tr.en.trec")
    got = read_run(tmp_path / "w/runs/adapters-split/small.tr.en.trec")
    expected = Reranker(tiny_base, routing="split", max_length=48, zoo=tiny_zoo).rerank(
        texts, {q: hits[:3] for q, hits in first.items()}
    )
    assert len(got) == 3
    for query, hits in expected.items():
        assert [h.document_id for h in got[query]] == [h.document_id for h in hits]
        assert np.allclose([h.score for h in got[query]], [h.score for h in hits], atol=1e-5)
    # A weight of 1 is the reranker's order, a weight of 0 the first stage's.
    for weight, like in (("1", got), ("0", {q: first[q][:3] for q in got})):
        mixed = read_run(tmp_path / f"w/runs/mixed-{weight}/small.tr.en.trec")
        assert {q: [h.document_id for h in hits] for q, hits in mixed.items()} == {
            q: [h.document_id for h in hits] for q, hits in like.items()
        }
    # Values per query, one line each, and the table's mean is theirs, topic by topic.
    rows = [line.split("\t") for line in (tmp_path / "o/values.tsv").read_text().splitlines()]
    assert rows[0][-2:] == ["nDCG@3", "RR"] and len(rows) == 1 + 10 * 2 * 3
    by_topic = {}
    for row in rows[1:]:
        if row[0] == "dense":
            by_topic.setdefault(row[4], []).append(float(row[5]))
    mean = np.mean([np.mean(v) for v in by_topic.values()])
    assert results["means"]["dense"]["small"]["nDCG@3"] == pytest.approx(mean, abs=1e-4)
    assert results["groups"]["small"]["topics"] == len(by_topic)


def test_a_modular_search_is_dense_retrieval_under_language_modules(
    carded_base, tiny_base, tiny_zoo, beir, written, monkeypatch, tmp_path
):
    from polyrank.experiments import stages
    from polyrank.index.dense import Dense
    from polyrank.index.modular_dense import ModularDense

    monkeypatch.setattr(stages, "load_base", lambda name: carded_base)
    monkeypatch.setenv("POLYRANK_ZOO", str(tiny_zoo))
    path = written(f"""\
title: A test
search_depth: 6
defaults: {{base: {tiny_base.name}, max_length: 48}}
collections: {{small: {{source: {beir}, pairs: [[tr, en], [de, en]], queries: 3}}}}
systems:
  dense: {{search: dense}}
  modular: {{search: modular}}
  no masks: {{search: modular, language_kind: mask, fallback: none}}
  adapters: {{rerank: adapter, over: modular, depth: 2}}
""")
    results, _ = run(path, tmp_path)
    texts = load_collection(str(beir), queries="tr", documents="en")
    index = ModularDense(texts.documents.values(), carded_base, zoo=tiny_zoo, max_length=48)
    plain = Dense(texts.documents.values(), carded_base, max_length=48)  # there are no masks
    for name, like in (("modular", index), ("no-masks", plain)):
        got = read_run(tmp_path / f"w/runs/{name}/small.tr.en.trec")
        assert len(got) == 3
        for query, hits in like.search([texts.queries[q] for q in got], 6).items():
            scores = {hit.document_id: hit.score for hit in got[query]}
            assert scores == pytest.approx({h.document_id: h.score for h in hits}, abs=1e-5)
    assert results["systems"]["modular"]["module parameters"] > 0
    assert results["systems"]["no masks"]["module parameters"] == 0
    bound = json.loads((tmp_path / "w/searches/modular/small.de.en.json").read_text())["binding"]
    assert {name.split("/")[-1] for name in bound["modules"]} == {"de", "en"}


def test_tests_are_by_topic_and_corrected_together(small, tmp_path):
    results, _ = run(small, tmp_path)
    rows = [line.split("\t") for line in (tmp_path / "o/values.tsv").read_text().splitlines()[1:]]

    def topics(system):
        found = {}
        for row in rows:
            if row[0] == system:
                found.setdefault(row[4], []).append(float(row[5]))
        return [np.mean(found[topic]) for topic in sorted(found)]

    assert len(results["tests"]) == 4
    ps = [
        randomisation_test(topics(t["system"]), topics(t["baseline"]), seed=7)
        for t in results["tests"]
    ]
    assert [t["p"] for t in results["tests"]] == pytest.approx(ps, abs=1e-4)
    assert [t["p_holm"] for t in results["tests"]] == pytest.approx(holm(ps), abs=1e-4)
    assert {r["routing"] for r in results["routings"]} == {"query", "split"}


def test_a_pair_is_scored_once_for_all_systems(small, tmp_path, monkeypatch):
    from polyrank import Reranker

    asked, score = [], Reranker.score

    def counting(self, pairs):
        asked.append([(self.routing, q.id, q.language, d.id) for q, d in pairs])
        return score(self, pairs)

    monkeypatch.setattr(Reranker, "score", counting)
    run(small, tmp_path)
    real = [one for pairs in asked for one in pairs if len(pairs) > 1]
    assert len(real) == len(set(real))  # depths 2 to 4, three weights: no pair twice
    asked.clear()
    run(small, tmp_path)
    assert not asked  # everything is kept


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    "calls", [6, *(pytest.param(count, marks=pytest.mark.slow) for count in (1, 3, 9))]
)
def test_a_kill_loses_nothing_that_was_done(small, tmp_path, monkeypatch, calls):
    from polyrank import Reranker

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(small, whole)
    count, score = 0, Reranker.score

    def dying(self, pairs):
        nonlocal count
        count += 1
        if count > calls:
            raise Killed
        return score(self, pairs)

    with monkeypatch.context() as patch:
        patch.setattr(Reranker, "score", dying)
        with pytest.raises(Killed):
            run(small, broken)
    for path in (broken / "w/scores").rglob("*.jsonl"):  # and the last write was cut
        path.write_bytes(path.read_bytes() + b'{"seconds": 0.1, "scores": {"q0": {"d')
    run(small, broken)
    assert runs_of(broken) == runs_of(whole)


def test_other_settings_are_refused(small, tmp_path):
    run(small, tmp_path)
    small.write_text(small.read_text().replace("max_length: 48", "max_length: 40"))
    with pytest.raises(UsageError, match=r"max_length was 48 and is now 40(.|\n)*--work"):
        run(small, tmp_path)


def test_another_module_is_refused(small, tmp_path, tiny_zoo, tiny_base, monkeypatch):
    import shutil

    zoo = tmp_path / "zoo"
    shutil.copytree(tiny_zoo, zoo)
    monkeypatch.setenv("POLYRANK_ZOO", str(zoo))
    run(small, tmp_path)
    card = zoo / tiny_base.name / "language/adapter/tr/polyrank.json"
    record = json.loads(card.read_text())
    record["files"]["adapter.safetensors"] = "0" * 64
    card.write_text(json.dumps(record))
    from polyrank.experiments import modules

    modules._files.cache_clear()
    with pytest.raises(UsageError, match="adapter.safetensors was"):
        run(small, tmp_path)


def test_other_texts_are_refused(small, tmp_path, beir):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(beir, copy)
    small.write_text(small.read_text().replace(str(beir), str(copy)))
    run(small, tmp_path)
    corpus = copy / "corpus.jsonl"
    corpus.write_text(corpus.read_text().replace("long river", "short river"))
    with pytest.raises(UsageError, match="documents was"):
        run(small, tmp_path)


def test_what_is_missing_stops_it_unless_optional(small, tmp_path):
    text = small.read_text() + ""
    bad = "  late: {search: late, ranking: nothing}\ncompare:"
    small.write_text(text.replace("compare:", bad))
    with pytest.raises(ModuleError, match=r"ranking adapter nothing(.|\n)*train late-interaction"):
        run(small, tmp_path)
    assert not (tmp_path / "w").exists()  # before anything ran
    small.write_text(text.replace("compare:", bad.replace("nothing}", "nothing, optional: true}")))
    results, _ = run(small, tmp_path)
    assert "not trained" in (tmp_path / "o/report.md").read_text()
    assert results["systems"]["late"]["missing"][0]["command"].startswith("polyrank train late")


def test_only_takes_what_a_system_is_over(small):
    specification = read_specification(small)
    assert [s.name for s in chosen(specification, ["deeper*"])] == [
        "BM25",
        "deeper, 2",
        "deeper, 4",
    ]
    with pytest.raises(UsageError, match="no system is called 'x'"):
        chosen(specification, ["x"])


def test_query_languages_and_collections_share_an_index(small, tmp_path):
    text = small.read_text()
    again = text[text.index("  small: ") : text.index("systems:")].replace("  small:", "  again:")
    small.write_text(text.replace("systems:", again + "systems:"))
    run(small, tmp_path, only=["dense"])
    assert len(list((tmp_path / "w/indexes").iterdir())) == 1  # four pairs, all over English


def test_a_late_index_is_not_of_a_query_language(small, tmp_path, monkeypatch):
    from polyrank.experiments.specification import System
    from polyrank.experiments.stages import Stages

    keys = []

    class Index:
        def search(self, queries, depth=100):
            return {q.id: [ScoredDocument(q.id, "d0", 1.0)] for q in queries}

    def searched(self, system, task, texts, bound):
        keys.append((task.queries, json.dumps(bound, sort_keys=True)))
        return Index()

    monkeypatch.setattr(Stages, "search", searched)
    specification = read_specification(small)
    late = System("late", search="late", base=specification.systems[0].base, ranking="squad",
                  routing="split", max_length=48)  # fmt: skip
    Runner(specification, [late], tmp_path / "w").run(lambda line: None)
    assert [language for language, _ in keys] == ["tr", "de"]
    assert len({bound for _, bound in keys}) == 1  # the modules of tr and de are not in it
    assert "/en" in keys[0][1]  # that of the documents is


def test_a_work_folder_is_for_one_process(small, tmp_path, held):
    with held(tmp_path / "w", inside=True), pytest.raises(UsageError, match="another process"):
        run(small, tmp_path)


def test_a_run_of_another_system(small, tmp_path):
    lines = "".join(f"q{i} Q0 d{i} 1 1.0 x\n" for i in range(6))
    for pair in ("tr-en", "de-en"):
        (tmp_path / f"small.{pair}.trec").write_text(lines)
    name = "{collection}.{queries}-{documents}.trec"
    row = f"  theirs: {{search: run, run: '{tmp_path}/{name}'}}\n"
    small.write_text(small.read_text().replace("compare:", row + "compare:"))
    results, _ = run(small, tmp_path, only=["theirs"])
    assert results["means"]["theirs"]["small"] == {"nDCG@3": 1.0, "RR": 1.0}
    (tmp_path / "small.de-en.trec").unlink()
    with pytest.raises(ModuleError, match=r"the run .*de-en.trec"):
        run(small, tmp_path, only=["theirs"])


def test_a_weight_is_chosen_on_the_development_collection_alone(small, tmp_path, beir):
    import shutil

    shutil.copytree(beir, tmp_path / "dev")
    text = small.read_text().replace(
        "systems:", f"development: {{source: {tmp_path}/dev, pairs: [[tr, en]]}}\nsystems:"
    )
    text = text.replace("weight: [0, 0.5, 1]", "weight: chosen").replace("mixed, {weight}", "mixed")
    small.write_text(text)
    results, _ = run(small, tmp_path, only=["mixed"])
    found = results["systems"]["mixed"]["chosen"]
    assert len(found["tried"]) == 11
    best = max(found["tried"].values())
    assert found["tried"][str(found["weight"])] == best
    assert "development" not in {row["collection"] for row in results["pairs"]}


def test_a_standalone_model(small, tmp_path, tiny_folder, beir):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(3)
    folder = tmp_path / "student"
    model = AutoModelForSequenceClassification.from_pretrained(tiny_folder, num_labels=1)
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    tokenizer.save_pretrained(folder)
    row = f"  student: {{rerank: model, model: {folder}, over: BM25}}\n"
    small.write_text(small.read_text().replace("compare:", row + "compare:"))
    results, _ = run(small, tmp_path, only=["student"])
    texts = load_collection(str(beir), queries="tr", documents="en")
    for query, hits in read_run(tmp_path / "w/runs/student/small.tr.en.trec").items():
        for hit in hits:
            pair = texts.queries[query].text, texts.documents[hit.document_id].full_text
            with torch.no_grad():
                logit = model.eval()(**tokenizer(*pair, return_tensors="pt")).logits.item()
            assert hit.score == pytest.approx(logit, abs=1e-5)
    assert results["systems"]["student"]["parameters"] == sum(p.numel() for p in model.parameters())


def test_samples_are_spread_and_differ_by_pair():
    whole = load_collection("ntrex", queries="tr", documents="en")
    samples = [set(spread(whole, 7, place).queries) for place in range(17)]
    assert all(len(sample) == 7 for sample in samples)
    assert len(set().union(*samples)) == 7 * 17  # 123 // 7 = 17 starting points, no topic twice
    assert spread(whole, None, 5).queries == whole.queries
    assert spread(whole, 500, 5).queries == whole.queries


def test_the_rest_follows_in_its_order():
    def hits(*pairs):
        return [ScoredDocument("q", d, s) for d, s in pairs]

    first = {"q": hits(("a", 9.0), ("b", 8.0), ("c", 7.0), ("d", 6.0))}
    run = with_rest({"q": hits(("b", -1.0), ("a", -2.0))}, first)
    assert [(h.document_id, h.score) for h in run["q"]] == [
        ("b", -1.0), ("a", -2.0), ("c", -3.0), ("d", -4.0),
    ]  # fmt: skip


def test_parameters_of_a_mask_are_those_of_the_base(small, tmp_path, mask_zoo, tiny_base):
    row = f"  masks: {{rerank: mask, routing: both, over: BM25, zoo: {mask_zoo}}}\n"
    small.write_text(small.read_text().replace("compare:", row + "compare:"))
    results, _ = run(small, tmp_path, only=["masks", "adapters, none", "adapters, split"])
    base = sum(p.numel() for p in tiny_base.model.parameters())
    systems = results["systems"]
    assert systems["masks"]["parameters"] == base < systems["adapters, none"]["parameters"]
    assert systems["adapters, none"]["parameters"] < systems["adapters, split"]["parameters"]
    assert systems["masks"]["module parameters"] > 0


def test_a_line_that_is_whole_but_wrong_is_named(tmp_path):
    from polyrank.errors import DataError

    path = tmp_path / "s.jsonl"
    open_scores(path, {"a": 1}).add({"q": {"d": 0.5}}, 0.1)
    assert open_scores(path, {"a": 1}).values == {"q": {"d": 0.5}}
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(DataError, match=r"s.jsonl:3"):
        open_scores(path, {"a": 1})


def test_runner_is_quiet_about_nothing(small, tmp_path):
    specification = read_specification(small)
    found = Runner(specification, specification.systems[:1], tmp_path / "w").run(lambda line: None)
    assert [cell.uncovered for cell in found.cells["BM25"].values()] == [0, 0]


def test_bm25_is_bound_to_the_base_whose_tokens_it_counts(tiny_bert, tiny_xlmr, tmp_path):
    from polyrank.experiments.specification import System
    from polyrank.experiments.stages import Stages

    def bound(analysis, base):
        return Stages(tmp_path).fingerprint(
            System("first", search="bm25", analysis=analysis, base=str(base))
        )

    assert bound("subwords", tiny_bert) == bound("subwords", tiny_bert)
    assert bound("subwords", tiny_bert) != bound("subwords", tiny_xlmr)
    assert bound("words", tiny_bert) is bound("stems", tiny_xlmr) is None
