"""Tests of `stoker.text.chat_template`."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import pytest

from stoker.errors import InvalidArtifactError, InvalidRequestError, UnsupportedFeatureError
from stoker.messages import Author, ImagePart, Message, TextPart, Tool, ToolCall
from stoker.text.chat_template import MAX_SOURCE_CHARS, ChatTemplate


def _says(author: Author, text: str) -> Message:
    return Message(author, (TextPart(text),))


def _user(text: str) -> Message:
    return _says(Author.USER, text)


def _rendered(source: str, *messages: Message, **arguments: object) -> str:
    return ChatTemplate(source, {}).render(messages or (_user("hi"),), arguments=arguments)


CALL = Message(
    Author.ASSISTANT, tool_calls=(ToolCall("call1", "weather", '{"city": "Z\u00fcrich"}'),)
)


def test_chatml(chatml: str) -> None:
    """A conversation is written out, with the beginning of the next answer."""
    messages = (_says(Author.SYSTEM, "Be brief."), _user("Hi"))

    assert (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n"
    ) == ChatTemplate(chatml, {}).render(messages)


def test_without_generation_prompt(chatml: str) -> None:
    """The beginning of the next answer is left out on request."""
    assert "<|im_start|>user\nHi<|im_end|>\n" == ChatTemplate(chatml, {}).render(
        (_user("Hi"),), add_generation_prompt=False
    )


def test_special_tokens_and_arguments_are_variables() -> None:
    """Templates see the model's special tokens and the request's arguments."""
    template = ChatTemplate(
        "{{ bos_token }}{{ messages[0].content }}{{ mood }}", {"bos_token": "<s>"}
    )

    assert "<s>higlad" == template.render((_user("hi"),), arguments={"mood": "glad"})


def test_missing_special_tokens_are_empty() -> None:
    """A model without a begin token does not break a template that writes one."""
    assert "hi" == _rendered("{{ bos_token + messages[0].content + eos_token }}")


@pytest.mark.parametrize("name", ["messages", "tools", "add_generation_prompt"])
def test_arguments_do_not_hide_the_request(name: str) -> None:
    """An argument that would replace a field of the request is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        _rendered("{{ messages }}", **{name: "x"})

    assert "chat_template_kwargs" == caught.value.param


def test_tojson_writes_plain_json() -> None:
    """Neither HTML nor non-ASCII characters are escaped, and options pass through."""
    source = '{{ {"b": "<é>", "a": 1} | tojson(indent=1, sort_keys=true) }}'

    assert '{\n "a": 1,\n "b": "<é>"\n}' == _rendered(source)


def test_generation_tag_shows_its_body() -> None:
    """The tag that marks training text is tolerated."""
    assert "abc" == _rendered("a{% generation %}b{% endgeneration %}c")


def test_loop_controls_and_loop_variables() -> None:
    """`break` and all of `loop` work inside the metered loops."""
    source = (
        "{% for x in range(9) if x != 1 %}{% if x > 3 %}{% break %}{% endif %}"
        "{{ x }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}"
        "{% for x in [] %}x{% else %}none{% endfor %}"
    )

    assert "0TrueFalse8 2FalseFalse8 3FalseFalse8 none" == _rendered(source)


def test_strftime_now() -> None:
    """Templates can write today's date."""
    years = {str(dt.datetime.now(tz=dt.UTC).year + shift) for shift in (-1, 0, 1)}

    assert _rendered("{{ strftime_now('%Y') }}") in years


def test_tools_have_the_form_of_hugging_face() -> None:
    """Tools are functions with a JSON schema; no tools are None."""
    source = "{% if tools is none %}none{% else %}{{ tools | tojson }}{% endif %}"
    tool = Tool("weather", "Looks out.", {"type": "object"})

    assert (
        '[{"type": "function", "function": {"name": "weather", "description": "Looks out.",'
        ' "parameters": {"type": "object"}}}]'
    ) == ChatTemplate(source, {}).render((_user("hi"),), tools=(tool,))
    assert "none" == _rendered(source)


def test_message_fields() -> None:
    """Names, call ids and reasoning are there when the message has them, and else are not."""
    source = "{% for m in messages %}{{ m.items() | map('join', '=') | join(',') }};{% endfor %}"
    result = Message(Author.TOOL, (TextPart("20"),), tool_call_id="call1", name="weather")
    thought = Message(Author.ASSISTANT, (TextPart("ok"),), reasoning="hm")

    assert (
        "role=user,content=hi;"
        "role=tool,content=20,tool_call_id=call1,name=weather;"
        "role=assistant,content=ok,reasoning_content=hm;"
    ) == _rendered(source, _user("hi"), result, thought)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("{{ messages[0].role }}", "system"), ("{# developer #}{{ messages[0].role }}", "developer")],
)
def test_developer_becomes_system_where_it_is_unknown(source: str, expected: str) -> None:
    """Only a template that mentions developers gets them."""
    assert expected == _rendered(source, _says(Author.DEVELOPER, "x"))


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[0].content }}",
        "{% for part in messages[0].content %}{{ part.text }}{% endfor %}",
        (
            "{% if messages[0].content is string %}{{ messages[0].content }}"
            "{% else %}{{ messages[0].content[0]['text'] }}{% endif %}"
        ),
    ],
)
def test_content_has_the_form_that_the_template_wants(source: str) -> None:
    """Content is text or typed parts, whichever the template can read."""
    assert "hello" == _rendered(source, Message(Author.USER, (TextPart("hel"), TextPart("lo"))))


