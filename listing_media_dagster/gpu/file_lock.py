"""Locks on files: the kernel drops one the moment its holder ends, however it ends, so none outlives its process."""

from __future__ import annotations

import fcntl


def lock_if_free(file: int) -> bool:
    """Take the lock on an open file; False if somebody has it. It is held until the file is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
