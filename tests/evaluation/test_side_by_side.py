"""The side-by-side report: sizes, speeds by a clock of ours, quality and loyalty by hand."""

import itertools
import json

import pytest

from polyrank.collections.records import Collection, Document, Judgement, Query, ScoredDocument
from polyrank.errors import UsageError
from polyrank.evaluation.side_by_side import Named, side_by_side


class Fixed:
    """Scores a document by its text."""

    def __init__(self, sign):
        self.sign = sign

    def score(self, pairs):
        return [self.sign * float(document.text) for _, document in pairs]


class Sized(Fixed):
    def size(self):
        return 3_000_000, 12_000_000


@pytest.fixture
def texts():
    documents = {i: Document(i, text) for i, text in {"a": "1", "b": "2", "c": "3"}.items()}
    collection = Collection("toy", documents, {"q": Query("q", "x")}, [Judgement("q", "c", 1)])
    return collection, {"q": [ScoredDocument("q", i, 0.0) for i in "abc"]}


def test_by_hand(texts):
    ticks = itertools.accumulate(itertools.cycle([0.0, 0.5]))  # each query takes half a second
    report = side_by_side(
        [Named("teacher", Fixed(1), 2_000_000, 8.0), Named("student", Sized(-1))],
        *texts,
        teacher="teacher",
        measure="RR",
        clock=lambda: next(ticks),
    )
    teacher, student = report.rows
    assert (teacher.parameters, teacher.megabytes, teacher.megabytes_held) == (2_000_000, 8.0, None)
    assert (student.parameters, student.megabytes, student.megabytes_held) == (
        3_000_000,
        None,
        12.0,
    )
    assert teacher.pairs_per_second == teacher.slowest == teacher.fastest == 6.0  # 3 / 0.5
    assert (teacher.quality, student.quality) == (1.0, pytest.approx(1 / 3))
    assert teacher.loyalty is None and student.loyalty is not None
    assert student.loyalty["tau"] == -1.0 and student.loyalty["label"] == 0.0
    assert "| teacher | 2.0 M | 8.0 | - | 6.0 (6.0 to 6.0) | 1.0000 |" in str(report)
    assert json.loads(report.json())["pairs"] == 3 and report.machine


def test_what_does_not_fit(texts):
    one = Named("a", Fixed(1))
    for rerankers, teacher in (([], None), ([one, one], None), ([one], "b")):
        with pytest.raises(UsageError):
            side_by_side(rerankers, *texts, teacher=teacher)
    with pytest.raises(UsageError, match="'zz', which the collection 'toy' lacks"):
        side_by_side([one], texts[0], {"q": [ScoredDocument("q", "zz", 0.0)]})


def test_the_size_of_a_reranker(tiny_zoo, tiny_base):
    """Encoder + ranking adapter with its head + the language adapters that were used."""
    from safetensors import safe_open

    from polyrank import Reranker

    reranker = Reranker(tiny_base, zoo=tiny_zoo, device="cpu")
    reranker.rank("abc", ["abc", "de"], "ky", "de")
    folder = tiny_zoo / tiny_base.name
    expected = sum(p.numel() for p in tiny_base.model.parameters())
    for module in ("ranking/adapter/squad", "language/adapter/ky", "language/adapter/de"):
        for path in (folder / module).glob("*.safetensors"):
            with safe_open(path, "pt") as file:
                shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
            for shape in shapes:
                size = 1
                for length in shape:
                    size *= length
                expected += size
    assert reranker.size() == (expected, 4 * expected)
