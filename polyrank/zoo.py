"""The zoo: the collection of modules, bundled or under `$POLYRANK_ZOO`.

A module is named `<base>/<role>/<kind>/<name>`, e.g. `mini/language/adapter/ky`; the folders of
`$POLYRANK_ZOO` (separated as in PATH) come before the bundled one. Listing needs no torch.
"""

from __future__ import annotations

from polyrank.modules.search import ZooEntry, find, info, list_modules

__all__ = ["ZooEntry", "find", "info", "list_modules"]
