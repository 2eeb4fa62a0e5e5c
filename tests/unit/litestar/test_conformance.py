"""The conformance tests of llm-comply, with an engine that can do what they ask for."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from helpful import HelpfulEngine
from pipeline_host import PipelineInference

from stoker.host import Host
from stoker_litestar.options import HttpOptions

from .conftest import FakeCatalog, serving

TIMEOUT_S = 60
COMMAND = Path(sys.executable).with_name("llm-comply")


async def test_chat_completions_comply() -> None:
    """All of its tests of chat completions pass: schemas, streams, tools, images, errors."""
    host = Host("0", FakeCatalog(), PipelineInference(HelpfulEngine), None, None)  # type: ignore[arg-type]
    async with serving(host, HttpOptions(port=0, drain_timeout_s=1)) as server:
        process = await asyncio.create_subprocess_exec(
            *(str(COMMAND), "--format", "openai-chat", "--json"),
            *("-u", f"{server.url}/v1", "-k", "none", "-m", "o3-helpful"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)

    words = output.decode()
    report = json.loads(words[words.index("{") :])
    assert {} == {
        result["id"]: result for result in report["results"] if result["status"] != "passed"
    }
    assert 9 == len(report["results"])
