import pytest

from polyrank.base import zoo_roots
from polyrank.corpus.foreign import Foreign, foreigners, is_identified

pytestmark = pytest.mark.skipif(
    not (zoo_roots()[-1] / "lid" / "lid.ftz").is_file(), reason="the identifier is not built"
)
GERMAN = "Der Siedepunkt von Wasser liegt auf Meereshöhe bei hundert Grad."
KYRGYZ = "Деңиз деңгээлинде суу жүз градуста кайнайт."


def test_lines_of_another_language():
    found = foreigners("ky")([KYRGYZ, GERMAN, "100 °"])
    assert found[0] is None and found[2] is None
    assert found[1].language == "de" and found[1].confidence > 0.9


def test_script_and_region_are_no_other_language():
    assert foreigners("de-CH")([GERMAN]) == [None]


def test_of_a_language_that_the_identifier_does_not_know_scripts_are_compared():
    assert is_identified("ky") and not is_identified("mt")
    assert not is_identified("xh")  # it knows the label, and takes nearly all Xhosa for Zulu
    assert foreigners("mt")([GERMAN, KYRGYZ, "100 °"]) == [None, Foreign("Cyrl", 1.0), None]
    assert foreigners("yue")(["水喺一百度沸騰"]) == [None]
