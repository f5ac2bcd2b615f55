"""Adding, deleting, compacting, and building on: what is then found, and what is refused."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from polyrank.collections.records import Document, Query
from polyrank.errors import CompositionError, DataError, Interrupted, LanguageError, UsageError
from polyrank.index.multivector import (
    Module,
    MultiVectorIndex,
    Plan,
    Pruning,
    add,
    build,
    verify,
)
from polyrank.kernels.cpu import native
from polyrank.locks import locked

from .conftest import WordEncoder


@pytest.fixture(params=["fp16", "residual-2"])
def index(request, tmp_path, documents, encoder):
    """The first 30 of the documents, in three segments."""
    build(tmp_path / "index", documents[:30], encoder, Plan(request.param, 8, shard=11))
    return MultiVectorIndex(tmp_path / "index", encoder)


def found(index, queries, **options):
    run = index.search(queries, depth=100, **options)
    return {q: [(hit.document_id, hit.score) for hit in hits] for q, hits in run.items()}


def without(run, ids):
    return {q: [hit for hit in hits if hit[0] not in ids] for q, hits in run.items()}


def assert_alike(one, other):
    """The same documents in the same order; sums over other blocks may round otherwise."""
    assert one.keys() == other.keys()
    for query_id, hits in one.items():
        assert [i for i, _ in hits] == [i for i, _ in other[query_id]]
        scores = [score for _, score in other[query_id]]
        assert [score for _, score in hits] == pytest.approx(scores, abs=1e-5)


def test_added_documents_are_found(index, documents, queries):
    change = index.add(documents[30:])
    assert (change.added, change.generation, index.generation, len(index)) == (10, 2, 2, 40)
    assert {len(hits) for hits in found(index, queries).values()} == {40}
    new = {document.id for document in documents[30:]}
    hits = index.search([Query("q", documents[35].full_text)], depth=1)["q"]
    assert hits[0].document_id == documents[35].id and hits[0].document_id in new


def test_an_index_with_additions_equals_one_that_was_built_whole(
    tmp_path, documents, queries, encoder
):
    build(tmp_path / "whole", documents, encoder, Plan(shard=40))
    build(tmp_path / "parts", documents[:7], encoder, Plan(shard=3))
    parts = MultiVectorIndex(tmp_path / "parts", encoder)
    parts.add(documents[7:])
    whole = MultiVectorIndex(tmp_path / "whole", encoder)
    for query_id, hits in found(whole, queries).items():
        assert dict(found(parts, queries)[query_id]) == pytest.approx(dict(hits), abs=1e-5)


def test_deleted_documents_never_come_back(index, documents, queries):
    before = found(index, queries)
    gone = {"d00", "d21", documents[29].id}
    assert index.delete(sorted(gone)).deleted == 3
    expected = without(before, gone)
    assert_alike(found(index, queries), expected)
    for hits in found(index, queries, pruning=Pruning(8, 40)).values():
        assert len(hits) == 27 and not gone & {identity for identity, _ in hits}
    assert not index.documents(sorted(gone))
    index.delete([documents[1].id])
    index.compact()
    index.reload()
    reopened = found(MultiVectorIndex(index.folder, WordEncoder()), queries)
    assert reopened == pytest_approx(without(expected, {documents[1].id}))


def pytest_approx(run):
    """The same order, scores to 1e-5: other blocks may round the last bit otherwise."""
    return {q: [(i, pytest.approx(s, abs=1e-5)) for i, s in hits] for q, hits in run.items()}


def test_a_deleted_id_may_be_added_again(index, queries):
    index.delete(["d00"])
    index.add([Document("d00", "salt salt salt", language="sw")])
    assert index.documents(["d00"])["d00"].language == "sw"
    hits = found(index, queries)["q0"]
    assert [identity for identity, _ in hits].count("d00") == 1


def test_compact_changes_no_result(index, documents, queries):
    index.add(documents[30:])
    index.delete(["d03"], languages=["ky"])
    before, info = found(index, queries), index.info()
    change = index.compact()
    after = index.info()
    assert found(index, queries) == pytest_approx(before)
    assert (info.segments, after.segments) == (4, 1)
    assert (info.deleted, after.deleted, change.deleted) == (info.deleted, 0, info.deleted)
    assert after.bytes < info.bytes and "ky" not in after.modules
    assert index.compact().generation == after.generation  # nothing is left to do


def test_all_may_be_deleted(index, documents, queries):
    index.delete(languages=["en", "ky", "sw", "zh"])
    index.compact()
    assert len(index) == 0 and set(map(len, found(index, queries).values())) == {0}
    index.add(documents[:2])
    assert {len(hits) for hits in found(index, queries).values()} == {2}


def test_duplicates(index, documents, queries):
    changed = replace(documents[0], text="a b c")
    with pytest.raises(UsageError, match="already has the document 'd00'"):
        index.add([changed])
    assert index.add([changed], duplicates="skip").skipped == 1 and index.generation == 1
    change = index.add([changed, documents[30]], duplicates="replace")
    assert (change.added, change.deleted, len(index)) == (2, 1, 31)
    assert index.documents(["d00"])["d00"].text == "a b c"
    with pytest.raises(UsageError, match="two documents have the id 'x'"):
        index.add([Document("x", "a", language="en"), Document("x", "b", language="en")])


def test_unknown_ids(index):
    with pytest.raises(UsageError, match="no document 'nobody'; nothing was deleted"):
        index.delete(["d00", "nobody"])
    assert len(index) == 30
    change = index.delete(["d00", "nobody"], missing="skip")
    assert (change.deleted, change.skipped) == (1, 1)


def test_a_reader_keeps_its_state(index, documents, queries):
    before = found(index, queries)
    reader = MultiVectorIndex(index.folder, WordEncoder())
    index.delete([document.id for document in documents[:29]])
    index.compact()  # the files of the state that is read are gone from the folder
    assert found(reader, queries) == before and reader.generation == 1
    assert reader.documents(["d00"]) == {"d00": documents[0]}
    if index.info().centroids:
        assert found(reader, queries, pruning=Pruning(8, 40)) == pytest_approx(before)
    reader.reload()
    assert len(reader) == 1 and reader.generation == 3


def test_any_number_of_segments(tmp_path, documents, encoder):
    build(tmp_path / "index", documents, encoder, Plan("residual-2", 8, shard=1))
    before = len(list(Path("/dev/fd").iterdir()))
    index = MultiVectorIndex(tmp_path / "index", encoder)
    assert index.info().segments == 40
    assert len(list(Path("/dev/fd").iterdir())) - before < 40  # none keeps its files open


def test_two_writers(index, documents, held):
    with (
        held(index.folder, inside=True),
        pytest.raises(UsageError, match="written by another process"),
    ):
        index.delete(["d00"])
    index.delete(["d00"])


# --- what an index is bound to -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"base_weights": "9" * 16}, "weights of the base was 111"),
        ({"projection": "9" * 64}, "projection was 333"),
        ({"ranking_files": {"adapter.safetensors": "9" * 64}}, "adapter.safetensors was 444"),
        ({"routing": "none"}, "routing was 'split' and is now 'none'"),
        ({"rules": {"dim": 16, "document_length": 128}}, "document_length was 256 and is now 128"),
        ({"rules": {"dim": 16, "query_marker": 7}}, "query_marker was 31 and is now 7"),
        ({"rules": {"dim": 16, "skiplist": "none"}}, "skiplist was 'unicode' and is now 'none'"),
    ],
)
def test_another_model_is_refused(index, documents, queries, changes, named):
    other = WordEncoder().bound(**changes)
    with pytest.raises(CompositionError, match=named):
        MultiVectorIndex(index.folder, other).search(queries)
    with pytest.raises(CompositionError, match=named):
        add(index.folder, documents[30:], other)


def test_another_language_module_is_refused_until_its_documents_are_gone(index, queries):
    newer = WordEncoder(ky=Module("ky", "f" * 64))
    with pytest.raises(CompositionError, match="index delete .* --languages ky"):
        MultiVectorIndex(index.folder, newer).search(queries)
    missing = WordEncoder(ky=None)
    with pytest.raises(CompositionError, match="'ky' was .* is now unavailable"):
        MultiVectorIndex(index.folder, missing).search(queries)
    index.delete(languages=["ky"])
    add(index.folder, [Document("new", "salt", language="ky")], newer)
    assert len(found(MultiVectorIndex(index.folder, newer), queries)["q0"]) > 0


# --- damage --------------------------------------------------------------------------------------


def test_verify_names_what_was_altered(index):
    assert verify(index.folder).problems == [] and verify(index.folder).files > 20
    segment = index.folder / "segments" / "000001-000001"
    path = segment / "offsets.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    (segment / "names.json").unlink()
    problems = verify(index.folder).problems
    assert len(problems) == 2 and "names.json is missing" in problems[0]
    assert "offsets.npy: its sha256 is" in problems[1]


@pytest.mark.parametrize("name", ["ends.npy", "names.json", "documents.jsonl"])
def test_a_file_that_was_altered_in_place_is_no_traceback(index, name):
    path = min(index.folder.glob(f"segments/*/{name}"))
    data = bytearray(path.read_bytes())
    middle = 150 if name.endswith(".npy") else 1
    data[middle : middle + 9] = b"\xffalt\x00ered"
    path.write_bytes(data)
    with pytest.raises(
        DataError, match=f"{name}.* has changed since it was written; the index is damaged"
    ):
        MultiVectorIndex(index.folder, WordEncoder()).documents(index.snapshot.ids)


def test_a_damaged_index_is_not_opened(index):
    path = index.folder / "segments" / "000001-000000" / "offsets.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match="offsets.npy: has 216 bytes, not 224"):
        MultiVectorIndex(index.folder)
    path.unlink()
    with pytest.raises(DataError, match="offsets.npy: is missing"):
        MultiVectorIndex(index.folder)
    (index.folder / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="is not valid JSON"):
        MultiVectorIndex(index.folder)


@pytest.mark.parametrize("path", ["compiled", "torch"])
def test_damage_of_the_same_size_is_told_when_it_is_met(index, queries, path, monkeypatch):
    if path == "torch":
        monkeypatch.setattr(native, "level", lambda: 0)
    file = index.folder / "segments" / "000001-000000" / "offsets.npy"
    whole = file.read_bytes()
    file.write_bytes(whole[:-8] + (1 << 40).to_bytes(8, "little"))
    with pytest.raises(DataError, match="offsets.npy: holds other numbers than offsets"):
        MultiVectorIndex(index.folder, index.encoder).search(queries, 3)


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from conftest import WordEncoder
from polyrank.collections.records import Document
from polyrank.errors import DataError
from polyrank.index.multivector import MultiVectorIndex, add, build

texts = [Document(f"n{{i}}", "cold river " * 200, language="en") for i in range(20)]
folder = {folder!r}
sys.dont_write_bytecode = True  # it would be cut short, too, and harm later runs
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
try:
    {action}
except DataError as error:
    print(error)
"""


