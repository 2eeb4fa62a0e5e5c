"""How many descriptors the server may have."""

from __future__ import annotations

import resource
import subprocess
import sys

SCRIPT = """
import resource
from stoker.descriptor_limit import raise_descriptor_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard}))
raise_descriptor_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_limit_is_raised_as_far_as_it_may_be() -> None:
    """To the hard limit, which stays."""
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096)
    code = SCRIPT.format(hard=hard)

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert f"{hard} {hard}" == done.stdout.strip()
