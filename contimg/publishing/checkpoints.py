"""Named points between the steps of publishing, where the fault harness may kill the process.

In normal work `hook` is None and a checkpoint is one comparison.
"""

from __future__ import annotations

from collections.abc import Callable

hook: Callable[[str], None] | None = None

# Every name, in the order in which one registration and publication pass them.
NAMES = (
    "register:assembled",
    "register:renamed",
    "register:committed",
    "finalize:committed",
    "register:marked",
    "publish:claimed",
    "publish:checked",
    "publish:incoming",
    "publish:file",
    "publish:copied",
    "publish:verified",
    "publish:renaming",
    "publish:renamed",
    "publish:recording",
    "publish:recorded",
    "publish:marked",
)


def checkpoint(name: str) -> None:
    """Call the hook with the name of a point, if there is one."""
    if hook is not None:
        hook(name)
