"""In-process use: a model in this very process, for scripts and notebooks.

The same engine and text pipeline as in a runner, without the process. A native crash in the
engine takes this process with it; a server does not have that problem.
"""

from __future__ import annotations

import array
import contextlib
import os
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, Self

from stoker.aliases import Alias
from stoker.engine import EngineInfo
from stoker.errors import StokerError
from stoker.events import (
    Detokenized,
    Embedding,
    Event,
    Failed,
    Finished,
    Ranking,
    Relevance,
    TextDelta,
    Tokenized,
)
from stoker.messages import Author, Message, TextPart
from stoker.request import (
    ChatPrompt,
    DetokenizeRequest,
    EmbedRequest,
    GenerateRequest,
    Request,
    RerankRequest,
    TextPrompt,
    TokenizeRequest,
)
from stoker.sampling import SamplingParams
from stoker.text.session import Session
from stoker.text.vector import floats


class Model:
    """A loaded model.

    One thread at a time drives the engine: `_lock` is held from the first event of an answer to
    its last, so answers asked for by several threads come one after the other.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        *,
        use: contextlib.ExitStack | None = None,
        alias: Alias | None = None,
    ) -> None:
        """Take over a loaded session.

        Args:
            name: As the caller named the model.
            session: The session.
            use: Keeps the model's files in their store; closed with the model.
            alias: Whose parameters hold for all requests.
        """
        self.name = name
        self._session = session
        self._alias = alias
        self._use = use or contextlib.ExitStack()
        self._lock = threading.Lock()
        self._next_id = 0

    @property
    def info(self) -> EngineInfo:
        """What was loaded."""
        return self._session.info

    def generate(self, prompt: str, **options: Any) -> Iterator[str]:
        """Continue a text, piece by piece.

        Args:
            prompt: The text; no chat template is applied.
            **options: `max_tokens`, `stop`, `constraint`, and the fields of
                `stoker.sampling.SamplingParams`.

        Raises:
            StokerError: The request cannot be answered.
        """
        return _texts(self.events(_request(self.name, TextPrompt(prompt), options)))

    def chat(
        self, messages: str | Iterable[Message | Mapping[str, str]], **options: Any
    ) -> Iterator[str]:
        """Answer a conversation, piece by piece.

        Args:
            messages: What the user says, or all messages so far: `Message` objects or mappings
                with `role` and `content`.
            **options: As for `generate`.

        Raises:
            StokerError: The request cannot be answered.
        """
        if isinstance(messages, str):
            messages = [Message(Author.USER, (TextPart(messages),))]
        return _texts(self.events(_request(self.name, _chat(messages), options)))

    def embed(
        self, texts: Iterable[str], *, dimensions: int | None = None, normalize: bool = True
    ) -> list[array.array[float]]:
        """Make a vector of each text, in the texts' order.

        Args:
            texts: The texts; as many as fit are read at once.
            dimensions: Keep the first so many numbers of each vector.
            normalize: Scale each vector to the length 1, so that the product of two is their
                cosine.

        Raises:
            StokerError: The model makes no embeddings, or a text does not fit into its context.
        """
        prompts = tuple(map(TextPrompt, texts))
        request = EmbedRequest(self.name, prompts, dimensions=dimensions, normalize=normalize)
        vectors = [array.array("f")] * len(prompts)
        for event in self._all_events(request):
            if isinstance(event, Embedding):
                vectors[event.index] = floats(event.vector)
        return vectors

    def rerank(
        self, query: str, documents: Iterable[str], *, top_n: int | None = None
    ) -> list[Relevance]:
        """Rank documents by how well they answer a query, best first.

        Args:
            query: The query.
            documents: The documents; each result has the index of its own.
            top_n: Keep the best so many.

        Raises:
            StokerError: The model does not rank, or a document does not fit into its context.
        """
        request = RerankRequest(self.name, query, tuple(documents), top_n=top_n)
        return [
            relevance
            for event in self._all_events(request)
            if isinstance(event, Ranking)
            for relevance in event.results
        ]

    def tokenize(self, prompt: str | Iterable[Message | Mapping[str, str]]) -> tuple[int, ...]:
        """Say what tokens the model reads a text or a conversation as, begin tokens included.

        Raises:
            StokerError: The model's engine knows no tokens, or the template refuses the messages.
        """
        asked = TextPrompt(prompt) if isinstance(prompt, str) else _chat(prompt)
        for event in self._all_events(TokenizeRequest(self.name, asked)):
            if isinstance(event, Tokenized):
                return event.tokens
        return ()

    def detokenize(self, tokens: Iterable[int]) -> str:
        """Say what text tokens stand for; control tokens have none.

        Raises:
            StokerError: The model's engine knows no tokens, or not these.
        """
        for event in self._all_events(DetokenizeRequest(self.name, tuple(tokens))):
            if isinstance(event, Detokenized):
                return event.text
        return ""

    def _all_events(self, request: Request) -> Iterator[Event]:
        with contextlib.closing(self.events(request)) as events:
            for event in events:
                if isinstance(event, Failed):
                    raise event.error
                yield event

    def events(self, request: Request) -> Generator[Event, None, None]:
        """Answer a request in full detail; stopping to iterate cancels it."""
        if self._alias is not None:
            request = self._alias.apply(request)
        with self._lock:
            request_id, self._next_id = self._next_id, self._next_id + 1
            try:
                self._session.submit(request_id, request)
            except StokerError as exc:
                yield Failed(exc)
                return
            try:
                while True:
                    for _, event in self._session.step():
                        yield event
                        if isinstance(event, (Finished, Failed)):
                            return
            except GeneratorExit:
                self._session.cancel(request_id)
                # The step in which the engine frees what was cancelled.
                self._session.step()
                raise

    def close(self) -> None:
        """Free the model."""
        with self._use:
            self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open(name: str, *, backend: str | None = None) -> Model:  # noqa: A001 - reads stoker.open
    """Load a model into this process.

    Args:
        name: A model that is here (`stoker pull` brings one).
        backend: Pins the backend.

    Raises:
        ModelNotFoundError: It is not here.
        InsufficientMemoryError: It needs more memory than there is.
        StokerError: No backend can run it, or its engine cannot load it.
    """
    from stoker.application import Application  # noqa: PLC0415 - `import stoker` stays light
    from stoker.loading import load_session  # noqa: PLC0415
    from stoker.text.chat_syntax import ParserChoice  # noqa: PLC0415

    application = Application.create()
    plan = application.plan(application.resolve(name), backend=backend)
    plan.memory.require(name)
    store = application.stores.of(plan.artifact.reference)
    with contextlib.ExitStack() as use:
        use.enter_context(store.use(plan.artifact, f"process {os.getpid()} (stoker.open)"))
        session = load_session(
            plan.backend,
            plan.bundle,
            plan.options,
            _ignore_progress,
            parsers=ParserChoice(application.plugins.parsers, plan.parser),
        )
        return Model(name, session, use=use.pop_all(), alias=application.alias(name))


def _ignore_progress(stage: str, fraction: float | None) -> None:
    """Nobody watches."""


_REQUEST_OPTIONS = {"constraint", "max_tokens", "stop"}


def _request(name: str, prompt: Any, options: dict[str, Any]) -> GenerateRequest:
    ours = {key: options.pop(key) for key in _REQUEST_OPTIONS & set(options)}
    if isinstance(ours.get("stop"), str):
        ours["stop"] = (ours["stop"],)
    elif "stop" in ours:
        ours["stop"] = tuple(ours["stop"])
    return GenerateRequest(name, prompt, sampling=SamplingParams(**options), **ours)


def _chat(messages: Iterable[Message | Mapping[str, str]]) -> ChatPrompt:
    return ChatPrompt(tuple(map(_message, messages)))


def _message(message: Message | Mapping[str, str]) -> Message:
    if isinstance(message, Message):
        return message
    return Message(Author(message["role"]), (TextPart(message["content"]),))


def _texts(events: Generator[Event, None, None]) -> Iterator[str]:
    # Closed at once and not when the garbage is collected: it holds the model's lock.
    with contextlib.closing(events):
        for event in events:
            if isinstance(event, TextDelta) and event.text:
                yield event.text
            elif isinstance(event, Failed):
                raise event.error
