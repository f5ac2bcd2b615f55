"""The page in Debian's Chromium, driven by Playwright: what a person sees and does.

Needs `pip install playwright` and /usr/bin/chromium. Screenshots are written to $POLYRANK_SHOTS.
"""

import json
import os
import shutil
from pathlib import Path
from urllib.parse import urlencode

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium"),
]

from polyrank.collections.records import (  # noqa: E402
    Document,
    Judgement,
    Query,
    ScoredDocument,
    as_run,
)
from polyrank.evaluation import Pool  # noqa: E402
from polyrank.evaluation.looking import Texts, looked_at  # noqa: E402
from polyrank.late_interaction.model import LateInteraction  # noqa: E402
from polyrank.server.page import html  # noqa: E402

EVIL = "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\"><b>"
QUERIES = {
    "q1": Query("q1", "ما هي عاصمة مصر؟", "ar"),
    "q2": Query("q2", f"水在多少度沸腾？{EVIL}", "zh"),
    "q3": Query("q3", "น้ำเดือดที่อุณหภูมิเท่าไร", "th"),
}
DOCUMENTS = {
    "d1": Document("d1", "القاهرة هي عاصمة مصر وأكبر مدنها.", language="ar"),
    "d2": Document("d2", "水在海平面上于一百摄氏度沸腾。" * 6, "沸点", "zh"),
    "d3": Document("d3", "น้ำเดือดที่อุณหภูมิ 100 องศาเซลเซียสที่ระดับน้ำทะเล", language="th"),
    "d4": Document("d4", "Donaudampfschifffahrtsgesellschaft" * 8, language="de"),
    "d5": Document("d5", f"Water boils. {EVIL}", language="en"),
    EVIL: Document(EVIL, "an id of markup", language="en"),
}
QRELS = [
    Judgement("q1", "d1", 1), Judgement("q1", "d5", 0), Judgement("q2", "d2", 2),
    Judgement("q2", "d5", 1), Judgement("q3", "d3", 1),
]  # fmt: skip


def run_of(sign):
    return as_run(
        ScoredDocument(query, document, sign * float(place + (query == "q2" and place == 1)))
        for query in QUERIES
        for place, document in enumerate(DOCUMENTS)
    )


