"""polyrank distill: its options reach the training, and those without use are refused."""

import pytest

PAIR = ("--source", "en", "--target", "ky", "--source-text", "en.txt", "--target-text", "ky.txt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--steps", "9"), "--steps would be ignored without --queries"),
        (("--passages", "p.jsonl", "--columns", "query=q"),
         "--passages, --columns would be ignored without --queries"),
        (("--queries", "q", "--teacher", "judge", "--ranking", "squad"), "ignored with --teacher"),
        (("--queries", "q", "--k", "9"), "--k would be ignored with --student full"),
        (("--queries", "q", "--columns", "query"), "write query=question,pos=answer"),
    ],
)  # fmt: skip
def test_an_option_without_use_is_refused(polyrank, tmp_path, options, message):
    result = polyrank("distill", *PAIR, *options, "--output", tmp_path / "m")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_rows_of_another_project_reach_the_training(polyrank, monkeypatch, tmp_path):
    from polyrank.training.distillation import distil as module

    given = {}

    def stop(*arguments, **options):
        given.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "distill_bilingual", stop)
    rows = ("--queries", "org/rows:dev", "--rows", "datasets", "--columns", "query=q,neg=n1+n2")
    polyrank("distill", *PAIR, *rows, "--output", tmp_path / "m")
    assert (given["queries"], given["rows"], given["passages"]) == (
        "org/rows:dev",
        "datasets",
        None,
    )
    assert given["columns"] == {"query": "q", "neg": "n1+n2"}
