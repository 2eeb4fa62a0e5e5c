"""32 clients for 10 minutes on three models in a budget for two: see `tests/support/soaking.py`.

Run by name: `make bench NAME=soak`, or shorter: `make bench NAME=soak ARGS="60 16"` (seconds,
clients). `ARGS="600 32 real"` is a soak with a real model, of which every answer is scored again,
token by token, when all is over. Ends with 1 when an answer was wrong, something hung, memory went
over the budget, or the server's descriptors, threads, processes or memory grew after the first
fifth.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import scored_soak
from fetch_model import ensure
from judges import LlamaCppJudge
from stoker_process import FAULTY, ROOT

sys.path.insert(0, str(FAULTY))

from soaking import BUDGET_BYTES, MIB, Report, Soak, make_home, tell

DURATION_S = 600.0
CLIENTS = 32
MODEL = ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"


def _grew(report: Report) -> list[str]:
    if report.early is None or report.late is None:
        return ["it did not end"]
    return report.late.growth(report.early)


def _scripted(duration_s: float, clients: int, folder: Path) -> tuple[Report, float]:
    with make_home(folder).serve() as server:
        report = asyncio.run(Soak(server, clients=clients, seed=1).run(duration_s))
    return report, BUDGET_BYTES


def _real(duration_s: float, clients: int, folder: Path) -> tuple[Report, float]:
    ensure(MODEL)
    with scored_soak.make_real_home(folder, MODEL).serve() as server:
        soak = scored_soak.ScoredSoak(server, LlamaCppJudge(MODEL), clients=clients, seed=1)
        asyncio.run(soak.run(duration_s))
    print(f"{soak.score()} answers were scored")
    return soak.report, scored_soak.BUDGET_BYTES


def main() -> int:
    """Run, and tell."""
    duration_s = float(sys.argv[1]) if len(sys.argv) > 1 else DURATION_S
    clients = int(sys.argv[2]) if len(sys.argv) > 2 else CLIENTS  # noqa: PLR2004
    soak = _real if "real" in sys.argv[3:] else _scripted
    with tempfile.TemporaryDirectory() as folder:
        report, budget_bytes = soak(duration_s, clients, Path(folder))
    for outcome, count in report.outcomes.most_common():
        print(f"{count:8} {outcome}")
    print(f"runners had at most {report.most_mib:.0f} MiB of {budget_bytes / MIB:.0f} MiB")
    print(f"after a fifth: {report.early}\nat the end:    {report.late}")
    problems = report.wrong + _grew(report)
    return tell(problems)


if __name__ == "__main__":
    sys.exit(main())
