"""Give memory that a burst of work has used back to the system."""

import ctypes

_libc = ctypes.CDLL(None)
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""The parameters `M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` of glibc's `mallopt`."""
_KEPT_BYTES = 64 * 2**20
"""What the end of a heap may hold without being given back at each release. A hash needs 19 MiB, and to get them from
the system each time would take half as long again as the hash."""
_MAPPED_BYTES = 32 * 2**20
"""From this size on, memory comes from the system and not from a heap. It is glibc's largest value."""
_LARGE_BYTES = 2**20
"""A release of this size makes glibc look at the end of the heap."""


def trim_heap() -> None:
    """Give free memory back: of all heaps, but of the end of a heap only if it is this thread's.

    glibc keeps a heap for each thread. A thread gives the end of its heap back when it releases something, and only
    beyond a threshold. Do nothing if the C library is not glibc.
    """
    if not hasattr(_libc, "malloc_trim"):
        return
    _libc.mallopt(_MMAP_THRESHOLD, _MAPPED_BYTES)
    _libc.mallopt(_TRIM_THRESHOLD, 0)
    _libc.malloc.restype = ctypes.c_void_p
    _libc.free(ctypes.c_void_p(_libc.malloc(ctypes.c_size_t(_LARGE_BYTES))))
    _libc.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    _libc.malloc_trim(0)
