"""Whose an error is that belongs to no route."""

from __future__ import annotations

import pytest

from stoker.plugins import PluginManager
from stoker_litestar.path_owners import PathOwners


@pytest.fixture(scope="module")
def owners() -> tuple[PathOwners, dict[int, str]]:
    """Of all shipped dialects, with their names."""
    specs = PluginManager(allow={"litestar"}).dialects
    dialects = {name: spec.factory() for name, spec in specs.items()}
    return PathOwners(list(dialects.values())), {id(made): key for key, made in dialects.items()}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/messages", "anthropic"),
        ("/v1/chat/completions", "openai"),
        ("/api/chat", "ollama"),
        ("/api/nothing", "ollama"),
        ("/models/ai/x/push", "docker"),
        ("/engines/llama.cpp/v1/messages", "docker-anthropic"),
        ("/v1/responses/x", "responses"),
        ("/v1/nothing", None),
        ("/nothing", None),
        ("/", "ollama"),
    ],
)
def test_a_path_has_an_owner(
    owners: tuple[PathOwners, dict[int, str]], path: str, expected: str | None
) -> None:
    """The dialect that has it, or the only one that has others like it."""
    find, names = owners
    found = find.find(path)

    assert expected == (None if found is None else names[id(found)])
