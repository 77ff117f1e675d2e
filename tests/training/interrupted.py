"""Trains a tiny run that is killed, or whose disk fails, at chosen moments, and goes on with it to its end.

One process imports everything once and forks for every life of a run, so that a hundred of them take a
minute. It is a process of its own because a fork of pytest, with its threads, is none of a shell's children.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch._dynamo  # which every optimizer imports, and which takes most of a second

import bertx.training.checkpoints.checkpointer as checkpointer
import bertx.training.checkpoints.folder as folder_module
from bertx.cli.main import main as command_line
from bertx.runs.preparation import TrainingRequest, plan_request
from bertx.training.loop import TrainingLoop
from tests.training.tiny_run import digests, workplace
from tests.training.trouble import Moments, failing, killing


@dataclass
class Shop:
    """Where runs live and die.

    Attributes:
        place: Holds everything.
        notes: What the last life said of checkpoints: `saved` or `loaded`, and the step.
    """

    place: Path
    notes: list[tuple[str, int]] = field(default_factory=list)

    def live(
        self,
        run: Path,
        moments: Moments | None = None,
        *,
        kill_after: float | None = None,
        since: str = "start",
    ) -> int:
        """Lets a run go on in a process of its own.

        Args:
            run: The run folder.
            moments: What is to happen.
            kill_after: Kill it after so many seconds; None: never.
            since: Count moments from the `start`, or from the first `checkpoint`.

        Returns:
            The exit status, or minus the signal that ended it.
        """
        note = self.place / "notes"
        note.write_text("")
        child = os.fork()
        if not child:
            _be_child(self.place, run, note, moments, since)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        lines = [line.split() for line in note.read_text().splitlines()]
        self.notes = [(what, int(number)) for what, number in lines]
        return os.waitstatus_to_exitcode(status)

    def noted(self, what: str) -> list[int]:
        return [number for said, number in self.notes if said == what]

    @property
    def stderr(self) -> str:
        return (self.place / "stderr").read_text(encoding="utf-8")


def _be_child(place: Path, run: Path, note: Path, moments: Moments | None, since: str) -> None:
    """Trains by the command line, and ends."""
    status = 1
    try:
        with (place / "stderr").open("wb") as stderr, open(os.devnull, "wb") as nothing:
            os.dup2(stderr.fileno(), 2)
            os.dup2(nothing.fileno(), 1)
        _take_notes(note, moments if since == "checkpoint" else None)
        if moments is not None and since == "start":
            moments.watch()
        command_line(["train", str(place / "tiny.json"), "-s", str(run), "--recover"])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        if moments is not None:
            _say(note, "moments", moments.seen)
        os._exit(status)


def _say(note: Path, what: str, number: int) -> None:
    with note.open("a") as file:
        file.write(f"{what} {number}\n")


def _take_notes(note: Path, waiting: Moments | None) -> None:
    write, recover = checkpointer.write_checkpoint, TrainingLoop.recover

    def noted_write(path: Path, checkpoint: folder_module.Checkpoint) -> None:
        nonlocal waiting
        if waiting is not None:
            waiting.watch()
            waiting = None
        write(path, checkpoint)
        _say(note, "saved", int(path.name.removeprefix("step-")))

    def noted_recover(self: TrainingLoop) -> bool:
        found = recover(self)
        if found:
            _say(note, "loaded", self.position.step)
        return found

    checkpointer.write_checkpoint = noted_write
    TrainingLoop.recover = noted_recover  # type: ignore[method-assign]


def judge_kill(shop: Shop, run: Path, expected: dict[str, str], saved: Sequence[int]) -> str:
    """Lets a killed run go on to its end; returns what is wrong with it, or nothing.

    Args:
        shop: Where.
        run: The run folder.
        expected: The digests of a run that nobody killed.
        saved: The steps of the checkpoints that were finished before.
    """
    status = shop.live(run)
    if status:
        return f"goes on with status {status}: {shop.stderr}"
    loaded = shop.noted("loaded")
    if saved and (not loaded or loaded[0] < min([*dict.fromkeys(saved)][-2:])):
        return f"{saved} were saved, {loaded} was loaded"
    found = digests(run)
    wrong = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    return f"other files: {', '.join(wrong)}" if wrong else ""


def kill_at_moments(shop: Shop, count: int, draw: random.Random) -> list[str]:
    """Kills runs while they write, every third one twice; returns what is wrong with each."""
    expected, total, _ = _reference(shop)
    verdicts = []
    for number, moment in enumerate(draw.sample(range(total), count)):
        run = shop.place / "run"
        shutil.rmtree(run, ignore_errors=True)
        saved: list[int] = []
        for at in [moment, draw.randrange(total)] if number % 3 == 0 else [moment]:
            torn = bool(draw.getrandbits(1))
            shop.live(run, Moments(run, at, killing(torn)))
            saved = [*([saved[-1]] if saved else []), *shop.noted("loaded"), *shop.noted("saved")]
        verdicts.append(_named(f"moment {moment}", judge_kill(shop, run, expected, saved)))
    return verdicts


def kill_at_times(shop: Shop, count: int, draw: random.Random) -> list[str]:
    """Kills runs at any time; returns what is wrong with each."""
    expected, _, seconds = _reference(shop)
    verdicts = []
    for _ in range(count):
        run, after = shop.place / "run", draw.uniform(0.0, seconds)
        shutil.rmtree(run, ignore_errors=True)
        shop.live(run, kill_after=after)
        verdicts.append(_named(f"{after:.3f} s", judge_kill(shop, run, expected, shop.noted("saved"))))
    return verdicts


def fail_calls(shop: Shop, calls: Sequence[int], since: str, number: int) -> list[str]:
    """Lets single file calls of a run that goes on fail; returns what is wrong with each."""
    expected, _, _ = _reference(shop)
    before, run = shop.place / "before", shop.place / "run"
    if not before.exists():
        shop.live(before, Moments(before, 150, killing(False)))
    verdicts = []
    for call in calls:
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(before, run)
        status = shop.live(run, Moments(run, call, failing(number)), since=since)
        newest = max([*shop.noted("loaded"), *shop.noted("saved"), 3])
        wrong = judge_failure(status, shop.stderr, run, is_checkpoint=False)
        wrong = wrong or judge_kill(shop, run, expected, [newest])
        verdicts.append(_named(f"{since} {call}", wrong))
    return verdicts


def judge_failure(status: int, stderr: str, run: Path, *, is_checkpoint: bool) -> str:
    """Returns what is wrong with how a run ended whose disk failed; it may also have got over it."""
    said = stderr.strip().splitlines()[-1] if stderr.strip() else ""
    if status not in (0, 4) or "Traceback" in stderr or "a bug" in stderr:
        return f"status {status}: {stderr}"
    if status == 4 and str(run) not in said:
        return f"names no file: {said}"
    if status == 4 and "/checkpoints/step-" in said and " bytes are needed" not in said:
        return f"does not say how much room is needed: {said}"
    return ""


def _named(what: str, wrong: str) -> str:
    return f"{what}: {wrong}" if wrong else ""


def _reference(shop: Shop) -> tuple[dict[str, str], int, float]:
    """Trains once without trouble; returns digests, the number of moments, and the seconds."""
    run = shop.place / "reference"
    if not run.exists():
        shop.live(shop.place / "warm-up")  # fills the cache of encoded data
    shutil.rmtree(run, ignore_errors=True)
    started = time.perf_counter()
    status = shop.live(run, Moments(run, None, killing(False)))
    seconds = time.perf_counter() - started
    if status:
        raise RuntimeError(f"the reference ended with {status}: {shop.stderr}")
    return digests(run), shop.noted("moments")[0], seconds


def main() -> None:
    """Takes `place`, `what` and numbers; prints the verdicts as JSON, those without a fault empty."""
    place, what, *numbers = sys.argv[1:]
    os.environ["BERTX_CACHE"] = str(Path(place) / "cache")
    torch.set_num_threads(1)
    config = workplace(Path(place))
    plan_request(TrainingRequest(config))  # imports all components before the first fork
    shop = Shop(Path(place))
    if what == "kill":
        count, seed = (int(number) for number in numbers)
        draw = random.Random(seed)
        verdicts = kill_at_moments(shop, count, draw) + kill_at_times(shop, count, draw)
    else:
        error, first, stride = (int(number) for number in numbers)
        calls = range(first, first + 30, stride)
        verdicts = fail_calls(shop, calls, "start", error) + fail_calls(shop, calls, "checkpoint", error)
    print(json.dumps(verdicts))


if __name__ == "__main__":
    main()
