"""The blocks and maxima of the CPU path, which no score may betray."""

import pytest
import torch

from polyrank import kernels
from polyrank.kernels import reference
from polyrank.kernels.cpu import scan, segments, threads
from polyrank.kernels.cpu.product import Workspace
from polyrank.kernels.cpu.segments import Runs

ROOM = Workspace(torch.device("cpu"), torch.float32)
LENGTHS = [0, 3, 1500, 1, 0, 2, 1200, *[5] * 40, 0]


def test_maxima_by_hand():
    similarity = torch.tensor([[1.0, 9.0], [4.0, 9.0], [2.0, 7.0], [3.0, 8.0]])
    runs = Runs(count=3, longest=3, lengths=torch.tensor([3, 0, 1]))
    best, first = segments.best(similarity.clone(), runs, True, ROOM)
    assert best[[0, 2]].tolist() == [[4.0, 9.0], [3.0, 8.0]]
    assert first[[0, 2]].tolist() == [[1, 0], [0, 0]]  # of the two nines the first
    runs = Runs(2, 2, torch.tensor([2, 1]), rows=torch.tensor([0, 2, 3]))  # row 1 cannot win
    best, first = segments.best(similarity.clone(), runs, True, ROOM)
    assert best.tolist() == [[2.0, 9.0], [3.0, 8.0]] and first.tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize("values", [4, 1000])  # few: ties everywhere
def test_winners_are_those_of_max(values):
    generator = torch.Generator().manual_seed(0)
    cube = torch.randint(values, (7, 33, 5), generator=generator).float()
    best, first = segments.best(cube.flatten(0, 1).clone(), Runs(7, 33), True, ROOM)
    expected = cube.max(dim=1)
    assert torch.equal(best, expected.values) and torch.equal(first, expected.indices)


def test_a_block_holds_few_rows_even_when_laid_out_in_equal_runs():
    bounds = [0, *torch.tensor(LENGTHS * 5).cumsum(0).tolist()]
    spans = list(scan._spans(bounds, 0, len(bounds) - 1, 200))
    assert [first for first, _ in spans[1:]] == [last for _, last in spans[:-1]]
    assert spans[0][0] == 0 and spans[-1][1] == len(bounds) - 1
    for first, last in spans:
        lengths = (LENGTHS * 5)[first:last]
        assert last - first == 1 or len(lengths) * max(lengths) <= 2 * 200
        assert last - first == 1 or sum(lengths) <= 200
    assert len(spans) < 100  # not one for each of the 240 documents


@pytest.mark.parametrize("zero_mask", [False, True])
@pytest.mark.parametrize("live", [None, 0.3, 0.9])
@pytest.mark.parametrize("block", [1 << 10, 1 << 19])
def test_long_beside_short_documents(block, live, zero_mask, monkeypatch, score_by):
    score_by("torch")
    monkeypatch.setattr(scan, "BLOCK", block)
    generator = torch.Generator().manual_seed(1)
    ends = torch.tensor([0, *LENGTHS]).cumsum(0)
    documents = torch.randn(int(ends[-1]), 16, generator=generator, requires_grad=True)
    queries = torch.randn(30, 16, generator=generator, requires_grad=True)
    query_ends = torch.tensor([0, 30])
    mask = None if live is None else torch.rand(len(documents), generator=generator) < live
    arguments = (queries, query_ends, documents, ends, None, mask)
    ours = kernels.maxsim_packed(*arguments, zero_mask=zero_mask)
    theirs = reference.maxsim_packed(*arguments, zero_mask=zero_mask)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    with torch.no_grad():  # another way to the maxima: without winners
        alone = kernels.maxsim_packed(*arguments, zero_mask=zero_mask)
    assert torch.equal(alone, ours)
    weight = torch.randn(ours.shape, generator=generator).masked_fill(ours == -torch.inf, 0.0)
    got = torch.autograd.grad(ours, (queries, documents), weight)
    expected = torch.autograd.grad(theirs, (queries, documents), weight)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_calls_of_any_size_share_one_pool():
    own, done = torch.get_num_threads(), []
    torch.set_num_threads(4)
    threads._pool.cache_clear()
    try:
        for wanted in (1, 2, 3, 4, 2):
            threads.each(range(50), lambda: done.append, wanted)
        assert threads._pool.cache_info().currsize == 1 and torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(own)
    assert sorted(done) == sorted([*range(50)] * 5)
