"""Teachers: their means, their caches, and the rows that training sees."""

from __future__ import annotations

import json

import numpy as np
import pytest

from polyrank import Reranker
from polyrank.collections.records import Document, Query
from polyrank.errors import DataError, UsageError
from polyrank.rerankers.mean import averaged
from polyrank.training.examples import teachers
from polyrank.training.examples.negatives import Example, read_examples, write_examples
from polyrank.training.examples.teachers import check_teachers, scored_by

from ...late_interaction.conftest import late_zoo  # noqa: F401

DOCUMENTS = {i: Document(i, text, language="en") for i, text in {"a": "ice", "b": "sea"}.items()}
EXAMPLES = [
    Example(Query("q", "ice melts"), ("a",), ("b",)),
    Example(Query("r", "sea"), ("b",), ("a",)),
]


def test_means_by_hand():
    columns = [[0.0, 10.0, 5.0], [3.0, 1.0, 1.0]]
    assert averaged(columns) == (1.5, 5.5, 3.0)
    assert averaged(columns, "min-max") == (0.5, 0.5, 0.25)
    z = averaged(columns, "z-score")
    first, second = (np.array(c) for c in columns)
    expected = ((first - 5) / first.std() + (second - 5 / 3) / second.std()) / 2
    assert z == pytest.approx(expected)
    assert averaged([[2.0, 2.0]], "min-max") == averaged([[2.0, 2.0]], "z-score") == (0.0, 0.0)


def test_two_teachers_are_the_mean_of_their_rerankers(tiny_zoo, tiny_base, tmp_path):
    from polyrank import Reranker

    names = ("squad", str(tiny_zoo / tiny_base.name / "ranking/adapter/bare"))
    found = scored_by(names, EXAMPLES, DOCUMENTS, tiny_base, tmp_path, "en", tiny_zoo)
    for example in found:
        query = Query(example.query.id, example.query.text, "en")
        pairs = [(query, DOCUMENTS[i]) for i in example.candidates]
        both = [Reranker(tiny_base, n, zoo=tiny_zoo, device="cpu").score(pairs) for n in names]
        assert example.teacher == pytest.approx(np.mean(both, axis=0), abs=1e-5)


