"""Memory that is used again in every step stays with the process."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
_ALL, _USUAL_MAPPINGS, _USUAL = 2**31 - 1, 65536, 32 * 2**20


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """Within it, memory that is freed is not given back to the system, but to who asks next.

    A training step allocates the same large tensors as the one before. By default glibc takes each from the
    system and gives it back, and the system clears every page anew: a quarter of the CPU time of a step where
    tensors are of 32 MB and more. The process holds on to its peak meanwhile; at the end what is free goes
    back. Does nothing where the C library is not glibc.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is None or not hasattr(library, "mallopt") or not hasattr(library, "malloc_trim"):
        yield
        return
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, _ALL)
    try:
        yield
    finally:
        # What glibc comes to by itself: to set anything ends its own adapting of the two.
        library.mallopt(_MMAP_MAX, _USUAL_MAPPINGS)
        library.mallopt(_MMAP_THRESHOLD, _USUAL)
        library.mallopt(_TRIM_THRESHOLD, 2 * _USUAL)
        library.malloc_trim(0)
