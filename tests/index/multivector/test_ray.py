"""An index that two Ray workers encode: the bytes of a local build, and a death costs its shard."""

import os
from collections import Counter

import pytest

from polyrank.errors import PolyrankError
from polyrank.index.multivector import MultiVectorIndex, Plan, build
from polyrank.scale_out.indexing import RayEncoder, RayIndex
from polyrank.scale_out.pool import RayPool

PLAN = Plan("residual-2", 6, shard=8)  # 40 documents: 5 shards


def encoder_of(folder, dies=(), times=1):
    """Builds a `WordEncoder` that writes down what it is asked, and dies at some documents."""
    from .conftest import WordEncoder

    binding, modules = WordEncoder().binding, WordEncoder().modules

    def make():
        # A class in a function goes to the workers by value; they cannot import this module.
        import zlib

        import torch

        class Encoder:
            def __init__(self):
                self.binding, self.modules = binding, modules

            def languages(self, documents):
                return [document.language for document in documents]

            def module(self, language):
                return self.modules[language]

            def encode_documents(self, documents):
                for document in documents:
                    with open(f"{folder}/asked", "a") as file:
                        file.write(f"{document.id} {os.getpid()}\n")
                    with open(f"{folder}/asked") as file:
                        asked = sum(line.split()[0] == document.id for line in file)
                    if document.id in dies and asked <= times:
                        os._exit(1)
                return [self._vectors(document.full_text) for document in documents]

            def encode_queries(self, queries):
                return [self._vectors(query.text) for query in queries]

            def _vectors(self, text):
                seeds = [zlib.crc32(word.encode()) for word in text.split()]
                rows = [torch.randn(16, generator=torch.Generator().manual_seed(s)) for s in seeds]
                return torch.nn.functional.normalize(torch.stack(rows), dim=1)

        return Encoder()

    return make


def bytes_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def asked(folder):
    lines = [line.split() for line in (folder / "asked").read_text().splitlines()]
    return Counter(identity for identity, _ in lines), {pid for _, pid in lines}


@pytest.fixture
def local(tmp_path, documents):
    (tmp_path / "alone").mkdir()
    build(tmp_path / "local", documents, encoder_of(tmp_path / "alone")(), PLAN)
    return bytes_of(tmp_path / "local")


@pytest.mark.slow
def test_two_workers_build_the_same_bytes(ray_cluster, tmp_path, documents, local, queries):
    make = encoder_of(tmp_path)
    with RayPool(make, workers=2) as pool:
        build(tmp_path / "ray", documents, RayEncoder(make(), pool), PLAN)
    assert bytes_of(tmp_path / "ray") == local
    counts, processes = asked(tmp_path)
    assert set(counts.values()) == {1} and len(counts) == 40
    assert len(processes) == 2 and os.getpid() not in processes

    folder = tmp_path / "ray"
    with RayPool(lambda: MultiVectorIndex(folder, make()), workers=2) as pool:
        found = RayIndex(pool, shard=2).search(queries, 7, ["en", "ky"])
    assert found == MultiVectorIndex(folder, make()).search(queries, 7, ["en", "ky"])
    assert list(found) == [query.id for query in queries]


@pytest.mark.slow
def test_a_death_costs_its_shard_alone(ray_cluster, tmp_path, documents, local):
    victim = documents[19]  # the fourth of shard 2
    make = encoder_of(tmp_path, dies=(victim.id,))
    with RayPool(make, workers=2) as pool:
        build(tmp_path / "ray", documents, RayEncoder(make(), pool), PLAN)
    assert bytes_of(tmp_path / "ray") == local
    twice = {identity for identity, times in asked(tmp_path)[0].items() if times > 1}
    assert twice == {document.id for document in documents[16:20]}


@pytest.mark.slow
def test_a_build_whose_workers_die_every_time_goes_on_with_resume(
    ray_cluster, tmp_path, documents, local
):
    make = encoder_of(tmp_path, dies=(documents[25].id,), times=99)
    with (
        RayPool(make, workers=2) as pool,
        pytest.raises(PolyrankError, match="workers died.*--resume"),
    ):
        build(tmp_path / "ray", documents, RayEncoder(make(), pool), PLAN)
    (tmp_path / "again").mkdir()
    make = encoder_of(tmp_path / "again")
    with RayPool(make, workers=2) as pool:
        done = build(tmp_path / "ray", documents, RayEncoder(make(), pool), PLAN, resume=True)
    assert done.resumed == 3 and len(asked(tmp_path / "again")[0]) == 16
    assert bytes_of(tmp_path / "ray") == local
