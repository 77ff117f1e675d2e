import threading
import time
from itertools import islice

import pytest

from bertx.data.prefetch import AHEAD_PER_WORKER, in_order, one_ahead


def workers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("bertx-data")]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_pieces_come_in_the_order_in_which_they_are_asked_for(count):
    def slow_at_first(number):
        time.sleep(0.002 * (5 - number % 6))
        return number * number

    assert list(in_order(slow_at_first, range(24), count)) == [number * number for number in range(24)]


def test_workers_work_at_once():
    meeting = threading.Barrier(3, timeout=10)
    assert list(in_order(lambda number: meeting.wait() >= 0, range(3), 3)) == [True] * 3


def test_without_workers_every_piece_is_made_when_it_is_asked_for_and_here():
    made = []
    pieces = in_order(lambda number: made.append((number, threading.current_thread())), range(5), 0)
    next(pieces)
    assert made == [(0, threading.current_thread())]


def test_no_more_is_made_ahead_than_agreed():
    started = []
    pieces = in_order(started.append, range(100), 2)
    for taken in (1, 2, 3):
        next(pieces)
        time.sleep(0.05)
        assert len(started) <= taken + AHEAD_PER_WORKER * 2
    pieces.close()


@pytest.mark.parametrize("count", [0, 2])
def test_an_error_comes_at_its_place_and_not_before(count):
    def make(number):
        if number == 3:
            raise ValueError("the fourth")
        return number

    pieces = in_order(make, range(6), count)
    assert list(islice(pieces, 3)) == [0, 1, 2]
    with pytest.raises(ValueError, match="the fourth"):
        next(pieces)


def test_no_thread_is_left_when_one_stops_asking():
    pieces = in_order(lambda number: number, range(1000), 2)
    next(pieces)
    assert len(workers()) > 0
    pieces.close()
    assert workers() == []


def test_what_is_not_begun_is_not_made_when_one_stops_asking():
    made, go_on = [], threading.Event()

    def make(number):
        if number:
            go_on.wait(10)
        made.append(number)

    pieces = in_order(make, range(1000), 1)
    next(pieces)
    threading.Timer(0.05, go_on.set).start()
    pieces.close()
    assert made in ([0], [0, 1])


def test_nothing_to_make_is_nothing():
    assert list(in_order(str, [], 2)) == []


def test_one_ahead_keeps_the_order():
    assert list(one_ahead(iter(range(100)))) == list(range(100))


def test_one_ahead_fetches_one_and_no_more():
    fetched = []
    taken = one_ahead(fetched.append(number) or number for number in range(10))
    assert next(taken) == 0
    taken.close()
    assert fetched in ([0], [0, 1])


def test_one_ahead_raises_in_its_turn():
    taken = one_ahead(10 // number for number in (2, 1, 0))
    assert [next(taken), next(taken)] == [5, 10]
    with pytest.raises(ZeroDivisionError):
        next(taken)
