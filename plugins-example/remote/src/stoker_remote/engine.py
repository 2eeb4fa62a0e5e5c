"""An engine that computes nothing: it asks a server elsewhere, and passes on what that says."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import msgspec

from stoker.engine import EngineInfo, TextEngine
from stoker.errors import (
    AccessDeniedError,
    InvalidRequestError,
    LoadError,
    OverloadedError,
    StokerError,
    UnavailableError,
)
from stoker.request import GenerateRequest
from stoker_remote.plugin import RemoteOptions
from stoker_remote.wire import RemoteModel, body_of, error_text, piece_of

CONNECT_TIMEOUT_S = 10.0
MAX_ERROR_BYTES = 64 * 1024
RETRY_AFTER_S = 5.0


def open_engine(weights: Sequence[Path], options: RemoteOptions) -> RemoteEngine:
    """Read where the model is. The server is not asked yet: it may be switched on later.

    Raises:
        LoadError: The file says nothing of use, or the variable with the key is not set.
    """
    if len(weights) != 1:
        raise LoadError("A remote model is one file that says where it is.")
    try:
        model = msgspec.json.decode(weights[0].read_bytes(), type=RemoteModel)
    except (OSError, msgspec.MsgspecError) as exc:
        raise LoadError(f"{weights[0].name} does not say where the model is: {exc}.") from exc
    key = os.environ.get(options.api_key_variable) if options.api_key_variable else None
    if options.api_key_variable and not key:
        raise LoadError(
            f"The variable {options.api_key_variable}, which should have the key of {model.url}, is"
            " not set where the server was started."
        )
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = httpx.Timeout(options.timeout_s, connect=CONNECT_TIMEOUT_S)
    return RemoteEngine(model, httpx.Client(headers=headers, timeout=timeout))


class RemoteEngine(TextEngine):
    """Asks for each choice by a stream of its own."""

    def __init__(self, model: RemoteModel, client: httpx.Client) -> None:
        self._model = model
        self._client = client

    @property
    def info(self) -> EngineInfo:
        """What the file says; nobody has asked the server."""
        return EngineInfo(
            context_length=self._model.context_length,
            vocabulary_size=0,
            devices=(self._model.url,),
        )

    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[str]:
        """Ask now, so that what the server refuses is refused at once; the text comes later.

        Raises:
            InvalidRequestError: The server does not take the request, or it cannot be passed on.
            AccessDeniedError: It wants another key.
            OverloadedError: It has too much to do.
            UnavailableError: It cannot be reached, or fails.
        """
        path, body = body_of(request, self._model.model, index)
        asked = self._client.build_request("POST", f"{self._model.url}/{path}", json=body)
        with _errors(self._model.url):
            response = self._client.send(asked, stream=True)
            if response.is_error:
                with contextlib.closing(response):
                    raise _refusal(self._model.url, response)
        return self._pieces(response)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _pieces(self, response: httpx.Response) -> Iterator[str]:
        # Closing the generator, as the core does with a cancelled request, hangs up.
        with contextlib.closing(response), _errors(self._model.url):
            for line in response.iter_lines():
                piece = piece_of(line)
                if piece is None:
                    return
                if piece:
                    yield piece


@contextlib.contextmanager
def _errors(url: str) -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException as exc:
        raise UnavailableError(
            f"{url} does not answer: try again, or set [backends.remote] timeout_s higher."
        ) from exc
    except httpx.HTTPError as exc:
        raise UnavailableError(f"{url} cannot be reached: {exc}.") from exc


def _refusal(url: str, response: httpx.Response) -> StokerError:
    """Turn a status into an error, with the server's own words."""
    data = b""
    for chunk in response.iter_bytes():
        data += chunk
        if len(data) > MAX_ERROR_BYTES:
            break
    try:
        said = error_text(msgspec.json.decode(data))
    except msgspec.DecodeError:
        said = data.decode(errors="replace")[:200] or "it does not say why"
    sentence = f"{url} answers {response.status_code}: {said}"
    match response.status_code:
        case 401 | 403:
            return AccessDeniedError(sentence)
        case 429 | 503:
            return OverloadedError(sentence, retry_after_s=RETRY_AFTER_S)
        case status if status < 500:  # noqa: PLR2004 - the client's mistakes end here
            return InvalidRequestError(sentence)
    return UnavailableError(sentence)
