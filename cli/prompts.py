"""polyrank prompts: what language models are asked."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from polyrank.errors import UsageError
from polyrank.progress import say

from . import checks
from .options import AsJson
from .verb import App

app = App(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List the prompts of LLM rerankers, show one, and render it as a model sees it.",
)

Name = Annotated[str, typer.Argument(help="A name of 'polyrank prompts list', or a YAML file.")]


LANGUAGES = {  # option → the fields of a prompt that it fills in
    "query-language": ("{query_language}",),
    "document-language": ("{document_language}", "{language}"),
}


@app.command("list")
def list_(
    scorer: Annotated[str | None, typer.Option(help="Only those of this scorer.")] = None,
    as_json: AsJson = False,
) -> None:
    """List prompts: name, scorer, source, between tabs.

    \b
    Examples:
      polyrank prompts list
      polyrank prompts list --scorer label --json
    """
    from polyrank.rerankers.llm.prompt import load_prompt, prompt_names
    from polyrank.rerankers.llm.scorers import SCORERS

    if scorer is not None and scorer not in SCORERS:
        raise UsageError(f"unknown scorer '{scorer}'; use one of {', '.join(SCORERS)}")
    found = [load_prompt(name) for name in prompt_names()]
    found = [prompt for prompt in found if scorer in (None, prompt.scorer)]
    if as_json:
        rows = [{"name": p.name, "scorer": p.scorer, "source": p.source} for p in found]
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for prompt in found:
        say(prompt.name, prompt.scorer, prompt.source, sep="\t")


@app.command("show")
def show(name: Name, as_json: AsJson = False) -> None:
    """Show a prompt as YAML, to copy and change; --prompt of 'polyrank rerank' takes the file.

    \b
    Examples:
      polyrank prompts show letters
      polyrank prompts show letters > mine.yaml
    """
    import yaml

    from polyrank.rerankers.llm.prompt import load_prompt

    prompt = load_prompt(name)
    row = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(prompt).items()
        if value not in ("", (), None)
    }
    if as_json:
        print(json.dumps({**row, "hash": prompt.hash()}, ensure_ascii=False, indent=2))
    else:
        print(yaml.safe_dump(row, allow_unicode=True, sort_keys=False, width=100), end="")


@app.command("render")
def render(
    call: typer.Context,
    name: Name,
    query: Annotated[str, typer.Option(help="The query.")],
    passage: Annotated[
        list[str] | None, typer.Option(help="A passage; the option may be repeated.")
    ] = None,
    passages: Annotated[Path | None, typer.Option(help="Or a file with one on each line.")] = None,
    query_language: Annotated[str | None, typer.Option(help="Such as ky.")] = None,
    document_language: Annotated[str | None, typer.Option(help="Such as en.")] = None,
    instruction: Annotated[
        str | None, typer.Option(help="In place of the prompt's {instruction}.")
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(help="A folder or Hub id: render with its template, cut by its tokens."),
    ] = None,
    context: Annotated[
        int, typer.Option(min=16, help="With --tokenizer: tokens of prompt and answer together.")
    ] = 8192,
) -> None:
    """Render a prompt for a query and passages.

    Without --tokenizer its turns are shown, each under its role. With one, the text is what the
    model reads, with control tokens, and passages are cut as they would be.

    \b
    Examples:
      polyrank prompts render letters --query "Does water boil?" \\
          --passage "Water boils at 100 degrees." --passage "The river is long."
    """
    from polyrank.collections.files import open_text
    from polyrank.collections.records import Document, Query
    from polyrank.progress import note, say
    from polyrank.rerankers.llm.prompt import load_prompt, with_options
    from polyrank.rerankers.llm.rendering import Renderer, turns

    texts = list(passage or [])
    if passages is not None:
        texts += [line.strip() for line in open_text(passages) if line.strip()]
    if not texts:
        raise UsageError("give --passage, once or more, or --passages FILE")
    if tokenizer is None:
        checks.of_no_use(call, "no --tokenizer", ("context",))
    prompt = with_options(load_prompt(name), instruction=instruction)
    written = json.dumps(asdict(prompt))
    for option, fields in LANGUAGES.items():
        if not any(field in written for field in fields):
            checks.of_no_use(call, "this prompt, which names no such language", (option,))
    asked = Query("query", query, query_language)
    documents = [Document(str(i), text, language=document_language) for i, text in enumerate(texts)]
    if prompt.identifiers or prompt.frame == "roles" or "{count}" in prompt.prefix:
        groups = [documents]
    else:
        groups = [[document] for document in documents]
    for group in groups:
        names = prompt.named(len(group)) if prompt.identifiers else ()
        scores = [str(100 - 10 * place) for place in range(len(group))]
        if tokenizer is None:
            for turn in turns(prompt, asked, group, names, scores):
                say(f"--- {turn['role']}\n{turn['content']}")
            continue
        from polyrank.rerankers.llm.engines.reading import read_tokenizer

        renderer = Renderer(prompt, read_tokenizer(tokenizer), context)
        rendered = renderer.render(asked, group, names, scores, prompt.max_tokens)
        say(renderer.tokenizer.decode(rendered.ids))
        cut = f"; {rendered.cut} texts were cut" if rendered.cut else ""
        note(f"{len(rendered.ids)} tokens{cut}")
