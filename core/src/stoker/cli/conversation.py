"""A conversation in the terminal."""

from __future__ import annotations

from collections.abc import Callable

import click

from stoker.cli.answer import Answer
from stoker.cli.asking import Ask
from stoker.cli.failure import complain, note
from stoker.messages import Author, Message, TextPart
from stoker.request import GenerateRequest

PROMPT = ">>> "
COMMANDS = "/clear forgets the conversation, /bye or Ctrl-D ends it, Ctrl-C stops an answer."


class Conversation:
    """Takes turns with a model until the user has enough."""

    def __init__(
        self,
        ask: Ask,
        request: Callable[[tuple[Message, ...]], GenerateRequest],
        *,
        system: str | None,
        verbose: bool,
    ) -> None:
        """Begin a conversation.

        Args:
            ask: Asks the model.
            request: Makes the request for the messages so far.
            system: The system message.
            verbose: Show tokens and speed after every answer.
        """
        self._ask = ask
        self._request = request
        self._verbose = verbose
        self._beginning = (message(Author.SYSTEM, system),) if system is not None else ()
        self._messages = self._beginning

    def hold(self) -> None:
        """Read and answer until the end of the input."""
        # Only for its effect: it gives `input` line editing and a history.
        import readline  # noqa: F401

        note(COMMANDS)
        while True:
            try:
                text = input(PROMPT).strip()
                text.encode()
            except EOFError:
                click.echo()
                return
            except KeyboardInterrupt:
                click.echo()
                continue
            except UnicodeError:
                complain("That was not text in UTF-8.")
                continue
            match text:
                case "":
                    continue
                case "/bye":
                    return
                case "/clear":
                    self._messages = self._beginning
                case _ if text.startswith("/"):
                    note(f"{text.split()[0]} is no command: {COMMANDS}")
                case _:
                    self._turn(text)

    def _turn(self, text: str) -> None:
        messages = (*self._messages, message(Author.USER, text))
        answer = Answer(show=True)
        try:
            self._ask(self._request(messages), answer.take)
        except KeyboardInterrupt:
            note("stopped")
        finally:
            answer.hide_loading()
            click.echo()
        if answer.error is not None:
            complain(answer.error.message)
        if answer.text:
            self._messages = (*messages, message(Author.ASSISTANT, answer.text))
        if self._verbose and answer.end is not None:
            note(answer.summary)


def message(author: Author, text: str) -> Message:
    """A message of text."""
    return Message(author, (TextPart(text),))
