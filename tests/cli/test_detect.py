"""polyrank detect."""

import json

import pytest

from polyrank.base import zoo_roots

pytestmark = pytest.mark.skipif(
    not (zoo_roots()[-1] / "lid" / "lid.ftz").is_file(), reason="the identifier is not built"
)
GERMAN, KYRGYZ = "Wie hoch ist der Siedepunkt von Wasser?", "Суунун кайноо температурасы канча?"


def test_arguments(polyrank):
    rows = [line.split("\t") for line in polyrank("detect", GERMAN, KYRGYZ).stdout.splitlines()]
    assert [row[0] for row in rows] == ["de", "ky"]
    assert all(0 < float(row[1]) <= 1 for row in rows)
    assert [row[2] for row in rows] == [GERMAN, KYRGYZ]


def test_standard_input_and_a_file_give_the_same(polyrank, tmp_path):
    (tmp_path / "texts.txt").write_text(f"{GERMAN}\n{KYRGYZ}\n", encoding="utf-8")
    from_file = polyrank("detect", "--file", tmp_path / "texts.txt", "--json").stdout
    assert polyrank("detect", "--json", stdin=f"{GERMAN}\n{KYRGYZ}\n").stdout == from_file
    assert [json.loads(line)["language"] for line in from_file.splitlines()] == ["de", "ky"]


def test_a_text_without_letters_has_no_language(polyrank):
    assert polyrank("detect", "12345").stdout == "und\t0.000\t12345\n"
    assert json.loads(polyrank("detect", "--json", "12345").stdout)["language"] is None


def test_texts_and_a_file_together_are_refused(polyrank):
    assert polyrank("detect", "x", "--file", "y").exit_code == 2
