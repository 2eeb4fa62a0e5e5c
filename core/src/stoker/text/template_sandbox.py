"""The sandbox of chat templates: Jinja with limits on time, memory and reach.

A template comes with a model, from whoever published the model, so it is untrusted code. It can
reach nothing but its variables, cannot change them, and what it may do is bounded:

- every loop and call looks at the clock,
- what it builds is weighed before (where one operation multiplies) or after it is built,
- methods and filters that no chat template needs and that build large values are not there.

Some work inside one built-in operation stays unseen (comparing deeply nested lists, say). The
runner's process is the fence behind this one.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

from jinja2 import Template, nodes, pass_eval_context  # noqa: TID253 - see compiled()
from jinja2.ext import Extension, loopcontrols  # noqa: TID253
from jinja2.filters import do_indent, do_join, do_replace  # noqa: TID253
from jinja2.parser import Parser  # noqa: TID253
from jinja2.runtime import Context  # noqa: TID253
from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: TID253
from jinja2.visitor import NodeTransformer  # noqa: TID253

from stoker.text.template_limits import (
    MAX_RENDER_S,
    MAX_WEIGHT,
    Meter,
    TemplateLimitError,
    built_size,
    check_format,
    check_join,
    check_percent_format,
    check_power,
    check_product,
    check_replace,
    check_width,
    written_size,
)

_STRING_METHODS = frozenset(
    {
        *("capitalize", "casefold", "count", "endswith", "find", "format", "index", "isalnum"),
        *("isalpha", "isascii", "isdecimal", "isdigit", "islower", "isnumeric", "isspace"),
        *("istitle", "isupper", "join", "lower", "lstrip", "partition", "removeprefix"),
        *("removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "split"),
        *("splitlines", "startswith", "strip", "swapcase", "title", "upper"),
    }
)
_REMOVED_FILTERS = ("batch", "center", "pprint", "round", "slice", "urlize", "wordwrap", "xmlattr")


class TemplateRefusalError(Exception):
    """The template called `raise_exception`; the message is the template's own."""


def compiled(source: str) -> Template:
    """Compile a template.

    This module is imported when the first template is compiled, because jinja2 is slow to import
    and most stoker processes need none.

    Raises:
        jinja2.TemplateSyntaxError: The source is no Jinja, or uses a filter that does not exist.
    """
    environment = TemplateEnvironment()
    tree = _Instrumentation().visit(environment.parse(source))
    return environment.from_string(tree)


def rendered(template: Template, variables: Mapping[str, Any]) -> str:
    """Render within the limits.

    Raises:
        TemplateRefusalError: The template itself refuses the variables.
        TemplateLimitError: A limit was reached.
        Exception: Whatever else the template does wrong.
    """
    environment = template.environment
    if not isinstance(environment, TemplateEnvironment):
        raise TypeError("the template was not compiled by compiled()")
    environment.meter = Meter(time.monotonic() + MAX_RENDER_S)
    pieces = []
    length = 0
    for piece in template.generate(variables):
        environment.meter.tick()
        length += len(piece)
        if length > MAX_WEIGHT:
            raise TemplateLimitError(f"its output is longer than {MAX_WEIGHT} characters")
        pieces.append(piece)
    return "".join(pieces)


