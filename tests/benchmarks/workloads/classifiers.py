"""What predicts: one trained classifier, for every system in its own form."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.rows import write_rows
from tests.benchmarks.suite.processes import NotInstalledError
from tests.benchmarks.suite.setting import Setting
from tests.benchmarks.tasks import TASKS

TRAINING_ROWS = 8_000
MAX_PIECES = 512
BATCH_SIZE = 32  # of the loops; more is slower on a CPU, because more is padding
SYSTEMS = "tests.benchmarks.systems"


@dataclass(frozen=True)
class Classifiers:
    """Where the forms of the classifier are.

    Attributes:
        run: bertx's run folder.
        model: The folder for `transformers`.
        onnx: The folder of fp32.onnx and int8.onnx; they are there unless `onnx` is not installed.
    """

    run: Path
    model: Path
    onnx: Path

    def loaders(self) -> dict[str, tuple[str, dict[str, object]]]:
        """Returns the peers by name: what loads them, and its arguments."""
        given: dict[str, object] = {"model": str(self.model), "max_pieces": MAX_PIECES}
        sized = given | {"batch_size": BATCH_SIZE}
        hand, runtime = f"{SYSTEMS}.hand_loop:load", f"{SYSTEMS}.onnx_runtime:load"
        return {
            "pipeline": (f"{SYSTEMS}.pipeline:load", given),
            "hand_fp32": (hand, sized | {"precision": "fp32"}),
            "hand_bf16": (hand, sized | {"precision": "bf16"}),
            "ort_fp32": (runtime, sized | {"onnx_file": str(self.onnx / "fp32.onnx")}),
            "ort_int8": (runtime, sized | {"onnx_file": str(self.onnx / "int8.onnx")}),
        }


def classifiers(setting: Setting) -> Classifiers:
    """Trains the classifier, unless another workload has done so."""
    folder = setting.folder / "classifiers"
    made = Classifiers(folder / "run", folder / "hf", folder / "onnx")
    if folder.is_dir():
        return made
    folder.mkdir()
    data, task = setting.data / "sst2", TASKS["sst2"]
    train = task.rows(data / "train.jsonl", setting.rows(TRAINING_ROWS, least=2_000))
    files = {
        "train_file": str(write_rows(train, folder / "train.jsonl")),
        "dev_file": str(write_rows(task.rows(data / "dev.jsonl"), folder / "dev.jsonl")),
    }
    processes = setting.processes
    found = processes.measure(
        f"{SYSTEMS}.bertx_run:train_for_all",
        files | {"encoder": str(setting.encoder), "max_pieces": MAX_PIECES, "target": str(folder)},
    )
    print(f"the classifier to predict with has {found['accuracy']:.2f} % right", flush=True)
    with suppress(NotInstalledError):  # the systems that miss the files say so
        to_onnx = {"model": str(made.model), "target": str(made.onnx)}
        processes.measure(f"{SYSTEMS}.onnx_runtime:export", to_onnx)
    return made
