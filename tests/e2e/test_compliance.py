"""`llm-comply`, a checker of APIs that others wrote, against a scripted model; and SmolLM2."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from stoker_process import ACTING_MODEL, MODEL, Server

ANTHROPIC = (
    "anth-basic-response",
    "anth-system-prompt",
    "anth-multi-turn",
    "anth-tool-calling",
    "anth-streaming-response",
    "anth-streaming-usage",
    "anth-image-input",
    "anth-thinking-display",
    "anth-error-handling",
)
RESPONSES = (
    "basic-response",
    "system-prompt",
    "multi-turn",
    "tool-calling",
    "streaming-response",
    "streaming-usage",
    "image-input",
    "assistant-phase",
    "response-output-phase-schema",
    "compact-response",
    "compact-missing-model",
    "reasoning-summary",
    "error-handling",
)
WITLESS = {
    "openai-chat": ("chat-streaming-response", "chat-streaming-usage", "chat-error-handling"),
    "anthropic": ("anth-streaming-response", "anth-streaming-usage", "anth-error-handling"),
    "open-responses": ("compact-response", "compact-missing-model", "error-handling"),
}
"""What does not depend on what a model answers, and ends soon."""

Check = Callable[[str, str], dict[str, dict[str, Any]]]


def comply(
    server: Server, kind: str, model: str, names: tuple[str, ...] = ()
) -> dict[str, dict[str, Any]]:
    """Run the checker, or some of its tests; the results by the names of these."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from llm_comply.cli import main; sys.exit(main())",
            *("--format", kind, "--base-url", f"{server.url}/v1", "--api-key", "none"),
            *("--model", model, "--json", "--timeout", "60"),
            *(("--filter", ",".join(names)) if names else ()),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    return {result["id"]: result for result in results}


@pytest.fixture(scope="module")
def check(stage: Server) -> Check:
    """Runs the checker once for each format."""
    found: dict[str, dict[str, dict[str, Any]]] = {}

    def run(kind: str, name: str) -> dict[str, Any]:
        if kind not in found:
            found[kind] = comply(stage, kind, ACTING_MODEL)
        return found[kind][name]

    return run


@pytest.mark.parametrize("name", ANTHROPIC)
def test_anthropic(check: Check, name: str) -> None:
    """The Messages API passes, by the checker's own names."""
    result = check("anthropic", name)

    assert ("passed", []) == (result["status"], result.get("errors", []))


@pytest.mark.parametrize("name", RESPONSES)
def test_responses(check: Check, name: str) -> None:
    """The Responses API passes, by the checker's own names."""
    result = check("open-responses", name)

    assert ("passed", []) == (result["status"], result.get("errors", []))


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "names"), WITLESS.items())
def test_a_real_model(server: Server, kind: str, names: tuple[str, ...]) -> None:
    """SmolLM2 passes what needs no wits; it rambles, so most of the others wait for long."""
    results = comply(server, kind, MODEL, names)

    assert dict.fromkeys(names, "passed") == {
        name: result["status"] for name, result in results.items()
    }, results
