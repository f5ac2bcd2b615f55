"""The folder that a source means: a folder, or a repository of the Hugging Face Hub, fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polyrank.base import expanded
from polyrank.errors import UsageError
from polyrank.zoo.hub import said_plainly
from polyrank.zoo.names import HubName, hub_name, is_hub

# Pickles that are fetched only where their twin in safetensors is not there.
_TWINS = {
    "pytorch_adapter.bin": "adapter.safetensors",
    "pytorch_model_head.bin": "model_head.safetensors",
    "pytorch_model.bin": "model.safetensors",
}


def fetched(source: str, files: Sequence[str]) -> Path:
    """The folder of a source; of a repository, those of its files that are named are fetched.

    With HF_HUB_OFFLINE=1 what was fetched before is taken from the Hub's cache.

    Args:
        source: a folder, or `owner/repository[/path][@revision]`.
        files: file names and patterns.

    Raises:
        HubError: a repository that cannot be fetched.
        UsageError: neither a folder nor a name of the Hub.
    """
    folder = expanded(source)
    if folder.is_dir():
        return folder
    if not is_hub(source):
        raise UsageError(
            f"'{source}' is neither a folder nor a repository of the Hub.\n"
            "Give a folder, or owner/repository[/path][@revision]."
        )
    name = hub_name(source)
    folder = _snapshot(name, [file for file in files if file not in _TWINS])
    pickles = [f for f in files if f in _TWINS and not (folder / _TWINS[f]).is_file()]
    return _snapshot(name, pickles) if pickles else folder


def _snapshot(name: HubName, files: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download

    with said_plainly(name, "fetch"):
        folder = snapshot_download(
            name.repository,
            revision=name.revision,
            allow_patterns=[name.file(file) for file in files],
            library_name="polyrank",
        )
    return Path(folder) / name.path
