"""What commands import decides how fast they start."""

import json
import subprocess
import sys

import pytest

from tests.tiny import config, workplace, write_lines

# torch's compiler takes as long to import as all the rest of torch; the others are for some users only.
HEAVY = {"torch._dynamo", "torch.distributed.tensor", "sympy", "transformers", "sklearn", "matplotlib"}
CODE = """
import json, sys
from bertx.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def modules_after(*arguments):
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("command", ["check", "train", "predict"])
def test_a_command_imports_neither_the_compiler_nor_what_it_does_not_need(command, trained, tmp_path):
    made = workplace(tmp_path / "workplace", config(trainer__num_epochs=1))
    arguments = {
        "check": [made],
        "train": [made, "-s", tmp_path / "run"],
        "predict": [trained.run, write_lines(tmp_path / "input.jsonl", {"text": "a good book"})],
    }[command]
    imported = modules_after(command, *arguments)
    assert "torch" in imported
    assert imported & HEAVY == set()
