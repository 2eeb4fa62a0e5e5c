"""`stoker run`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import click

from stoker.cli.failure import note
from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json
from stoker.errors import InvalidInputError
from stoker.messages import Author, Message, TextPart
from stoker.request import ChatPrompt, GenerateRequest, TextPrompt
from stoker.sampling import SamplingParams

if TYPE_CHECKING:
    from stoker.cli.answer import Answer


@click.command("run")
@click.argument("name", metavar="REF")
@click.argument("prompt", required=False)
@click.option("--system", metavar="TEXT", help="The system message.")
@click.option("--max-tokens", metavar="N", type=int, help="Most tokens to generate.")
@click.option("--temperature", metavar="X", type=float, help="0 takes the best token always.")
@click.option("--top-p", metavar="X", type=float, help="Keep the best tokens up to this share.")
@click.option("--top-k", metavar="N", type=int, help="Keep the N best tokens.")
@click.option("--min-p", metavar="X", type=float, help="Keep tokens at least this likely.")
@click.option("--seed", metavar="N", type=int, help="Makes sampling repeatable.")
@click.option(
    "--stop", metavar="TEXT", multiple=True, help="Ends the answer. May be given several times."
)
@click.option("--raw", is_flag=True, help="Continue the prompt; apply no chat template.")
@click.option("--backend", metavar="NAME", help="Pin the backend.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@click.option("--verbose", is_flag=True, help="Show tokens and speed on standard error.")
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    *,
    name: str,
    prompt: str | None,
    system: str | None,
    raw: bool,
    as_json: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Ask a model, once or in a conversation.

    The prompt is the argument, what comes on standard input, or both, one after the other.
    Without either, in a terminal, it is a conversation. The running server of this home answers;
    without one the model is loaded for this command alone.
    """
    if raw and system is not None:
        raise click.UsageError("--raw continues a text, so there is no --system message.")
    request = _request_maker(name, options)
    text = _whole_prompt(prompt)
    if text is None:
        if raw or as_json or not sys.stdout.isatty():
            raise click.UsageError("Missing a prompt: give it as an argument or on standard input.")
        _converse(invocation, name, request, system=system, verbose=verbose)
    elif raw:
        answer = _answer(invocation, name, request(TextPrompt(text)), show=not as_json)
        _finish(name, answer, as_json=as_json, verbose=verbose)
    else:
        messages = [Message(Author.USER, (TextPart(text),))]
        if system is not None:
            messages.insert(0, Message(Author.SYSTEM, (TextPart(system),)))
        asked = request(ChatPrompt(tuple(messages)))
        answer = _answer(invocation, name, asked, show=not as_json)
        _finish(name, answer, as_json=as_json, verbose=verbose)


def _request_maker(
    name: str, options: dict[str, Any]
) -> Callable[[ChatPrompt | TextPrompt], GenerateRequest]:
    """Check the options, before anything is loaded.

    Raises:
        InvalidRequestError: One is out of its range.
    """
    own = {key: options.pop(key) for key in ("max_tokens", "stop", "backend")}
    request = GenerateRequest(
        model=name, prompt=TextPrompt(""), sampling=SamplingParams(**options), **own
    )
    return lambda prompt: attrs.evolve(request, prompt=prompt)


def _whole_prompt(argument: str | None) -> str | None:
    """The argument and standard input, joined; None when there is neither.

    Raises:
        InvalidInputError: They are no text.
    """
    piped = None
    try:
        if sys.stdin is not None and not sys.stdin.isatty():
            piped = sys.stdin.read().strip()
        text = "\n\n".join(part for part in (argument, piped) if part)
        # What is no UTF-8 in an argument has become half a surrogate pair.
        text.encode()
    except UnicodeError as exc:
        raise InvalidInputError("The prompt is not text in UTF-8.") from exc
    return text or None


def _answer(invocation: Invocation, name: str, request: GenerateRequest, *, show: bool) -> Answer:
    from stoker.cli.answer import Answer
    from stoker.cli.asking import asking

    application = invocation.application()
    application.resolve(name)
    answer = Answer(show=show)
    with asking(application, has_settings=invocation.has_settings) as ask:
        try:
            ask(request, answer.take)
        finally:
            answer.hide_loading()
            if show and answer.text and not answer.text.endswith("\n"):
                click.echo()
    answer.raise_error()
    return answer


def _finish(name: str, answer: Answer, *, as_json: bool, verbose: bool) -> None:
    if as_json:
        from stoker.cli.wire.answer import AnswerDocument

        print_json(AnswerDocument.from_answer(name, answer))
    if verbose:
        note(answer.summary)


def _converse(
    invocation: Invocation,
    name: str,
    request: Callable[[ChatPrompt | TextPrompt], GenerateRequest],
    *,
    system: str | None,
    verbose: bool,
) -> None:
    from stoker.cli.asking import asking
    from stoker.cli.conversation import Conversation

    application = invocation.application()
    application.resolve(name)
    with asking(application, has_settings=invocation.has_settings) as ask:
        Conversation(
            ask,
            lambda messages: request(ChatPrompt(messages)),
            system=system,
            verbose=verbose,
        ).hold()
