"""No command unpickles anything: what runs read and write are tensors, JSON and text."""

import json
import os
import subprocess
import sys

from tests.conftest import REPOSITORY
from tests.training.tiny_run import workplace

SCRIPT = """
import json, pickle, sys
from bertx.runs.planning import register_components
from tests.commands import bertx

register_components()
found = []

def note(event, given):
    if event == "pickle.find_class":
        found.append(f"{given[0]}.{given[1]}")

sys.addaudithook(note)
pickle.loads(pickle.dumps(len))  # shows that it is noticed
train = ("train", "tiny.json", "-s", "run", "--recover", "--allow-config-change", "-o")
commands = [
    (*train, "trainer.max_steps=17"),
    (*train, "data_loader.num_workers=2"),
    ("evaluate", "run", "dev.jsonl"),
    ("predict", "run/model.tar.gz", "dev.jsonl"),
]
results = [bertx(*command) for command in commands]
statuses, errors = zip(*((result.status, result.err) for result in results))
print(json.dumps({"found": found, "statuses": statuses, "errors": errors}))
"""


def test_training_recovering_evaluating_and_predicting_unpickle_nothing(tmp_path):
    workplace(tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    run = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, check=True, timeout=300)
    told = json.loads(done.stdout)
    assert told["statuses"] == [0, 0, 0, 0], told["errors"]
    assert told["found"] == ["builtins.len"]
