"""The reranked list moves the query."""

import math

import numpy as np
import pytest

from polyrank.errors import UsageError
from polyrank.rerankers.llm.feedback import move_query, ranknet_gradient, search_again


def test_the_gradient_by_hand():
    # Best first: s = (0, 1); one pair with weight 1 / (1 + 2), σ(1 − 0) = .731
    query, documents = np.array([1.0, 0.0]), np.array([[0.0, 1.0], [1.0, 0.0]])
    slope = 1 / 3 / (1 + math.exp(-1))
    assert ranknet_gradient(query, documents) == pytest.approx([slope, -slope])


def test_the_gradient_is_that_of_the_loss():
    generator = np.random.default_rng(3)
    query, documents = generator.normal(size=4), generator.normal(size=(5, 4))

    def loss(q):
        s = documents @ q / 0.7
        pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
        return np.mean([np.log1p(np.exp(s[j] - s[i])) / (i + j + 2) for i, j in pairs])

    numeric = [(loss(query + e) - loss(query - e)) / 2e-6 for e in np.eye(4) * 1e-6]
    assert ranknet_gradient(query, documents, 0.7) == pytest.approx(numeric, abs=1e-7)


def test_the_moved_query_ranks_as_the_reranker_did():
    generator = np.random.default_rng(0)
    documents = generator.normal(size=(6, 32))
    documents /= np.linalg.norm(documents, axis=1, keepdims=True)
    query = documents[5] + 0.1 * generator.normal(size=32)
    query = (query / np.linalg.norm(query)).astype(np.float32)
    order = [3, 1, 5, 0, 2, 4]
    moved = move_query(query, documents, order, steps=400)
    assert list(np.argsort(-(documents @ query)))[0] == 5
    assert list(np.argsort(-(documents @ moved))) == order
    assert moved.dtype == np.float32 and np.linalg.norm(moved) == pytest.approx(1, abs=1e-5)


def test_no_steps_and_one_document_move_nothing():
    query, documents = np.array([0.6, 0.8]), np.eye(2)
    assert move_query(query, documents, steps=0) == pytest.approx(query)
    assert move_query(query, documents[:1]) == pytest.approx(query)
    with pytest.raises(UsageError, match="does not fit"):
        move_query(query, np.eye(3))


def test_a_second_search_takes_the_moved_vector():
    vectors = {"a": np.array([1.0, 0.0]), "b": np.array([0.0, 1.0])}
    found = search_again(
        np.array([0.0, 1.0]), ["a", "b"], lambda ids: np.stack([vectors[i] for i in ids]),
        lambda vector: max(vectors, key=lambda name: vectors[name] @ vector), steps=200,
    )  # fmt: skip
    assert found == "a"