_CALLS = "{% for m in messages %}{% for call in m.tool_calls or [] %}"
_END = "{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    "source",
    [
        _CALLS + "{{ call.function.arguments | tojson }}" + _END,
        _CALLS + "{{ '' + call.function.arguments }}" + _END,
        _CALLS + "{{ call.function.arguments }}" + _END,
        (
            "{% for m in messages %}{% if m.content is none %}"
            "{{ m.tool_calls[0].function.arguments | tojson }}{% endif %}{% endfor %}"
        ),
        "{% for m in messages %}{{ m.content[:0] }}{% endfor %}"
        + _CALLS
        + "{{ call.function.arguments | tojson }}"
        + _END,
    ],
    ids=["object", "text", "printed", "content-none", "content-text"],
)
def test_tool_calls_have_the_form_that_the_template_wants(source: str) -> None:
    """Arguments are an object or JSON text, and missing content is None or empty."""
    assert '{"city": "Z\u00fcrich"}' == _rendered(source, _user("?"), CALL)


def test_tool_calls_of_a_template_that_knows_none() -> None:
    """A template that joins content with text gets an empty content instead of None."""
    assert "-" == _rendered("{% for m in messages %}{{ '-' + m.content }}{% endfor %}", CALL)


def test_tool_calls_beside_text() -> None:
    """An assistant may say something and call tools in one message."""
    both = Message(Author.ASSISTANT, (TextPart("Let me see."),), tool_calls=CALL.tool_calls)
    source = "{% for m in messages %}{{ m.content }}" + _CALLS[len("{% for m in messages %}") :]

    assert 'Let me see.{"city": "Zürich"}' == _rendered(
        source + "{{ call.function.arguments | tojson }}" + _END, both
    )


def test_a_limit_is_an_invalid_request() -> None:
    """A template that wants too much is stopped, and the message says why."""
    with pytest.raises(InvalidRequestError, match="was stopped: it builds a value"):
        _rendered("{{ 'x' * 10 ** 9 }}")


def test_broken_arguments_are_shown_as_they_are() -> None:
    """Arguments that are no JSON reach the template as text."""
    call = Message(Author.ASSISTANT, tool_calls=(ToolCall("1", "f", "{oops"),))
    source = _CALLS + "{{ call.function.arguments | tojson }}" + _END

    assert '"{oops"' == _rendered(source, call)


def test_images_are_refused() -> None:
    """A part that is not text is never left out in silence."""
    with pytest.raises(UnsupportedFeatureError):
        _rendered("{{ messages }}", Message(Author.USER, (ImagePart(b"", "image/png"),)))


def test_the_template_can_refuse_in_its_own_words() -> None:
    """`raise_exception` ends in an error about the messages."""
    with pytest.raises(InvalidRequestError) as caught:
        _rendered("{{ raise_exception('System role not supported') }}")

    assert ("System role not supported", "messages") == (caught.value.message, caught.value.param)


@pytest.mark.parametrize(
    "source",
    [
        "{{ missing.field }}",
        "{{ 1 + 'a' }}",
        "{{ messages.append(1) }}",
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.encode() }}",
        "{{ (1).to_bytes(4, 'big') }}",
        "{% include 'x' %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_a_failing_template_is_an_invalid_request(source: str) -> None:
    """Whatever goes wrong in a template, unsafe access included, is a domain error."""
    template = ChatTemplate(source, {})

    with pytest.raises(InvalidRequestError) as caught:
        template.render((_user("hi"),))

    assert "messages" == caught.value.param


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ messages['__class__'] }}",
        "{{ messages | attr('__class__') }}",
        "{{ raise_exception.__globals__ }}",
        "{{ '{0.__class__}'.format('') }}",
    ],
)
def test_private_attributes_are_not_there(source: str) -> None:
    """What begins with an underscore looks undefined."""
    assert "" == _rendered(source)


@pytest.mark.parametrize("source", ["{% if %}", "{{ 'a' | center(9) }}", "{{ " + "(" * 9999])
def test_a_template_that_does_not_compile_is_an_invalid_artifact(source: str) -> None:
    """Broken source, filters that are not there and absurd nesting are the publisher's matter."""
    with pytest.raises(InvalidArtifactError, match="does not compile"):
        ChatTemplate(source, {})


def test_a_very_long_template_is_refused() -> None:
    """The source has a limit."""
    with pytest.raises(InvalidArtifactError, match="longer"):
        ChatTemplate("x" * (MAX_SOURCE_CHARS + 1), {})


def test_jinja_is_imported_for_the_first_template_only() -> None:
    """Importing the module, and sessions with it, leaves jinja2 alone."""
    program = (
        "import sys; import stoker.text.chat_template, stoker.text.token_session;"
        " print('jinja2' in sys.modules)"
    )

    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert "False\n" == result.stdout
