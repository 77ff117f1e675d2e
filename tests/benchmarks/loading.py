"""Times the loading of an encoder from safetensors, and measures its memory, against `transformers`.

What is measured: fresh processes that import their library, then load the same file of random weights (of
BERT-large's size by default) and touch every weight, bertx and `transformers` in turn. Time is that of
loading and touching, without the import; memory is by how much the process grew at most, parts of files that
are mapped into memory included (Linux only: elsewhere no system call tells).

Goals: memory not more than 1.2 times the size of the file; time at least as good as that of `transformers`.

    python -m tests.benchmarks.loading
    python -m tests.benchmarks.loading --preset bert_tiny_en_uncased --repeats 1
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from bertx.bert.checkpoints.huggingface import write_directory
from bertx.bert.model import BertModel
from bertx.bert.presets import PRESETS
from tests.benchmarks.surroundings import REPOSITORY, print_json, verdict

WANTED_MEMORY = 1.2
LIBRARIES = {"bertx": "bertx.bert", "transformers": "transformers"}
# getrusage would not do: what it tells includes the memory of the process that started this one.
LOAD = """
import json, sys, time
from {module} import BertModel

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

before = peak()
started = time.perf_counter()
model = BertModel.from_pretrained(sys.argv[1])
loaded = time.perf_counter()
checksum = sum(float(parameter.detach().sum()) for parameter in model.parameters())
touched = time.perf_counter()
print(json.dumps({{"load_seconds": loaded - started, "seconds": touched - started,
                   "memory_bytes": peak() - before, "checksum": checksum}}))
"""


def measure(library: str, folder: Path) -> dict[str, float]:
    """Loads once in a fresh process; the folder's files are in the disk cache."""
    command = [sys.executable, "-W", "ignore", "-c", LOAD.format(module=LIBRARIES[library]), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    if done.returncode:
        raise SystemExit(f"{library}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="bert_large_en_uncased", choices=sorted(PRESETS))
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_directory(BertModel(PRESETS[args.preset].config), folder)
        size = (folder / "model.safetensors").stat().st_size
        for library in LIBRARIES:
            measure(library, folder)  # warms the disk cache up
        runs = [{library: measure(library, folder) for library in LIBRARIES} for _ in range(args.repeats)]
    if len({round(one["checksum"], 3) for run in runs for one in run.values()}) != 1:
        raise SystemExit("the libraries have loaded different weights")
    medians = {
        library: {
            key: median(run[library][key] for run in runs)
            for key in ("load_seconds", "seconds", "memory_bytes")
        }
        for library in LIBRARIES
    }
    print(f"{args.preset}: model.safetensors has {size / 2**20:.0f} MiB")
    for library, found in medians.items():
        times = f"load {found['load_seconds']:.3f} s, with all weights touched {found['seconds']:.3f} s"
        print(f"{library:12}  {times}, memory {found['memory_bytes'] / size:.2f} times the file")
    memory, ours, theirs = medians["bertx"]["memory_bytes"] / size, medians["bertx"], medians["transformers"]
    print(f"memory not more than {WANTED_MEMORY} times the file: {verdict(memory <= WANTED_MEMORY)}")
    print(f"time at least as good as transformers: {verdict(ours['seconds'] <= theirs['seconds'])}")
    print_json("loading", vars(args), {"file_bytes": size, "medians": medians, "runs": runs})


if __name__ == "__main__":
    main()
