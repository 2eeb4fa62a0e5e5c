"""Contract tests for plugins: subclass one, give it your plugin, and run pytest.

Each class tests what the docstrings of its contract module promise. A subclass overrides the
fixtures that the class names, sets flags for what the plugin cannot do, and gets the tests::

    class TestShout(TextEngineContract):
        @pytest.fixture
        def load(self):
            return lambda: ShoutEngine()

Only this package imports pytest, which stoker does not install: have it in your test environment.
"""

from __future__ import annotations

import pytest

# Has to come before the modules are imported: it gives their asserts pytest's explanations.
pytest.register_assert_rewrite(
    "stoker.testing.backend",
    "stoker.testing.dialect",
    "stoker.testing.engine",
    "stoker.testing.engine_cancelling",
    "stoker.testing.engine_jobs",
    "stoker.testing.engine_masks",
    "stoker.testing.engine_sampling",
    "stoker.testing.engine_steps",
    "stoker.testing.engine_tokens",
    "stoker.testing.estimate",
    "stoker.testing.events",
    "stoker.testing.parser",
    "stoker.testing.pipeline",
    "stoker.testing.pooling",
    "stoker.testing.store",
    "stoker.testing.text_engine",
    "stoker.testing.transport",
    "stoker.testing.writable_store",
)

from stoker.testing.backend import BackendContract  # noqa: E402
from stoker.testing.dialect import DialectContract, DialectSample  # noqa: E402
from stoker.testing.engine import EngineContract  # noqa: E402
from stoker.testing.estimate import EstimateContract  # noqa: E402
from stoker.testing.events import check_events, check_pooling_events  # noqa: E402
from stoker.testing.host import ScriptedHost  # noqa: E402
from stoker.testing.parser import ParsedAnswer, ParserContract  # noqa: E402
from stoker.testing.pooling import PoolingContract  # noqa: E402
from stoker.testing.store import StoreContract  # noqa: E402
from stoker.testing.text_engine import TextEngineContract  # noqa: E402
from stoker.testing.transport import Answer, TransportContract  # noqa: E402
from stoker.testing.writable_store import WritableStoreContract  # noqa: E402

__all__ = [
    "Answer",
    "BackendContract",
    "DialectContract",
    "DialectSample",
    "EngineContract",
    "EstimateContract",
    "ParsedAnswer",
    "ParserContract",
    "PoolingContract",
    "ScriptedHost",
    "StoreContract",
    "TextEngineContract",
    "TransportContract",
    "WritableStoreContract",
    "check_events",
    "check_pooling_events",
]
