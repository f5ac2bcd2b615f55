"""k-means against clusters that are known, and its promises on seeds, chunks and empty clusters."""

import pytest
import torch
import torch.nn.functional as F

from polyrank.errors import UsageError
from polyrank.kernels.codecs.kmeans import default_clusters, kmeans, nearest


def random_vectors(count=300, width=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, width, generator=generator), dim=1)


def test_two_directions_by_hand():
    vectors = torch.tensor([[0.6, 0.8], [0.8, 0.6], [-0.6, 0.8], [-0.6, 0.8]])
    found = kmeans(vectors, 2, iterations=10)
    order = found.centroids[:, 0].argsort()
    diagonal = 2**-0.5  # (0.6, 0.8) + (0.8, 0.6) lies on it
    expected = torch.tensor([[-0.6, 0.8], [diagonal, diagonal]])
    torch.testing.assert_close(found.centroids[order], expected)
    assert found.sizes.tolist() == [2, 2] and found.empty == 0


def test_each_iteration_brings_vectors_nearer():
    vectors = random_vectors()
    nearness = [
        float(nearest(vectors, kmeans(vectors, 20, iterations).centroids)[1].mean())
        for iterations in (1, 2, 4, 8)
    ]
    assert nearness == sorted(nearness) and nearness[-1] > nearness[0]


def test_the_seed_decides():
    vectors = random_vectors()
    first, again, other = (kmeans(vectors, 20, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.centroids, again.centroids)
    assert not torch.equal(first.centroids, other.centroids)


def test_chunks_change_nothing(monkeypatch, score_by):
    score_by("torch")
    vectors = random_vectors()
    whole = kmeans(vectors, 20)
    for limit in ("BLOCK", "CHUNK"):  # of a CPU, of a GPU
        monkeypatch.setattr(f"polyrank.kernels.codecs.kmeans.{limit}", 20 * 7)
    assert torch.equal(kmeans(vectors, 20).sizes, whole.sizes)


@pytest.mark.parametrize("path", ["torch", "avx2", "avx512"])
def test_ties_go_to_the_lowest_centroid(path, score_by):
    score_by(path)
    codes, closeness = nearest(torch.ones(3, 2), torch.ones(4, 2))
    assert codes.tolist() == [0, 0, 0] and closeness.tolist() == [2.0, 2.0, 2.0]


def test_an_empty_cluster_takes_the_worst_vector():
    """Two of the three starts are twins, so one is empty until it takes the outlier."""
    vectors = torch.tensor([[1.0, 0.0]] * 50 + [[0.0, 1.0], [0.8, 0.6]])
    found = kmeans(vectors, 3, iterations=5)
    assert found.refilled >= 1 and found.empty == 0
    assert sorted(found.sizes.tolist()) == [1, 1, 50]


def test_clusters_beyond_the_distinct_vectors_stay_empty():
    found = kmeans(torch.eye(4).repeat(5, 1), 10)
    assert found.empty == 6 and found.sizes.sum() == 20
    assert found.centroids.isfinite().all()


def test_default_clusters_by_hand():
    # 16 √10,000 = 1,600, and 2^10 is the power of two below it.
    assert default_clusters(10_000) == 1024
    assert default_clusters(100) == 100  # 128 would be more than there are tokens
    assert default_clusters(0) == 0


def test_refusals():
    with pytest.raises(UsageError, match="11 clusters of 10"):
        kmeans(random_vectors(10), 11)
    with pytest.raises(UsageError, match="0 iterations"):
        kmeans(random_vectors(10), 2, iterations=0)
    with pytest.raises(UsageError, match="not finite"):
        kmeans(torch.full((4, 2), torch.nan), 2)
