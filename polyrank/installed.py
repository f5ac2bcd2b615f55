"""Whether a package is here, without importing it."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def is_installed(module: str) -> bool:
    """Whether `import module` would find something; of a submodule, its package is enough."""
    top = module.partition(".")[0]
    return top in sys.modules or find_spec(top) is not None  # a loaded one may have no spec
