"""Which parser reads a model's answers: by config, else by what its chat template says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from stoker.errors import InvalidRequestError, StokerError, UnavailableError
from stoker.messages import Author, Message, TextPart, Tool, ToolCall
from stoker.parser import ParserSpec, Syntax
from stoker.parsers.form import ARGUMENTS, IDS, KEYS, NAMES, form_of
from stoker.parsers.shipped import PLAIN, SHIPPED, THINK
from stoker.parsers.template import TemplateSyntax
from stoker.text.chat_template import ChatTemplate

AUTOMATIC = "automatic"
"""The name of the parser that is made of a template."""


def parser_names(plugins: Iterable[str] = ()) -> tuple[str, ...]:
    """All names that a config may give."""
    return (*plugins, *(spec.name for spec in SHIPPED), THINK.name, AUTOMATIC)


def choose_syntax(
    source: str,
    template: ChatTemplate,
    *,
    plugins: Mapping[str, ParserSpec],
    name: str | None = None,
) -> Syntax:
    """Choose how to read what a model writes.

    The first that claims the template wins: the parsers of plugins by name, then the shipped ones.
    Where none does, the syntax is found out from the template.

    Args:
        source: The template's source.
        template: The same, compiled.
        plugins: What plugins have registered.
        name: What the config prescribes.

    Raises:
        UnavailableError: There is no parser of the name, or it fails.
    """
    if name is not None:
        return _named(name, source, template, plugins)
    for spec in (*(plugins[key] for key in sorted(plugins)), *SHIPPED):
        if _claims(spec, source):
            return _made(spec, source)
    return automatic(source, template) or _made(PLAIN, source)


def automatic(source: str, template: ChatTemplate) -> Syntax | None:
    """The syntax of the calls that a template writes; None where it writes none that is known."""
    calls = tuple(
        ToolCall(call_id, name, json.dumps(ARGUMENTS))
        for call_id, name in zip(IDS, NAMES, strict=True)
    )
    without = _ending(template, Message(Author.ASSISTANT, (TextPart("stokeranswer"),)))
    # Some templates write one call only.
    for several in (calls, calls[:1]):
        text = _ending(template, Message(Author.ASSISTANT, tool_calls=several))
        if text is None or without is None:
            continue
        form = form_of(text, without)
        if form is not None:
            return TemplateSyntax(form, source)
    return None


def _ending(template: ChatTemplate, last: Message) -> str | None:
    """A conversation that ends with a message; None when the template refuses it."""
    kinds = {
        key: {"type": "string" if isinstance(ARGUMENTS[key], str) else "integer"} for key in KEYS
    }
    tools = [Tool(name, "-", {"type": "object", "properties": kinds}) for name in NAMES]
    user = Message(Author.USER, (TextPart("-"),))
    try:
        return template.render([user, last], tools=tools, add_generation_prompt=False)
    except InvalidRequestError:
        return None


def _named(
    name: str, source: str, template: ChatTemplate, plugins: Mapping[str, ParserSpec]
) -> Syntax:
    if name == AUTOMATIC:
        found = automatic(source, template)
        if found is None:
            raise UnavailableError(
                "The model's chat template writes no tool calls in a form that can be found out:"
                " leave its parser unset, or name one."
            )
        return found
    shipped = {spec.name: spec for spec in (*SHIPPED, THINK)}
    spec = plugins.get(name) or shipped.get(name)
    if spec is None:
        known = ", ".join(parser_names(sorted(plugins)))
        raise UnavailableError(f"There is no parser {name!r}: there are {known}.")
    return _made(spec, source)


def _claims(spec: ParserSpec, source: str) -> bool:
    try:
        return bool(spec.claims(source))
    except Exception as exc:
        raise UnavailableError(
            f"The parser {spec.name!r} fails: {type(exc).__name__}: {exc}."
        ) from exc


def _made(spec: ParserSpec, source: str) -> Syntax:
    try:
        return spec.factory(source)
    except StokerError:
        raise
    except Exception as exc:
        raise UnavailableError(
            f"The parser {spec.name!r} fails: {type(exc).__name__}: {exc}."
        ) from exc
