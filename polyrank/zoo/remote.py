"""What the Hub offers: the repositories of modules, and the modules of one repository."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from polyrank.errors import ModuleError
from polyrank.modules.card import CARD_FILE, ModuleCard, from_json
from polyrank.zoo import hub
from polyrank.zoo.download import module_places
from polyrank.zoo.names import HubName, hub_name


@dataclass(frozen=True)
class RemoteModule:
    """A module on the Hub.

    Attributes:
        name: what `pull` takes.
        languages: tags of its card.
        card: what the module says of itself, unverified; None in a list of repositories.
    """

    name: str
    languages: tuple[str, ...]
    card: ModuleCard | None = None


def list_remote(
    where: str | None = None,
    base: str | None = None,
    role: str | None = None,
    kind: str | None = None,
    language: str | None = None,
) -> list[RemoteModule]:
    """Modules on the Hub.

    Args:
        where: None for every repository with the tag `polyrank`; an owner, for that owner's; or
            `owner/repository[@revision]`, for the modules in it, by their cards.
        base, role, kind, language: keep only these; None keeps all. In a list of repositories they
            are looked for among the tags that each repository's card declares.

    Raises:
        HubError: the Hub is not reached, or refuses.
    """
    wanted = (base, role, kind, language)
    if where is not None and "/" in where:
        return _of_repository(hub_name(where), *wanted)
    with hub.said_plainly(HubName(where or "the Hub"), "list"):
        tags = [tag for tag in (role, kind, language) if tag]
        tags += [f"base_model:{base}"] if base else []
        models = hub.client().list_models(filter=["polyrank", *tags], author=where, cardData=True)
        return [RemoteModule(model.id, _languages(model.card_data)) for model in models]


def _of_repository(
    name: HubName, base: str | None, role: str | None, kind: str | None, language: str | None
) -> list[RemoteModule]:
    with hub.said_plainly(name, "list"):
        info = hub.client().model_info(name.repository, revision=name.revision)
        places, refused = module_places(name, [file.rfilename for file in info.siblings or ()])
        found = [one for place in places if (one := _described(place, info.sha)) is not None]
    for file in refused:
        warnings.warn(f"skipped {file!r} of '{name}': it leads out of the folder", stacklevel=3)
    kept = ((base, "base"), (role, "role"), (kind, "kind"), (language, "language"))
    return [
        one for one in found if all(value in (None, getattr(one.card, key)) for value, key in kept)
    ]


def _described(place: HubName, commit: str) -> RemoteModule | None:
    """A module by its card; one whose card cannot be read is named and passed over."""
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(place.repository, place.file(CARD_FILE), revision=commit)
    try:
        card = from_json(Path(path).read_text(encoding="utf-8"), CARD_FILE)
    except (ModuleError, UnicodeDecodeError) as error:
        warnings.warn(f"skipped '{place}': {error}", stacklevel=4)
        return None
    return RemoteModule(str(place), (card.language,), card)


def _languages(card: object) -> tuple[str, ...]:
    tags = getattr(card, "language", None) or ()
    return (tags,) if isinstance(tags, str) else tuple(tags)
