"""Work that is done ahead by threads, in the order in which it is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")

AHEAD_PER_WORKER = 2


def in_order(make: Callable[[int], Made], numbers: Sequence[int], workers: int) -> Iterator[Made]:
    """Yields `make(number)` for each number.

    Threads and not processes: the work is NumPy and torch, which let other threads run; and threads need no
    copies, have no signals of their own and cannot be left behind.

    Args:
        make: Does one piece; with workers it is called by several threads at once.
        numbers: What to call it with.
        workers: How many threads work ahead; 0: none, every piece is made when it is asked for.
    """
    if not workers:
        yield from map(make, numbers)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="bertx-data")
    pending: deque[Future[Made]] = deque()
    try:
        for number in numbers:
            pending.append(pool.submit(make, number))
            if len(pending) > AHEAD_PER_WORKER * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def one_ahead(made: Iterator[Made]) -> Iterator[Made]:
    """Yields what an iterator yields, of which a thread fetches the next while the one before is used.

    What the iterator raises is raised in its turn.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="bertx-data")
    try:
        coming = pool.submit(next, made, None)
        while (fetched := coming.result()) is not None:
            coming = pool.submit(next, made, None)
            yield fetched
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
