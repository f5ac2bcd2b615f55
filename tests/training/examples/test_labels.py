"""Labels by rerankers: forms by hand, and a file of them."""

from __future__ import annotations

import json
import math

import pytest

from polyrank.collections.records import Document, Query
from polyrank.errors import UsageError
from polyrank.training.examples.label_forms import grades, joined_ranks, quantiles
from polyrank.training.examples.labels import Labelling, write_labels
from polyrank.training.examples.negatives import Example, read_examples

PASSAGES = {
    name: Document(name, text, language="en")
    for name, text in (("a", "ice melts"), ("b", "ice ice"), ("c", "stars"), ("d", "the moon"))
}
EXAMPLES = [
    Example(Query("q", "ice melts"), ("a",), ("b", "c"), teacher=(9.0, 9.0, 9.0)),
    Example(Query("r", "moon"), ("d",), ("c",)),
]


def test_quantiles_depend_on_the_order_alone():
    scores = [(1.0, 4.0), (2.0, 2.0, -5.0)]
    assert quantiles(scores) == [(0.3, 0.9), (0.6, 0.6, 0.1)]
    scaled = [tuple(math.exp(score) for score in row) for row in scores]
    assert quantiles(scaled) == quantiles(scores)


def test_grades_are_whole_and_take_the_whole_scale():
    found = [grade for (grade,) in grades([(float(n),) for n in range(110)])]
    assert found == sorted(found)
    assert {found.count(float(grade)) for grade in range(11)} == {10}


def test_joined_ranks_by_hand():
    found = joined_ranks([5.0, 3.0, 3.0], [1.0, 2.0, 0.0], beta=0.25)
    expected = [
        -0.25 * math.log(1) - 0.75 * math.log(2),
        -0.25 * math.log(2.5) - 0.75 * math.log(1),
        -0.25 * math.log(2.5) - 0.75 * math.log(3),
    ]
    assert found == pytest.approx(expected)


def test_labels_of_bm25_say_whose_they_are(tmp_path, tiny_zoo, default_zoo):
    from polyrank.index.lexical import BM25

    output = tmp_path / "out.jsonl"
    assert write_labels(EXAMPLES, PASSAGES, Labelling(("bm25",)), "en", output) == 2
    index = BM25(PASSAGES.values())
    expected = dict(zip(index.ids, index.scores("ice melts").tolist(), strict=True))
    first, second = read_examples(output, PASSAGES, teacher=True)
    assert first.teacher == pytest.approx([expected[name] for name in ("a", "b", "c")])
    assert second.teacher[0] > second.teacher[1] == 0
    row = json.loads(output.read_text().splitlines()[0])
    assert row["labelled_by"]["teachers"][0]["teacher"] == "bm25"
    assert "4 passages" in row["labelled_by"]["teachers"][0]["weights"]
    assert not (tmp_path / "out.jsonl.work").exists()


def test_labels_of_two_teachers_in_ranks(tmp_path, default_zoo):
    output = tmp_path / "out.jsonl"
    labelling = Labelling(("bm25", "dense"), form="grades", join="ranks")
    write_labels(EXAMPLES, PASSAGES, labelling, "en", output)
    for example in read_examples(output, PASSAGES, teacher=True):
        assert all(grade in range(11) for grade in example.teacher)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teachers": ("bm25",), "join": "ranks"}, "two teachers"),
        ({"teachers": ("bm25", "bm25")}, "named twice"),
        ({"teachers": ("bm25",), "scale": "log"}, "unknown scale 'log'"),
        ({"teachers": ("bm25", "dense"), "join": "ranks", "beta": float("nan")}, "beta is nan"),
    ],
)
def test_labellings_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        Labelling(**options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give a file of comparisons, or rerankers"),
        (("c.jsonl", "--teacher", "bm25"), "give a file of comparisons, or rerankers"),
        (("c.jsonl", "--form", "grades"), "--form goes with --teacher"),
        (("--teacher", "bm25", "--prior", "1"), "--prior goes with comparisons"),
    ],
)
def test_the_command_line_refuses_what_it_would_ignore(polyrank, tmp_path, arguments, message):
    (tmp_path / "q.jsonl").write_text('{"_id": "q", "text": "ice"}\n')
    result = polyrank(
        "train", "labels", *arguments, "--queries", tmp_path / "q.jsonl", "--output",
        tmp_path / "out.jsonl",
    )  # fmt: skip
    assert result.exit_code == 2
    assert message in result.stderr
