"""polyrank rerank and search with --ray: the same bytes, by two workers."""

import json

import pytest

from polyrank.collections.records import ScoredDocument
from polyrank.collections.trec import write_run

from ..late_interaction.conftest import late_zoo  # noqa: F401


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "first.trec"
    write_run((ScoredDocument(f"q{i}", f"d{j}", 1.0 - j) for i in range(6) for j in range(6)), path)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--ray-workers", "2"), "--ray-workers goes with --ray"),
        (("--ray", "127.0.0.1:9"), "no Ray cluster answers at '127.0.0.1:9'"),
    ],
)
def test_refusals(arguments, message, tiny, source, run, polyrank):
    if "--ray" in arguments:
        pytest.importorskip("ray", reason="needs polyrank[ray]")
    result = polyrank("rerank", *source, *tiny, "--run", run, *arguments)
    assert result.exit_code == 2 and message in result.stderr


@pytest.mark.slow
def test_the_same_bytes_and_notes(ray_cluster, tiny, source, run, polyrank, tmp_path):

    def reranked(name, *more):
        output = tmp_path / name
        result = polyrank("rerank", *source, *tiny, "--run", run, "--output", output, *more)
        assert result.exit_code == 0, result.stderr
        notes = [
            line
            for line in result.stderr.splitlines()
            if line.startswith("polyrank: ") and " after " not in line  # of a slow machine
        ]
        assert notes
        return output.read_bytes(), notes  # Ray itself may complain of a machine that is busy

    ray = ("--ray", "local", "--ray-workers", "2")
    assert reranked("ray.trec", *ray) == reranked("local.trec")
    found = [
        polyrank("search", *source, *tiny, "--json", "--depth", "3", *more).stdout
        for more in ((), ray)
    ]
    assert found[0] == found[1]


@pytest.mark.slow
def test_an_index_built_added_to_and_searched_by_two_workers(
    ray_cluster,
    tiny,
    late_zoo,  # noqa: F811
    source,
    files,
    polyrank,
):
    """Every byte of the index; of the search the documents, and scores to 1e-5: queries are encoded
    in other batches."""
    ray = ("--ray", "local", "--ray-workers", "2")
    more = files / "more.jsonl"
    more.write_text('{"_id": "k", "text": "iron birds", "language": "ky"}\n')
    found = {}
    for name, extra in (("alone", ()), ("ray", ray)):
        folder = files / name
        for arguments in (
            ("index", "build", folder, "--documents", files / "documents.tsv", *tiny,
             "--document-language", "en", "--ranking", "li", "--shard", "2"),
            ("index", "add", folder, "--documents", more),
        ):  # fmt: skip
            result = polyrank(*arguments, *extra)
            assert result.exit_code == 0, result.stderr
        hits = polyrank(
            *("search", "--index", folder, "--queries", files / "queries.jsonl", "--no-rerank"),
            *("--json", *extra),
        )
        assert hits.exit_code == 0, hits.stderr
        rows = [json.loads(line)["hits"] for line in hits.stdout.splitlines()]
        found[name] = (
            rows,
            {
                str(path.relative_to(folder)): path.read_bytes()
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            },
        )
    (alone, whole), (shared, parts) = found["alone"], found["ray"]
    assert parts == whole and len(whole) > 10
    assert len(shared) == len(alone) == 6
    for one, other in zip(shared, alone, strict=True):
        assert [hit["document_id"] for hit in one] == [hit["document_id"] for hit in other]
        scores = [hit["score"] for hit in other]
        assert [hit["score"] for hit in one] == pytest.approx(scores, abs=1e-5)
