"""Fine-tuning an encoder of BERT-base's shape with random weights: speed alone."""

from __future__ import annotations

import shutil

from tests.benchmarks.rows import write_rows
from tests.benchmarks.suite.setting import Setting
from tests.benchmarks.suite.workload import Workload
from tests.benchmarks.tasks import TASKS
from tests.benchmarks.workloads.fine_tuning import COLUMNS, memory, shares, speed, systems, work_of
from tests.benchmarks.workloads.machine import RATES

ROWS, DEV_ROWS = 1_600, 64


def workload(setting: Setting) -> Workload:
    """Returns the workload."""
    given = prepared(setting, "bert_base", "bert_base_en_uncased", ROWS)
    work = work_of(setting, given)
    return Workload(
        name="bert_base",
        about=f"{setting.rows(ROWS):,} rows of SST-2 in batches of 32 through an encoder of BERT-base's "
        f"shape (12 layers of 768) with random weights; otherwise as fine_tuning_sst2. {work['gflop']:.2f} "
        "GFLOP a row. Its accuracy means nothing.",
        systems=[*systems(given), RATES],
        columns=[column for column in COLUMNS if column.figure != "accuracy"],
        comparisons=[*speed(1.5, None, 4, None)[:2], *memory()[:2], *shares(work["gflop"])],
    )


def prepared(setting: Setting, name: str, preset: str, rows: int) -> dict[str, object]:
    """Writes rows of SST-2 and an encoder of a preset's shape; returns where they are, for systems."""
    folder = setting.folder / name
    folder.mkdir()
    encoder = folder / "encoder"
    setting.processes.measure(
        "tests.benchmarks.systems.random_encoder:write", {"preset": preset, "target": str(encoder)}
    )
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        if (setting.encoder / name).is_file():
            shutil.copy(setting.encoder / name, encoder / name)
    data, task = setting.data / "sst2", TASKS["sst2"]
    train = task.rows(data / "train.jsonl", setting.rows(rows))
    dev = task.rows(data / "dev.jsonl", DEV_ROWS)
    return {
        "task": "sst2",
        "train_file": str(write_rows(train, folder / "train.jsonl")),
        "dev_file": str(write_rows(dev, folder / "dev.jsonl")),
        "encoder": str(encoder),
    }