def test_a_killed_scoring_goes_on(tiny_zoo, tiny_base, tmp_path, monkeypatch):
    arguments = (("squad",), EXAMPLES, DOCUMENTS, tiny_base)
    whole = scored_by(*arguments, _folder(tmp_path / "whole"), "en", tiny_zoo)
    work, asked = _folder(tmp_path / "halves"), []
    score = Reranker.score

    def killed(self, pairs):
        asked.append(pairs[0][0].id)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return score(self, pairs)

    monkeypatch.setattr(Reranker, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        scored_by(*arguments, work, "en", tiny_zoo)
    with (work / "teacher-0.jsonl").open("a") as file:
        file.write('{"id": "r", "sco')  # what a kill may leave
    assert scored_by(*arguments, work, "en", tiny_zoo) == whole
    assert asked == ["q", "r", "r"]  # q was not scored again
    scored_by(*arguments, work, "en", tiny_zoo)
    assert asked == ["q", "r", "r"]
    with pytest.raises(UsageError, match="another teacher"):
        scored_by(("bare",), EXAMPLES, DOCUMENTS, tiny_base, work, "en", tiny_zoo)


def test_a_composition_is_a_teacher(tiny_zoo, tiny_base, tmp_path, monkeypatch):
    from polyrank import Reranker
    from polyrank.composition.plan import compose
    from polyrank.composition.saved import saved

    plan = compose(tiny_base, "squad", "en", "en", routing="split", kind="adapter", zoo=tiny_zoo)
    saved(plan, str(tiny_base.folder), tiny_zoo).write(tmp_path / "plan.json")
    (found, _) = scored_by(
        (str(tmp_path / "plan.json"),), EXAMPLES, DOCUMENTS, tiny_base, tmp_path, "en", tiny_zoo
    )
    expected = Reranker(tiny_base, "squad", zoo=tiny_zoo, device="cpu").score(
        [(Query("q", "ice melts", "en"), DOCUMENTS[i]) for i in "ab"]
    )
    assert found.teacher == pytest.approx(expected, abs=1e-6)


def test_late_interaction_is_a_teacher(late_zoo, tiny_base, tmp_path):  # noqa: F811
    from polyrank import LateInteraction

    found = scored_by(("li",), EXAMPLES, DOCUMENTS, tiny_base, tmp_path, "en", late_zoo)
    model = LateInteraction(
        tiny_base, "li", zoo=late_zoo, fallback="none", document_length=256, device="cpu"
    )
    for example in found:
        query = Query(example.query.id, example.query.text, "en")
        expected = model.score([(query, DOCUMENTS[i]) for i in example.candidates])
        assert example.teacher == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("layout", ["tiny_bert", "tiny_xlmr"])
def test_any_cross_encoder_is_a_teacher(layout, request, tiny_bert, cross_encoder, tmp_path):
    """Its scores are those that the library's own model gives each pair."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from polyrank.base import load_base

    folder = cross_encoder(request.getfixturevalue(layout), tmp_path / "judge")
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    student = load_base(str(tiny_bert))
    for example in scored_by((str(folder),), EXAMPLES, DOCUMENTS, student, tmp_path, "en"):
        texts = [DOCUMENTS[i].full_text for i in example.candidates]
        for text, found in zip(texts, example.teacher, strict=True):
            with torch.no_grad():
                inputs = tokenizer(example.query.text, text, return_tensors="pt")
                assert found == pytest.approx(float(model(**inputs).logits), abs=1e-5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    model.save_pretrained(folder)  # other weights of the same name
    with pytest.raises(UsageError, match="other weights"):
        scored_by((str(folder),), EXAMPLES, DOCUMENTS, student, tmp_path, "en")


def test_what_is_neither_a_module_nor_a_cross_encoder(tiny_bert, tmp_path, monkeypatch):
    from polyrank.base import load_base
    from polyrank.errors import HubError, ModuleError

    student = load_base(str(tiny_bert))
    with pytest.raises(ModuleError, match="so it is not a trained ranker|outputs"):
        scored_by((str(tiny_bert),), EXAMPLES, DOCUMENTS, student, tmp_path, "en")

    def refuse(*_):
        raise HubError("org/judge holds no module")

    monkeypatch.setattr(teachers, "find", refuse)
    with pytest.raises(ModuleError, match="(?s)holds no module.*Nor is it a cross-encoder"):
        scored_by(("org/judge",), EXAMPLES, DOCUMENTS, student, tmp_path, "en")


def _folder(path):
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("names", "scale", "needed", "message"),
    [
        (["a"], "log", True, "unknown scale 'log'"),
        (["a", "a"], "raw", True, "named twice"),
        (["a"], "raw", False, "no use for a teacher"),
        ([], "z-score", True, "leave --teacher-scale out"),
    ],
)
def test_options_that_do_not_fit(names, scale, needed, message):
    with pytest.raises(UsageError, match=message):
        check_teachers(names, scale, needed, "infonce")


def test_ranking_is_trained_on_a_teachers_scores(tiny_mlm, judgements, tmp_path, monkeypatch):
    """The scores that a batch holds are the teacher's of its candidates."""
    from polyrank.training.ranking import ranking_loss, train_ranking

    settings = {"steps": 2, "batch_queries": 2, "negatives": 2, "length": 64, "mine": 2}
    teacher = tmp_path / "zoo/tiny-mlm/ranking/adapter/teacher"
    train_ranking.train_ranking_module(str(tiny_mlm), *judgements, teacher, over="", **settings)
    seen, real = [], ranking_loss.RankingLoss.__call__

    def kept(self, model, batch):
        seen.append(batch)
        return real(self, model, batch)

    monkeypatch.setattr(ranking_loss.RankingLoss, "__call__", kept)
    card = train_ranking.train_ranking_module(
        str(tiny_mlm), *judgements, tmp_path / "student", over="", loss="infonce+0.5*margin-mse",
        teacher=[str(teacher)], teacher_scale="z-score", **settings,
    )  # fmt: skip
    assert card.recipe["loss"] == "infonce+0.5*margin_mse"
    assert (card.recipe["teacher"], card.recipe["teacher scale"]) == (str(teacher), "z-score")
    assert len(seen) == 2 and all(batch["teacher"].abs().sum() > 0 for batch in seen)
    with pytest.raises(UsageError, match="no use for a teacher"):
        train_ranking.train_ranking_module(
            str(tiny_mlm), *judgements, tmp_path / "x", teacher="squad", over="", length=64
        )


def test_ranking_is_trained_on_a_cross_encoders_scores(
    tiny_mlm, tiny_xlmr, judgements, cross_encoder, tmp_path
):
    from polyrank.training.ranking.train_ranking import train_ranking_module

    judge = cross_encoder(tiny_xlmr, tmp_path / "judge")
    card = train_ranking_module(
        str(tiny_mlm), *judgements, tmp_path / "student", over="", loss="kl", teacher=str(judge),
        steps=2, batch_queries=2, negatives=2, length=64, mine=2,
    )  # fmt: skip
    assert card.recipe["teacher"] == str(judge)


def test_scores_of_several_positives(tmp_path):
    example = Example(Query("q", "x"), ("a", "b"), ("c", "d"), teacher=(4.0, 3.0, 2.0, 1.0))
    assert example.scores("b", [1]) == [3.0, 1.0]
    write_examples(tmp_path / "q.jsonl", [example])
    assert read_examples(tmp_path / "q.jsonl") == [example]
    row = json.loads((tmp_path / "q.jsonl").read_text())
    (tmp_path / "q.jsonl").write_text(json.dumps({**row, "neg_scores": [2.0, float("nan")]}))
    with pytest.raises(DataError, match=r"q.jsonl:1: .*not finite"):
        read_examples(tmp_path / "q.jsonl")


# --- comparisons -------------------------------------------------------------------------------


def test_comparisons_become_rows(tmp_path):
    from polyrank.training.examples.bradley_terry import bradley_terry
    from polyrank.training.examples.comparisons import labelled

    rows = [("q", "a", "b", 3), ("q", "b", "a", 1), ("q", "b", "c", 1), ("q", "x", "y", 1)]
    path = tmp_path / "comparisons.jsonl"
    path.write_text(
        "".join(
            json.dumps(dict(zip(("query", "winner", "loser", "weight"), row, strict=True))) + "\n"
            for row in rows
        )
    )
    found = labelled(path, {"q": Query("q", "ice")})
    (example,) = found.examples
    assert (example.positives, example.negatives) == (("a",), ("b", "c"))
    expected = bradley_terry([[0, 3, 0], [1, 0, 1], [0, 0, 0]]).logits
    assert example.teacher == pytest.approx(expected)
    assert (found.comparisons, found.disconnected, found.left_out) == (4, 1, 2)
    assert "2 passages were left out" in str(found)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"query": "q", "winner": "a"}', "no comparison"),
        ('{"query": "q", "winner": "a", "loser": "a"}', "compared with itself"),
        ('{"query": "r", "winner": "a", "loser": "b"}', "'r' is not among the queries"),
        ('{"query": "q", "winner": "a", "loser": "b", "weight": 0}', "must be above 0"),
        ("[]", "no comparison"),
    ],
)
def test_a_bad_comparison_is_named(tmp_path, line, message):
    from polyrank.training.examples.comparisons import labelled

    path = tmp_path / "c.jsonl"
    path.write_text('{"query": "q", "winner": "a", "loser": "b"}\n' + line + "\n")
    with pytest.raises(DataError, match=rf"c.jsonl:2: .*{message}"):
        labelled(path, {"q": Query("q", "ice")})


def test_the_command_line_of_comparisons(polyrank, tmp_path):
    (tmp_path / "q.jsonl").write_text('{"_id": "q", "text": "ice"}\n')
    (tmp_path / "c.jsonl").write_text('{"query": "q", "winner": "a", "loser": "b"}\n')
    names = [tmp_path / name for name in ("c.jsonl", "q.jsonl", "out.jsonl")]
    result = polyrank("train", "labels", names[0], "--queries", names[1], "--output", names[2])
    assert result.exit_code == 0 and "1 rows of 1 comparisons" in result.stderr
    (example,) = read_examples(names[2], teacher=True)
    assert example.positives == ("a",) and example.teacher[0] == -example.teacher[1] > 0
