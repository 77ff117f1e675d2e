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
    given = {"bertx": "auto", "bertx_int8": "int8"}
    ours = {
        name: (f"{SYSTEMS}.bertx_prediction:load", {"run": str(made.run), "precision": precision})
        for name, precision in given.items()
    }
    peers = made.loaders()
    return Workload(
        name="latency",
        about=f"{len(texts)} texts of mixed lengths, one after the other, each with its tokenisation. bertx: "
        "bertx.in_precision(run, ...).predict([text]); hand: transformers; ort: ONNX Runtime.",
        systems=[
            System(
                name,
                f"{SYSTEMS}.prediction:predict_one_by_one",
                {"loader": loader, "arguments": arguments, "source": str(source), "rows": len(texts)},
            )
            for name, (loader, arguments) in (ours | peers).items()
        ],
        columns=[Column("median_ms", "ms, median", 2), Column("slow_ms", "ms, 95 %", 2)],
        comparisons=[
            *(Comparison(f"time: {name} / bertx", ratio("median_ms", name, "bertx")) for name in peers),
            Comparison("time: ort_int8 / bertx_int8", ratio("median_ms", "ort_int8", "bertx_int8")),
        ],
    )