_BINARY_CHECKS: dict[str, Callable[[Any, Any], None]] = {
    "*": check_product,
    "**": check_power,
    "%": check_percent_format,
}


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """The Jinja environment of one template, set up as Hugging Face transformers does it.

    https://github.com/huggingface/transformers/blob/39603d0e5cdb6f00e8d473d7fcbb01032d709181/src/transformers/utils/chat_template_utils.py
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_GenerationTag, loopcontrols],
            finalize=self._finalize,
        )
        self.meter: Meter | None = None
        for name in _REMOVED_FILTERS:
            del self.filters[name]
        self.filters["format"] = _format
        self.filters["indent"] = _indent
        self.filters["join"] = _join
        self.filters["replace"] = _replace
        self.filters["string"] = self.joined
        self.filters["tojson"] = _tojson
        del self.globals["lipsum"]
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now

    def metered(self, items: Iterable[Any]) -> Iterator[Any]:
        """Iterate, looking at the clock; every `for` of a template goes through here."""
        for item in items:
            self._tick()
            yield item

    def joined(self, *values: Any) -> str:
        """Concatenate; every `~` of a template goes through here."""
        written_size(values)
        text = "".join(map(str, values))
        self._spend(built_size(text))
        return text

    def weighed(self, value: Any) -> Any:
        """Weigh what was just built; every filter and slice of a template goes through here."""
        self._spend(built_size(value))
        return value

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Apply an operator that can build large values."""
        self._tick()
        check = _BINARY_CHECKS.get(operator)
        if check is not None:
            check(left, right)
        result = super().call_binop(context, operator, left, right)
        self._spend(built_size(result))
        return result

    def call(self, context: Context, target: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function or method."""
        self._tick()
        owner = getattr(target, "__self__", None)
        if isinstance(owner, str):
            if target.__name__ == "replace" and len(args) > 1:
                check_replace(owner, args[0], args[1])
            elif target.__name__ == "join":
                args = (list(*args),)
                check_join(owner, args[0])
        result = super().call(context, target, *args, **kwargs)
        self._spend(built_size(result))
        return result

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Let through what templates need of strings, and nothing of numbers and bytes."""
        if isinstance(obj, str):
            return attr in _STRING_METHODS
        if isinstance(obj, (int, float, bytes)):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Guard `str.format` beyond Jinja's own sandbox."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None
        apply = wrapped
        template: str = value.__self__

        def guarded(*args: Any, **kwargs: Any) -> str:
            check_format(template, (*args, *kwargs.values()))
            return apply(*args, **kwargs)

        return guarded

    def _finalize(self, value: Any) -> Any:
        """Weigh what is about to be written out."""
        self._spend(written_size(value))
        return value

    # Jinja folds constants while it compiles; there is no meter yet, and only sizes are checked.

    def _tick(self) -> None:
        if self.meter is not None:
            self.meter.tick()

    def _spend(self, size: int) -> None:
        if self.meter is not None:
            self.meter.spend(size)


class _GenerationTag(Extension):
    """Passes the body of `{% generation %}` through: it marks text for training only."""

    tags = frozenset({"generation"})  # type: ignore[assignment]  # declared as a mutable set

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Instrumentation(NodeTransformer):
    """Leads what can grow through the environment's metered methods."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - jinja2's name
        self.generic_visit(node)
        node.iter = self._through("metered", node.iter)
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802 - jinja2's name
        self.generic_visit(node)
        return self._through("weighed", node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802 - jinja2's name
        self.generic_visit(node)
        return self._through("weighed", node) if isinstance(node.arg, nodes.Slice) else node

    def visit_FilterBlock(  # noqa: N802 - jinja2's name
        self, node: nodes.FilterBlock | nodes.AssignBlock
    ) -> nodes.Node:
        # The filter of a block has no operand and must stay a filter; its result is weighed
        # when it is written out.
        block_filter, node.filter = node.filter, None
        self.generic_visit(node)
        node.filter = block_filter
        return node

    visit_AssignBlock = visit_FilterBlock  # noqa: N815 - jinja2's name

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - jinja2's name
        self.generic_visit(node)
        return self._through("joined", *node.nodes)

    @staticmethod
    def _through(method: str, *arguments: Any) -> nodes.Call:
        line = arguments[0].lineno
        target = nodes.EnvironmentAttribute(method, lineno=line)
        return nodes.Call(target, list(arguments), [], None, None, lineno=line)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateRefusalError(str(message))


def _strftime_now(pattern: str) -> str:
    # Local time without a zone, as transformers has it.
    return dt.datetime.now().strftime(pattern)  # noqa: DTZ005


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    check_width(indent)
    written_size(value)
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _indent(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    check_width(width)
    return do_indent(s, width, first, blank)


def _format(template: str, *args: Any, **kwargs: Any) -> str:
    check_percent_format(template, kwargs or args)
    return str(str(template) % (kwargs or args))


@pass_eval_context
def _join(
    context: nodes.EvalContext, value: Iterable[Any], d: str = "", attribute: Any = None
) -> str:
    items = list(value)
    check_join(str(d), items)
    return str(do_join(context, items, d, attribute))


@pass_eval_context
def _replace(
    context: nodes.EvalContext, s: str, old: str, new: str, count: int | None = None
) -> str:
    check_replace(str(s), old, new)
    return str(do_replace(context, s, old, new, count))
