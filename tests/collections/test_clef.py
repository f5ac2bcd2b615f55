"""A made-up CLEF folder with what real ones have: old encodings, open tags, gzip, many words."""

import gzip

import pytest

from polyrank.collections import Document, Judgement, Query, load_collection, load_judgements
from polyrank.collections.sgml import Assumed, iter_documents
from polyrank.errors import DataError, UsageError


def put(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = text if isinstance(text, bytes) else text.encode(encoding)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


FRANKFURTER = """<?xml version="1.0"?>
<DOC>
<DOCNO>FR940101-1</DOCNO>
<DOCID>FR940101-1</DOCID>
<DATE>940101</DATE>
<TITLE>Müller &amp; Söhne</TITLE>
<TEXT>Der Fluß <P>ist lang.</P> AT&T &uuml;bt &#8222;viel&#8220;.
Zweite Zeile – mit Strich.</TEXT>
</DOC>
<DOC><DOCNO>FR940101-2
<TITLE>Ohne Ende
<DATE>940101
<TEXT>Text ohne Schluss
<doc id="x"><docno> FR940101-3 </docno><HEADLINE>Klein</HEADLINE><LEAD>Kopf</LEAD>
<TEXT>Leib</TEXT></doc>
"""
SDA = """<DOC>\r
<DOCNO>SDA.1</DOCNO><TI>Käse</TI><LD>Aus Bern.</LD><TX>Viel Käse.</TX><ST>Zwischen</ST>\r
<TX>Noch mehr.</TX><KW>Essen</KW>\r
</DOC>\r
\x1a"""
DE = """<top>
<num> C141 </num>
<DE-title> Brief&shy;bombe für Kiesbauer </DE-title>
<DE-desc> Finden Sie Dokumente
über den Anschlag. </DE-desc>
<DE-narr> Nur &lt;relevante&gt;. </DE-narr>
</top>
<top><num> C090 </num><DE-title> Alt </DE-title><DE-desc> Vom Jahr 2001. </DE-desc></top>
<top><num> C142 </num><DE-title> Ohne Treffer </DE-title><DE-desc> Nichts. </DE-desc></top>
"""


@pytest.fixture
def clef(tmp_path):
    de = tmp_path / "Documents" / "German"
    put(de / "frankfurter" / "fr94.sgml", FRANKFURTER, "windows-1252")
    put(de / "SDA94" / "sda940101.gz", SDA)
    put(de / "SDA94" / "sda.dtd", "<!ELEMENT DOC ANY>")
    put(de / "README", "no documents here")
    izvestia = "<IZV><DOC><DOCNO>IZ-1</DOCNO><TITLE>Река</TITLE><TEXT>Вода.</TEXT></DOC></IZV>"
    put(tmp_path / "Documents" / "ru" / "iz.xml", izvestia)
    put(tmp_path / "topics" / "Top-DE03.txt", DE, "iso-8859-1")
    put(
        tmp_path / "topics" / "2000" / "TOP-SW.txt",
        "<top>\n<num> C141\n\n<SW-title>\nBrev\n\n"
        "<SW-desc>\nEn fråga\npå två rader.\n\n<SW-narr>\nLång.\n\n</top>\n",
        "iso-8859-1",
    )
    put(
        tmp_path / "topics" / "clef-en-2000-2003-wo-narrative_SWAHILI.txt",
        "query_id: C141\ntitle: Barua\ndescription: Tafuta hati\nkuhusu bomu.\n\n"
        "query_id: C142\ntitle: Hakuna\ndescription: Kitu.\n",
    )
    put(
        tmp_path / "topics" / "en_topics.xml",
        '<?xml version="1.0" encoding="UTF-8"?>\n<topics>\n'
        '<topic lang="en"><identifier>10.2452/141-AH</identifier><title>Letter Bomb</title>\n'
        "<description>Find <i>it</i>.</description><narrative>No.</narrative></topic></topics>",
    )
    put(
        tmp_path / "qrels" / "2003" / "qrels_german",
        "141 0 FR940101-1 1\n141 0 SDA.1 0\r\n142 0 SDA.1 0\n90 0 SDA.1 1\n",
    )
    put(tmp_path / "qrels" / "2003" / "qrels_russian.gz", "C141 0 IZ-1 1\n")
    return tmp_path  # fmt: skip


def test_documents_with_all_their_quirks(clef):
    held = load_collection(f"clef:{clef}", "de", "de")
    assert held.documents == {
        d.id: d
        for d in (
            Document(
                "FR940101-1",
                "Der Fluß ist lang. AT&T übt „viel“. Zweite Zeile – mit Strich.",
                "Müller & Söhne",
                "de",
            ),
            Document("FR940101-2", "Text ohne Schluss", "Ohne Ende", "de"),
            Document("FR940101-3", "Kopf Leib", "Klein", "de"),
            Document("SDA.1", "Aus Bern. Viel Käse. Zwischen Noch mehr.", "Käse", "de"),
        )
    }
    notes = "\n".join(held.notes)
    assert "a line is not UTF-8 and was read as windows-1252: 5 times" in notes
    assert "a document without </DOC> was ended by the next: 1 times, first" in notes
    assert "<DATE> is not taken as text: 2 times" in notes and "<KW> is not" in notes
    assert "1 topics in de have no relevant document and were left out" in notes


@pytest.mark.parametrize(
    "language, text",
    [
        ("de", "Brief\u00adbombe für Kiesbauer Finden Sie Dokumente über den Anschlag."),
        ("sv", "Brev En fråga på två rader."),
        ("sw", "Barua Tafuta hati kuhusu bomu."),
        ("en", "Letter Bomb Find it ."),
    ],
)
def test_topics_are_title_and_description_in_every_form(clef, language, text):
    held = load_collection(f"clef:{clef}", language, "deu")
    assert held.queries == {"141": Query("141", text, language)}
    judged = [Judgement("141", "FR940101-1", 1), Judgement("141", "SDA.1", 0)]
    assert held.qrels == load_judgements(f"clef:{clef}", language, "de") == judged


def test_campaigns_and_all_languages(clef):
    held = load_collection(f"clef:{clef}", "de", "de", split="2001")
    assert [q.text for q in held.queries.values()] == ["Alt Vom Jahr 2001."]
    assert list(load_collection(f"clef:{clef}", "de", "de", split="all").queries) == ["90", "141"]
    everything = load_collection(f"clef:{clef}", limit=1)
    assert set(everything.queries) == {"141.de", "141.en", "141.sv", "141.sw"}
    assert {d.language for d in everything.documents.values()} == {"de", "ru"}
    assert Judgement("141.sw", "IZ-1", 1) in everything.qrels
    assert everything.qrels == load_judgements(f"clef:{clef}")
    with pytest.raises(UsageError, match=r"no topics of 2002 in de; it has 2001, 2003"):
        load_collection(f"clef:{clef}", "de", "de", split="2002")
    with pytest.raises(UsageError, match="no split '2004'; it has 2000"):
        load_collection(f"clef:{clef}", split="2004")


def test_absent_languages_are_refused_with_those_there(clef):
    with pytest.raises(UsageError, match=r"no topics in fi; it has de, en, sv, sw"):
        load_collection(f"clef:{clef}", "fi", "de")
    with pytest.raises(UsageError, match=r"no judgements of documents in fi; it has de, ru"):
        load_collection(f"clef:{clef}", "de", "fi")


D = "Documents/German/more"
BAD = [
    (D, "<DOC>\n<DOCNO>SDA.1</DOCNO></DOC>", 1, r"SDA\.1 is also at .*sda940101\.gz:1"),
    (D, "<DOC><DOCNO>x</DOCNO></DOC>\n<DOC><TITLE>t</TITLE></DOC>", 2, "without a DOCNO"),
    (D, "<DOC><DOCNO>a b</DOCNO></DOC>", 1, "'a b' is not one word"),
    (D, "once upon a time", None, "no <DOC>"),
    (D + ".zip", b"PK", None, "an archive"),
    (D + ".gz", b"\x1f\x8b", 1, "damaged gzip"),
    (D, '<?xml encoding="utf-8"?>\nü'.encode("latin-1"), 2, "not utf-8"),
    (D, '<?xml encoding="klingon"?>\n', 1, "'klingon' is not known"),
    (D, "<DOC>".encode("utf-16"), 1, "UTF-16"),
    ("Documents/papers/x", "<DOC>", None, "is not a language"),
    ("Documents/ru/koi8", "<DOC>Вода".encode("koi8-r"), 1, "not UTF-8.*iconv"),
    ("topics/more/Top-DE.txt", DE, 1, "topic 141 in de is also at .*Top-DE03.txt:1"),
    ("topics/it.txt", "\n<top><num>C141<IT-title>x</top>", 2, "a topic without description"),
    ("topics/it.txt", "<top><num>1<title>x<desc>y\n<desc>z", 2, "second description.*line 1"),
    ("topics/it.txt", "<top><title>x<desc>y</top>", 1, "a topic without number"),
    ("topics/it.txt", "<top><num>141½<title>x<desc>y</top>", 1, "'141½' is not like C141"),
    ("topics/it.txt", DE, None, "tags in de in a file that is named for it"),
    ("topics/it.txt", "<html>", None, "no topic in this file"),
    ("topics/it-fr.txt", "<top>", None, "may mean fr, it"),
    ("topics/all.txt", "<top><num>141<title>x<desc>y</top>", None, "no language in its name"),
    ("qrels/more_german", "\nC0141 0 SDA.1 1\n", 2, r"SDA\.1 are also judged at .*qrels_german:2"),
    ("qrels/more_german", "141 0 NRC.1 1\n", 1, "NRC.1 is judged relevant but not among.* 1 of 2"),
    ("qrels/more_german", "T141 0 SDA.1 1\n", 1, "'T141' is not like C141"),
    ("qrels/more_german", "141 0 NRC.1\n", 1, "3 fields"),
]


@pytest.mark.parametrize("name, content, line, reason", BAD)
def test_bad_content_names_file_and_line(clef, name, content, line, reason):
    path = clef / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=reason) as caught:
        load_collection(f"clef:{clef}", documents=None if "ru" in name else "de")
    assert caught.value.path in (str(path), str(path.parent)) and caught.value.line == line


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(DataError, match="folder not found"):
        load_collection(f"clef:{tmp_path}/none")
    with pytest.raises(DataError, match="no folder qrels or"):
        load_collection(f"clef:{tmp_path}")


@pytest.mark.parametrize(
    "body, title, text",
    [
        ("<BODY><TI><P>a</P></TI><LE><P>b</P></LE><TE>c</TE><AUT>d</AUT></BODY>", "a", "b c"),
        ("<HEAD>a</HEAD><BODY>b <I>c</I></BODY>", "a", "b c"),
        ("<TEXT>a <QUOTE>b</QUOTE> c</TEXT>", "", "a b c"),
        ("<TI>a<AUTHOR>x<TX>b<P>c<KW>y", "a", "b c"),
        ("<TEXT><TITLE>a</TITLE>b</TEXT>", "a", "b"),
        ("<!-- x > --><TEXT>1 < 2 & 3</TEXT>", "", "1 < 2 & 3"),
    ],
)
def test_elements_by_hand(tmp_path, body, title, text):
    path = put(tmp_path / "x", f"<DOC><DOCNO>1</DOCNO>{body}</DOC>")
    (one,) = iter_documents(path, None, Assumed())
    assert (one.title, one.text) == (title, text)
