"""Times the start of the command line: `bertx --help`, and `bertx check` of a config.

What is measured: the median wall time of fresh processes, after one that warms the disk cache up, beside
that of `python -c pass`, the part that no program can avoid; and, by `-X importtime`, whether `--help`
imports torch, numpy or pydantic.

Goals: `bertx --help` under 0.15 s and without those three; `bertx check` under 3 s.

    python -m tests.benchmarks.start_up
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from tests.benchmarks.surroundings import REPOSITORY, print_json, verdict

WANTED_HELP_SECONDS = 0.15
WANTED_CHECK_SECONDS = 3.0
HEAVY = ("torch", "numpy", "pydantic")


def bertx_command() -> str:
    """Returns the installed console script of this Python."""
    found = shutil.which("bertx", path=str(Path(sys.executable).parent))
    if found is None:
        raise SystemExit(f"there is no bertx beside {sys.executable}; pip install -e . first")
    return found


def times(command: list[str], repeats: int) -> list[float]:
    """Returns the seconds that fresh processes take."""
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
        seconds.append(time.perf_counter() - started)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return seconds[1:]


def imported(command: list[str]) -> set[str]:
    """Returns the top-level packages that a Python command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="configs/quickstart.jsonnet", help="the config to check")
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    bertx = bertx_command()
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "bertx --help": [bertx, "--help"],
        f"bertx check {args.config}": [bertx, "check", args.config],
    }
    seconds, medians = {}, {}
    for name, command in commands.items():
        seconds[name] = times(command, args.repeats)
        medians[name] = median(seconds[name])
        print(
            f"{name:36}  median {medians[name]:.3f} s  ({min(seconds[name]):.3f} to {max(seconds[name]):.3f})"
        )
    heavy = sorted(imported(["-m", "bertx", "--help"]) & set(HEAVY))
    _, help_seconds, check_seconds = medians.values()
    is_fast, check_is_fast = help_seconds < WANTED_HELP_SECONDS, check_seconds < WANTED_CHECK_SECONDS
    print(f"bertx --help under {WANTED_HELP_SECONDS} s: {verdict(is_fast)}")
    print(f"bertx --help imports none of {', '.join(HEAVY)}: {verdict(not heavy)} {' '.join(heavy)}".rstrip())
    print(f"bertx check under {WANTED_CHECK_SECONDS:g} s: {verdict(check_is_fast)}")
    figures = {"seconds": seconds, "median_seconds": medians, "heavy_imports_of_help": heavy}
    print_json("start_up", vars(args), figures)


if __name__ == "__main__":
    main()
