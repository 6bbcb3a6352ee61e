"""Give memory that a burst of work has used back to the system."""

import ctypes

_libc = ctypes.CDLL(None)


def trim_heap() -> None:
    """Give the free memory of the C library's heaps back. Do nothing if the library is not glibc.

    glibc keeps a heap for each thread, and gives back only what is free at its end.
    """
    trim = getattr(_libc, "malloc_trim", None)
    if trim is not None:
        trim(0)
