"""A stopped run loses nothing that was made, and ends with the bytes of a whole one."""

from __future__ import annotations

import pytest

from polyrank.errors import DataError, Interrupted, UsageError
from polyrank.locks import locked
from polyrank.runs.resume import sidecar
from polyrank.summaries.articles import Article, read_articles
from polyrank.summaries.candidates import Candidate, CandidateSet, row_of
from polyrank.summaries.row_stream import Streamed, stream_rows

ARTICLES = [Article(name, f"Ice {name}.", "en") for name in "abcde"]
SETTINGS = {"plans": 2}


def set_of(article):
    made = [Candidate(n, (0,), article.text * (n + 1), {"plan": -0.1}) for n in range(2)]
    return CandidateSet(article, ((0, 6),), tuple(made))


class Making:
    """Makes a row of each article but `b`; keeps whom it was asked, and stops at one of them."""

    def __init__(self, stop=None, error=KeyboardInterrupt):
        self.stop, self.error, self.asked = stop, error, []

    def __call__(self, articles):
        for article in articles:
            self.asked.append(article.id)
            if article.id == self.stop:
                raise self.error
            if article.id != "b":
                yield set_of(article)


def stream(output, making=None, articles=ARTICLES, settings=SETTINGS, resume=False):
    return stream_rows(lambda: iter(articles), making or Making(), output, settings, resume)


WHOLE = "".join(row_of(set_of(article)) for article in ARTICLES if article.id != "b")


def test_rows_are_there_before_the_next_is_made(tmp_path):
    output = tmp_path / "deep" / "out.jsonl"
    lines = []

    def make(articles):
        for article in articles:
            yield set_of(article)
            lines.append(output.read_text().count("\n"))

    assert stream(output, make) == Streamed(5, 10, 0)
    assert lines[1:] == [2, 3, 4, 5]  # the first is made before the file is opened
    assert [path.name for path in output.parent.iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("cut", [0, 1, 9, len(row_of(set_of(ARTICLES[2])).encode()) - 1])
def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path, error, cut):
    output = tmp_path / "out.jsonl"
    with pytest.raises((Interrupted, MemoryError)):
        stream(output, Making("d", error))
    assert output.read_text() == "".join(WHOLE.splitlines(keepends=True)[:2])
    if cut > 1:  # a kill within the last row
        output.write_bytes(output.read_bytes()[:-cut])
    elif cut:  # or just before its end
        output.write_bytes(output.read_bytes()[:-1])
    rest = Making()
    made = stream(output, rest, resume=True)
    assert output.read_text() == WHOLE and not sidecar(output).exists()
    assert rest.asked == (["b", "c"] if cut > 1 else []) + ["d", "e"]
    assert made == Streamed(4, 8, 1 if cut > 1 else 2)


def test_what_stopped_says_how_to_go_on(tmp_path):
    output = tmp_path / "out.jsonl"
    with pytest.raises(Interrupted, match="before anything was written"):
        stream(output, Making("a"))
    assert not list(tmp_path.iterdir())
    with pytest.raises(Interrupted, match="go on with the same command and --resume"):
        stream(output, Making("c"))
    with pytest.raises(UsageError, match="unfinished output"):
        stream(output)
    assert output.read_text() == row_of(set_of(ARTICLES[0]))


def test_other_settings_articles_and_writers_are_refused(tmp_path):
    output = tmp_path / "out.jsonl"
    with pytest.raises(Interrupted):
        stream(output, Making("d"))
    with pytest.raises(UsageError, match="plans was 2 and is now 3"):
        stream(output, settings={"plans": 3}, resume=True)
    with pytest.raises(UsageError, match="articles was '5 with sha256 .* is now '4 with"):
        stream(output, articles=ARTICLES[:4], resume=True)
    output.write_text(row_of(set_of(ARTICLES[1])) + row_of(set_of(ARTICLES[0])))
    with pytest.raises(UsageError, match="its row of 'a' is not of the next article"):
        stream(output, resume=True)
    sidecar(output).unlink()
    with pytest.raises(UsageError, match="it is finished, or was not written"):
        stream(output, resume=True)
    for name in ("-", "/dev/null"):
        with pytest.raises(UsageError, match="--resume needs an --output"):
            stream(type(output)(name), resume=True)
    with pytest.raises(UsageError, match="compressed"):
        stream(tmp_path / "out.jsonl.gz")


def test_one_process_writes(tmp_path):
    from threading import Thread

    output, refused = tmp_path / "out.jsonl", []

    def other():
        with pytest.raises(UsageError, match="is being written by another process"):
            stream(output)
        refused.append(True)

    with locked(output):
        thread = Thread(target=other)
        thread.start()
        thread.join()
    assert refused


def test_a_bad_line_is_found_before_the_work(tmp_path):
    path, making = tmp_path / "articles.jsonl", Making()
    path.write_text('{"_id": "a", "text": "x", "language": "en"}\n{"_id": "b"}\n')
    with pytest.raises(DataError, match="articles.jsonl:2: no field 'text'"):
        stream_rows(lambda: read_articles(path), making, tmp_path / "out.jsonl", SETTINGS)
    assert not making.asked and not (tmp_path / "out.jsonl").exists()


def test_standard_output_and_devices(capsys, tmp_path):
    path = type(tmp_path)
    assert stream(path("-")) == stream(path("/dev/null")) == Streamed(4, 8, 0)
    assert capsys.readouterr().out == WHOLE
