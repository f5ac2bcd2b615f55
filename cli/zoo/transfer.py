"""polyrank zoo import and export: modules of other projects, in and out."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.base import expanded
from polyrank.errors import UsageError
from polyrank.modules.kinds import KINDS, language_kinds
from polyrank.progress import note, say

from ..options import AsJson, Overwrite, Role

if TYPE_CHECKING:
    from polyrank.zoo.find import ZooEntry


def import_(
    source: Annotated[
        str, typer.Argument(help="A folder, or owner/repository[/path][@revision] of the Hub.")
    ],
    language: Annotated[
        str, typer.Option(help="Language of its text, or of its judgements, such as ky.")
    ],
    zoo: Annotated[
        Path | None, typer.Option(help="The zoo to bring it into; else the first of $POLYRANK_ZOO.")
    ] = None,
    role: Annotated[Role, typer.Option(help="What it is for.")] = Role.language,
    name: Annotated[
        str | None, typer.Option(help="Its name in the zoo; else the language, or its own.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="The base that it is for; else the one the source names.")
    ] = None,
    trust_base: Annotated[
        bool,
        typer.Option("--trust-base", help="Vouch that it was trained on exactly that base."),
    ] = False,
    licence: Annotated[str, typer.Option(help="SPDX id of its licence.")] = "unknown",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Bring a module of another project into a zoo, as a module like any other.

    Taken from: a folder or repository of the adapters library (AdapterHub), one of composable-sft
    (pytorch_diff.bin), or an XMOD checkpoint, of which the module of --language is taken. Nothing
    in a pickle is run.

    None of them says which weights a module was trained on. So the module is marked as unverified,
    and each plan that uses it says so, unless you vouch for its base with --base and --trust-base.

    \b
    Example, with a module that is exported first:
      polyrank zoo export e5-small/language/adapter/ky --output ky-for-adapters
      polyrank zoo import ky-for-adapters --language ky --base e5-small --zoo modules
    """
    from polyrank.zoo.imports.imported import import_module

    target = zoo or _first_zoo()
    done = import_module(
        source, target, language, role.value, name, base, trust_base, licence, overwrite
    )
    for message in done.notes:
        note(message)
    if as_json:
        card = json.loads(json.dumps(asdict(done.card)))
        row = {**card, "name": done.card.full_name, "folder": str(done.folder)}
        print(json.dumps({**row, "notes": done.notes}, ensure_ascii=False, indent=2))
        return
    say(done.folder)
    if not done.card.verified:
        note(f"unverified: its author did not record the weights of the base '{done.card.base}'")


def export(
    name: Annotated[str, typer.Argument(help="A full name of the zoo, or a module's folder.")],
    output: Annotated[Path, typer.Option(help="The folder to write; it must not be there yet.")],
    base: Annotated[
        str | None, typer.Option(help="A mask's base, where it is not found by its name.")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Of a late-interaction mask: merge this language's mask, too."),
    ] = None,
) -> None:
    """Write a module for another project: an adapter for the adapters library, a mask for
    composable-sft, late interaction without adapters for PyLate.

    An adapter becomes a folder that the library loads by its defaults (.bin); the module's own
    folder is one that it loads with use_safetensors=True. A mask becomes a pytorch_diff.bin. A
    late-interaction mask, or a full model, becomes one checkpoint in PyLate's layout, which
    sentence-transformers reads too; an adapter's projection is copied beside it.

    \b
    Example:
      polyrank zoo export e5-small/language/adapter/ky --output ky-for-adapters
    """
    from polyrank.modules.projection import is_late_interaction
    from polyrank.zoo.find import info
    from polyrank.zoo.imports.imported import export_module

    found = info(name)
    if base is not None and KINDS[found.card.kind].acts == "tokens":
        raise UsageError(
            f"--base would do nothing: what is written of '{found.name}' does not depend on its "
            "base; leave it out"
        )
    if is_late_interaction(found.path) and KINDS[found.card.kind].acts != "tokens":
        _export_pylate(found, output, base, language)
        print(output)
        return
    if language is not None:
        raise UsageError("--language goes with a late-interaction mask")
    print(export_module(found.path, output, base))


def _export_pylate(found: ZooEntry, output: Path, base: str | None, language: str | None) -> None:
    from polyrank.late_interaction.model import LateInteraction
    from polyrank.modules.projection import load_projection

    rules = load_projection(found.path).rules
    length = rules.augment_to or rules.query_length
    if length != rules.query_length:
        note(f"PyLate reads as many tokens of a query as it pads to: {length}")
    LateInteraction(
        base or found.card.base,
        str(found.path),
        found.card.kind,
        "none" if language is None else "split",
        query_length=length,
        device="cpu",
        language_kind=None if language is None else _merged_kind(found.card.kind),
    ).export_pylate(output, language)


def _merged_kind(kind: str) -> str:
    """The kind of the language modules that are merged into the weights of a model of a kind."""
    candidates = [kind, *language_kinds()]
    return next(name for name in candidates if KINDS[name].acts == "weights")


def _first_zoo() -> Path:
    folders = [folder for folder in os.environ.get("POLYRANK_ZOO", "").split(os.pathsep) if folder]
    if not folders:
        raise UsageError("No zoo given. Pass --zoo DIR or set POLYRANK_ZOO.")
    return expanded(folders[0])
