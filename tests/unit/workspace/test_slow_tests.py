"""Which tests a run leaves out; see `tests/support/slow_tests.py`."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import pytest

def test_quick():
    pass

@pytest.mark.slow
@pytest.mark.parametrize("number", range(2))
def test_slow(number):
    pass
"""


CONFTEST = """
from slow_tests import (
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_terminal_summary,
)
"""


@pytest.mark.parametrize(
    ("arguments", "passed", "words"),
    [
        ([], 1, "2 slow tests left out; `make test-all`"),
        (["test_some.py"], 1, "2 slow tests left out"),
        (["-k", "1 or quick"], 1, "1 slow test left out"),
        (["--all"], 3, "3 passed"),
        (["-m", "slow"], 2, "2 passed, 1 deselected"),
        (["test_some.py::test_slow"], 2, "2 passed"),
    ],
)
def test_slow_tests_run_when_asked_for(
    pytester: pytest.Pytester, arguments: list[str], passed: int, words: str
) -> None:
    """A plain run leaves them out and says so; whoever names them gets them."""
    pytester.makeini("[pytest]\nmarkers = slow: x\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_some=TESTS)

    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)

    assert passed == done.parseoutcomes()["passed"]
    assert words in done.stdout.str()
    assert ("left out" in words) == ("left out" in done.stdout.str())
