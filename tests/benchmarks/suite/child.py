"""One measurement in a process of its own.

    python -m tests.benchmarks.suite.child < request.json

The request names a function and its arguments; the last line of the output is the answer: the figures that
the function returned and the peak of memory, or the name of the package that is not installed.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from pathlib import Path

MB = 2**20


def peak_bytes() -> int:
    """Returns the most resident memory that this process has had, or the largest that it started.

    `getrusage` alone would not do on Linux: what it tells of a process includes the one that started it.
    """
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    status = Path("/proc/self/status")
    if not status.is_file():
        return max(started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
    lines = status.read_text(encoding="utf-8").splitlines()
    own = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    return max(started, own)


def answer(request: dict[str, dict[str, object]]) -> dict[str, object]:
    """Calls the function of a request."""
    module, _, name = str(request["function"]).partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
        asked = inspect.signature(function).parameters
        offered = {key: given for key, given in request["offered"].items() if key in asked}
        figures = function(**request["settings"], **offered)
    except ModuleNotFoundError as error:
        if (error.name or "bertx").partition(".")[0] in ("bertx", "tests"):
            raise
        return {"missing": error.name}
    return {"figures": {**figures, "peak_mb": peak_bytes() / MB}}


if __name__ == "__main__":
    found = answer(json.load(sys.stdin))
    print("\n" + json.dumps(found), flush=True)
