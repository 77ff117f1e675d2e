import io
import sys

import pytest

from bertx.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that shows what it is set to."""
    now = [100.0]
    monkeypatch.setattr("bertx.progress.time.monotonic", lambda: now[0])
    return now


def test_a_line_says_how_far_the_work_is(clock):
    progress = Progress("train 1 of 3", 2000, unit="batches")
    clock[0] += 100
    progress.advance(1200, note="loss 0.4512")
    assert progress.line() == "train 1 of 3: 1,200/2,000 batches, 12.0/s, loss 0.4512"


def test_an_unknown_total_is_left_out(clock):
    progress = Progress("predict", None, unit="records")
    clock[0] += 2
    progress.advance(5)
    assert progress.line() == "predict: 5 records, 2.5/s"


def test_elsewhere_than_on_a_terminal_a_line_comes_every_30_seconds(clock, caplog):
    caplog.set_level("INFO", "bertx")
    with Progress("read", 10) as progress:
        for seconds in (29.0, 2.0, 28.0, 1.0, 1.0):
            clock[0] += seconds
            progress.advance()
    assert [record.getMessage()[:9] for record in caplog.records] == ["read: 2/1", "read: 5/1"]


def test_a_terminal_shows_a_bar_that_is_closed_by_an_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(KeyboardInterrupt), Progress("read", 10, unit="rows") as progress:
        progress.advance(3)
        bar = progress._bar
        raise KeyboardInterrupt
    assert bar.disable  # as tqdm marks closed bars
    assert "rows" in sys.stderr.getvalue()


def test_file_friendly_logging_shows_no_bar_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert Progress.shows_bars()
    monkeypatch.setattr(Progress, "lines_only", True)
    assert not Progress.shows_bars()
