"""Which language modules a late-interaction system depends on, from the ranking module's card."""

from dataclasses import replace

import pytest

from polyrank.base import Fingerprint
from polyrank.experiments.modules import languages_used, missing_modules
from polyrank.experiments.specification import Collection, System, Task
from polyrank.modules.card import ModuleCard, Parent, write_card

from ..late_interaction.conftest import xmod_zoo  # noqa: F401

TASK = Task(Collection("small", "small", (("tr", "de"),)), "tr", "de")


@pytest.fixture
def late(tmp_path, tiny_folder):
    """late(kind, parent, routing) -> a system over a module of which there is only the card."""

    def make(kind, parent, routing):
        base, folder = str(tiny_folder), tmp_path / "li"
        folder.mkdir()
        over = Parent("en", "en", "0" * 64) if parent else None
        write_card(
            folder, ModuleCard("ranking", kind, "li", "en", base, Fingerprint("w", "v"), over)
        )
        return System("late", search="late", base=base, zoo=str(tmp_path), ranking=str(folder),
                      ranking_kind=kind, routing=routing)  # fmt: skip

    return make


@pytest.mark.parametrize(
    ("kind", "parent", "routing", "expected"),
    [
        ("adapter", True, None, ["tr", "de"]),
        ("adapter", False, None, []),
        ("full", True, None, ["tr", "de"]),
        ("full", False, None, []),
        ("full", False, "split", ["tr", "de"]),  # asked for, so they are put on
        ("full", False, "query", ["tr"]),
        ("full", False, "document", ["de"]),
        ("full", True, "none", []),
    ],
)
def test_what_was_asked_for_counts_before_what_the_card_says(late, kind, parent, routing, expected):
    system = late(kind, parent, routing)
    assert languages_used(system, TASK) == expected
    missing = [one.what.split()[:4] for one in missing_modules(system, [TASK])]
    assert missing == [["the", "language", "adapter", tag] for tag in expected]


@pytest.mark.parametrize("routing", [None, "split", "document", "none"])
def test_an_xmod_has_its_language_modules_inside(
    routing,
    tiny_xmod,
    xmod_zoo,  # noqa: F811
):
    system = System(
        "late", search="late", base=str(tiny_xmod), ranking_kind="full", routing=routing,
        ranking=str(xmod_zoo / "tiny-xmod" / "ranking" / "full" / "li"),
    )  # fmt: skip
    assert languages_used(system, TASK) == [] and missing_modules(system, [TASK]) == []


@pytest.mark.parametrize("kind", [None, "mask"])
def test_a_modular_search_needs_the_language_modules_of_both_sides(kind, tiny_folder, tmp_path):
    system = System(
        "m", search="modular", base=str(tiny_folder), zoo=str(tmp_path), language_kind=kind
    )
    assert languages_used(system, TASK) == ["tr", "de"]
    missing = [one.what.split()[:4] for one in missing_modules(system, [TASK])]
    assert missing == [["the", "language", kind or "adapter", tag] for tag in ("tr", "de")]
    assert not missing_modules(replace(system, fallback="none"), [TASK])
