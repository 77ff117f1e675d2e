"""Every slip in every key of the shipped configs: how many are refused, and with the right suggestion.

The test suite tries four letters; this tries the whole alphabet, digits and the underscore.

    python -m tests.benchmarks.config_slips
"""

from __future__ import annotations

import json
import string

from tests.test_configs import CONFIGS, evaluated, verdicts

LETTERS = string.ascii_lowercase + string.digits + "_"


def main() -> None:
    figures = {}
    for path in CONFIGS:
        tried, suggested, accepted = verdicts(evaluated(path), LETTERS)
        figures[path.name] = {"tried": tried, "refused": tried - len(accepted), "suggested": suggested}
        print(
            f"{path.name}: {tried:,} slips, {tried - len(accepted):,} refused, "
            f"{suggested / tried:.2%} with the right suggestion"
        )
    print(json.dumps({"benchmark": "config_slips", "configs": figures}))


if __name__ == "__main__":
    main()