@pytest.fixture(scope="module")
def comparison():
    texts = Texts(f"seven {EVIL}", QUERIES, DOCUMENTS)
    pool = Pool.of(QUERIES.values(), DOCUMENTS.values())
    runs = {"first": run_of(-1.0), "second": run_of(1.0)}
    found = looked_at(runs, QRELS, texts, pool=pool)
    asked, held = QUERIES["q1"].text, DOCUMENTS["d1"].text

    def match(word, similarity):
        spans = {
            side: [text.index(word), text.index(word) + len(word)]
            for side, text in (("query", asked), ("document", held))
        }
        return {**spans, "similarity": similarity, "query_text": word, "document_text": word}

    record = {
        "query_text": asked,
        "query_language": "ar",
        "document_text": held,
        "document_language": "ar",
        "matches": [match("عاصمة", 0.91), match("مصر", 0.83)],
        "contributions": [],
        "modules": None,
    }
    found["explanations"] = {"q1": {"d1": record}}
    return found


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, request):
    """A page that fails the test by any error, message of the policy, or change of the title."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    refused = "Failed to load resource"  # what the server answers is looked at by the tests
    yield page
    if shots := os.environ.get("POLYRANK_SHOTS"):
        for scheme in ("light", "dark"):
            for width in (1280, 390):
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size({"width": width, "height": 900})
                name = f"{request.node.name}-{scheme}-{width}.png"
                page.screenshot(path=Path(shots) / name, full_page=True)
    assert [one for one in faults if refused not in one] == [] and "broken" not in page.title()
    context.close()


def titles(page, number):
    """The ids in one of the lists, in their order."""
    return page.locator(".listing").nth(number).locator(".id").all_inner_texts()


@pytest.fixture
def file(comparison, tmp_path):
    path = tmp_path / "diff.html"
    path.write_text(html({"live": False, "comparison": comparison}), encoding="utf-8")
    return path.as_uri()


def test_two_runs_in_one_file(page, file, comparison):
    page.goto(file)
    assert page.locator(".queries button").count() == 3
    assert EVIL in page.locator(".summary").inner_text()
    page.locator(".queries button", has_text="عاصمة").click()
    query = next(one for one in comparison["queries"] if one["id"] == "q1")
    assert titles(page, 0) == [hit["id"] for hit in query["hits"][0]]
    assert titles(page, 1) == [hit["id"] for hit in query["hits"][1]]
    assert page.locator(".listing").nth(0).locator("li.relevant .id").all_inner_texts() == ["d1"]
    assert page.locator(".listing").nth(0).locator("li.irrelevant .id").all_inner_texts() == ["d5"]
    assert page.locator("script").count() == 2 and page.locator("main img, main b > b").count() == 0
    first = page.locator(".listing").nth(1).locator(".row").first
    assert first.locator(".move").inner_text().replace("\n", "").startswith("▲5")


def test_a_match_lights_up_under_the_pointer_and_by_keys(page, file):
    page.goto(f"{file}#view=compare&query=q1")
    page.locator(".listing").nth(0).locator(".row").first.click()
    token = page.locator(".token.asked").first
    token.hover()
    lit = page.locator(".lit").all_inner_texts()
    assert lit == ["عاصمة", "عاصمة"]
    assert "0.910" in page.locator(".said").inner_text()
    token.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".lit").all_inner_texts() == ["مصر", "مصر"]
    direction = page.locator(".marked").first.evaluate("one => getComputedStyle(one).direction")
    assert direction == "rtl"


def test_filters_orders_and_the_link(page, file):
    page.goto(file)
    page.locator(".side-list .chip", has_text="th").click()
    assert page.locator(".queries button").count() == 1
    page.get_by_label("Order").select_option("tau")
    page.get_by_role("button", name="AP", exact=True).click()
    address = page.url
    assert "asked=th" in address and "order=tau" in address and "measure=AP" in address
    page.goto("about:blank")
    page.goto(address)
    assert page.locator(".queries button").count() == 1
    assert page.locator(".means h2").inner_text() == "Mean AP"
    page.get_by_role("button", name="Language of question").click()
    assert page.locator(".means .group").count() == 3


def test_keys(page, file):
    page.goto(file)
    page.keyboard.press("/")
    page.keyboard.type("水")
    assert page.locator(".queries button").count() == 1
    page.locator(".listing .row").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    row = page.locator(".listing").first.locator(".row").nth(1)
    assert row.get_attribute("aria-expanded") == "true"
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()


@pytest.mark.parametrize("width", [320, 390, 800, 1280])
def test_nothing_is_wider_than_the_window(page, file, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(file)
    for number in range(3):
        page.locator(".queries button").nth(number).click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shown = page.locator(".listing:visible").count()
    assert shown == (1 if width <= 720 else 2)


@pytest.fixture
def live(start, default_zoo, comparison):
    model = LateInteraction("e5-small", zoo=default_zoo, fallback="none")  # a tiny one
    return start({"e5-small": model}, shown={"live": True, "comparison": comparison})


def test_ask_and_save(page, live, post, tmp_path):
    passages = ["water boils", "su kaynar", EVIL, "水沸腾了", "يغلي الماء"]
    asked = {"q": "su kaç derecede kaynar?", "ql": "tr", "passages": "\n".join(passages)}
    page.goto(f"{live.url}/#{urlencode(asked)}")
    page.wait_for_selector(".listing")
    body = {"query": asked["q"], "query_language": "tr", "documents": passages}
    expected = [row["index"] for row in post(live.url + "/rerank", body).json["results"]]
    assert titles(page, 1) == [str(index + 1) for index in expected]
    assert titles(page, 0) == ["1", "2", "3", "4", "5"]
    page.locator(".listing").nth(1).locator(".row").first.click()
    page.wait_for_selector(".token.asked")
    assert "squad-li" in page.locator(".modules").inner_text()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as HTML").click()
    path = tmp_path / "saved.html"
    saved.value.save_as(path)
    page.goto(path.as_uri())
    assert titles(page, 1) == [str(index + 1) for index in expected]
    page.locator(".listing").nth(1).locator(".row").nth(4).click()
    assert page.locator(".token.asked").count() > 0  # explained before it was saved
    assert page.locator("form.ask").count() == 0


def test_both_views_and_what_goes_wrong(page, live):
    page.goto(live.url)
    page.get_by_role("button", name="Compare").click()
    assert page.locator(".queries button").count() == 3
    page.get_by_role("button", name="Ask").click()
    page.get_by_placeholder("Ask in any language").fill("su")
    page.get_by_label("Question language").fill("not a language")
    page.get_by_role("button", name="Rank", exact=True).click()
    page.wait_for_selector("[role=alert]")
    assert "query_language" in page.locator("[role=alert]").inner_text()


def test_a_page_holds_what_it_was_given(comparison):
    page = html({"live": False, "comparison": comparison})
    assert json.dumps(EVIL)[1:-1] not in page  # '<' is written as its number
