"""Options that would do nothing are refused, before anything is read or loaded."""

import pytest
import typer

TOY = ("--queries", "absent.jsonl", "--output", "m")
RUN = ("absent.trec", "absent.trec2")
TEXTS = ("--queries", "absent.jsonl", "--documents", "absent.jsonl")
TRANSLATE = ("translate", "--translator", "memory:m", "--source", "tr", "--target", "en")
RENDER = ("prompts", "render", "label-binary", "--query", "q", "--passage", "p")
PAIR = ("--source", "en", "--target", "ky", "--source-text", "e.txt", "--target-text", "k.txt")
REWARD = ("train", "llm", "--model", "absent", *TOY, "--teacher", "squad")


@pytest.fixture(scope="module")
def command():
    """The whole command line, made once."""
    from polyrank.cli.app import app

    return typer.main.get_command(app)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "r", "q", "--query-language", "tr"), "--query-language would do nothing"),
        (("evaluate", "r", "q", "--documents", "d"), "--documents would do nothing"),
        (("compare", *RUN, "--qrels", "q", "--documents", "d"), "--documents would do nothing"),
        (
            ("compare", *RUN, "--qrels", "q", "--unit", "query", "--queries", "d"),
            "--queries would do nothing with --qrels and --unit query",
        ),
        (("view", *RUN, "--output", "v.html", "--device", "cpu"), "--device would do nothing"),
        (
            ("view", *RUN, "--output", "v.html", "--depth", "2", "--explain", "3"),
            "--explain 3: only 2 documents are shown",
        ),
        (
            ("explain", "--query", "q", "--passage", "p", "--model", "m", "--base", "b"),
            "--base would do nothing with --model",
        ),
        (
            (
                "explain",
                "--query",
                "q",
                "--passage",
                "p",
                "--routing",
                "none",
                "--fallback",
                "none",
            ),
            "--fallback would do nothing with the routing 'none'",
        ),
        (
            ("compose", "--kind", "full", "--fallback", "none"),
            "--fallback would do nothing with the routing 'none'",
        ),
        (("compose", "--overwrite"), "--overwrite would do nothing with no --output"),
        (("bench", "absent", *TEXTS, "--measure", "AP"), "--measure would do nothing"),
        (("loyalty", *RUN, "--query-language", "tr"), "--query-language would do nothing"),
        ((*TRANSLATE, "--input", "i", "--what", "queries"), "--what would do nothing"),
        ((*TRANSLATE, "--collection", "ntrex", "--failed", "f"), "--failed would do nothing"),
        (("experiment", "e.yaml", "--dry-run", "--output", "o"), "--output would do nothing"),
        (
            ("experiment", "e.yaml", "--dry-run", "--work", "w", "--limit", "3"),
            "--limit would do nothing with --dry-run and --work",
        ),
        (("train", "grid", "g.yaml", "--dry-run", "--work", "w"), "--work would do nothing"),
        ((*RENDER, "--context", "99"), "--context would do nothing with no --tokenizer"),
        ((*RENDER, "--query-language", "ky"), "--query-language would do nothing"),
        (
            ("corpus", "report", "ky=t", "--skip", "language", "--legible", "9"),
            "--legible would do nothing with --skip language",
        ),
        (
            ("corpus", "clean", "ky=t", "--output", "-", "--skip", "unknown", "--base", "b"),
            "--base would do nothing with --skip unknown",
        ),
        (
            ("corpus", "report", "ky=t", "--shortest", "1", "--longest", "9", "--reach", "2"),
            "--reach would do nothing with --shortest and --longest",
        ),
        (
            ("corpus", "mix", "ky=t", "en=t", "--output", "-", "--lines", "9", "--base", "b"),
            "--base would do nothing with --lines",
        ),
        (
            ("corpus", "mix", "ky=t", "--output", "-", "--lines", "9", "--alpha", "0"),
            "--alpha would do nothing with one file",
        ),
        (
            ("index", "build", "i", "--routing", "none", "--language-kind", "mask"),
            "--language-kind would do nothing with the routing 'none'",
        ),
        (("index", "fidelity", "i", "--candidates", "9"), "--candidates would do nothing"),
        (
            ("index", "delete", "i", "--languages", "sw", "--missing", "skip"),
            "--missing would do nothing with --languages alone",
        ),
        (
            ("train", "llm", "--model", "absent", *TOY, "--lora-alpha", "9"),
            "--lora-alpha would do nothing with no --lora",
        ),
        ((*REWARD, "--reward", "relevance"), "the reward 'relevance' reads no scores"),
        (
            ("train", "ranking", *TOY, "--teacher-scale", "min-max"),
            "the scale 'min-max' is of a teacher's scores",
        ),
        (
            ("train", "late-interaction", *TOY, "--attend", "--augment-to", "0"),
            "--attend would do nothing",
        ),
        (
            ("train", "late-interaction", *TOY, "--steps", "20", "--average", "3"),
            "3 snapshots 10 steps apart are not in 20 steps; give --average 2 or less",
        ),
        (
            ("train", "labels", *TOY, "--teacher", "bm25", "--beta", "0.2"),
            "--beta would do nothing with --join mean",
        ),
        (
            ("distill", *PAIR, "--output", "m", "--factor", "1", "--layers", "last"),
            "--layers would do nothing with --factor 1",
        ),
    ],
)
def test_it_is_refused(arguments, message, command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.main(list(arguments), "polyrank", standalone_mode=False) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []
