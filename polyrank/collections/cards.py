"""What collections there are by name: sizes, licences and sources, in one table.

Sizes and counts of `ir_datasets` entries are those that the package itself lists (0.6.3).
"""

from __future__ import annotations

from dataclasses import dataclass

from polyrank.languages.tags import normalise

IRDS_URL = "https://ir-datasets.com"
CLEF_URL = "https://catalog.elda.org/en-us/repository/browse/ELRA-E0008/"
CLEF_LICENCE = "ELRA evaluation licence, for a fee (ELRA-E0008)"


@dataclass(frozen=True)
class CollectionCard:
    """One collection, or one pattern of names (with a word in capitals to fill in).

    Attributes:
        name: what `load_collection` and --collection take.
        title: what it is, in a line.
        source: `bundled`, `irds`, `clef`, `hf` or `beir`.
        queries, documents: languages, as normalised tags; empty where the user's data says.
        sizes: number of queries and documents; None where it depends or is not known.
        licence: as its publisher states it; read it there before use.
        url: where it is from.
        download: bytes that are fetched at the first use; 0 for none, None where not known.
        split: which part it is.
        use: `test` or `development`: what it may be used for in this project, and why.
        reference: the paper.
        get: how to get it.
        example: a command.
    """

    name: str
    title: str
    source: str
    queries: tuple[str, ...]
    documents: tuple[str, ...]
    sizes: tuple[int | None, int | None]
    licence: str
    url: str
    download: int | None
    split: str
    use: str
    reference: str
    get: str
    example: str

    def speaks(self, language: str) -> bool:
        """Whether it has queries or documents in a language."""
        return normalise(language) in {*self.queries, *self.documents}


def _tags(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_XQUAD = _tags("de en es ru tr zh")
_NTREX = _tags(
    "am az ba bem bn de el en es fa-AF fi fr id ig ja ko ky om pl ps pt ro ru rw sn sv sw tg th tk "
    "tr ug uk ur wo zh zh-Hant zu"
)
_FLORES = _tags(
    "ak ar bem crh-Latn cs de en es fa fi fon ha hi it kk ky lg nl ru sn so sw ta ti tr tt ug uz "
    "vi xh yo zh"
)
_WATCHED = (
    "development: no text of it was trained on, but settings of the bundled modules were chosen by "
    "it; a test for other bases"
)
_CLEAN = "test: nothing in polyrank was trained or tuned on it"


def _bundled(
    name: str,
    title: str,
    queries: tuple[str, ...],
    documents: tuple[str, ...],
    sizes: tuple[int, int],
    url: str,
    reference: str,
    pair: tuple[str, str],
    use: str = _CLEAN,
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
        _tags("ak bem en fon fr ha ig rw yo zu"), ("en", "fr"), (3947, 6144),
        "https://github.com/masakhane-io/afriqa", "Ogundepo et al. 2023, arXiv 2305.06897",
        ("ha", "en"),
        use="development: AfriQA's train and dev questions; English passages of it are among the "
        "text of training, and questions that are not of its dev split were trained on; the test "
        "questions are not bundled",
        licence="CC BY 4.0 (questions), CC BY-SA (passages)", split="train, dev or both",
    ),
)  # fmt: skip


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
        name, title, "irds", _tags(queries), _tags(documents), sizes, licence,
        f"{IRDS_URL}/{identity.partition('/')[0]}.html", download, split,
        _CLEAN, reference,
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

OTHER_CARDS = (
    CollectionCard(
        "clirudit", "English keywords and French abstracts of research articles", "hf",
        ("en",), ("fr",), (357710, 16389), "CC BY-NC 4.0",
        "https://huggingface.co/datasets/ftvalentini/clirudit", 36173928, "test", _CLEAN,
        "CLIRudit, 2025, arXiv 2504.16264", "it is fetched from the Hub at the first use",
        "polyrank rerank --collection clirudit --run first.trec --output reranked.trec",
    ),
    CollectionCard(
        "hf:MAPPING.json", "Parquet, JSON lines or a data set of the Hub, by its columns",
        "hf", (), (), (None, None), "the data's own", "https://huggingface.co/datasets", None,
        "as the mapping says", "as its publisher says", "-",
        'a file such as {"documents": {"data": "docs.parquet", "id": "docid", "text": "abstract", '
        '"language": "fr"}, "queries": {"data": "OWNER/NAME", "config": "queries", '
        '"split": "test", "id": "qid", "text": "query"}, "qrels": {"data": "qrels.jsonl", '
        '"query": "qid", "document": "docid", "relevance": "rel"}}; files stand beside it',
        "polyrank rerank --collection hf:MAPPING.json --run first.trec --output reranked.trec",
    ),
    CollectionCard(
        "clef:FOLDER", "CLEF 2000–2003 ad hoc: topics over newspapers of 1994 and 1995", "clef",
        _tags("de en es fi fr it nl ru so sv sw"), _tags("de en es fi fr it nl ru sv"),
        (60, None), CLEF_LICENCE, CLEF_URL, 0,
        "2003 (topics 141–200); 2000, 2001, 2002 or all by --split", _CLEAN,
        "Braschler and Peters 2004, Information Retrieval 7",
        "from its publisher, as a folder with documents/LANG/ (SGML at any depth, plain or .gz), "
        "topics/ (a file per language, such as Top-DE03.txt) and qrels/ (such as qrels_german); "
        "LANG is a tag or an English name",
        "polyrank rerank --collection clef:FOLDER --query-language de --document-language fi "
        "--run first.trec --output reranked.trec",
    ),
    CollectionCard(
        "FOLDER", "A folder in the BEIR layout", "beir", (), (), (None, None), "the data's own",
        "-", 0, "qrels/test.tsv", "as its publisher says", "Thakur et al. 2021, arXiv 2104.08663",
        "a folder with corpus.jsonl, queries.jsonl, qrels/test.tsv (plain or .gz)",
        "polyrank search --collection scifact --no-rerank --limit 5",
    ),
)  # fmt: skip

CARDS = (*BUNDLED_CARDS, *IRDS_CARDS, *OTHER_CARDS)
