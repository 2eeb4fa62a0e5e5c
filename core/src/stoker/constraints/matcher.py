"""Matchers: how far one answer has come in its grammar."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stoker.engine import TokenConstraint
from stoker.errors import InvalidRequestError

if TYPE_CHECKING:
    from llguidance import LLMatcher

# What llguidance adds to a message for people who look at the grammar, which users did not write:
# the place, the lines around it, and lines of carets below.
_PLACE = re.compile(r"\A(?:at )?\d+\(\d+\): (?:failed to compile JSON schema: )?")
_EXCERPT = re.compile(r"^(?: *\d+ \| .*| *\^+ *)(?:\n|\Z)", re.MULTILINE)

# What llguidance says when no token of the vocabulary fits any more.
_DEAD_END = "NoExtensionBias"


class Matcher(TokenConstraint):
    """A token constraint by a matcher of llguidance, which the object owns."""

    __slots__ = ("_matcher", "_param")

    def __init__(self, matcher: LLMatcher, param: str) -> None:
        self._matcher = matcher
        self._param = param

    def mask(self) -> bytes:
        """The tokens that may come next; see `TokenConstraint.mask`."""
        # Without the interpreter lock, for as long as it takes.
        mask = self._matcher.compute_bitmask()
        check(self._matcher, self._param)
        return mask

    def accept(self, token: int) -> bool:
        """Take the token that was sampled; see `TokenConstraint.accept`."""
        self._matcher.consume_token(token)
        check(self._matcher, self._param)
        return self._matcher.is_stopped()


def check(matcher: LLMatcher, param: str) -> None:
    """Refuse to go on with a matcher that has met an error; llguidance raises none.

    Raises:
        InvalidRequestError: It has; the message has llguidance's words.
    """
    if matcher.is_error():
        words = _words(matcher.get_error())
        raise InvalidRequestError(f"{param} cannot be honoured: {words}.", param=param)


def _words(message: str) -> str:
    """The sentence in an error of llguidance."""
    message = message.partition("<non-verbose/>")[0]
    message = _EXCERPT.sub("", _PLACE.sub("", message))
    words = " ".join(message.split()).rstrip(".")
    return "the model has no token that could come next" if words == _DEAD_END else words
