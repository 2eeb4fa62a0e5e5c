"""The compiler of constraints: one per loaded model, and one token constraint per sequence."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor

from stoker.constraints.grammar import grammar_of
from stoker.constraints.matcher import CompiledGrammar
from stoker.constraints.tokenizer import Tokenizer
from stoker.engine import Engine
from stoker.errors import (
    InvalidRequestError,
    StokerError,
    UnavailableError,
    UnsupportedFeatureError,
)
from stoker.memory.release import give_back
from stoker.request import Constraint, ConstraintKind

QUIET_S = 2.0
"""How long after loading the tokenizer is built unless a request needs it sooner.

Building takes a second of a core: the request for which a model was loaded goes first.
"""
QUICK_TOKENS = 65_536
"""A vocabulary that is not larger is built in a fifth of a second, when the first request needs it.

Most models are never asked for a form, and the tokenizer takes memory.
"""
_BUILD_TIMEOUT_S = 60.0
_KEPT_GRAMMARS = 32
# A large grammar takes half a second, for which small ones should not wait.
_WORKERS = 2


class ConstraintCompiler:
    """Compiles constraints for one model, in threads of its own.

    The tokenizer is built when the first constrained request comes, and that of a large vocabulary
    a while after the model was loaded, if that is sooner. A request that comes before that does not
    wait for all of it: it starts with a hasty one, and the whole one is built a while later.
    Grammars that were compiled lately are kept.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tokenizer: Tokenizer | None = None
        self._problem: StokerError | None = None
        self._closed = threading.Event()
        self._wanted = threading.Event()
        # Set when the tokenizer is there, or a reason why there is none.
        self._ready = threading.Event()
        # Guards `_kept`, which the callers' thread, the workers and the builder use.
        self._lock = threading.Lock()
        self._kept: OrderedDict[Constraint, CompiledGrammar] = OrderedDict()
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="constraints")
        self._builder = threading.Thread(target=self._build, name="constraints", daemon=True)
        self._builder.start()

    def compile(self, constraint: Constraint) -> Future[CompiledGrammar]:
        """Compile a constraint; returns at once.

        Returns:
            The grammar to come, which is there already when it was compiled lately. Its
            exceptions are: `InvalidRequestError` when the constraint is malformed, has something
            that llguidance cannot honour, or is too complex, and the message names it;
            `UnsupportedFeatureError` when the engine cannot apply masks; `UnavailableError` when
            the tokenizer could not be built.
        """
        with self._lock:
            kept = self._kept.get(constraint)
            if kept is not None:
                self._kept.move_to_end(constraint)
        if kept is not None:
            known: Future[CompiledGrammar] = Future()
            known.set_result(kept)
            return known
        self._wanted.set()
        return self._workers.submit(self._compiled, constraint)

    def close(self) -> None:
        """Leave the engine alone from now on. What was not begun is not compiled any more."""
        self._closed.set()
        self._wanted.set()
        self._builder.join(_BUILD_TIMEOUT_S)
        self._workers.shutdown(cancel_futures=True)

    def _build(self) -> None:
        is_quick = self._engine.info.vocabulary_size <= QUICK_TOKENS
        hurries = self._wanted.wait(None if is_quick else QUIET_S) and not is_quick
        try:
            if not self._closed.is_set():
                self._make_tokenizers(hurries=hurries)
        except Exception as exc:  # noqa: BLE001 - told to whoever asks for a constraint
            self._problem = UnavailableError(
                f"Constraints cannot be prepared for this model: {type(exc).__name__}: {exc}."
            )
        finally:
            self._ready.set()

    def _make_tokenizers(self, *, hurries: bool) -> None:
        vocabulary = self._engine.vocabulary()
        if vocabulary is None:
            return
        if hurries:
            self._offer(Tokenizer(vocabulary, self._encode, hasty=True))
            if self._closed.wait(QUIET_S):
                return
        self._offer(Tokenizer(vocabulary, self._encode))

    def _offer(self, tokenizer: Tokenizer) -> None:
        """Let grammars be compiled with a tokenizer from now on; those of another one go."""
        with self._lock:
            self._tokenizer = tokenizer
            self._kept.clear()
        # The first mask of a process is slow; it is better made here. That a vocabulary cannot
        # write JSON is for those to hear who ask for it.
        with contextlib.suppress(InvalidRequestError):
            self._keep(Constraint(ConstraintKind.JSON_OBJECT), tokenizer)
        self._ready.set()
        # What building took on the way is a third of it.
        give_back()

    def _encode(self, text: str) -> list[int]:
        return self._engine.encode(text, add_special=False, parse_special=False)

    def _compiled(self, constraint: Constraint) -> CompiledGrammar:
        if not self._ready.wait(_BUILD_TIMEOUT_S) or self._closed.is_set():
            raise UnavailableError("The tokens for constraints are not ready yet: try again later.")
        if self._tokenizer is None and self._problem is not None:
            raise self._problem
        if self._tokenizer is None:
            raise UnsupportedFeatureError(
                "This model's engine cannot constrain its answers.", param=constraint.param
            )
        return self._keep(constraint, self._tokenizer)

    def _keep(self, constraint: Constraint, tokenizer: Tokenizer) -> CompiledGrammar:
        # The field's name is part of errors only, and errors are not kept.
        grammar = CompiledGrammar(tokenizer, grammar_of(constraint), constraint.param)
        with self._lock:
            self._kept[constraint] = grammar
            while len(self._kept) > _KEPT_GRAMMARS:
                self._kept.popitem(last=False)
        return grammar
