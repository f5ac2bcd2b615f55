"""Cards of collections of the `ir_datasets` package.

Sizes and counts are those that the package itself lists (0.6.3).
"""

from __future__ import annotations

from polyrank.collections.cards import CLEAN, CollectionCard, tags

IRDS_URL = "https://ir-datasets.com"


def _irds(
    identity: str,
    title: str,
    queries: str,
    documents: str,
    sizes: tuple[int | None, int | None],
    download: int | None,
    licence: str,
    reference: str,
    split: str,
    get: str = "",
) -> CollectionCard:
    name = f"irds:{identity}"
    return CollectionCard(
        name, title, "irds", tags(queries), tags(documents), sizes, licence,
        f"{IRDS_URL}/{identity.partition('/')[0]}.html", download, split,
        CLEAN, reference,
        get or "pip install 'polyrank[ir-datasets]'; it is fetched at the first use",
        f"polyrank rerank --collection {name} --run first.trec --output reranked.trec",
    )  # fmt: skip


# language: documents, queries of the dev split, bytes of passages, topics and judgements
MIRACL = {
    "ar": (2061414, 2896, 320619962), "bn": (297265, 411, 60064166),
    "de": (15866222, 305, 2629442855), "en": (32893221, 799, 5060483121),
    "es": (10373953, 648, 1595834347), "fa": (2207172, 632, 269966364),
    "fi": (1883509, 1271, 270205165), "fr": (14636953, 343, 1911278264),
    "hi": (506264, 350, 97671668), "id": (1446315, 960, 169828137),
    "ja": (6953614, 860, 1065544083), "ko": (1486752, 213, 226649178),
    "ru": (9543918, 1252, 1575494186), "sw": (131924, 482, 10749006),
    "te": (518079, 828, 72352178), "th": (542166, 733, 110394614),
    "yo": (49043, 119, 228037), "zh": (4934368, 393, 733528420),
}  # fmt: skip
# language: documents, queries of the test split, bytes
MR_TYDI = {
    "ar": (2106586, 1081, 321016840), "bn": (304059, 111, 59707233),
    "en": (32907100, 744, 4964684589), "fi": (1908757, 1254, 268373209),
    "id": (1469399, 829, 168175031), "ja": (7000027, 720, 1054574801),
    "ko": (1496126, 421, 222544514), "ru": (9597504, 995, 1549150495),
    "sw": (136689, 670, 10452957), "te": (548224, 646, 73416550),
    "th": (568855, 1190, 112677400),
}  # fmt: skip
# ir_datasets' code (dt is Dutch): bytes of passages, queries and judgements
MMARCO = {
    "ar": 4670996225, "zh": 2724401006, "dt": 3367604364, "fr": 3661770771, "de": 3493306702,
    "hi": 7659853064, "id": 3302587370, "it": 3449280364, "ja": 3930948915,
    "pt": 3436121413, "ru": 5777511359, "es": 3576944555, "vi": 4145973350,
}  # fmt: skip
# language: documents, queries of HC4 test, of NeuCLIR 2022 and 2023, documents and bytes of NeuCLIR
NEUCLIR = {
    "fa": (486486, 50, 46, 76, 2232016, 2359094118),
    "ru": (4721064, 50, 45, 76, 4627543, 4504119267),
    "zh": (646305, 50, 49, 76, 3179209, 3188072408),
}
_NEUCLIR_TOPICS = {"2022": 662272 + 4785668, "2023": 683779 + 6023886}
_HC4 = (
    "pip install 'polyrank[ir-datasets]'; the documents must be taken from Common Crawl with the "
    "scripts of https://github.com/hltcoe/HC4 (hours), then linked under ~/.ir_datasets/hc4"
)

IRDS_CARDS = (
    *(
        _irds(
            f"hc4/{tag}/test", "English topics, Common Crawl news", "en", tag, (row[1], row[0]),
            None, "see the publisher: https://github.com/hltcoe/HC4",
            "Lawrie et al. 2022, arXiv 2201.09992", "test", _HC4,
        )
        for tag, row in NEUCLIR.items()
    ),
    *(
        _irds(
            f"neuclir/1/{tag}/trec-{year}", "English topics, Common Crawl news", "en", tag,
            (row[place], row[4]), row[5] + _NEUCLIR_TOPICS[year],
            "ODC-BY (documents); see the publisher: https://huggingface.co/datasets/neuclir/neuclir1",
            "Lawrie et al. 2023, arXiv 2304.12367", f"TREC {year}",
        )
        for tag, row in NEUCLIR.items()
        for year, place in (("2022", 2), ("2023", 3))
    ),
    *(
        _irds(
            f"miracl/{tag}/dev", "Questions and Wikipedia passages", tag, tag, (row[1], row[0]),
            row[2], "Apache-2.0; the passages are Wikipedia's",
            "Zhang et al. 2023, arXiv 2210.09984", "dev (its test has no public judgements)",
        )
        for tag, row in MIRACL.items()
    ),
    *(
        _irds(
            f"mr-tydi/{tag}/test", "Questions and Wikipedia passages", tag, tag, (row[1], row[0]),
            row[2], "Apache-2.0; the passages are Wikipedia's",
            "Zhang et al. 2021, arXiv 2108.08787", "test",
        )
        for tag, row in MR_TYDI.items()
    ),
    *(
        _irds(
            f"mmarco/v2/{code}/dev/small", "MS MARCO passages, machine-translated",
            "nl" if code == "dt" else code, "nl" if code == "dt" else code, (6980, 8841823), size,
            "see the publisher: https://huggingface.co/datasets/unicamp-dl/mmarco",
            "Bonifacio et al. 2021, arXiv 2108.13897", "dev, small",
        )
        for code, size in MMARCO.items()
    ),
    _irds(
        "clirmatrix/DOCUMENTS/multi8/QUERIES/test1",
        "Wikipedia titles and articles, judged by a BM25 in the query's language",
        "ar de en es fr ja ru zh", "ar de en es fr ja ru zh", (None, None), None,
        "see the publisher: https://github.com/ssun32/CLIRMatrix",
        "Sun and Duh 2020 (CLIRMatrix), EMNLP", "test1 (or test2, dev, train)",
    ),
    _irds(
        "ID", "Any data set of ir_datasets", "", "", (None, None), None,
        "the data set's own; see its page", "MacAvaney et al. 2021, arXiv 2103.02280",
        "as the id says",
    ),
)  # fmt: skip
