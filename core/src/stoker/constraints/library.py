"""The C functions of llguidance, which its Python package carries.

They are used instead of the package's own classes because those hold the interpreter lock while
they build a tokenizer: a second for 262 144 tokens, in which every stream would stand still. A
call through ctypes lets the lock go. Documented in `parser/llguidance.h` of
https://github.com/guidance-ai/llguidance.

The wheel exports these functions without promising to. So nothing is taken on trust: the version is
checked, each function is looked up, and the library is made to fill in the one structure whose
size it cannot check itself.

A tokenizer may be used by any number of threads. A matcher may be used by one at a time.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import attrs

from stoker.errors import UnavailableError

_VERSION = "1.9."
"""What the structures below were written for."""
_UNTOUCHED = 0xA5
_SPARE_BYTES = 64

_POINTER, _SIZE, _INT, _BOOL = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int32, ctypes.c_bool
_TEXT, _TOKEN = ctypes.c_char_p, ctypes.c_uint32

TokenizeFunction = ctypes.CFUNCTYPE(
    _SIZE, _POINTER, ctypes.POINTER(ctypes.c_uint8), _SIZE, ctypes.POINTER(_TOKEN), _SIZE
)
"""(user data, bytes, their count, room for tokens, its size) -> how many tokens there are."""


class TokenizerInit(ctypes.Structure):
    """`LlgTokenizerInitV2`."""

    _fields_ = (
        ("struct_size", _SIZE),
        ("vocab_size", _TOKEN),
        ("tok_eos", _TOKEN),
        ("token_lens", _POINTER),
        ("token_bytes", _POINTER),
        ("tokenizer_json", _TEXT),
        ("tokenize_assumes_string", _BOOL),
        ("tokenize_fn", TokenizeFunction),
        ("use_approximate_greedy_tokenize_fn", _BOOL),
        ("tokenize_user_data", _POINTER),
        ("slices", ctypes.POINTER(_TEXT)),
        ("tok_eos_extra", _POINTER),
        ("tok_eos_extra_count", _TOKEN),
    )


class ParserLimits(ctypes.Structure):
    """`LlgParserLimits`."""

    _fields_ = (
        ("max_items_in_row", _SIZE),
        ("initial_lexer_fuel", ctypes.c_uint64),
        ("step_lexer_fuel", ctypes.c_uint64),
        ("step_max_items", _SIZE),
        ("max_lexer_states", _SIZE),
        ("max_grammar_size", _SIZE),
        ("precompute_large_lexemes", _BOOL),
        ("verbose_errors", _BOOL),
    )


class ConstraintInit(ctypes.Structure):
    """`LlgConstraintInit`."""

    _fields_ = (
        ("tokenizer", _POINTER),
        ("log_buffer_level", ctypes.c_uint32),
        ("log_stderr_level", ctypes.c_uint32),
        ("ff_tokens_ok", _BOOL),
        ("backtrack_ok", _BOOL),
        ("limits", ParserLimits),
    )


@attrs.frozen
class Library:
    """The functions that stoker uses, by their names without `llg_`."""

    new_tokenizer: Callable[..., int | None]
    free_tokenizer: Callable[[int], None]
    constraint_init_set_defaults: Callable[..., None]
    new_matcher: Callable[..., int]
    clone_matcher: Callable[[int], int]
    free_matcher: Callable[[int], None]
    get_error: Callable[[int], bytes | None]
    is_stopped: Callable[[int], bool]
    is_accepting: Callable[[int], bool]
    mask_byte_size: Callable[[int], int]
    compute_mask_into: Callable[[int, Any, int], int]
    consume_token: Callable[[int, int], int]
    validate_tokens: Callable[[int, Any, int], int]
    compute_ff_tokens: Callable[[int, Any, int], int]


@functools.cache
def library() -> Library:
    """Find the functions in the package's extension module.

    Raises:
        UnavailableError: The package has no such functions, or is of another version.
    """
    spec = importlib.util.find_spec("llguidance._lib")
    if spec is None or spec.origin is None:
        raise UnavailableError("The package llguidance has no library: install it again.")
    # The first lets the interpreter lock go during a call; the second keeps it, which is quicker
    # for a call that takes less than a microsecond.
    free, held = ctypes.CDLL(spec.origin), ctypes.PyDLL(spec.origin)

    def function(dll: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
        found = getattr(dll, f"llg_{name}")
        found.restype, found.argtypes = result, arguments
        return found

    try:
        version = function(held, "get_version", _TEXT)().decode()
        if not version.startswith(f"llguidance@{_VERSION}"):
            raise UnavailableError(
                f"Constraints need llguidance {_VERSION}*, and this is {version}: install it."
            )
        functions = Library(
            new_tokenizer=function(
                free, "new_tokenizer_v2", _POINTER, ctypes.POINTER(TokenizerInit), _TEXT, _SIZE
            ),
            free_tokenizer=function(free, "free_tokenizer", None, _POINTER),
            constraint_init_set_defaults=function(
                held,
                "constraint_init_set_defaults",
                None,
                ctypes.POINTER(ConstraintInit),
                _POINTER,
            ),
            new_matcher=function(
                free, "new_matcher", _POINTER, ctypes.POINTER(ConstraintInit), _TEXT, _TEXT
            ),
            clone_matcher=function(free, "clone_matcher", _POINTER, _POINTER),
            free_matcher=function(free, "free_matcher", None, _POINTER),
            get_error=function(held, "matcher_get_error", _TEXT, _POINTER),
            is_stopped=function(held, "matcher_is_stopped", _BOOL, _POINTER),
            is_accepting=function(free, "matcher_is_accepting", _BOOL, _POINTER),
            mask_byte_size=function(held, "matcher_get_mask_byte_size", _SIZE, _POINTER),
            compute_mask_into=function(
                free, "matcher_compute_mask_into", _INT, _POINTER, _POINTER, _SIZE
            ),
            consume_token=function(free, "matcher_consume_token", _INT, _POINTER, _TOKEN),
            validate_tokens=function(
                free, "matcher_validate_tokens", _INT, _POINTER, _POINTER, _SIZE
            ),
            compute_ff_tokens=function(
                free, "matcher_compute_ff_tokens", _INT, _POINTER, _POINTER, _SIZE
            ),
        )
    except AttributeError as exc:
        raise UnavailableError(f"This build of llguidance cannot be used: {exc}.") from exc
    check_layout(functions.constraint_init_set_defaults)
    return functions


def check_layout(set_defaults: Callable[..., None]) -> None:
    """Have the defaults filled in, and see whether they fall on the fields that they are for.

    Raises:
        UnavailableError: They do not, so the library's structure is another one.
    """
    size = ctypes.sizeof(ConstraintInit)
    memory = (ctypes.c_ubyte * (size + _SPARE_BYTES))(*[_UNTOUCHED] * (size + _SPARE_BYTES))
    init = ConstraintInit.from_buffer(memory)
    set_defaults(init, None)
    beyond = bytes(memory[size:])
    limits = init.limits
    fits = (
        not init.tokenizer
        and (limits.precompute_large_lexemes, limits.verbose_errors) == (True, True)
        and 0 < limits.max_items_in_row < limits.step_max_items < limits.max_grammar_size
        and beyond == bytes([_UNTOUCHED]) * _SPARE_BYTES
    )
    if not fits:
        raise UnavailableError(
            "The structures of this build of llguidance are not as expected: install the version"
            " that stoker was tested with."
        )
