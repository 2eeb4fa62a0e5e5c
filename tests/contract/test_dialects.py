"""All wire APIs that are installed keep the contract of dialects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from stoker.dialect import AnswerRoute, Dialect, DialectSpec
from stoker.plugins import PluginManager
from stoker.testing import DialectContract, DialectSample

DIALECTS = PluginManager().dialects

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
BODIES: dict[str, dict[str, Any]] = {
    "/chat/completions": CHAT,
    "/completions": {"model": "m", "prompt": "Hi"},
    "/messages": {**CHAT, "max_tokens": 9},
    "/responses": {"model": "m", "input": "Hi"},
    "/api/chat": CHAT,
    "/api/generate": {"model": "m", "prompt": "Hi"},
}
"""A request for each route that makes text, by the end of its path."""
NO_TEXT = {
    *("/embeddings", "/api/embeddings", "/api/embed", "/rerank", "/score"),
    *("/tokenize", "/detokenize", "/apply-template", "/input_tokens", "/count_tokens"),
    "/responses/compact",
}
"""Ends of the paths of routes that make none."""


def samples_of(dialect: Dialect) -> Iterator[DialectSample]:
    """A request with a stream and one without for each route that makes text."""
    for route in dialect.routes:
        if not isinstance(route, AnswerRoute) or any(map(route.path.endswith, NO_TEXT)):
            continue
        end = max((end for end in BODIES if route.path.endswith(end)), key=len)
        for stream in (True, False):
            yield DialectSample(route.path, json.dumps({**BODIES[end], "stream": stream}).encode())


@pytest.mark.parametrize("spec", DIALECTS.values(), ids=list(DIALECTS))
class TestDialect(DialectContract):
    @pytest.fixture
    def make_dialect(self, spec: DialectSpec) -> Callable[[], Dialect]:
        """The factory of an installed dialect."""
        return spec.factory

    @pytest.fixture
    def samples(self, make_dialect: Callable[[], Dialect]) -> Sequence[DialectSample]:
        """Requests for text, where the API has such."""
        return list(samples_of(make_dialect()))


def test_all_apis_that_make_text_have_samples() -> None:
    """None passes the contract by not being asked."""
    without = {name for name, spec in DIALECTS.items() if not list(samples_of(spec.factory()))}

    assert {"rerank", "docker-rerank", "docker"} == without
