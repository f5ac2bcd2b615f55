"""Articles of files and collections, and what is no article."""

from __future__ import annotations

import json

import pytest

from polyrank.errors import DataError, UsageError
from polyrank.summaries.articles import Article, articles_of, read_articles


def test_rows_of_a_file(tmp_path):
    path = tmp_path / "articles.jsonl"
    rows = [
        {"_id": "a", "text": "Ice melts.", "summary": "Ice", "language": "eng"},
        {"id": 7, "contents": "Eis schmilzt.", "reference": None},
        {
            "_id": "c",
            "text": "",
            "contents": "Eis.",
            "reference": " ",
            "summary": "Eis",
            "language": "",
            "lang": "deu",
        },
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert list(read_articles(path, "de")) == [
        Article("a", "Ice melts.", "en", "Ice"),
        Article("7", "Eis schmilzt.", "de", ""),
        Article("c", "Eis.", "de", "Eis"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[]", "articles.jsonl:2: a JSON list"),
        ('{"_id": "b"}', "articles.jsonl:2: no field 'text' or 'contents'; it has _id"),
        ('{"_id": "", "id": "b", "text": "x"}', "articles.jsonl:2: the id '' is empty"),
        ('{"_id": 1.5, "text": "x"}', "articles.jsonl:2: the id 1.5 is neither text nor"),
        ('{"_id": null, "text": "x"}', "articles.jsonl:2: the field '_id' is null"),
        ('{"_id": "b", "text": 3}', "articles.jsonl:2: the field 'text' is 3, not a text"),
        ('{"_id": "b", "text": " "}', "articles.jsonl:2: the text is empty"),
        ('{"_id": "a", "text": "x"}', "articles.jsonl:2: the id 'a' is already on line 1"),
        ('{"_id": "b", "text": "x", "language": "qqqq"}', "articles.jsonl:2: "),
        ('{"_id": "b", "text": "x", "reference": ["y"]}', "articles.jsonl:2: the field 'ref"),
    ],
)
def test_lines_that_are_no_article(tmp_path, line, message):
    path = tmp_path / "articles.jsonl"
    path.write_text('{"_id": "a", "text": "x"}\n' + line + "\n")
    with pytest.raises(DataError, match=message):
        list(read_articles(path))


def test_headlines_are_summaries_of_their_articles():
    found = list(articles_of("ntrex", "en", 2))
    assert found[0].reference == "Welsh AMs worried about 'looking like muppets'"
    assert found[0].text.startswith("There is consternation among some AMs")
    assert [one.language for one in found] == ["en", "en"]
    with pytest.raises(UsageError, match="no query with one relevant document in 'en'"):
        next(articles_of("sib200", "en"))
