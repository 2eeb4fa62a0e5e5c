"""The store `hf-cache`: models that Hugging Face's tools have fetched, where they put them.

A name is `hf-cache:ORG/NAME`, with `@REVISION` for another one than `main`, and with the path of
one of several models in the repository behind it: `hf-cache:org/name@main/q4/model.gguf`.

https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import cast

from stoker.errors import InvalidInputError, InvalidReferenceError, ModelNotFoundError
from stoker.reference import Reference
from stoker.store import StoreContext
from stoker_registry.layer_paths import check_path
from stoker_registry.linked_store import LinkedStore
from stoker_registry.options import HfCacheOptions

_WORD = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?"
_NAME = re.compile(
    rf"(?P<org>{_WORD})/(?P<name>{_WORD})(?:@(?P<revision>{_WORD}))?(?:/(?P<path>[^\\]+))?"
)
_MAX_NAME = 1024


class HfCacheStore(LinkedStore):
    """Repositories in the cache."""

    def __init__(self, context: StoreContext) -> None:
        """Make the store."""
        super().__init__(context.directory, context.formats, name="hf-cache", scheme="hf-cache")
        options = cast("HfCacheOptions", context.options)
        self._cache = Path(options.directory or _usual_place()).expanduser()

    def canonical(self, reference: Reference) -> Reference:
        """The name as it is: repositories tell upper from lower case.

        Raises:
            InvalidReferenceError: It follows no grammar.
        """
        _parse(reference)
        return reference

    def locate(self, reference: Reference) -> Path:
        """Where the model is.

        Raises:
            ModelNotFoundError: The cache has no such repository, revision or file.
            InvalidInputError: A file's link leads out of the repository.
        """
        match = _parse(reference)
        repository = self._cache / f"models--{match['org']}--{match['name']}"
        if not repository.is_dir():
            raise ModelNotFoundError(
                f"Hugging Face's cache in {self._cache} has no {match['org']}/{match['name']}.",
                model=reference.familiar,
            )
        place = repository
        if match["revision"] or match["path"]:
            place = _snapshot(repository, match["revision"] or "main", reference)
        if match["path"]:
            place /= match["path"]
        if not place.exists():
            raise ModelNotFoundError(f"There is no {place}.", model=reference.familiar)
        if not place.resolve().is_relative_to(repository.resolve()):
            raise InvalidInputError(f"{place} leads out of {repository}.")
        return place


def _parse(reference: Reference) -> re.Match[str]:
    text = reference.repository
    match = _NAME.fullmatch(text) if len(text) <= _MAX_NAME else None
    if match is None:
        raise InvalidReferenceError(
            f"{text[:200]!r} is no name in Hugging Face's cache: write"
            " hf-cache:ORG/NAME[@REVISION][/PATH]."
        )
    if match["path"]:
        try:
            check_path(match["path"])
        except InvalidInputError as exc:
            raise InvalidReferenceError(
                f"{match['path'][:200]!r} is no path in a repository."
            ) from exc
    return match


def _snapshot(repository: Path, revision: str, reference: Reference) -> Path:
    """The folder of a revision, by its hash, or by its name (`main`, a tag)."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        revision = (repository / "refs" / revision).read_text(encoding="ascii").strip()
    if not re.fullmatch(_WORD, revision) or not (repository / "snapshots" / revision).is_dir():
        raise ModelNotFoundError(
            f"{repository} has no revision {revision[:100]!r}.", model=reference.familiar
        )
    return repository / "snapshots" / revision


def _usual_place() -> str:
    """https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables."""
    if "HF_HUB_CACHE" in os.environ:
        return os.environ["HF_HUB_CACHE"]
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return f"{os.environ.get('HF_HOME') or f'{cache}/huggingface'}/hub"
