"""Translators: the contract, an endpoint, a sequence-to-sequence model, memories, a lexicon."""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from polyrank.errors import DataError, ModuleError, PolyrankError, UsageError
from polyrank.translation.endpoint import Endpoint
from polyrank.translation.kept import Kept
from polyrank.translation.lexicon import likeliest
from polyrank.translation.translator import load_translator, translated


def reversing(texts, source, target):
    return [text[::-1] for text in texts]


def test_each_text_is_asked_for_once_and_an_empty_one_never():
    asked = []

    def counting(texts, source, target):
        asked.extend(texts)
        return reversing(texts, source, target)

    assert translated(counting, ["ab", " ", "ab", "cd"], "de", "en") == ["ba", " ", "ba", "dc"]
    assert asked == ["ab", "cd"]
    assert translated(counting, ["ab"], "de", "de") == ["ab"] and asked == ["ab", "cd"]
    with pytest.raises(PolyrankError, match="given 2 texts and returned 1"):
        translated(lambda texts, *_: texts[:1], ["a", "b"], "de", "en")


@pytest.fixture
def server():
    """A LibreTranslate that turns texts around, busy at the first question."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((self.path, body))
            known = body["target"] != "xx"
            status = 503 if len(seen) == 1 else 200 if known else 400
            answer = {"translatedText": [text[::-1] for text in body["q"]]} if known else {}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    running = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}", seen
    running.shutdown()


def test_an_endpoint(server):
    url, seen = server
    translator = Endpoint(url, batch=2, wait=0.01)
    assert translator(["ab", "cd", "ef"], "de", "en") == ["ba", "dc", "fe"]
    assert seen[0] == (
        "/translate", {"q": ["ab", "cd"], "source": "de", "target": "en", "format": "text"}
    )  # fmt: skip
    assert len(seen) == 3  # the busy answer was asked for again
    with pytest.raises(PolyrankError, match="refused with 400"):
        load_translator(url)(["ab"], "de", "xx")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", "in 2 tries: IncompleteRead"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "in 2 tries: SSH-2.0-OpenSSH_9.6"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "answered with something other than JSON"),
    ],
)
def test_an_endpoint_that_speaks_otherwise(answer, message):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            asked = b""
            while not asked.endswith(b"}"):  # of the body
                asked += self.request.recv(65536)
            self.request.sendall(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{running.server_address[1]}"
        with pytest.raises(PolyrankError, match=message):
            Endpoint(url, retries=1, wait=0.01)(["a"], "de", "en")
        running.shutdown()


def test_an_endpoint_that_is_not_there():
    with pytest.raises(PolyrankError, match="cannot be reached in 2 tries: .*refused"):
        Endpoint("http://127.0.0.1:9", retries=1, wait=0.01)(["a"], "de", "en")


def test_a_sequence_to_sequence_model(bart):
    """What the model itself writes, text by text; sorting and padding change nothing."""
    translator = load_translator(str(bart))
    texts = ["water", "water and ice", "ice"]
    inputs = [translator.tokenizer(text, return_tensors="pt").input_ids for text in texts]
    room = min(63, 2 * max(ids.shape[1] for ids in inputs) + 32)
    written = [translator.model.generate(ids, max_new_tokens=room)[0] for ids in inputs]
    expected = translator.tokenizer.batch_decode(written, skip_special_tokens=True)
    assert translator(texts, "en", "de") == [text.strip() for text in expected]
    with pytest.raises(ModuleError, match="cannot be read"):
        load_translator(str(bart.parent / "no"))


@pytest.mark.parametrize(
    "forced", [False, True]
)  # as BART and mBART force an end at the last token
def test_what_a_sequence_to_sequence_model_cuts_is_counted(bart, tmp_path, forced):
    translator = load_translator(str(bart))
    model, end = translator.model, translator.tokenizer.eos_token_id
    model.generation_config.forced_eos_token_id = end if forced else None
    model.final_logits_bias[0, end] = -1e4  # never by itself
    kept = Kept(translator, tmp_path / "memory.jsonl", "bart")
    kept(["ice", "water " * 80], "en", "de")
    assert {
        (note.kind, str(note).split(" of ")[0]): n for note, n in kept.notebook.notes.items()
    } == {
        ("cut", f"texts cut to the 64 tokens that {bart} reads, before translation"): 1,
        ("other", "translations"): 2,
    }
    model.final_logits_bias[0, end] = 1e4  # at once
    before = kept.notebook.notes
    assert kept(["water"], "en", "de") == [""] and not kept.notebook.notes - before


def test_how_models_spell_languages():
    from polyrank.translation.seq2seq import bare, code_of

    assert code_of("ky", ["eng_Latn", "kir_Cyrl"]) == "kir_Cyrl"  # NLLB
    assert code_of("ky", ["__en__", "__ky__"]) == "__ky__" and bare("__ky__") == "ky"  # M2M100
    assert code_of("tr", ["en_XX", "tr_TR"]) == "tr_TR"  # mBART
    assert code_of("en", ["en_XX", "tr_TR"]) == "en_XX"
    assert code_of("zh-Hant", ["zho_Hans", "zho_Hant"]) == "zho_Hant"
    with pytest.raises(UsageError, match="no language 'ky'.*kir_Cyrl.*it has en_XX"):
        code_of("ky", ["en_XX"])


def test_a_memory_grows_and_survives_a_kill(tmp_path):
    path = tmp_path / "memory.jsonl"
    assert Kept(reversing, path, "back")(["ab", "cd"], "de", "en") == ["ba", "dc"]
    with path.open("a") as file:
        file.write('{"source": "de", "tar')  # cut

    def refusing(texts, source, target):
        assert texts == ["ef"]
        return ["fe"]

    assert Kept(refusing, path, "back")(["cd", "ef"], "de", "en") == ["dc", "fe"]
    known = load_translator(f"memory:{path}")
    assert known(["ef", "ab"], "de", "en") == ["fe", "ba"]
    with pytest.raises(UsageError, match=r"lacks 1 of 2 texts from de to en; the first: 'gh'"):
        known(["ab", "gh"], "de", "en")
    path.write_text('{"source": "de"}\n')
    with pytest.raises(DataError, match=r"memory.jsonl:1"):
        load_translator(f"memory:{path}")


def row_of(text, translation, **more):
    return {"source": "de", "target": "en", "text": text, "translation": translation, **more}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a line of notes", "1: not JSON"),
        ('{"_id": "1", "text": "rows of mine"}', "1: no text in 'source'"),
        ('{"_id": "1"}\n{"source": "de", "tar', "1: no text in 'source'"),
        (json.dumps(row_of("ab", "x", translator="other")), "1: translated by 'other', not by"),
        (json.dumps(row_of("ab", "x")), "1: translated by nobody that is named"),
        (json.dumps(row_of("ab", "x", translator=1)), "1: 'translator' is 1"),
    ],
)
def test_what_is_no_memory_of_this_translator_is_left_as_it_was(tmp_path, content, message):
    path = tmp_path / "mine"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        Kept(reversing, path, "back")
    assert path.read_text() == content


def test_the_end_of_a_memory(tmp_path):
    """Whole but for its line end: kept. Cut in the very first line, or empty: an empty memory."""
    path, last = tmp_path / "memory.jsonl", json.dumps(row_of("ab", "x", translator="back"))
    path.write_text(last)
    assert Kept(reversing, path, "back")(["ab", "cd"], "de", "en") == ["x", "dc"]
    assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == ["ab", "cd"]
    for begun in ("", "{", last[:-9]):
        path.write_text(begun)
        with pytest.raises(UsageError, match="lacks 1 of 1"):
            load_translator(f"memory:{path}")(["ab"], "de", "en")
        assert path.read_text() == begun  # to read changes nothing
        assert Kept(reversing, path, "back")(["ab"], "de", "en") == ["ba"]
        assert json.loads(path.read_text())["translation"] == "ba"


def test_two_that_write_one_memory_read_each_other(tmp_path):
    path = tmp_path / "memory.jsonl"
    one, other = (Kept(reversing, path, "back") for _ in range(2))
    one(["ab"], "de", "en")
    other(["ab", "cd"], "de", "en")
    one(["cd"], "de", "en")
    assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == ["ab", "cd"]
    with pytest.raises(UsageError, match="gzipped"):
        Kept(reversing, tmp_path / "memory.jsonl.gz", "back")


def test_human_translations_of_a_collection():
    translator = load_translator("parallel:xquad")
    from polyrank.collections.load import load_collection

    ours, theirs = (load_collection("xquad", queries=tag, documents=tag) for tag in ("tr", "en"))
    identity = next(iter(ours.queries))
    document = next(iter(ours.documents.values()))
    (other,) = [d for d in theirs.documents.values() if d.group == document.group]
    assert translator([ours.queries[identity].text, document.text], "tr", "en") == [
        theirs.queries[identity].text,
        other.text,
    ]


def test_a_lexicon_by_hand():
    """Brown et al.'s example: after one round each word's t is its share of links; after more the
    pairs that explain each other win."""
    pairs = [("das haus", "the house"), ("das buch", "the book"), ("ein buch", "a book")]
    assert likeliest(pairs) == {"das": "the", "haus": "house", "buch": "book", "ein": "a"}
    # one sentence: 'x' has links to 'b' and 'a' of one half each, so the alphabet decides
    assert likeliest([("x", "b a")], rounds=1) == {"x": "a"}


def test_what_names_no_translator():
    for name in ("", "memory:", "lexicon:"):
        with pytest.raises(UsageError, match="names no translator"):
            load_translator(name)
