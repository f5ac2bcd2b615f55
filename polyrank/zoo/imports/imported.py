"""Bring a module of another project into a zoo, and take one out in another project's format."""

from __future__ import annotations

import shutil
from pathlib import Path

from polyrank.base import load_base
from polyrank.errors import ModuleError, UsageError
from polyrank.languages import tags
from polyrank.modules.card import ROLES, read_card
from polyrank.modules.folder import new_folder
from polyrank.modules.kind import resolved
from polyrank.modules.kinds import KINDS
from polyrank.modules.projection import PROJECTION_FILE, RULES_FILE
from polyrank.zoo.imports import adapterhub, masks, xmod
from polyrank.zoo.imports.composable_sft import SFT_FILE
from polyrank.zoo.imports.source import fetched
from polyrank.zoo.imports.target import Imported, Wanted

# What tells a format: its file, how it is brought in, and the files that it needs.
_FORMATS = {
    adapterhub.CONFIG_FILE: (adapterhub.bring, adapterhub.FILES),
    SFT_FILE: (masks.bring, (SFT_FILE,)),
    xmod.CONFIG_FILE: (xmod.bring, xmod.FILES),
}


def import_module(
    source: str,
    zoo: str | Path,
    language: str,
    role: str = "language",
    name: str | None = None,
    base: str | None = None,
    trust_base: bool = False,
    licence: str = "unknown",
    overwrite: bool = False,
) -> Imported:
    """Bring a module into a zoo; what kind it is, is seen from its files.

    Nothing of a pickle is run. The new module's base is marked as unverified, since no foreign
    format records the weights that it was trained on; plans that use it say so.

    Args:
        source: a folder or `owner/repository[/path][@revision]`: of the `adapters` library (with
            `adapter_config.json`), of composable-sft (with `pytorch_diff.bin`), or an XMOD
            checkpoint, of which one language's module is taken.
        zoo: the folder to bring it into, as `<base>/<role>/<kind>/<name>`.
        language: tag: of its text, or of its judgements.
        role: `language` or `ranking`.
        name: in the zoo; by default the language, or for a ranking adapter its own name.
        base: the base that it is for: it must fit. By default the one that the source names.
        trust_base: vouch that it was trained on exactly that base's weights and vocabulary.
        licence: SPDX id of the weights, where you know it.
        overwrite: replace a module of that name in the zoo.

    Raises:
        ModuleError: a source that is none of the three, is broken, hostile or cut, does not fit
            the base, or whose numerics polyrank does not have; or a module that is there already.
        HubError: a repository that cannot be fetched.
        UsageError: options that do not fit together, or a base that neither says.
    """
    if role not in ROLES:
        raise UsageError(f"unknown role '{role}'.\nUse one of {', '.join(ROLES)}.")
    if trust_base and base is None:
        raise UsageError("--trust-base vouches for a base that is named.\nGive --base too.")
    tag = tags.normalise(language)
    loaded = load_base(base) if base is not None else None
    folder = fetched(source, tuple(_FORMATS))
    for file, (bring, files) in _FORMATS.items():
        if (folder / file).is_file():
            wanted = Wanted(
                source, Path(zoo), role, tag, name, loaded, trust_base, licence, overwrite
            )
            return bring(fetched(source, files), wanted)
    raise ModuleError(
        f"'{source}' is not a module that polyrank reads: it has none of {', '.join(_FORMATS)}.\n"
        "Give a folder of the adapters library, of composable-sft, or an XMOD checkpoint."
    )


def export_module(folder: str | Path, output: str | Path, base: str | None = None) -> Path:
    """Write a module for the project that it can be used in: an adapter for the `adapters` library
    (its default `.bin` files), a mask for composable-sft (`pytorch_diff.bin`). The projection of a
    late-interaction module is copied beside it.

    Args:
        folder: of the module.
        output: a folder that is not there yet, or empty.
        base: where to find a mask's base, if not by the name in its card; only its type is read.

    Returns:
        The folder that was written.

    Raises:
        ModuleError: a module that is broken, a mask whose base is not found, a full model, or an
            output that holds something.
    """
    folder, card = Path(folder), read_card(folder)
    kind = KINDS[card.kind]
    if kind.exporter is None:
        what = (
            "is a Hugging Face checkpoint already"
            if kind.acts == "model"
            else f"is a {kind.name}, for which no other project has a format"
        )
        raise ModuleError(f"'{card.full_name}' {what}.\nUse its folder: {folder}")
    with new_folder(output) as temporary:
        resolved(kind.exporter)(folder, temporary, base or card.base)
        for name in (RULES_FILE, PROJECTION_FILE):  # of late interaction; neither project has these
            if (folder / name).is_file():
                shutil.copy(folder / name, temporary / name)
    return Path(output)
