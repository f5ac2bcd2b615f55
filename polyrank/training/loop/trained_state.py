"""Models of which only a part moves: their checkpoints hold that part alone."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.module import _IncompatibleKeys


class TrainedState(nn.Module):
    """A module whose state is what is trained; the rest is on disk already."""

    def state_dict(self, *args: Any, **kw: Any) -> dict[str, Any]:  # type: ignore[override]
        """The tensors of parameters that move."""
        trained = {name for name, p in self.named_parameters() if p.requires_grad}
        return {name: t for name, t in super().state_dict(*args, **kw).items() if name in trained}

    def load_state_dict(self, state_dict: Any, *args: Any, **kw: Any) -> Any:
        """Reads what `state_dict` gave."""
        super().load_state_dict({**super().state_dict(), **state_dict})
        return _IncompatibleKeys([], [])
