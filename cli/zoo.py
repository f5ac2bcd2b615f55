"""polyrank zoo: which modules there are, and bringing them in and out."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrank.errors import ModuleError, UsageError

from .options import AsJson, Kind, note

if TYPE_CHECKING:
    from polyrank.modules.search import ZooEntry
    from polyrank.zoo.remote import RemoteModule

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, fetch, check and publish modules.",
)


class Role(Enum):
    language = "language"
    ranking = "ranking"


class Source(Enum):
    bundled = "bundled"
    cached = "cached"
    folder = "folder"
    remote = "remote"


@app.command("list")
def list_(
    base: Annotated[str | None, typer.Option(help="Only modules for this base.")] = None,
    role: Annotated[Role | None, typer.Option(help="Only modules of this role.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only modules of this kind.")] = None,
    language: Annotated[str | None, typer.Option(help="Only modules of this language.")] = None,
    source: Annotated[
        Source | None,
        typer.Option(help="Only those bundled, pulled (cached), in $POLYRANK_ZOO, or on the Hub."),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(help="With --source remote: an owner, or one owner/repository[@revision]."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List modules: name, language, kilobytes, data, and where each is from, between tabs.

    Folders in $POLYRANK_ZOO come before what is bundled, and that before what was pulled; of
    several modules of one name the first is used, and listed. --source cached lists all that was
    pulled. --source remote asks the Hugging Face Hub, and lists what 'zoo pull' takes.

    \b
    Examples:
      polyrank zoo list
      polyrank zoo list --role language --language kir --json
    """
    from polyrank.languages import normalise
    from polyrank.zoo import cached_entries, list_modules

    tag = normalise(language) if language else None
    wanted = {"base": base, "role": role and role.value, "kind": kind and kind.value}
    if where is not None and source is not Source.remote:
        raise UsageError("--where goes with --source remote")
    with _warnings_as_notes():
        if source is Source.remote:
            return _list_remote(where, wanted, tag, as_json)
        entries = list_modules(**wanted, language=tag)
        every = [one for one in cached_entries() if _fits(one, wanted, tag)]
    if source is not None:
        entries = every if source is Source.cached else _from(entries, source)
    elif hidden := len(every) - len(_from(entries, Source.cached)):
        note(
            f"{hidden} pulled modules stand behind others of their name; "
            "'polyrank zoo list --source cached' shows them"
        )
    if as_json:
        print(json.dumps([as_row(entry) for entry in entries], ensure_ascii=False, indent=2))
        return
    for entry in entries:
        data = ", ".join(one.name for one in entry.card.data)
        size = size_of(entry) // 1000
        print(entry.name, entry.card.language, size, data, entry.origin or entry.source, sep="\t")
    if not entries and source is Source.cached:
        note("no pulled module fits; 'polyrank zoo pull --help' says how to fetch one")
    elif not entries:
        from polyrank.base import absent_zoos

        note(f"no module fits; 'polyrank train --help' says how to make one{absent_zoos()}")


def _from(entries: list[ZooEntry], source: Source) -> list[ZooEntry]:
    return [entry for entry in entries if entry.source == source.value]


def _fits(entry: ZooEntry, wanted: dict[str, Any], language: str | None) -> bool:
    asked = {**wanted, "language": language}
    return all(value in (None, getattr(entry.card, key)) for key, value in asked.items())


def _list_remote(
    where: str | None, wanted: dict[str, Any], language: str | None, as_json: bool
) -> None:
    from polyrank.zoo import list_remote

    found = list_remote(where, **wanted, language=language)
    if as_json:
        print(json.dumps([_remote_row(one) for one in found], ensure_ascii=False, indent=2))
        return
    for one in found:
        what = one.card.full_name if one.card else "repository"
        print(one.name, ", ".join(one.languages), what, sep="\t")
    if not found:
        note("the Hub has no module that fits")


def _remote_row(one: RemoteModule) -> dict[str, Any]:
    card = json.loads(json.dumps(asdict(one.card))) if one.card else {}
    return {**card, "name": one.name, "languages": list(one.languages)}


@app.command("info")
def info_(
    name: Annotated[
        str,
        typer.Argument(help="A full name such as mini/ranking/adapter/squad, a folder, or pulled."),
    ],
    as_json: AsJson = False,
) -> None:
    """Show a module's card, after checking its files against it.

    \b
    Example:
      polyrank zoo info mini/ranking/adapter/squad
    """
    from polyrank.zoo import info

    entry = info(name)
    if as_json:
        print(json.dumps(as_row(entry), ensure_ascii=False, indent=2))
        return
    rows = as_row(entry)
    for key in ("recipe", "figures"):
        for detail, value in rows.pop(key).items():
            rows[f"{key}: {detail}"] = value
    for source in rows.pop("data"):
        counted = "" if source["lines"] is None else f"{source['lines']} lines, "
        rows[f"data: {source['name']}"] = f"{counted}{source['licence']}"
    rows.pop("files")
    width = max(map(len, rows))
    for key, value in rows.items():
        if value is not None:
            print(f"{key.ljust(width)}  {_plain(value)}")


