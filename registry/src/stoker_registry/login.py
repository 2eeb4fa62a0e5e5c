"""A login to a registry."""

from __future__ import annotations

import attrs


@attrs.frozen
class Credentials:
    """A login to one registry."""

    username: str = ""
    password: str = attrs.field(default="", repr=False)
    identity_token: str = attrs.field(default="", repr=False)
    """An OAuth2 refresh token; where there is one, it goes before the password."""
    registry_token: str = attrs.field(default="", repr=False)
    """A bearer token for the registry itself, which is shown to it as it is."""
