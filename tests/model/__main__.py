"""Run histories: `python -m tests.model --seed N` tells one, `--seeds N` runs many."""

from __future__ import annotations

import argparse
import sys
import time

from tests.model.history import History, run


def main() -> int:
    """Run what the arguments say; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this history and tell all of it")
    parser.add_argument("--first", type=int, default=0, help="the first seed of many")
    parser.add_argument("--seeds", type=int, default=3000, help="how many histories to run")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        history = run(arguments.seed, told=True)
        print("\n".join([*history.lines, *history.violations]))  # noqa: T201 - its result
        return bool(history.violations)
    began, total = time.process_time(), History()
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        total.add(run(seed))
    for what, count in sorted(total.counts.items()):
        print(f"{count:12,} {what}")  # noqa: T201 - its result
    print(f"{total.seeds} seeds in {time.process_time() - began:.1f} s")  # noqa: T201 - its result
    print("\n".join(total.violations))  # noqa: T201 - its result
    return bool(total.violations)


if __name__ == "__main__":
    sys.exit(main())
