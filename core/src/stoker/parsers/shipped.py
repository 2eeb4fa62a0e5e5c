"""The list of shipped parsers, in the order in which they are asked."""

from __future__ import annotations

import re

from stoker.parser import ParserSpec
from stoker.parsers.command import START as ACTION
from stoker.parsers.command import CommandSyntax
from stoker.parsers.deepseek import CALL as DEEPSEEK_CALL
from stoker.parsers.deepseek import DeepSeekSyntax
from stoker.parsers.gemma import FUNCTION_GEMMA, GEMMA_4, GemmaSyntax
from stoker.parsers.glm import GlmSyntax
from stoker.parsers.granite import CALLS as GRANITE_CALLS
from stoker.parsers.granite import GraniteSyntax
from stoker.parsers.harmony import CHANNEL, MESSAGE, HarmonySyntax
from stoker.parsers.hermes import START as TOOL_CALL
from stoker.parsers.hermes import HermesSyntax
from stoker.parsers.liquid import START as LIQUID_CALL
from stoker.parsers.liquid import LiquidSyntax
from stoker.parsers.llama3 import PYTHON_TAG, LlamaSyntax
from stoker.parsers.mistral import CALLS as MISTRAL_CALLS
from stoker.parsers.mistral import MistralSyntax
from stoker.parsers.qwen3_coder import Qwen3CoderSyntax
from stoker.parsers.think import ThinkSyntax


def _llama3(template: str) -> bool:
    return PYTHON_TAG in template or (
        "<|start_header_id|>" in template and '"parameters"' in template
    )


# As the template writes it, or as it tells the model to; line ends may be escapes.
_HERMES_CALL = re.compile(rf"{TOOL_CALL}(\\n|\s)*\{{+\s*\\?[\"']name")


_LIQUID_LISTS = ("<|tool_list_start|>", "List of tools: [")

# The special ones come before those whose marks they share.
SHIPPED = (
    ParserSpec(
        "harmony", lambda text: CHANNEL in text and MESSAGE in text, lambda _: HarmonySyntax()
    ),
    ParserSpec(
        "gemma",
        lambda text: FUNCTION_GEMMA.start in text or GEMMA_4.start in text,
        GemmaSyntax,
    ),
    ParserSpec("mistral", lambda text: MISTRAL_CALLS in text, MistralSyntax),
    ParserSpec("glm", lambda text: "<arg_key>" in text, lambda _: GlmSyntax()),
    ParserSpec(
        "qwen3-coder",
        lambda text: TOOL_CALL in text and "<function=" in text and "<parameter=" in text,
        lambda _: Qwen3CoderSyntax(),
    ),
    ParserSpec("deepseek", lambda text: DEEPSEEK_CALL in text, DeepSeekSyntax),
    ParserSpec("command", lambda text: ACTION in text, lambda _: CommandSyntax()),
    ParserSpec(
        "liquid",
        # Most of its templates tell of tools, and write no calls.
        lambda text: any(mark in text for mark in (LIQUID_CALL, *_LIQUID_LISTS)),
        lambda _: LiquidSyntax(),
    ),
    ParserSpec("granite", lambda text: GRANITE_CALLS in text, lambda _: GraniteSyntax()),
    ParserSpec("hermes", lambda text: bool(_HERMES_CALL.search(text)), lambda _: HermesSyntax()),
    ParserSpec("llama3", _llama3, lambda _: LlamaSyntax()),
)

THINK = ParserSpec("think", lambda _: False, lambda _: ThinkSyntax())
"""Only for a config: for models that think, and whose calls are not to be read."""
PLAIN = ParserSpec("hermes", lambda _: True, lambda _: HermesSyntax())
"""For all others: stoker itself tells them of tools, and how to call them."""
