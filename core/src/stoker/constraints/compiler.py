"""The compiler of constraints: one per loaded model, and one token constraint per sequence."""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import TYPE_CHECKING

from stoker.constraints.grammar import grammar_of
from stoker.constraints.matcher import Matcher, check
from stoker.constraints.tokenizer import build_tokenizer
from stoker.engine import Engine, TokenConstraint
from stoker.errors import (
    InvalidRequestError,
    StokerError,
    UnavailableError,
    UnsupportedFeatureError,
)
from stoker.request import Constraint, ConstraintKind

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

QUIET_S = 2.0
"""How long after loading the tokenizer is built unless a request needs it sooner.

Building holds the interpreter lock: the request for which a model was loaded goes first.
"""
_BUILD_TIMEOUT_S = 60.0
_KEPT_GRAMMARS = 32

# Bounds for what a grammar may cost: compiling holds up the other requests. By llguidance's own
# figures these are 20 ms to build a lexer, 15 ms for the worst mask, and 100 MB for the states of
# one answer. An object of 1000 properties is a grammar of some 20 000 symbols, in 0.4 s.
_LIMITS = {
    "initial_lexer_fuel": 1_000_000,
    "step_lexer_fuel": 200_000,
    "step_max_items": 50_000,
    "max_lexer_states": 50_000,
    "max_grammar_size": 20_000,
    # The parser's state would fill pages.
    "verbose_errors": False,
}


class ConstraintCompiler:
    """Compiles constraints for one model.

    The tokenizer is built in a thread of its own, a while after the model was loaded or when the
    first constrained request comes, whichever is sooner. Grammars that were compiled lately are
    kept.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tokenizer: LLTokenizer | None = None
        self._problem: StokerError | None = None
        self._closed = False
        self._wanted = threading.Event()
        self._compiled = functools.lru_cache(maxsize=_KEPT_GRAMMARS)(self._compile)
        self._thread = threading.Thread(target=self._build, name="constraints", daemon=True)
        self._thread.start()

    def compile(self, constraint: Constraint | None, count: int) -> list[TokenConstraint | None]:
        """Make token constraints for sequences that have to meet the same constraint.

        Waits for the tokenizer if it is not there yet.

        Raises:
            InvalidRequestError: The constraint is malformed, has something that llguidance cannot
                honour, or is too complex; the message names it.
            UnsupportedFeatureError: The engine cannot apply masks.
            UnavailableError: The tokenizer could not be built.
        """
        if constraint is None:
            return [None] * count
        tokenizer = self._built()
        if tokenizer is None:
            raise UnsupportedFeatureError(
                "This model's engine cannot constrain its answers.", param=constraint.param
            )
        # The field's name is part of errors only, and errors are not kept.
        matcher = self._compiled(constraint)
        return [Matcher(matcher.deep_copy(), constraint.param) for _ in range(count)]

    def close(self) -> None:
        """Leave the engine alone from now on."""
        self._closed = True
        self._wanted.set()
        self._thread.join(_BUILD_TIMEOUT_S)

    def _built(self) -> LLTokenizer | None:
        """The tokenizer; None for engines that cannot apply masks."""
        self._wanted.set()
        self._thread.join(_BUILD_TIMEOUT_S)
        if self._thread.is_alive():
            raise UnavailableError("The tokens for constraints are not ready yet: try again later.")
        if self._problem is not None:
            raise self._problem
        return self._tokenizer

    def _build(self) -> None:
        self._wanted.wait(QUIET_S)
        if self._closed:
            return
        try:
            vocabulary = self._engine.vocabulary()
            if vocabulary is not None:
                self._tokenizer = build_tokenizer(vocabulary)
                # The first mask of a process is slow; it is better made here. That a vocabulary
                # cannot write JSON is for those to hear who ask for it.
                with contextlib.suppress(InvalidRequestError):
                    self._compiled(Constraint(ConstraintKind.JSON_OBJECT))
        except Exception as exc:  # noqa: BLE001 - told to whoever asks for a constraint
            self._problem = UnavailableError(
                f"Constraints cannot be prepared for this model: {type(exc).__name__}: {exc}."
            )

    def _compile(self, constraint: Constraint) -> LLMatcher:
        from llguidance import LLMatcher, LLParserLimits

        if self._tokenizer is None:
            raise UnavailableError("There is no tokenizer for constraints.")
        matcher = LLMatcher(
            self._tokenizer,
            LLMatcher.grammar_from_lark(grammar_of(constraint)),
            log_level=0,
            limits=LLParserLimits(**_LIMITS),  # type: ignore[arg-type]
        )
        check(matcher, constraint.param)
        # Some limits are only met by the first mask. Copies begin with what it has found out.
        matcher.compute_bitmask()
        check(matcher, constraint.param)
        return matcher
