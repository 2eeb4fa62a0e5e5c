"""Check the contract kit: run it on plugins with one fault each, and print who found what.

    python tools/mutations.py

Every class in `tests/support/mutants/` is a plugin with a fault, which its docstring names, and
says in `caught_by` which tests of the contract are about that fault. All of those have to fail,
and no other one. Ends with 1 when a fault was missed, or found by a test of something else.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "support" / "mutants"


@attrs.define
class Mutant:
    """A plugin with a fault, and which tests failed for it."""

    contract: str
    fault: str
    expected: frozenset[str]
    tests: int = 0
    failed: set[str] = attrs.Factory(set)

    @property
    def verdict(self) -> str:
        """What came of it."""
        missed, wrong = self.expected - self.failed, self.failed - self.expected
        words = [f"missed by {', '.join(sorted(missed))}"] if missed else []
        words += [f"also fails {', '.join(sorted(wrong))}"] if wrong else []
        return "; ".join(words) or "caught"


class Collector:
    """A pytest plugin that notes which tests of which mutant fail."""

    def __init__(self) -> None:
        self.mutants: dict[str, Mutant] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Take down every mutant."""
        for item in items:
            kind = getattr(item, "cls", None)
            if kind is None or not hasattr(kind, "caught_by"):
                raise pytest.UsageError(f"{item.nodeid} belongs to no mutant.")
            mutant = self.mutants.setdefault(
                _owner(item.nodeid),
                Mutant(_contract(kind), (kind.__doc__ or "").strip(), kind.caught_by),
            )
            mutant.tests += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take down a failure, wherever in the test it was."""
        if report.failed:
            name = report.nodeid.rpartition("::")[2].partition("[")[0]
            self.mutants[_owner(report.nodeid)].failed.add(name)


def _owner(nodeid: str) -> str:
    return nodeid.rpartition("::")[0]


def _contract(kind: type) -> str:
    return next(
        base.__name__ for base in kind.__mro__ if base.__module__.startswith("stoker.testing")
    )


def run(paths: Iterable[Path]) -> list[Mutant]:
    """Run the kit on all mutants.

    Raises:
        SystemExit: The mutants could not be run at all.
    """
    collector, shown = Collector(), io.StringIO()
    with redirect_stdout(shown):
        code = pytest.main(
            [
                *("-q", "--no-header", "--tb=no", "--assert=plain", "-p", "no:cacheprovider"),
                f"--rootdir={ROOT}",
                *("-o", "python_classes=Test", "--timeout=30"),
                *map(str, paths),
            ],
            plugins=[collector],
        )
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        sys.exit(shown.getvalue())
    return list(collector.mutants.values())


def main() -> int:
    """Print the table."""
    mutants = run(sorted(FOLDER.glob("*.py")))
    width = max(len(mutant.fault) for mutant in mutants)
    for mutant in mutants:
        found = mutant.verdict
        if found == "caught":
            found = f"caught by {', '.join(sorted(mutant.expected))}"
        print(f"{mutant.contract:<18} {mutant.fault:<{width}} {found}")
    caught = sum(mutant.verdict == "caught" for mutant in mutants)
    tests = sum(mutant.tests for mutant in mutants)
    print(f"\n{caught} of {len(mutants)} faults caught by exactly their tests; {tests} tests run")
    return 0 if caught == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
