"""Run and qrels files as they arrive: other line ends, other digits, cut short, twice the same."""

import gzip
import math

import pytest

from polyrank.collections import Judgement, iter_run_by_query, read_qrels, read_run, write_run
from polyrank.errors import DataError

RUN = "q1 Q0 a 1 2.5 t\nq1 Q0 b 2 1.5 t\nq2 Q0 a 1 -1e-3 t\n"
QRELS = "q1 0 a 1\nq1 0 b 0\nq2 0 a 2\n"
HARMLESS = {
    "as it is": lambda text: text.encode(),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "byte-order mark": lambda text: text.encode("utf-8-sig"),
    "no final line end": lambda text: text.rstrip("\n").encode(),
    "tabs": lambda text: text.replace(" ", "\t").encode(),
    "many blanks": lambda text: text.replace(" ", " \t  ").replace("\n", "  \n").encode(),
    "blanks before": lambda text: "".join(f"  {line}\n" for line in text.splitlines()).encode(),
    "blank lines": lambda text: ("\n" + text.replace("\n", "\n \n")).encode(),
    "several gzip members": lambda text: b"".join(
        gzip.compress(f"{line}\n".encode()) for line in text.splitlines()
    ),
}


def put(tmp_path, content, name="file"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("how", HARMLESS)
def test_harmless_ways_of_writing_change_nothing(tmp_path, how):
    name = "f.gz" if "gzip" in how else "f"
    run = put(tmp_path, HARMLESS[how](RUN), f"run-{name}")
    assert {q: [(h.document_id, h.score) for h in hits] for q, hits in read_run(run).items()} == {
        "q1": [("a", 2.5), ("b", 1.5)],
        "q2": [("a", -0.001)],
    }
    assert dict(iter_run_by_query(run)) == read_run(run)
    assert read_qrels(put(tmp_path, HARMLESS[how](QRELS), f"qrels-{name}")) == [
        Judgement("q1", "a", 1),
        Judgement("q1", "b", 0),
        Judgement("q2", "a", 2),
    ]


@pytest.mark.parametrize("score", ["1", "+1", "1.", "01", "1e0", "1E+0", ".1e1", "10e-1", "1.0000"])
def test_ways_of_writing_one(tmp_path, score):
    path = put(tmp_path, f"q Q0 a 1 {score} t\n")
    assert read_run(path)["q"][0].score == 1.0


NO_NUMBER = ["1_0", "١٫٥", "٣", "１", "0x1p3", "1,5", "", "--1", "1e", "1.5f", "½"]
NOT_FINITE = ["nan", "NaN", "-nan", "inf", "-inf", "Infinity", "1e999", "-1e400"]


@pytest.mark.parametrize("score", [s for s in NO_NUMBER if s])
def test_scores_that_are_no_number(tmp_path, score):
    path = put(tmp_path, f"q Q0 a 1 1 t\nq Q0 b 1 {score} t\n")
    with pytest.raises(DataError, match=r"file:2: the score '.*' is not a number"):
        read_run(path)


@pytest.mark.parametrize("score", NOT_FINITE)
@pytest.mark.parametrize("read", [read_run, lambda path: list(iter_run_by_query(path))])
def test_scores_that_are_not_finite(tmp_path, score, read):
    path = put(tmp_path, f"q Q0 a 1 1 t\nq Q0 b 1 {score} t\n")
    with pytest.raises(DataError, match=r"file:2: the score '.*' is not finite"):
        read(path)


@pytest.mark.parametrize(
    "score", ['"1_0"', '"٣"', "true", "1e999", "-Infinity", "NaN", "null", "[1]", "1" + "0" * 400]
)
def test_scores_of_json_lines(tmp_path, score):
    line = '{"query_id": "q", "document_id": "d", "score": %s}'
    path = put(tmp_path, f"{line % '1'}\n{line % score}\n".replace('"d"', '"e"', 1), "run.jsonl")
    with pytest.raises(DataError, match=r"run\.jsonl:2: .*score"):
        read_run(path)


@pytest.mark.parametrize("value", ["1_0", "٣", "１", "1.0", "1e0", "nan", "inf", "0x1", "+-1", "½"])
@pytest.mark.parametrize("line", ["q 0 b {}", "q\tb\t{}"])
def test_relevances_that_are_no_integer(tmp_path, value, line):
    path = put(tmp_path, f"q 0 a 1\n{line.format(value)}\n")
    with pytest.raises(DataError, match=r"file:2: the relevance '.*' is not an integer"):
        read_qrels(path)


@pytest.mark.parametrize("value, relevance", [("+1", 1), ("-1", -1), ("007", 7), ("-0", 0)])
def test_relevances_that_are(tmp_path, value, relevance):
    assert read_qrels(put(tmp_path, f"q 0 a {value}")) == [Judgement("q", "a", relevance)]


# No time in them: the processes of a parallel run must name the cases alike.
WHOLE = gzip.compress(RUN.encode(), mtime=0)
LONG = gzip.compress("".join(f"q Q0 d{i} 1 {i} t\n" for i in range(5000)).encode(), mtime=0)
BROKEN = [
    ("f", b"", None, "empty"),
    ("f", b"\xef\xbb\xbf", None, "empty"),
    ("f", b"\n \t\r\n", None, "empty"),
    ("f.gz", b"", None, "empty"),
    ("f.gz", gzip.compress(b"", mtime=0), None, "empty"),
    ("f.gz", RUN.encode(), 1, "damaged gzip"),
    ("f.gz", LONG[:-9], 5001, "damaged gzip"),
    ("f.gz", LONG[:-4] + b"\0\0\0\0", 5001, "damaged gzip"),
    ("f.gz", WHOLE + b"garbage", 4, "damaged gzip"),
    ("f", b"q Q0 a 1 1 t\nq Q0 b\xff 2 0 t\n", 2, "not UTF-8"),
    ("f", RUN.encode("utf-16"), 1, "not UTF-8"),
    ("f", b"q Q0 a 1 1 t\nq Q0 \xed\xa0\x80 2 0 t\n", 2, "not UTF-8"),  # half a surrogate pair
    ("f", b"q Q0 a 1 1 t\n\xef\xbb\xbfq Q0 b 1 1 t\n", 2, "byte-order mark"),  # two files in one
    ("f", b"q Q0 a 1 1 t\nq Q0 b\0 1 1 t\n", 2, "NUL"),
    ("f", b"q Q0 a 1 1 t\rq Q0 b 1 1 t\r", 1, "fields"),  # the line ends of old Macs
]


@pytest.mark.parametrize("name, content, line, reason", BROKEN)
def test_broken_files_say_where(tmp_path, name, content, line, reason):
    path = put(tmp_path, content, name)
    for read in (read_run, lambda path: list(iter_run_by_query(path))):
        with pytest.raises(DataError, match=reason) as caught:
            read(path)
        assert caught.value.path == str(path)
        # What is cut off may lie before the end of what was read.
        assert caught.value.line == line or (line == 5001 and 0 < caught.value.line <= 5001)


@pytest.mark.parametrize(
    "content, line, reason",
    [
        (b"", None, "empty"),
        (b"q 0 a 1\nq 0 \xe4 1\n", 2, "not UTF-8"),
        (b"q 0 a 1\nq 0 b\n", 2, "3 fields"),
        (b"query-id\tcorpus-id\tscore\n", None, "header without judgements"),
        (b"q 0 a 1\nq 1 a 1\n", 2, "judged on line 1 too"),
        (b"q 0 a 1\n\n\nq 0 a 0\r\n", 4, "judged on line 1 too"),
        (b"q\ta\t1\nq 0 a 1\n", 2, "judged on line 1 too"),
    ],
)
def test_broken_qrels_say_where(tmp_path, content, line, reason):
    path = put(tmp_path, content)
    with pytest.raises(DataError, match=reason) as caught:
        read_qrels(path)
    assert (caught.value.path, caught.value.line) == (str(path), line)


def test_duplicates_name_both_lines(tmp_path):
    path = put(tmp_path, "\nq Q0 a 1 3 t\np Q0 a 1 3 t\nq\tQ0\ta\t2\t1\tt\n")
    with pytest.raises(DataError, match=r"file:4: query q has document a on line 2 too"):
        read_run(path)


def test_ids_that_look_alike_are_not_the_same(tmp_path):
    """No normalisation: composed and decomposed letters, zeros before a number, case, blanks."""
    ids = ["a\u00a0b", "a\u2028", "é", "e\u0301", "1", "01", "A", "a", "\u200bx", "x"]
    path = put(tmp_path, "".join(f"q Q0 {i} 1 {n} t\n" for n, i in enumerate(ids)))
    assert {hit.document_id for hit in read_run(path)["q"]} == set(ids)


def test_equal_to_trec_eval_on_an_adversarial_run(tmp_path):
    """Unsorted ranks, exponents, unjudged and missing documents: the measures are pytrec_eval's."""
    pytrec_eval = pytest.importorskip("pytrec_eval")
    from polyrank.evaluation import evaluate

    text = (
        "q1\tQ0 c 9 1e-1 t\r\nq1 Q0 a 1 .09 t\r\nq1 Q0 b 1 0.080 t\r\n\r\nq1 Q0 u 3 5E-2 t\r\n"
        "q2 Q0 a 2 -3 t\nq2 Q0 x 1 -2.0 t\nq2 Q0 b 3 -3.5e0 t\nq9 Q0 a 1 1 t"
    )
    qrels = read_qrels(put(tmp_path, "q1 0 a 1\nq1 0 c 2\nq1 0 z 1\nq2 0 b 1\nq2 0 x 0\n", "qrels"))
    run = read_run(put(tmp_path, text))
    judged: dict[str, dict[str, int]] = {}
    for j in qrels:
        judged.setdefault(j.query_id, {})[j.document_id] = j.relevance
    scores = {q: {h.document_id: h.score for h in hits} for q, hits in run.items()}
    theirs = pytrec_eval.RelevanceEvaluator(judged, {"map", "ndcg_cut_10"}).evaluate(scores)
    ours = evaluate(run, qrels, ["AP", "nDCG@10"])
    for name, key in (("AP", "map"), ("nDCG@10", "ndcg_cut_10")):
        mean = sum(theirs[q][key] for q in ("q1", "q2")) / 2
        assert math.isclose(ours.mean[name], mean, abs_tol=1e-6)
    write_run(run, tmp_path / "again.gz")
    assert read_run(tmp_path / "again.gz") == run


def test_lines_that_were_glued_together_are_no_tag(tmp_path):
    path = put(tmp_path, b"q Q0 a 1 1 my own tag\nq Q0 b 2 0.5 tagq Q0 c 3 0.2 tag\n", "f")
    with pytest.raises(DataError, match="11 fields") as caught:
        read_run(path)
    assert caught.value.line == 2
