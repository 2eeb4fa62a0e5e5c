"""Loading a model in this process: from a plan's parts to a session that takes requests."""

from __future__ import annotations

import msgspec

from stoker.artifact import ModelBundle
from stoker.backend import BackendSpec, LoadProgress
from stoker.errors import LoadError, StokerError
from stoker.text.chat_syntax import ParserChoice
from stoker.text.session import Session, open_session


def load_session(
    spec: BackendSpec,
    bundle: ModelBundle,
    options: msgspec.Struct,
    progress: LoadProgress,
    *,
    parsers: ParserChoice | None = None,
) -> Session:
    """Have a backend load a model, and put the text pipeline in front of it.

    The session belongs to the calling thread.

    Raises:
        LoadError: The backend raised something; its words are in the message.
        StokerError: What the backend raised on purpose.
    """
    try:
        engine = spec.load(bundle, options, progress)
    except StokerError:
        raise
    except Exception as exc:
        raise LoadError(
            f"Backend {spec.name!r} could not load {bundle.reference.familiar}:"
            f" {type(exc).__name__}: {exc}"
        ) from exc
    return open_session(engine, bundle, parsers)
