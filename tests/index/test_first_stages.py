"""What searches unless told otherwise."""

from polyrank.base.card import BaseCard, write_base_card
from polyrank.index.first_stages import FIRST_STAGES, default_first_stage


def test_modules_search_over_a_base_for_retrieval_and_over_no_other(tmp_path):
    assert default_first_stage("e5-small") == "modular"
    for vectors, stage in ((True, "modular"), (False, "dense")):
        write_base_card(BaseCard(vectors=vectors), tmp_path)
        assert default_first_stage(str(tmp_path)) == stage


def test_a_base_that_says_nothing_of_itself_is_searched_without_modules(tmp_path):
    assert default_first_stage(str(tmp_path)) == "dense"
    assert default_first_stage("there/is-no-such-base") == "dense"


def test_a_language_without_a_module_is_searched_without_modules():
    assert default_first_stage("e5-small", ["rw", "en", None]) == "modular"
    assert default_first_stage("e5-small", ["en-GB", "sw-KE"]) == "modular"
    assert default_first_stage("e5-small", ["rw", "de"]) == "dense"


def test_defaults_are_first_stages():
    assert {"modular", "dense"} <= set(FIRST_STAGES)
