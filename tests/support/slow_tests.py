"""What a plain run leaves out: the tests marked `slow`, and most examples of the property tests.

Hooks of pytest, for a conftest. `--all` runs everything, as CI does. A marked test that is named by
itself, or by `-m`, runs too.
"""

from __future__ import annotations

import pytest
from hypothesis import settings

LEFT_OUT: pytest.StashKey[int] = pytest.StashKey()

# The same examples in every run, or a failure would come and go. Examples take as long as the
# machine lets them.
settings.register_profile("quick", max_examples=30, derandomize=True, deadline=None)
settings.register_profile("all", max_examples=300, derandomize=True, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--all` to the options of pytest."""
    parser.addoption(
        "--all", action="store_true", help="leave out no slow test, and try more examples"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples a property test tries, unless the command line says it."""
    if not config.option.hypothesis_profile:
        settings.load_profile("all" if config.option.all else "quick")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the slow tests out of what was collected, unless somebody asked for them."""
    named = any("::" in argument for argument in config.args)
    if config.option.all or named or "slow" in config.option.markexpr:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    items[:] = [item for item in items if item not in set(slow)]
    config.stash[LEFT_OUT] = len(slow)
    config.hook.pytest_deselected(items=slow)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many tests were left out, and how to run them."""
    if count := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{count} slow test{'s' * (count > 1)} left out; `make test-all` or pytest's --all"
            " runs everything."
        )
