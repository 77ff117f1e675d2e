"""Several processes of one command, and how they end."""

from __future__ import annotations

import json
import signal

import pytest

from bertx.errors import UsageError
from bertx.runs import launch as launching
from bertx.runs.launch import launch, must_launch
from bertx.training.processes.distributed import Distributed

BEGINNING = "import os, signal, sys, time\nrank = int(os.environ['RANK'])\n"
SIGNALLED = """
def stop(number, frame):
    sys.exit({15: 75, 2: 130}[number])
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
time.sleep(0.5)
if rank == 0:
    os.kill(int(os.environ['BERTX_LAUNCHER_PID']), %d)
time.sleep(60)
"""


def run(script: str, num_processes: int = 2) -> int:
    return launch(Distributed(num_processes), ["-c", BEGINNING + script])


def test_good_processes_end_well_and_only_the_main_one_is_heard(capfd):
    assert run("print('I am', rank)", num_processes=3) == 0
    assert capfd.readouterr() == ("I am 0\n", "")


def test_the_first_failure_is_the_exit_status():
    script = "time.sleep(2 * (rank == 0)); sys.exit([76, 4][rank])"
    assert run(script) == 4


def test_one_that_was_left_by_another_is_not_the_cause():
    assert run("time.sleep(rank); sys.exit([76, 5][rank])") == 5


def test_what_the_failed_process_said_is_shown(capfd):
    assert run("print(f'{rank} lost', file=sys.stderr); sys.exit([76, 4][rank])") == 4
    assert capfd.readouterr().err == "0 lost\nprocess 1 ended with status 4:\n1 lost\n"


def test_what_all_say_is_shown_once(capfd):
    assert run("print('no such file', file=sys.stderr); sys.exit(4)") == 4
    assert capfd.readouterr().err == "no such file\n"


def test_one_that_does_not_follow_is_told_to_end_and_then_killed(monkeypatch, tmp_path):
    monkeypatch.setattr(launching, "SECONDS_TO_FOLLOW", 1.0)
    monkeypatch.setattr(launching, "SECONDS_TO_END", 1.0)
    told = f"signal.signal(15, lambda *_: open({str(tmp_path / 'told')!r}, 'w'))"
    assert run(f"{told}\nif rank: sys.exit(1)\nwhile True: time.sleep(1)") == 1
    assert (tmp_path / "told").exists()


def test_a_process_that_is_killed_gives_the_status_of_its_signal():
    assert run("os.kill(os.getpid(), 9) if rank else sys.exit(76)") == 128 + 9


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_signals_reach_all_processes_and_their_status_is_passed_on(number, status):
    before = signal.getsignal(number)
    assert run(SIGNALLED % number) == status
    assert signal.getsignal(number) is before


def test_a_hangup_of_the_terminal_tells_all_to_end():
    assert run(SIGNALLED % signal.SIGHUP) == 75


def test_each_process_knows_who_it_is_and_where_to_meet(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    assert run(f"import json; json.dump(dict(os.environ), open({str(tmp_path)!r} + f'/{{rank}}', 'w'))") == 0
    said = [json.loads((tmp_path / str(rank)).read_text(encoding="utf-8")) for rank in range(2)]
    assert [one["LOCAL_RANK"] for one in said] == ["0", "1"]
    wanted = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "3"}
    assert [{name: one[name] for name in wanted} for one in said] == [wanted] * 2
    assert said[0]["MASTER_PORT"] == said[1]["MASTER_PORT"] != "0"


def test_the_second_machine_has_the_later_ranks_and_is_silent(capfd, monkeypatch):
    monkeypatch.setenv("NODE_RANK", "1")
    distributed = Distributed(2, num_nodes=3, master_address="node0", master_port=29500)
    script = BEGINNING + "print('I am', rank)\nsys.exit(rank + 7 * (os.environ['MASTER_PORT'] != '29500'))"
    assert launch(distributed, ["-c", script]) in (2, 3)
    assert "\nI am" not in capfd.readouterr().out


@pytest.mark.parametrize("text", ["", "2", "-1", "x"])
def test_a_machine_must_know_its_number(monkeypatch, text):
    monkeypatch.setenv("NODE_RANK", text)
    message = (
        f'^environment: NODE_RANK="{text}"; expected the number of this machine, from 0 to 1, as '
        r"distributed\.num_nodes is 2$"
    )
    with pytest.raises(UsageError, match=message):
        launch(Distributed(1, num_nodes=2, master_port=1), ["-c", ""])


def test_only_the_first_process_starts_others():
    assert must_launch(Distributed(2), {})
    assert not must_launch(Distributed(2), {"RANK": "0"})
    assert not must_launch(Distributed(1), {})
    assert not must_launch(None, {})
