"""polyrank zoo push."""

from __future__ import annotations

from typing import Annotated

import typer

from polyrank.progress import note, say


def push_(
    name: Annotated[str, typer.Argument(help="A full name or a folder.")],
    target: Annotated[str, typer.Argument(help="owner/repository[/path][@branch]")],
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private, if it is made anew.")
    ] = False,
    message: Annotated[str | None, typer.Option(help="Of the commit.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would go; needs no network.")
    ] = False,
) -> None:
    """Publish a module on the Hugging Face Hub, with a card that says how to use it.

    Makes the repository where there is none. Needs a token with write access: 'hf auth login', or
    $HF_TOKEN.

    \b
    Example:
      polyrank zoo push e5-small/language/adapter/ky org/e5-small-ky --dry-run
    """
    from polyrank.zoo import info, plan, push

    if dry_run:
        publication = plan(name, target, private)
        private_ = ", private if it is made anew" if private else ""
        said = f", as '{message}'" if message else ""
        note(f"dry run: {publication.module} would go to {publication.target}{private_}{said}")
    else:
        publication = push(name, target, private, message)
        note(f"{publication.module} is {publication.target}, commit {publication.commit}")
    if not info(name, verify=False).card.data:
        note("its card does not name its training data; train with --sources to record it")
    for path in publication.files:
        say(publication.size(path), path, sep="\t")
