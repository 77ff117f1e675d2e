"""A text at a time, in a process that runs."""

from __future__ import annotations

from tests.benchmarks.rows import write_rows
from tests.benchmarks.suite.setting import Setting
from tests.benchmarks.suite.workload import Column, Comparison, System, Workload, ratio
from tests.benchmarks.texts import mixed_texts
from tests.benchmarks.workloads.classifiers import SYSTEMS, classifiers

TEXTS = 300


def workload(setting: Setting) -> Workload:
    """Returns the workload."""
    made = classifiers(setting)
    texts = mixed_texts(setting.data, setting.rows(TEXTS))
    records = ({"id": number, "text": text} for number, text in enumerate(texts))
    source = write_rows(records, setting.folder / "latency.jsonl")
    loaders = {"bertx": (f"{SYSTEMS}.bertx_prediction:load", {"run": str(made.run)}), **made.loaders()}
    return Workload(
        name="latency",
        about=f"{len(texts)} texts of mixed lengths, one after the other, each with its tokenisation. bertx: "
        "run.predict([text]); hand: transformers; ort: ONNX Runtime.",
        systems=[
            System(
                name,
                f"{SYSTEMS}.prediction:predict_one_by_one",
                {"loader": loader, "arguments": arguments, "source": str(source), "rows": len(texts)},
            )
            for name, (loader, arguments) in loaders.items()
        ],
        columns=[Column("median_ms", "ms, median", 2), Column("slow_ms", "ms, 95 %", 2)],
        comparisons=[
            Comparison(f"time: {name} / bertx", ratio("median_ms", name, "bertx"))
            for name in loaders
            if name != "bertx"
        ],
    )
