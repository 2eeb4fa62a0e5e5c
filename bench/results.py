"""Make RESULTS.md and its picture from the runs that are kept in results/.

Run by name: `make bench NAME=results`. A run gets there by `make bench NAME=compare
ARGS="... --json bench/results/NAME.json"`.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from comparison.chart import overview
from comparison.page import page
from comparison.results import RunRecord

FOLDER = Path(__file__).parent


def main() -> None:
    """Read all runs, in the order of their files' names.

    Raises:
        SystemExit: There are none.
    """
    files = sorted((FOLDER / "results").glob("*.json"))
    if not files:
        raise SystemExit("There are no runs in bench/results; make one with NAME=compare.")
    runs = [msgspec.json.decode(file.read_bytes(), type=RunRecord) for file in files]
    (FOLDER / "RESULTS.md").write_text(page(runs), encoding="utf-8")
    (FOLDER / "results" / "overview.svg").write_bytes(overview(runs))


if __name__ == "__main__":
    main()