def with_small_disk(folder, action, limit=20_000):
    """Run in a process whose files may not grow beyond a limit: the system cuts the write short."""
    script = FULL.format(
        tests=str(Path(__file__).parent), folder=str(folder), limit=limit, action=action
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_full_disk_leaves_the_index_as_it_was(index, queries):
    before = found(index, queries)
    assert "make room and run it again" in with_small_disk(
        index.folder, "add(folder, texts, WordEncoder())"
    )
    reopened = MultiVectorIndex(index.folder, WordEncoder())
    assert reopened.info().leftovers == [] and reopened.generation == 1
    assert found(reopened, queries) == before


def test_a_full_disk_stops_a_build_that_can_go_on(tmp_path):
    out = with_small_disk(tmp_path / "index", "build(folder, texts, WordEncoder())")
    assert "make room" in out and not (tmp_path / "index").exists()
    texts = [Document(f"n{i}", "cold river " * 200, language="en") for i in range(20)]
    assert build(tmp_path / "index", texts, WordEncoder(), resume=True).documents == 20


# --- building ------------------------------------------------------------------------------------


def test_a_resumed_build_encodes_only_what_is_left(tmp_path, documents):
    class Stopped(WordEncoder):
        def encode_documents(self, texts):
            if self.encoded >= 20:
                raise KeyboardInterrupt
            return super().encode_documents(texts)

    with pytest.raises(Interrupted, match="index.work holds what was done.*--resume"):
        build(tmp_path / "index", documents, Stopped(), Plan(shard=10))
    with pytest.raises(UsageError, match="is not finished.*\n.*--resume"):
        MultiVectorIndex(tmp_path / "index")
    with pytest.raises(UsageError, match="holds an unfinished build"):
        build(tmp_path / "index", documents, WordEncoder(), Plan(shard=10))
    with pytest.raises(UsageError, match="codec was 'fp16' and is now 'int8'"):
        build(tmp_path / "index", documents, WordEncoder(), Plan("int8", shard=10), resume=True)
    with pytest.raises(UsageError, match="routing was 'split'"):
        other = WordEncoder().bound(routing="none")
        build(tmp_path / "index", documents, other, Plan(shard=10), resume=True)
    with pytest.raises(UsageError, match="shard 000001 has others"):
        wrong = [*documents[:11], *documents[12:]]
        build(tmp_path / "index", wrong, WordEncoder(), Plan(shard=10), resume=True)
    with pytest.raises(UsageError, match="only 1 shards"):
        build(tmp_path / "index", documents[:10], WordEncoder(), Plan(shard=10), resume=True)
    encoder = WordEncoder()
    done = build(tmp_path / "index", documents, encoder, Plan(shard=10), resume=True)
    assert (done.resumed, encoder.encoded, done.documents) == (2, 20, 40)


@pytest.mark.parametrize(
    ("texts", "plan", "message"),
    [
        ([], Plan(), "at least one document with text"),
        ([Document("a", "  ")], Plan(), "at least one document with text"),
        ([Document("a", "x"), Document("a", "y")], Plan(), "two documents have the id 'a'"),
        (
            [Document("a", "x")],
            Plan("fp8"),
            "unknown codec 'fp8'; use one of fp16, int8, residual-1",
        ),
        ([Document("a", "x")], Plan("residual-1", 0), "need centroids"),
    ],
)
def test_what_cannot_be_built(texts, plan, message, tmp_path, encoder):
    with pytest.raises(UsageError, match=message):
        build(tmp_path / "index", texts, encoder, plan)
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, LanguageError("no module for 'yo'")])
def test_a_build_that_encoded_nothing_leaves_nothing(tmp_path, documents, error):
    class Failing(WordEncoder):
        def encode_documents(self, texts):
            raise error

    with pytest.raises((KeyboardInterrupt, LanguageError)):
        build(tmp_path / "index", documents, Failing())
    assert list(tmp_path.iterdir()) == []
    assert build(tmp_path / "index", documents, WordEncoder()).documents == 40


def test_ctrl_c_during_a_change_says_that_the_index_is_as_it_was(index):
    class Stopped(WordEncoder):
        def encode_documents(self, texts):
            raise KeyboardInterrupt

    before = index.generation
    with pytest.raises(Interrupted, match="is unchanged"):
        add(index.folder, [Document("n", "cold river", language="en")], Stopped())
    reopened = MultiVectorIndex(index.folder, WordEncoder())
    assert reopened.generation == before and reopened.info().leftovers == []


def test_a_folder_without_an_index(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in (".", "/", tmp_path):
        with pytest.raises(UsageError, match=r"no index found in .*\n.*--documents FILE"):
            MultiVectorIndex(folder)


def test_a_disk_without_room_for_the_name_of_the_writer(index, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with locked(index.folder, inside=True):
        pass


def test_an_index_is_not_built_over(index, documents, encoder):
    with pytest.raises(UsageError, match="already exists"):
        build(index.folder, documents, encoder)
