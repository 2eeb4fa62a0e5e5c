"""32 clients for 10 minutes on three models in a budget for two: see `tests/support/soaking.py`.

Run by name: `make bench NAME=soak`, or shorter: `make bench NAME=soak ARGS="60 16"` (seconds,
clients). Ends with 1 when an answer was wrong, something hung, memory went over the budget, or the
server's descriptors, threads, processes or memory grew after the first fifth.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from stoker_process import FAULTY

sys.path.insert(0, str(FAULTY))

from soaking import BUDGET_BYTES, MIB, Report, Soak, make_home, tell

DURATION_S = 600.0
CLIENTS = 32


def _grew(report: Report) -> list[str]:
    if report.early is None or report.late is None:
        return ["it did not end"]
    return report.late.growth(report.early)


def main() -> int:
    """Run, and tell."""
    duration_s = float(sys.argv[1]) if len(sys.argv) > 1 else DURATION_S
    clients = int(sys.argv[2]) if len(sys.argv) > 2 else CLIENTS  # noqa: PLR2004
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder))
        with home.serve() as server:
            report = asyncio.run(Soak(server, clients=clients, seed=1).run(duration_s))
    for outcome, count in report.outcomes.most_common():
        print(f"{count:8} {outcome}")
    print(f"runners had at most {report.most_mib:.0f} MiB of {BUDGET_BYTES / MIB:.0f} MiB")
    print(f"after a fifth: {report.early}\nat the end:    {report.late}")
    problems = report.wrong + _grew(report)
    return tell(problems)


if __name__ == "__main__":
    sys.exit(main())
