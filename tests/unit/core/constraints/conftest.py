"""A model of bytes for constraints: tokens 0 to 255 are bytes, then two ends and some words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stoker.constraints import compiler
from stoker.constraints.compiler import ConstraintCompiler
from stoker.engine import EngineInfo, TokenConstraint, Vocabulary
from stoker.request import Constraint, ConstraintKind

ENDS = (256, 257)
CONTROL = {256: "</s>", 257: "<|im_end|>", 258: "<|call|>"}
WORDS = (b'{"', b'":', b"name", b"yes", "東".encode()[:2])
PIECES = [*(bytes([byte]) for byte in range(256)), *([b""] * len(CONTROL)), *WORDS]


class Words:
    """As much of an engine as constraints see."""

    def __init__(self) -> None:
        self.asked = 0
        self.info = EngineInfo(context_length=100, vocabulary_size=len(PIECES))

    def vocabulary(self) -> Vocabulary:
        self.asked += 1
        return Vocabulary(PIECES, frozenset(ENDS), CONTROL)

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """The longest word first, as a tokenizer does."""
        assert not add_special
        assert not parse_special
        data, tokens = text.encode(), []
        while data:
            words = [word for word in WORDS if data.startswith(word)] or [data[:1]]
            best = max(words, key=len)
            tokens.append(259 + WORDS.index(best) if len(best) > 1 else best[0])
            data = data[len(best) :]
        return tokens


class Follower:
    """Walks a token constraint with bytes."""

    def __init__(self, constraint: TokenConstraint) -> None:
        self.constraint = constraint
        self.complete = False

    def allowed(self) -> set[int]:
        """The tokens of the mask, which agree with what is said of single tokens."""
        mask = self.constraint.mask()
        tokens = {token for token in range(len(mask) * 8) if mask[token // 8] >> token % 8 & 1}
        assert tokens == {token for token in range(len(PIECES)) if self.constraint.allows(token)}
        return tokens

    def follow(self, text: str | bytes) -> bool:
        """Take a text byte by byte, or as it is forced; tell whether all of it was allowed."""
        data = text.encode() if isinstance(text, str) else text
        while data:
            token = next(iter(self.constraint.forced()), data[0])
            piece = PIECES[token]
            if self.complete or token not in self.allowed() or not data.startswith(piece):
                return False
            self.complete = self.constraint.accept(token)
            data = data[len(piece) :]
        return True

    def may_end(self) -> bool:
        """Whether the answer may end here."""
        return self.complete or set(ENDS) <= self.allowed()


@pytest.fixture
def words() -> Words:
    """An engine that counts how often it was asked."""
    return Words()


@pytest.fixture
def make_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ConstraintCompiler]]:
    """Makes compilers that build at once, and closes them."""
    monkeypatch.setattr(compiler, "QUIET_S", 0.0)
    monkeypatch.setattr(compiler, "QUICK_TOKENS", 0)
    made: list[ConstraintCompiler] = []

    def make(engine: Any) -> ConstraintCompiler:
        made.append(ConstraintCompiler(engine))
        return made[-1]

    yield make
    for item in made:
        item.close()


@pytest.fixture(scope="session")
def shared_compiler() -> Iterator[ConstraintCompiler]:
    """One compiler for many tests."""
    shared = ConstraintCompiler(Words())  # type: ignore[arg-type]  # as much as it asks for
    yield shared
    shared.close()


@pytest.fixture
def follow(shared_compiler: ConstraintCompiler) -> Callable[..., Follower]:
    """Compiles a constraint and walks it."""

    def make(kind: ConstraintKind, source: str = "") -> Follower:
        grammar = shared_compiler.compile(Constraint(kind, source, "the_field")).result(60)
        return Follower(grammar.begin("the_field"))

    return make
