"""Media types and layer roles: the words in which artifacts and backends meet.

A registry's media types are many; the *canonical* ones below are what backends declare. Format
rules (`stoker.formats`) turn the former into the latter.
"""

from __future__ import annotations

import enum
import re
from typing import Self

from stoker.errors import InvalidArtifactError

# RFC 6838, section 4.2 (restricted-name), with the parameters left out: OCI forbids them.
_GRAMMAR = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
)


class MediaType(str):
    """A checked media type, `type/subtype`; compares and hashes as its text."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the grammar.

        Raises:
            InvalidArtifactError: The text is no media type.
        """
        if not _GRAMMAR.fullmatch(text):
            raise InvalidArtifactError(f"{text[:80]!r} is not a media type (type/subtype).")
        return super().__new__(cls, text)


# Canonical weight types. Backends declare the ones that they run.
GGUF = MediaType("application/vnd.docker.ai.gguf.v3")
SAFETENSORS = MediaType("application/vnd.docker.ai.safetensors")
DDUF = MediaType("application/vnd.docker.ai.dduf")

# Manifest types of the OCI image spec v1.1 and its Docker predecessor.
OCI_MANIFEST = MediaType("application/vnd.oci.image.manifest.v1+json")
OCI_INDEX = MediaType("application/vnd.oci.image.index.v1+json")
DOCKER_MANIFEST = MediaType("application/vnd.docker.distribution.manifest.v2+json")
OCI_EMPTY = MediaType("application/vnd.oci.empty.v1+json")


class Role(enum.StrEnum):
    """What a layer is for."""

    WEIGHTS = "weights"
    PROJECTOR = "projector"
    ADAPTER = "adapter"
    DRAFT = "draft"
    CHAT_TEMPLATE = "chat-template"
    TOKENIZER = "tokenizer"
    CONFIG = "config"
    PARAMETERS = "parameters"
    LICENSE = "license"
    DOC = "doc"
    OTHER = "other"
    """Kept with the artifact, used by nothing, never executed."""
