"""Cards of the collections that come with polyrank."""

from __future__ import annotations

from polyrank.collections.cards import CLEAN, CollectionCard, tags

_XQUAD = tags("de en es ru tr zh")
_NTREX = tags(
    "am az ba bem bn de el en es fa-AF fi fr id ig ja ko ky om pl ps pt ro ru rw sn sv sw tg th tk "
    "tr ug uk ur wo zh zh-Hant zu"
)
_FLORES = tags(
    "ak ar bem crh-Latn cs de en es fa fi fon ha hi it kk ky lg nl ru sn so sw ta ti tr tt ug uz "
    "vi xh yo zh"
)
_WATCHED = (
    "development: no text of it was trained on, but settings of the bundled modules were chosen by "
    "it; a test for other bases"
)


def _bundled(
    name: str,
    title: str,
    queries: tuple[str, ...],
    documents: tuple[str, ...],
    sizes: tuple[int, int],
    url: str,
    reference: str,
    pair: tuple[str, str],
    use: str = CLEAN,
    licence: str = "CC BY-SA 4.0",
    split: str = "all",
) -> CollectionCard:
    example = (
        f"polyrank search --collection {name} --query-language {pair[0]} "
        f"--document-language {pair[1]} --first-stage bm25 --no-rerank --limit 5"
    )
    get = "comes with polyrank"
    return CollectionCard(
        name, title, "bundled", queries, documents, sizes, licence, url, 0, split, use, reference,
        get, example,
    )  # fmt: skip


BUNDLED_CARDS = (
    _bundled(
        "xquad", "Questions and Wikipedia passages, parallel", _XQUAD, _XQUAD, (1190, 240),
        "https://github.com/google-deepmind/xquad", "Artetxe et al. 2020, arXiv 1910.11856",
        ("tr", "en"),
    ),
    _bundled(
        "ntrex", "News headlines and their articles, parallel", _NTREX, _NTREX, (123, 123),
        "https://github.com/MicrosoftTranslator/NTREX", "Federmann et al. 2022 (NTREX-128)",
        ("ky", "en"),
    ),
    _bundled(
        "flores", "A sentence and its translation, parallel", _FLORES, _FLORES, (1004, 1004),
        "https://github.com/dadelani/sib-200", "NLLB Team 2022 (FLORES-200), arXiv 2207.04672",
        ("ha", "en"), use=_WATCHED,
    ),
    _bundled(
        "sib200", "A sentence and those of its topic, parallel", _FLORES, _FLORES, (204, 800),
        "https://github.com/dadelani/sib-200", "Adelani et al. 2024 (SIB-200), arXiv 2309.07445",
        ("ha", "en"), use=_WATCHED,
        split="queries: SIB-200's test sentences; documents: its others",
    ),
    _bundled(
        "afriqa", "Questions in African languages, English and French passages",
        tags("ak bem en fon fr ha ig rw yo zu"), ("en", "fr"), (3947, 6144),
        "https://github.com/masakhane-io/afriqa", "Ogundepo et al. 2023, arXiv 2305.06897",
        ("ha", "en"),
        use="development: AfriQA's train and dev questions; English passages of it are among the "
        "text of training, and questions that are not of its dev split were trained on; the test "
        "questions are not bundled",
        licence="CC BY 4.0 (questions), CC BY-SA (passages)", split="train, dev or both",
    ),
)  # fmt: skip
