"""Two workers of a local Ray: the bytes of a local run, and a death that costs one shard."""

import builtins
import os
from collections import Counter
from itertools import islice

import pytest

from polyrank.collections.records import Collection, Document, Query, ScoredDocument
from polyrank.errors import PolyrankError, UsageError
from polyrank.rerankers.base import Request
from polyrank.runs.rerank import rerank_stream
from polyrank.scale_out.pool import RETRIES, RayPool, _fitting
from polyrank.scale_out.reranking import RayReranker

QUERIES = 10


@pytest.fixture
def collection():
    return Collection(
        name="toy",
        queries={f"q{i}": Query(f"q{i}", f"question {i}", "tr") for i in range(QUERIES)},
        documents={f"d{i}": Document(f"d{i}", "x" * (i * 7 % 11), language="en") for i in range(9)},
    )


@pytest.fixture
def run():
    return {
        f"q{i}": [ScoredDocument(f"q{i}", f"d{(i + j) % 9}", 1.0) for j in range(5)]
        for i in range(QUERIES)
    }


def scorer_of(folder, dies=(), times=1, fails=()):
    """A function that builds a scorer by length. It writes down every query that it is asked, in
    the folder, and dies at some the first `times` times."""

    def build():
        # A class in a function goes to the workers by value; they cannot import this module.
        class Lengths:
            def __init__(self):
                self.notes = Counter()

            def score(self, pairs):
                query = pairs[0][0].id
                with open(f"{folder}/asked", "a") as file:
                    file.write(f"{query} {os.getpid()}\n")
                with open(f"{folder}/asked") as file:
                    asked = sum(line.split()[0] == query for line in file)
                if query in dies and asked <= times:
                    os._exit(1)
                if query in fails:
                    raise UsageError(f"cannot score {query}; try another")
                self.notes["scored"] += len(pairs)
                return [len(d.text) / 7 for _, d in pairs]

        return Lengths()

    return build


def asked(folder):
    lines = [line.split() for line in (folder / "asked").read_text().splitlines()]
    return Counter(query for query, _ in lines), {pid for _, pid in lines}


def written(scorer, collection, run, output, **options):
    rerank_stream(scorer, collection, run, output, **options)
    return output.read_bytes()


@pytest.fixture
def local(collection, run, tmp_path):
    """The bytes of a run without Ray."""
    (tmp_path / "alone").mkdir()
    return written(scorer_of(tmp_path / "alone")(), collection, run, tmp_path / "local.trec")


@pytest.mark.slow
def test_the_bytes_of_a_local_run_by_two_workers(ray_cluster, local, collection, run, tmp_path):
    with RayPool(scorer_of(tmp_path), workers=2) as pool:
        reranker = RayReranker(pool, shard=2)
        summary = rerank_stream(reranker, collection, run, tmp_path / "ray.trec")
        assert (tmp_path / "ray.trec").read_bytes() == local
        counts, processes = asked(tmp_path)
        assert set(counts.values()) == {1} and len(counts) == QUERIES
        assert len(processes) == 2 and os.getpid() not in processes
        assert summary.notes["scored"] == QUERIES * 5
        one = Request(collection.queries["q0"], (collection.documents["d1"],))
        assert [hit.score for hit in reranker.rank_request(one).hits] == [1.0]


@pytest.mark.slow
def test_a_death_costs_its_shard_alone(ray_cluster, local, collection, run, tmp_path):
    with RayPool(scorer_of(tmp_path, dies=("q5",)), workers=2) as pool:
        assert written(RayReranker(pool, shard=2), collection, run, tmp_path / "ray.trec") == local
    counts, _ = asked(tmp_path)
    assert {query for query, times in counts.items() if times > 1} == {"q4", "q5"}
    assert counts["q4"] == counts["q5"] == 2


@pytest.mark.slow
def test_a_shard_that_kills_every_time_stops_and_resumes(
    ray_cluster, local, collection, run, tmp_path
):
    output = tmp_path / "ray.trec"
    with (
        RayPool(scorer_of(tmp_path, dies=("q6",), times=99), workers=2) as pool,
        pytest.raises(PolyrankError, match=f"workers died {RETRIES + 1} times.*--resume"),
    ):
        written(RayReranker(pool, shard=2), collection, run, output)
    assert asked(tmp_path)[0]["q6"] == RETRIES + 1
    assert local.startswith(output.read_bytes()) and len(output.read_bytes()) > 0
    again = scorer_of(tmp_path)()  # without Ray
    assert written(again, collection, run, output, resume=True) == local


@pytest.mark.slow
def test_an_error_of_the_user_comes_back_as_it_is(ray_cluster, collection, run, tmp_path):
    with (
        RayPool(scorer_of(tmp_path, fails=("q3",)), workers=2) as pool,
        pytest.raises(PolyrankError, match="^cannot score q3; try another$"),
    ):
        written(RayReranker(pool, shard=2), collection, run, tmp_path / "ray.trec")


@pytest.mark.slow
def test_shards_are_taken_as_results_are(ray_cluster):
    taken = []

    def endless():
        for number in range(10**9):
            taken.append(number)
            yield number

    with RayPool(lambda: 10, workers=2) as pool:
        results = pool.map(lambda tool, shard: tool * shard, endless())
        assert [next(results) for _ in range(5)] == [0, 10, 20, 30, 40]
        assert len(taken) < 20


class Here:
    """A pool of one tool in this process, which takes three shards ahead."""

    def __init__(self, tool):
        self.tool = tool

    def map(self, function, shards):
        todo, results = iter(shards), []
        while ahead := list(islice(todo, 3)):
            results += [function(self.tool, shard) for shard in ahead]
            yield from (results.pop(0) for _ in range(len(results)))


@pytest.mark.parametrize("shard", [1, 3, 99])
def test_shards_do_not_show_in_the_output(shard, local, collection, run, tmp_path):
    reranker = RayReranker(Here(scorer_of(tmp_path)()), shard=shard)
    summary = rerank_stream(reranker, collection, run, tmp_path / "out.trec")
    assert (tmp_path / "out.trec").read_bytes() == local
    assert summary.notes["scored"] == QUERIES * 5


def test_ray_that_is_not_installed(monkeypatch):
    real = builtins.__import__

    def without_ray(name, *rest):
        if name.partition(".")[0] == "ray":
            raise ImportError("No module named 'ray'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    with pytest.raises(UsageError, match=r"pip install 'polyrank\[ray\]'"):
        RayPool(lambda: None)


def test_how_many_workers():
    assert _fitting({"CPU": 4.0}, None, "CPU") == 4
    assert _fitting({"CPU": 4.0, "GPU": 2.0}, None, "GPU") == 2
    assert _fitting({"CPU": 4.0}, 3, "CPU") == 3
    with pytest.raises(UsageError, match="has 0 GPUs.*wait for ever"):
        _fitting({"CPU": 4.0}, None, "GPU")
    with pytest.raises(UsageError, match="give --ray-workers 2"):
        _fitting({"CPU": 2.0}, 3, "CPU")
    with pytest.raises(UsageError, match="give 1 or more"):
        RayPool(lambda: None, workers=0)
