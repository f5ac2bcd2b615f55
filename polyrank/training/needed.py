"""Training needs more than ranking does; what is missing is said before anything is read."""

from __future__ import annotations

from polyrank.errors import UsageError
from polyrank.installed import is_installed

NEEDED = ("adapters", "accelerate", "datasets")


def require_training() -> None:
    """Raises UsageError where the libraries that training needs are not installed."""
    missing = [name for name in NEEDED if not is_installed(name)]
    if missing:
        raise UsageError(
            f"training needs {' and '.join(missing)}, which ranking does not.\n"
            "Install what is missing with:  pip install 'polyrank[train]'"
        )
