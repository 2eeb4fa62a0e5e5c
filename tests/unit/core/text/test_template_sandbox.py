"""Tests of `stoker.text.template_sandbox`: what a hostile template cannot do."""

from __future__ import annotations

import resource
import time

import jinja2
import pytest

from stoker.text import template_sandbox
from stoker.text.template_limits import Meter, TemplateLimitError
from stoker.text.template_sandbox import compiled, rendered

_DOUBLE = "{% set x = 'x' * 1000000 %}"
_NESTED = "{% set x = ['y'] %}" + "{% set x = [x, x] %}" * 40


@pytest.fixture
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rendering may take a fifth of a second."""
    monkeypatch.setattr(template_sandbox, "MAX_RENDER_S", 0.2)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 10**9 }}",
        "{{ 1000000000 * 'x' }}",
        "{{ [0] * 1000000000 }}",
        "{{ 10 ** 1000000000 }}",
        "{% set x = 9 ** 999 %}" + "{% set x = x * x %}" * 30,
        "{{ '%999999999d' % 1 }}",
        "{{ '%*d' % (999999999, 1) }}",
        "{{ '%999999999d' | format(1) }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ '{:{}}'.format(1, 999999999) }}",
        "{% set f = '{:999999999}'.format %}{{ f(1) }}",
        _DOUBLE + "{{ ('{0}' * 1000000).format(x) }}",
        _DOUBLE + "{{ ('%(x)s' * 1000000) % {'x': x} }}",
        _DOUBLE + "{{ ('%(x)s' * 1000000) | format(x=x) }}",
        _DOUBLE + "{{ x.replace('x', x) }}",
        _DOUBLE + "{{ x | replace('x', x) }}",
        _DOUBLE + "{{ x.join(range(99999)) }}",
        _DOUBLE + "{{ range(99999) | join(x) }}",
        _DOUBLE + "{{ 'a\nb' | indent(x) }}",
        "{{ 'a' | indent(999999999) }}",
        "{{ [1] | tojson(indent=999999999) }}",
        _DOUBLE + "{% set x = x ~ x %}" * 40,
        _DOUBLE + "{% set x = x + x %}" * 40,
        "{% set x = [0] %}" + "{% set x = x + x %}" * 40,
        _DOUBLE + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40 + "{{ x }}",
        _DOUBLE + "{% for i in range(99999) %}{{ x }}{% endfor %}",
        _NESTED + "{{ x }}",
        _NESTED + "{{ x | tojson }}",
        _NESTED + "{{ x | string }}",
        _NESTED + "{{ x ~ '' }}",
    ],
)
def test_bombs_are_defused(source: str) -> None:
    """What would fill the memory is refused before it does."""
    template = compiled(source)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(TemplateLimitError):
        rendered(template, {})

    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_kib
    assert grown_kib < 1.5 * 2**20


_FOREVER = "{% for i in range(99999) %}{% for j in range(99999) %}BODY{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    "source",
    [
        _FOREVER.replace("BODY", ""),
        _FOREVER.replace("BODY", "x"),
        _FOREVER.replace("range(99999) %}BODY", "range(99999) if false %}BODY"),
        (
            "{% macro f(n) %}{% if n %}{% set a = f(n - 1) %}{% set b = f(n - 1) %}{% endif %}"
            "{% endmacro %}{{ f(60) }}"
        ),
        "{% for x in [[], []] recursive %}{{ loop([[], []]) if loop.depth < 40 }}{% endfor %}",
    ],
    ids=["silent", "writing", "filtered", "macro", "recursive"],
)
@pytest.mark.usefixtures("short_deadline")
def test_time_is_bounded(source: str) -> None:
    """Loops and calls without end are stopped, whether or not they write anything."""
    before_s = time.monotonic()

    with pytest.raises(TemplateLimitError, match="takes longer"):
        rendered(compiled(source), {})

    assert time.monotonic() - before_s < 5


def test_long_conversations_fit() -> None:
    """A template may collect the messages of a long conversation one by one."""
    messages = [{"role": "user", "content": "x" * 10_000}] * 1000
    source = (
        "{% set ns = namespace(all=[]) %}"
        "{% for m in messages %}{% set ns.all = ns.all + [m] %}{% endfor %}"
        "{% for m in ns.all %}{{ '<' + m.role + '>' + m.content }}{% endfor %}"
    )

    assert 1000 * 10_006 == len(rendered(compiled(source), {"messages": messages}))


def test_ranges_are_bounded() -> None:
    """Jinja's own limit of ranges holds."""
    with pytest.raises(OverflowError):
        rendered(compiled("{% for i in range(999999999) %}{% endfor %}"), {})


