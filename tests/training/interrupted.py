"""Trains a tiny run that is killed, or whose disk fails, at chosen moments, and goes on with it to its end.

One process imports everything once and forks for every life of a run, so that a hundred of them take a
minute. It is a process of its own because a fork of pytest, with its threads, is none of a shell's children.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

import bertx.training.checkpoints.checkpointer as checkpointer
import bertx.training.checkpoints.folder as folder_module
import bertx.training.weights as weights_module
from bertx.cli.main import main as command_line
from bertx.runs.preparation import TrainingRequest, plan_request
from bertx.training.loop import TrainingLoop
from tests.training.tiny import PIECES, records

CONFIG = {
    "dataset_reader": {
        "type": "text_classification_json",
        "token_indexers": {"bert": {"type": "bert-pretrained", "pretrained_model": "vocab.txt"}},
    },
    "train_data_path": "train.jsonl",
    "validation_data_path": "dev.jsonl",
    "model": {
        "type": "bert_for_classification",
        "dropout": 0.1,
        "bert_model": {
            "vocab_size": len(PIECES),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 16,
        },
    },
    "data_loader": {"batch_size": 4, "num_workers": 1},
    "trainer": {
        "num_epochs": 4,  # of 10 steps
        "optimizer": {"type": "adamw", "lr": 0.003},
        "learning_rate_scheduler": {"type": "linear_with_warmup", "warmup_steps": 5},
        "moving_average": {"type": "exponential", "decay": 0.9},
        "validate_every": 4,
        "validation_metric": "+accuracy",
        "checkpointer": {"save_every": 3},
        "callbacks": [{"type": "metrics_log", "every": 1}],
    },
    "random_seed": 1,
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod")
TIMES = ("time", "training_duration")

Act = Callable[[str, Path, bool], None]
"""What happens at a moment: its name, the file, and whether that is opened to append."""


def workplace(place: Path) -> Path:
    """Writes data, vocabulary and config; returns the config file."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")
    for name, count in (("train.jsonl", 40), ("dev.jsonl", 12)):
        lines = [json.dumps(record) + "\n" for record in records(count)]
        (place / name).write_text("".join(lines), encoding="utf-8")
    (place / "tiny.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    return place / "tiny.json"


@dataclass
class Moments:
    """Counts the moments at which something below a folder is changed, and acts at one of them.

    Attributes:
        folder: The run folder.
        at: The number of the moment, from 0; None: none.
        act: What to do then.
        seen: How many there were.
    """

    folder: Path
    at: int | None
    act: Act
    seen: int = 0
    acting: bool = False

    def audit(self, event: str, given: Sequence[object]) -> None:
        """Takes the events of Python's own file functions."""
        if event == "open" and isinstance(given[2], int) and given[2] & WRITING:
            self.pass_by(event, given[0], is_append=bool(given[2] & os.O_APPEND))
        elif event in CHANGES:
            # Removing a tree names files relative to a folder that is open.
            is_relative = event in ("os.remove", "os.rmdir") and given[1] not in (None, -1)
            self.pass_by(event, self.folder / str(given[0]) if is_relative else given[0])

    def pass_by(self, event: str, path: object, *, is_append: bool = False) -> None:
        """Notes a moment."""
        if self.acting or not isinstance(path, (str, Path)) or not Path(path).is_relative_to(self.folder):
            return
        number, self.seen = self.seen, self.seen + 1
        if number == self.at:
            self.acting = True
            self.act(event, Path(path), is_append)
            self.acting = False

    def watch(self) -> None:
        """Begins; what is written past Python's file functions is watched where it is called."""
        sys.addaudithook(self.audit)
        fsync = os.fsync

        def watched_fsync(descriptor: int) -> None:
            self.pass_by("fsync", os.readlink(f"/proc/self/fd/{descriptor}"))
            fsync(descriptor)

        def watched_save(tensors: dict[str, torch.Tensor], path: Path, metadata: object = None) -> None:
            self.pass_by("native", path)
            save_file(tensors, path, metadata)  # type: ignore[arg-type]

        os.fsync = watched_fsync
        folder_module.save_file = weights_module.save_file = watched_save  # type: ignore[assignment]


def killing(torn: bool) -> Act:
    """Returns what ends the process at once; torn: with the first bytes of the file already written."""

    def act(event: str, path: Path, is_append: bool) -> None:
        if torn and event == "native":
            path.with_name(".tmpAb3dEf").write_bytes(b"\x10\0\0\0\0\0\0\0{")  # as safetensors names it
        elif torn and event == "open":
            with path.open("ab" if is_append else "wb") as file:
                file.write(b'{"time": 17')
        os.kill(os.getpid(), signal.SIGKILL)

    return act


def failing(number: int) -> Act:
    """Returns what makes a call fail with an error of the system."""

    def act(event: str, path: Path, is_append: bool) -> None:
        text = os.strerror(number)
        if event == "native":
            raise SafetensorError(f"Error while serializing: I/O error: {text} (os error {number})")
        raise OSError(number, text, str(path))

    return act


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


def digests(run: Path) -> dict[str, str]:
    """Describes every file of a run: what must be equal, whenever it was trained, by its digest."""
    found = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.is_dir():
            found[name] = "folder"
        elif path.suffix == ".safetensors":
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name.startswith("metrics"):
            lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
            kept = [
                {key: value for key, value in json.loads(line).items() if key not in TIMES} for line in lines
            ]
            found[name] = hashlib.sha256(json.dumps(kept).encode()).hexdigest()
        else:
            found[name] = "file"
    return found


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
        stride, error = (int(number) for number in numbers)
        verdicts = fail_calls(shop, range(0, 30, stride), "start", error)
        verdicts += fail_calls(shop, range(0, 30, stride), "checkpoint", error)
    print(json.dumps(verdicts))


if __name__ == "__main__":
    main()
