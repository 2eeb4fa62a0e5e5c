"""The store `file`: models by paths, `file:/srv/models/tiny.gguf` or `./tiny.gguf`."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from stoker.errors import InvalidReferenceError, ModelNotFoundError
from stoker.reference import PATH_SCHEME, Reference
from stoker.store import StoreContext
from stoker_registry.linked_store import LinkedStore

_MAX_PATH = 4096


class FileStore(LinkedStore):
    """GGUF files and folders of models, wherever they are."""

    def __init__(self, context: StoreContext) -> None:
        """Make the store."""
        super().__init__(context.directory, context.formats, name="file", scheme=PATH_SCHEME)

    def canonical(self, reference: Reference) -> Reference:
        """The absolute path; links stay as they were named.

        Raises:
            InvalidReferenceError: It is no path of a file.
        """
        text = reference.repository
        if not text.isprintable() or len(text) > _MAX_PATH or text != text.strip():
            raise InvalidReferenceError(f"{text[:200]!r} is no path that stoker takes.")
        try:
            # Not `resolve`: what a link leads to now is no business of the name.
            path = os.path.abspath(Path(text).expanduser())  # noqa: PTH100
        except RuntimeError as exc:
            raise InvalidReferenceError(f"{text[:200]!r} names nobody's home.") from exc
        if not Path(path).name:
            raise InvalidReferenceError(f"{text[:200]!r} is no file or folder of a model.")
        return attrs.evolve(reference, repository=path)

    def locate(self, reference: Reference) -> Path:
        """Where the model is.

        Raises:
            ModelNotFoundError: There is nothing.
        """
        path = Path(reference.repository)
        if not (path.is_file() or path.is_dir()):
            raise ModelNotFoundError(
                f"There is no file or folder {path}.", model=reference.familiar
            )
        return path
