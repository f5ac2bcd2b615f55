"""Reports: what stands in them, that nothing in them runs, and that a browser shows them."""

import re
import shutil
import struct
import subprocess
from html.parser import HTMLParser

import pytest

from polyrank.errors import DataError
from polyrank.experiments.latex import escaped
from polyrank.experiments.report_html import html
from polyrank.experiments.report_markdown import markdown, summary
from polyrank.experiments.results import read_results
from polyrank.experiments.tables import verdict


@pytest.fixture
def polyrank_file(small):
    text = small.read_text().replace("title: A test", "title: A <b> & a_b 5 %")
    small.write_text(text)
    return small


@pytest.fixture
def results(polyrank_file, tmp_path):
    from polyrank.experiments.experiment import run_experiment

    run_experiment(
        polyrank_file, tmp_path / "w", tmp_path / "o", command="polyrank it", tell=lambda _: None
    )
    return read_results(tmp_path / "o" / "results.json")


class Page(HTMLParser):
    """Open tags, and every address that a browser would fetch."""

    VOID = {"meta", "link", "img", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_whole_and_fetches_nothing(results):
    page = Page()
    page.feed(html(results))
    assert page.open == [] and "script" not in page.tags
    assert page.addresses and all(address.startswith("data:") for address in page.addresses)
    assert "b" not in page.tags  # of the title, which is text
    pytest.importorskip("matplotlib", reason="needs polyrank[plots]")
    assert page.tags.count("img") == 3  # heat map, routings, latency


def test_the_same_results_give_the_same_page(results):
    assert html(results) == html(results)


def test_without_matplotlib_the_page_says_so(results, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "polyrank[plots]" in html(results)


def test_every_report_has_table_tests_and_origin(results, tmp_path):
    texts = {
        "md": markdown(results),
        "html": html(results),
        "tex": (tmp_path / "o/table.tex").read_text(),
    }
    value = f"{results['means']['dense']['small']['nDCG@3']:.3f}"
    assert all(value in text for text in texts.values())
    for kind in ("md", "html"):
        assert "polyrank it" in texts[kind] and results["machine"] in texts[kind]
        assert results["versions"]["torch"] in texts[kind] and "not stated" in texts[kind]
        assert f"{results['tests'][0]['p_holm']:.4f}" in texts[kind]


def test_markdown_tables_are_even(results):
    for block in re.findall(r"(?:^\|.*\n)+", markdown(results), flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert summary(results) in markdown(results)


def test_latex_is_balanced_and_escaped(results, tmp_path):
    text = (tmp_path / "o/table.tex").read_text()
    assert r"A $<$b$>$ \& a\_b 5 \%" in text
    assert text.count("{") - text.count("}") == 0
    head = re.search(r"\\begin\{tabular\}\{(\w+)\}", text).group(1)
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert all(len(re.split(r"(?<!\\)&", row)) == len(head) for row in rows)


def test_escaped_by_hand():
    assert (
        escaped(r"\{a}^~→")
        == r"\textbackslash{}\{a\}\textasciicircum{}\textasciitilde{}$\rightarrow$"
    )


def test_the_verdict_counts(results):
    two = [{"p": 0.01, "p_holm": 0.02}, {"p": 0.04, "p_holm": 0.04}, {"p": 0.5, "p_holm": 0.5}]
    text = verdict({"tests": two})
    assert text.startswith("2 of 3 differences") and "0.0200" in text
    assert verdict({"tests": []}) == "Nothing was compared."


def test_other_json_is_no_result(tmp_path):
    (tmp_path / "r.json").write_text('{"format": 99}')
    with pytest.raises(DataError, match="format 99"):
        read_results(tmp_path / "r.json")
    (tmp_path / "r.json").write_text("[]")
    with pytest.raises(DataError, match="no results"):
        read_results(tmp_path / "r.json")


CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_browser_shows_it(results, tmp_path):
    pytest.importorskip("matplotlib", reason="needs polyrank[plots]")
    shot, page = tmp_path / "shot.png", tmp_path / "o" / "report.html"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-sync", "--disable-component-update"]
    flags += ["--proxy-server=127.0.0.1:9", f"--user-data-dir={tmp_path / 'profile'}"]
    flags += ["--window-size=1200,2400", "--hide-scrollbars"]
    subprocess.run(
        [CHROMIUM, *flags, f"--screenshot={shot}", page.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    width, height = struct.unpack(">II", shot.read_bytes()[16:24])
    assert (width, height) == (1200, 2400)
    pixels = _pixels(shot)
    assert (pixels < 100).mean() > 0.002  # there is dark text, and it does not fill the page
    assert (pixels > 250).mean() > 0.5
    dom = subprocess.run(
        [CHROMIUM, *flags, "--dump-dom", page.as_uri()],
        check=True, capture_output=True, text=True, timeout=120,
    ).stdout  # fmt: skip
    assert dom.count("<table") >= 6 and dom.count("<img") == 3


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_wide_tables_fit_a_printed_page(results, tmp_path):
    """Twenty systems and more, by the browser's own measure of what sticks out."""
    pairs = list(results["pairs"])
    for number in range(20):
        pairs += [{**row, "system": f"adapters, split, over mBERT, {number}"} for row in pairs[:4]]
    wide = html({**results, "pairs": pairs})
    assert 'class="scroll wide"' in wide and 'class="scroll wide"' not in html(results)
    measure = "<script>document.title = document.documentElement.scrollWidth</script>"
    page = tmp_path / "wide.html"
    page.write_text(wide.replace("@media print", "@media all") + measure, encoding="utf-8")
    a4 = 1032  # pixels of 273 mm: A4 upright on its side, less the margins
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    flags += ["--proxy-server=127.0.0.1:9", f"--user-data-dir={tmp_path / 'profile'}"]
    dom = subprocess.run(
        [CHROMIUM, *flags, f"--window-size={a4},2000", "--dump-dom", page.as_uri()],
        check=True, capture_output=True, text=True, timeout=120,
    ).stdout  # fmt: skip
    assert int(re.search(r"<title>(\d+)</title>", dom)[1]) <= a4


def _pixels(path):
    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(path).convert("L"))


def test_the_readme_is_changed_between_its_markers_alone(results, tmp_path):
    import sys
    from pathlib import Path

    script = Path(__file__).parents[2] / "benchmarks" / "readme_table.py"
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- table -->\nold\n<!-- /table -->\nafter\n")

    def call():
        command = [sys.executable, script, tmp_path / "o" / "results.json", readme]
        return subprocess.run(command, capture_output=True, text=True)

    assert call().returncode == 0
    text = readme.read_text()
    assert text.startswith("before\n<!-- table -->\n") and text.endswith("<!-- /table -->\nafter\n")
    assert "old" not in text and f"{results['means']['dense']['small']['nDCG@3']:.3f}" in text
    assert call().returncode == 0 and readme.read_text() == text  # again changes nothing
    readme.write_text("no markers")
    assert call().returncode != 0 and readme.read_text() == "no markers"
