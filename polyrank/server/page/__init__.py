"""The page: one HTML file that asks a server, or looks at rankings by itself.

Its styles and scripts are files of this folder, put into the HTML as they are, so that nothing is
built, fetched or installed. What is shown is a value in JSON beside them:

    live         whether a server answers: then there is a box to ask in
    comparison   what `polyrank.evaluation.looking.looked_at` says of runs; None for none
    answer       a question with its answer, as the page saves it; None for none

Texts reach the document as text nodes alone, and a policy allows no script but this one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

SCRIPTS = (
    "elements.js", "texts.js", "languages.js", "explanation.js", "listing.js", "means.js",
    "link.js", "asking.js", "comparing.js", "main.js",
)  # fmt: skip
TITLE = "polyrank"


def html(shown: Mapping[str, Any], title: str = TITLE) -> str:
    """The page as one file.

    Args:
        shown: `live`, `comparison`, `answer`; what is absent is None.
    """
    import html as escaping

    return Template(_read("page.html")).substitute(
        title=escaping.escape(title),
        policy=policy(),
        style=_read("page.css"),
        data=_json(shown),
        script=_script(),
    )


def policy() -> str:
    """The content security policy: this style and script, by their hashes, and this server."""
    return (
        f"default-src 'none'; script-src {_hash(_script())}; style-src {_hash(_read('page.css'))}; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'"
    )


def _json(value: Any) -> str:
    """JSON that can stand inside a script element: it has no '<', so nothing in it ends it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _script() -> str:
    """All scripts, in a scope of their own."""
    parts = "\n".join(_read(name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


@cache
def _read(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