@pytest.fixture
def little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rendering may build a million characters."""
    monkeypatch.setattr(
        template_sandbox, "Meter", lambda deadline_s: Meter(deadline_s, work=1_000_000)
    )


@pytest.mark.parametrize("copy", ["x[1:]", "x | upper", "x.upper()", "x ~ ''", "x * 1"])
@pytest.mark.usefixtures("little_work")
def test_copies_are_counted(copy: str) -> None:
    """Many values, each within the limit, are too much together."""
    source = (
        "{% set x = 'x' * 1000 %}{% set ns = namespace(all=[]) %}"
        "{% for i in range(9999) %}{% set ns.all = ns.all + [COPY] %}{% endfor %}"
    )

    with pytest.raises(TemplateLimitError, match="builds more than"):
        rendered(compiled(source.replace("COPY", copy)), {})


@pytest.mark.usefixtures("little_work")
def test_a_limit_is_for_one_rendering() -> None:
    """Many renderings of one template do not use up its work."""
    template = compiled("{{ 'x' * 300000 }}")

    assert {300_000} == {len(rendered(template, {})) for _ in range(9)}


def test_a_foreign_template_is_refused() -> None:
    """Only what was compiled for the sandbox is rendered."""
    with pytest.raises(TypeError):
        rendered(jinja2.Template("x"), {})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ 'a' ~ 1 ~ none }}", "a1None"),
        ("{{ 'a' * 3 + 'b' }} {{ 7 * 6 }} {{ 2 ** 5 }} {{ 7 % 4 }}", "aaab 42 32 3"),
        ("{{ '%s-%05.1f' % ('a', 2) }} {{ '%s' | format('b') }}", "a-002.0 b"),
        ("{{ '{:>4}|{x}'.format(1, x=2) }}", "   1|2"),
        ("{{ 'a-b'.replace('-', '+') }} {{ 'a-b' | replace('-', '+') }}", "a+b a+b"),
        ("{{ ', '.join(['a', 'b']) }} {{ [1, 2] | join('-') }}", "a, b 1-2"),
        ("{{ [{'a': 1}, {'a': 2}] | join(',', attribute='a') }}", "1,2"),
        ("{{ 'a\nb' | indent(2, first=true) }}", "  a\n  b"),
        ("{{ [1, 'a'] | string }}", "[1, 'a']"),
        ("{% filter upper | trim %} a{{ 'b' | upper }} {% endfilter %}", "AB"),
        ("{% set x | upper %}a{{ 'bc'[1:] }}{% endset %}{{ x }}", "AC"),
        ("{{ [1, 2, 3][1:] }}{{ 'abc'[::-1] }}{{ [[1]][0][0] }}", "[2, 3]cba1"),
        ("{{ ' x '.strip().upper() }}{{ 'a b'.split()[1] }}", "Xb"),
        (("{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}"
         "{% endfor %}{{ ns.n }}"), "3"),
    ],
)  # fmt: skip
def test_what_templates_need_works(source: str, expected: str) -> None:
    """The guarded operators, methods and filters behave as Jinja's."""
    assert expected == rendered(compiled(source), {})
