"""What is said of a result beside it."""

import pytest
from polyrank.cli.rerankers import tell_cut

from polyrank.notes import Note, Notes


@pytest.mark.parametrize(("cut", "told"), [(6, True), (5, False), (0, False)])
def test_cuts_of_most_pairs_are_told_with_what_to_do(cut, told, capsys):
    tell_cut(Notes({Note("cut", "pairs cut to 64 tokens"): cut}), 10)
    assert ("--max-length" in capsys.readouterr().err) == told
