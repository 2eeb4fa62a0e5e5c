"""Matchers: compiled grammars, and how far one answer has come in one."""

from __future__ import annotations

import ctypes
import re
import weakref

from stoker.constraints.library import ConstraintInit, library
from stoker.constraints.tokenizer import Tokenizer
from stoker.engine import TokenConstraint
from stoker.errors import InvalidRequestError

_MAX_FORCED_TOKENS = 32

# Bounds for what a grammar may cost. By llguidance's own figures these are 20 ms to build a lexer,
# 15 ms for the worst mask, and 100 MB for the states of one answer. An object of 1000 properties
# is a grammar of some 20 000 symbols, in 0.4 s.
_LIMITS = {
    "initial_lexer_fuel": 1_000_000,
    "step_lexer_fuel": 200_000,
    "step_max_items": 50_000,
    "max_lexer_states": 50_000,
    "max_grammar_size": 20_000,
    # The parser's state would fill pages.
    "verbose_errors": False,
}

# What llguidance adds to a message for people who look at the grammar, which users did not write:
# the place, the lines around it, and lines of carets below.
_PLACE = re.compile(r"\A(?:at )?\d+\(\d+\): (?:failed to compile JSON schema: )?")
_EXCERPT = re.compile(r"^(?: *\d+ \| .*| *\^+ *)(?:\n|\Z)", re.MULTILINE)

# What llguidance says when no token of the vocabulary fits any more.
_DEAD_END = "NoExtensionBias"


class CompiledGrammar:
    """A grammar, ready to begin answers with."""

    def __init__(self, tokenizer: Tokenizer, grammar: str, param: str) -> None:
        """Compile a grammar in llguidance's dialect of Lark. May take half a second.

        Raises:
            InvalidRequestError: It cannot be honoured; the message has llguidance's words.
        """
        self._start = _State.compiled(tokenizer, grammar)
        check(self._start, param)
        # Some limits are only met by the first mask. Copies begin with what it has found out.
        self._start.mask()
        check(self._start, param)

    @property
    def end_tokens(self) -> frozenset[int]:
        """The end-of-generation tokens of the vocabulary."""
        return self._start.end_tokens

    def begin(self, param: str) -> TokenConstraint:
        """Make the constraint of one answer; errors name the parameter."""
        return Matcher(self._start.copy(), param)


class Matcher(TokenConstraint):
    """A token constraint by llguidance.

    Where the form leaves one text only, the tokens are those in which the model's own tokenizer
    writes it. A model that chose among all ways to write it would choose odd ones, as small models
    do that are made to write what they would not have written, and go on from there worse.
    """

    __slots__ = ("_forced", "_param", "_state")

    def __init__(self, state: _State, param: str) -> None:
        self._state = state
        self._param = param
        # The tokens that must come next; None when that was not asked yet.
        self._forced: tuple[int, ...] | None = None

    def mask(self) -> bytes:
        """The tokens that may come next; see `TokenConstraint.mask`."""
        forced = self.forced()
        if forced:
            return self._state.mask_of(forced[0])
        mask = self._state.mask()
        check(self._state, self._param)
        return mask

    def allows(self, token: int) -> bool:
        """Whether a token may come next; see `TokenConstraint.allows`."""
        forced = self.forced()
        if forced:
            return token == forced[0]
        allowed = self._state.allows(token)
        check(self._state, self._param)
        return allowed

    def accept(self, token: int) -> bool:
        """Take the token that was sampled; see `TokenConstraint.accept`."""
        self._state.consume(token)
        check(self._state, self._param)
        forced = self._forced or ()
        self._forced = forced[1:] if forced[:1] == (token,) and len(forced) > 1 else None
        return self._state.stopped

    def forced(self) -> tuple[int, ...]:
        """The tokens that the form leaves no choice about; see `TokenConstraint.forced`."""
        if self._forced is None:
            self._forced = self._state.forced()
            check(self._state, self._param)
        return self._forced


class _State:
    """A parser's state, in memory outside Python that the object owns."""

    __slots__ = ("__weakref__", "_buffer", "_handle", "_tokenizer")

    def __init__(self, tokenizer: Tokenizer, handle: int) -> None:
        self._handle = handle
        # It must not be freed before.
        self._tokenizer = tokenizer
        self._buffer = (ctypes.c_char * library().mask_byte_size(handle))()
        weakref.finalize(self, library().free_matcher, handle).atexit = False

    @classmethod
    def compiled(cls, tokenizer: Tokenizer, grammar: str) -> _State:
        """A grammar's first state."""
        init = ConstraintInit()
        library().constraint_init_set_defaults(init, tokenizer.handle)
        init.log_buffer_level = init.log_stderr_level = 0
        for name, limit in _LIMITS.items():
            setattr(init.limits, name, limit)
        return cls(tokenizer, library().new_matcher(init, b"lark", grammar.encode()))

    def copy(self) -> _State:
        return _State(self._tokenizer, library().clone_matcher(self._handle))

    @property
    def end_tokens(self) -> frozenset[int]:
        return self._tokenizer.end_tokens

    @property
    def error(self) -> str | None:
        """What went wrong, for good; None when nothing did."""
        message = library().get_error(self._handle)
        return None if message is None else message.decode(errors="replace")

    @property
    def stopped(self) -> bool:
        """Whether nothing but an end can follow."""
        return library().is_stopped(self._handle)

    def mask(self) -> bytes:
        library().compute_mask_into(self._handle, self._buffer, len(self._buffer))
        return self._buffer.raw

    def mask_of(self, token: int) -> bytes:
        """A mask with one token."""
        mask = bytearray(len(self._buffer))
        mask[token >> 3] = 1 << (token & 7)
        return bytes(mask)

    def allows(self, token: int) -> bool:
        one = ctypes.c_uint32(token)
        if library().validate_tokens(self._handle, ctypes.byref(one), 1) == 1:
            return True
        # Where an answer may end, it may end by any of the end tokens.
        return token in self._tokenizer.end_tokens and (
            self.stopped or library().is_accepting(self._handle)
        )

    def consume(self, token: int) -> None:
        library().consume_token(self._handle, token)

    def forced(self) -> tuple[int, ...]:
        """The tokens that must come, but for the last bytes that could be part of longer ones."""
        room = (ctypes.c_uint32 * _MAX_FORCED_TOKENS)()
        count = library().compute_ff_tokens(self._handle, room, _MAX_FORCED_TOKENS)
        return tuple(room[: max(count, 0)])


def check(state: _State, param: str) -> None:
    """Refuse to go on with a state that has met an error; llguidance raises none.

    Raises:
        InvalidRequestError: It has; the message has llguidance's words.
    """
    message = state.error
    if message is not None:
        raise InvalidRequestError(f"{param} cannot be honoured: {_words(message)}.", param=param)


def _words(message: str) -> str:
    """The sentence in an error of llguidance."""
    message = message.partition("<non-verbose/>")[0]
    message = _EXCERPT.sub("", _PLACE.sub("", message))
    words = " ".join(message.split()).rstrip(".")
    return "the model has no token that could come next" if words == _DEAD_END else words
