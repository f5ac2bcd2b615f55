"""The page as a file: its policy, and texts that would be markup."""

import base64
import hashlib
import json
import re

from polyrank.server.page import html, policy

from .conftest import Toy

EVIL = "</script><script>alert(1)</script><!-- <b>bold</b> & 'quoted' \"twice\" \u2028"


def data_of(page):
    return json.loads(re.search(r'id="shown">(.*?)</script>', page, re.DOTALL)[1])


def test_no_text_ends_the_script_that_holds_it():
    shown = {"live": False, "comparison": {"text": EVIL}}
    page = html(shown, title=EVIL)
    assert data_of(page) == shown
    assert page.count("<script") == 2 and page.count("</script>") == 2
    assert "<title>&lt;/script&gt;" in page and "alert(1)</script>" not in page


def test_the_policy_knows_the_style_and_the_script_by_their_hashes():
    page = html({"live": True})
    assert policy() in page and "unsafe" not in policy()
    for tag in ("style", 'script id="script"'):
        text = re.search(f"<{tag}>(.*?)</{tag.split()[0]}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy()


def test_nothing_is_fetched_and_no_text_is_read_as_markup():
    page = html({"live": True})
    assert not re.search(r"https?://(?!www\.w3\.org)", page)
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(", page)


def test_it_is_there_when_asked_for(start, server, get):
    running = start({"toy": Toy()}, shown={"live": True})
    found = get(running.url + "/")
    assert found.status == 200 and found.headers["content-type"] == "text/html; charset=utf-8"
    assert found.headers["content-security-policy"] == policy()
    assert data_of(found.body.decode()) == {"live": True}
    assert get(server.url + "/").status == 405  # TEI's route alone