@app.command("pull")
def pull_(
    names: Annotated[
        list[str], typer.Argument(help="owner/repository[/path][@revision]", metavar="NAME...")
    ],
    base: Annotated[
        str | None, typer.Option(help="Refuse modules that were made for another base than this.")
    ] = None,
) -> None:
    """Fetch modules from the Hugging Face Hub; prints the folder of each.

    Every file is checked against the module's own list before it can be found. A pulled language
    module is found by its language; a ranking module by its name, or as
    --ranking owner/repository[/path][@revision], which also pulls it when it was not pulled before.
    A download that breaks off goes on where it stopped. $HF_TOKEN, $HF_ENDPOINT, $HF_HOME and
    $HF_HUB_OFFLINE are those of the Hub's own client. Modules lie in $POLYRANK_CACHE, by default
    ~/.cache/polyrank.

    \b
    Examples (with the names of your repositories):
      polyrank zoo pull org/mini-ky
      polyrank zoo pull org/zoo/language/adapter/ky@v1 --base mini
    """
    from polyrank.zoo import pull

    for name in names:
        with _warnings_as_notes():
            entry = pull(name, base)
        note(f"{name} is {entry.name}, {size_of(entry) // 1000} kB, from {entry.origin}")
        print(entry.path)


@app.command("push")
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
      polyrank zoo push mini/language/adapter/ky org/mini-ky --dry-run
    """
    from polyrank.zoo import info, plan, push

    if dry_run:
        publication = plan(name, target, private)
        note(f"nothing is sent: {publication.module} would go to {publication.target}")
    else:
        publication = push(name, target, private, message)
        note(f"{publication.module} is {publication.target}, commit {publication.commit}")
    if not info(name, verify=False).card.data:
        note("its card names no data; train with --sources to say what it was trained on")
    for path in publication.files:
        print(publication.size(path), path, sep="\t")


@app.command("remove")
def remove_(
    name: Annotated[str, typer.Argument(help="owner/repository[/path][@revision] or a full name.")],
) -> None:
    """Take a pulled module out of polyrank's cache; prints what was removed.

    Without @revision every revision of it goes. Bundled modules and other folders are left alone,
    and so is the Hugging Face cache with the download ('hf cache delete' clears that).

    \b
    Example (of a module that was pulled):
      polyrank zoo remove org/mini-ky
    """
    from polyrank.zoo import remove

    with _warnings_as_notes():
        removed = remove(name)
    for one, held in removed:
        print("removed", one, f"{held // 1000} kB", one.folder, sep="\t")


@app.command("verify")
def verify_(
    name: Annotated[
        str | None, typer.Argument(help="A full name, a folder, or a pulled module; else all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check modules: cards, sha256 of every file, whole safetensors, plain files, their base.

    Prints a line per module, 'ok' or 'wrong' with the reason, and exits 2 when any is wrong.

    \b
    Examples:
      polyrank zoo verify
      polyrank zoo verify mini/language/adapter/ky
    """
    from polyrank.zoo import verify

    with _warnings_as_notes():
        verdicts = verify(name)
    wrong = [one for one in verdicts if one.problem]
    if as_json:
        rows = [{**asdict(one), "path": str(one.path)} for one in verdicts]
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    for one in [] if as_json else verdicts:
        print("wrong" if one.problem else "ok", one.name, one.path, sep="\t")
        if one.problem:
            print("  " + one.problem.replace("\n", "\n  "))
    if wrong:
        raise ModuleError(f"{len(wrong)} of {len(verdicts)} modules are wrong; see what is printed")
    note(f"{len(verdicts)} modules are as their cards say")


@app.command("index")
def index_(
    folder: Annotated[
        Path | None, typer.Argument(help="A zoo's folder, with BASE/ROLE/KIND/NAME; else bundled.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 2 when a file is out of date.")
    ] = False,
) -> None:
    """Write a zoo's index.json and the README of each module anew, from the cards.

    \b
    Example:
      polyrank zoo index --check
    """
    from polyrank.base import bundled_zoo
    from polyrank.zoo import stale, write_index

    root = folder or bundled_zoo()
    if root is None:
        raise UsageError("polyrank is not installed, so nothing is bundled; give a zoo's folder")
    changed = stale(root) if check else write_index(root)
    for path in changed:
        print(path)
    if check and changed:
        again = f"polyrank zoo index {folder}" if folder else "polyrank zoo index"
        raise ModuleError(f"{len(changed)} files are out of date.\nWrite them anew:  {again}")
    if changed:
        note(f"{len(changed)} files were written")
    else:
        print(f"{root} is up to date")


@contextmanager
def _warnings_as_notes() -> Iterator[None]:
    """What a function warns of, as messages to the user."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                note(str(warning.message))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def size_of(entry: ZooEntry) -> int:
    """Bytes of the module's folder."""
    return sum(path.stat().st_size for path in entry.path.iterdir() if path.is_file())


def as_row(entry: ZooEntry) -> dict[str, Any]:
    """The entry in plain types."""
    card: dict[str, Any] = json.loads(json.dumps(asdict(entry.card)))
    return {
        **card,
        "name": entry.name,
        "folder": str(entry.path),
        "bytes": size_of(entry),
        "source": entry.source,
        "origin": entry.origin,
    }
