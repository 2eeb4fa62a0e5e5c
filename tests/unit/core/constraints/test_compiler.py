"""Compiling constraints, and what they allow."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import json
import threading
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from stoker.constraints import compiler, library, matcher, tokenizer
from stoker.constraints.compiler import ConstraintCompiler
from stoker.constraints.library import ConstraintInit
from stoker.engine import EngineInfo, Vocabulary
from stoker.errors import InvalidRequestError, UnavailableError, UnsupportedFeatureError
from stoker.request import Constraint, ConstraintKind

INFO = EngineInfo(context_length=100, vocabulary_size=3)
JSON_SCHEMA = ConstraintKind.JSON_SCHEMA
PET = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "maximum": 99}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("kind", "source", "right", "wrong"),
    [
        (ConstraintKind.JSON_OBJECT, "", ['{"a":[1,null]}', "{}"], ["[", "1", " {", '{ "a']),
        (JSON_SCHEMA, json.dumps(PET), ['{"name":"Öre \\"x\\"","age":7}'], ['{"age', "{}"]),
        (JSON_SCHEMA, json.dumps(PET), [], ['{"name":"a","age":100}', '{"name":"a","age":7,']),
        (JSON_SCHEMA, "true", ['{"a":1}', "[1]", '"x"', "null"], ["x"]),
        (JSON_SCHEMA, '{"enum": ["a", 1, null]}', ['"a"', "1", "null"], ['"b"', "2"]),
        (ConstraintKind.REGEX, r"\d{2}/[a-c]+", ["12/abc"], ["1a", "12/d"]),
        (ConstraintKind.REGEX, "", [""], ["a"]),
        (ConstraintKind.CHOICE, '["yes", "yes please", "nö/\\"\\u0007"]', [], ["no"]),
        (ConstraintKind.CHOICE, '["yes", "yes please"]', ["yes", "yes please"], ["yes p!"]),
        (ConstraintKind.CHOICE, '["nö/\\"\\u0007😀\\u007f"]', ['nö/"\x07😀\x7f'], []),
        (ConstraintKind.LARK, 'start: "a" b\nb: /x+/', ["ax", "axx"], ["b", "aa"]),
        (ConstraintKind.LARK, '%llguidance {}\nstart: "a"', ["a"], ["b"]),
        (ConstraintKind.GBNF, 'root ::= "a" b\nb ::= [x-z]{1,2}', ["ax", "azy"], ["b", "axxx"]),
    ],
)
def test_what_is_allowed(
    follow: Callable[..., Any],
    kind: ConstraintKind,
    source: str,
    right: list[str],
    wrong: list[str],
) -> None:
    """Right answers can be walked to an end, wrong ones cannot be walked."""
    for text in right:
        follower = follow(kind, source)
        assert follower.follow(text)
        assert follower.may_end()
    for text in wrong:
        assert not follow(kind, source).follow(text)


def test_tokens_of_several_bytes_are_allowed(follow: Callable[..., Any]) -> None:
    """Every token that fits is allowed, where there is a choice; control tokens never are."""
    follower = follow(JSON_SCHEMA, json.dumps({"properties": {"na": True, "name": True}}))
    follower.follow('{"')

    assert {ord('"'), *range(0x20, 0x7F)} <= follower.allowed() | {ord("\\")}
    assert 261 in follower.allowed()
    assert 258 not in follower.allowed()


def test_a_mask_has_a_bit_for_every_token(follow: Callable[..., Any]) -> None:
    """It comes in whole words of 32 bits, and asking twice gives the same."""
    constraint = follow(ConstraintKind.JSON_OBJECT).constraint

    assert 9 * 4 == len(constraint.mask())
    assert constraint.mask() == constraint.mask()


def test_a_complete_answer_says_so(follow: Callable[..., Any]) -> None:
    """The token after which nothing can follow is known as the last; then only ends are allowed."""
    follower = follow(ConstraintKind.CHOICE, '["ab"]')

    assert not follower.constraint.accept(ord("a"))
    assert follower.constraint.accept(ord("b"))
    assert {256, 257} == follower.allowed()


def test_an_answer_that_may_go_on_is_not_complete(follow: Callable[..., Any]) -> None:
    """Where the end is one of several ways, the model chooses."""
    follower = follow(ConstraintKind.REGEX, "a+")
    follower.follow("a")

    assert not follower.complete
    assert {ord("a"), 256, 257} == follower.allowed()


def test_forced_text_is_written_as_the_model_would(follow: Callable[..., Any]) -> None:
    """What has one form only has one spelling, that of the model's tokenizer."""
    follower = follow(JSON_SCHEMA, json.dumps(PET))

    assert (259, 261) == follower.constraint.forced()[:2]
    assert {259} == follower.allowed()
    assert not follower.constraint.accept(259)
    assert 261 == follower.constraint.forced()[0]
    assert {261} == follower.allowed()
    assert follower.follow('name":"')
    assert () == follower.constraint.forced()
    assert follower.follow('Ada",')
    assert tuple(b'"age') == follower.constraint.forced()[:4]
    assert follower.follow('"age":7}')
    assert () == follower.constraint.forced()


def test_asking_what_is_forced_changes_nothing(follow: Callable[..., Any]) -> None:
    """Masks are the same, whether or not one was asked for before."""
    asked, silent = follow(JSON_SCHEMA, json.dumps(PET)), follow(JSON_SCHEMA, json.dumps(PET))
    for token in (259, 261, 260, ord('"'), ord("x"), ord('"'), ord(",")):
        asked.constraint.forced()
        assert asked.constraint.mask() == silent.constraint.mask()
        asked.constraint.accept(token)
        silent.constraint.accept(token)


@pytest.mark.parametrize("before", ["", " ", " \n"])
def test_spaces_that_a_tokenizer_adds_are_not_forced(
    make_compiler: Callable[..., ConstraintCompiler], words: Any, before: str
) -> None:
    """A tokenizer that puts a space before each text still gives the text and no more."""
    plain = words.encode
    words.encode = lambda text, **fields: plain(before + text, **fields)
    grammar = make_compiler(words).compile(Constraint(JSON_SCHEMA, json.dumps(PET))).result(60)

    assert (259, 261) == grammar.begin("p").forced()[:2]


def test_a_tokenizer_that_changes_the_text_is_not_used(
    make_compiler: Callable[..., ConstraintCompiler], words: Any
) -> None:
    """Then the longest token that fits is taken each time."""
    words.encode = lambda *_arguments, **_fields: [ord("?")]
    grammar = make_compiler(words).compile(Constraint(JSON_SCHEMA, json.dumps(PET))).result(60)

    assert (259, 261) == grammar.begin("p").forced()[:2]


def test_a_library_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its structures may have other fields, so it is not even tried."""
    monkeypatch.setattr(library, "_VERSION", "0.1.")

    with pytest.raises(UnavailableError, match=r"need llguidance 0\.1"):
        library.library.__wrapped__()


def test_a_library_without_the_functions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The missing function is named."""
    other = importlib.util.find_spec("msgspec._core")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: other)

    with pytest.raises(UnavailableError, match="llg_get_version"):
        library.library.__wrapped__()


@pytest.mark.parametrize(
    "written", [{}, {"size": ctypes.sizeof(ConstraintInit) + 8}, {"verbose_errors": False}]
)
def test_a_structure_that_has_changed_is_refused(written: dict[str, Any]) -> None:
    """Nothing is read or written by a layout that the library does not have."""

    def set_defaults(init: ConstraintInit, _tokenizer: None) -> None:
        library.library().constraint_init_set_defaults(init, None)
        if "verbose_errors" in written:
            init.limits.verbose_errors = False
        if "size" in written:
            ctypes.memset(ctypes.addressof(init) + ctypes.sizeof(ConstraintInit), 0, 8)

    if not written:
        library.check_layout(set_defaults)
        return
    with pytest.raises(UnavailableError, match="structures"):
        library.check_layout(set_defaults)


def test_nothing_is_left_in_memory(
    make_compiler: Callable[..., ConstraintCompiler], words: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the library was asked to make it was asked to free, tokenizer and matchers."""
    functions = library.library()
    alive: set[tuple[str, int]] = set()

    def making(kind: str, make: Callable[..., int | None]) -> Callable[..., int | None]:
        def made(*arguments: Any) -> int | None:
            handle = make(*arguments)
            alive.add((kind, handle or 0))
            return handle

        return made

    def freeing(kind: str, free: Callable[[int], None]) -> Callable[[int], None]:
        def freed(handle: int) -> None:
            alive.remove((kind, handle))
            free(handle)

        return freed

    watched = attrs.evolve(
        functions,
        new_tokenizer=making("tokenizer", functions.new_tokenizer),
        free_tokenizer=freeing("tokenizer", functions.free_tokenizer),
        new_matcher=making("matcher", functions.new_matcher),
        clone_matcher=making("matcher", functions.clone_matcher),
        free_matcher=freeing("matcher", functions.free_matcher),
    )
    monkeypatch.setattr(tokenizer, "library", lambda: watched)
    monkeypatch.setattr(matcher, "library", lambda: watched)
    made = ConstraintCompiler(words)
    constraint = made.compile(Constraint(ConstraintKind.REGEX, "a+")).result(60).begin("p")
    constraint.accept(ord("a"))
    with pytest.raises(InvalidRequestError):
        made.compile(Constraint(ConstraintKind.REGEX, "(")).result(60)
    before = {kind for kind, _ in alive}
    made.close()
    del constraint, made
    gc.collect()

    assert {"tokenizer", "matcher"} == before
    assert set() == alive


def test_grammars_can_name_control_tokens(follow: Callable[..., Any]) -> None:
    """A Lark grammar writes them without quotes."""
    assert {258} == follow(ConstraintKind.LARK, 'start: <|call|> "a"').allowed()


@pytest.mark.parametrize(
    ("kind", "source", "words"),
    [
        (JSON_SCHEMA, '{"type": "array", "uniqueItems": true}', "uniqueItems"),
        (JSON_SCHEMA, '{"properties": {"a": {"not": {}}}}', "not"),
        (JSON_SCHEMA, '{"type": "array", "contains": {"const": 1}}', "contains"),
        (JSON_SCHEMA, '{"type": "object", "propertyNames": {"maxLength": 3}}', "propertyNames"),
        (JSON_SCHEMA, '{"if": {"const": 1}, "then": {"const": 2}}', "if.*then"),
        (JSON_SCHEMA, '{"type": "object", "dependentRequired": {"a": ["b"]}}', "dependentRequ"),
        (JSON_SCHEMA, '{"oneOf": [{"type": "string"}, {"minLength": 3}]}', "oneOf"),
        (JSON_SCHEMA, '{"items":' * 400 + "{}" + "}" * 400, "recursion limit"),
        (JSON_SCHEMA, '{"$ref": "#"}', "no token that could come next"),
        (JSON_SCHEMA, '{"type": "object", "properties": []}', "properties must be an object"),
        (JSON_SCHEMA, '{"type": "strin"}', "strin"),
        (JSON_SCHEMA, '{"type": "string", "format": "nope"}', "nope"),
        (JSON_SCHEMA, '{"type": "string", "pattern": "(?=a)b"}', "look-ahead"),
        (JSON_SCHEMA, '{"$ref": "#/nowhere"}', "/nowhere"),
        (JSON_SCHEMA, '{"$ref": "http://localhost/x"}', "http://localhost/x"),
        (JSON_SCHEMA, '{"type": "integer", "minimum": 5, "maximum": 3}', "minimum"),
        (JSON_SCHEMA, "false", "Unsatisfiable"),
        (JSON_SCHEMA, '{"x-guidance": 1}', "x-guidance|expected"),
        (JSON_SCHEMA, "null", "object or boolean"),
        (JSON_SCHEMA, "{", "no JSON"),
        (JSON_SCHEMA, '{} | "x"', "no JSON"),
        (JSON_SCHEMA, '{"items":' * 5000 + "1" + "}" * 5000, "no JSON"),
        (
            JSON_SCHEMA,
            json.dumps({"properties": {f"k{i}": {"type": "string"} for i in range(2500)}}),
            "too big",
        ),
        (ConstraintKind.REGEX, "(a", "unclosed group"),
        (ConstraintKind.REGEX, "a" * 100_001, "100000"),
        (ConstraintKind.REGEX, "a\0b", r"U\+0000"),
        (ConstraintKind.LARK, 'start: "\ud800"', "half of a surrogate pair"),
        (ConstraintKind.CHOICE, "[]", "array of strings"),
        (ConstraintKind.CHOICE, "[1]", "array of strings"),
        (ConstraintKind.CHOICE, "yes", "no JSON"),
        (ConstraintKind.LARK, "start: nowhere", "nowhere"),
        (ConstraintKind.LARK, "", "start|empty|Expected|unknown"),
        (ConstraintKind.GBNF, "nonsense", "GBNF"),
        (ConstraintKind.GBNF, "root ::= nowhere", "nowhere"),
    ],
)
def test_what_cannot_be_honoured_is_named(
    follow: Callable[..., Any], kind: ConstraintKind, source: str, words: str
) -> None:
    """The error names the field and the culprit, in one line."""
    with pytest.raises(InvalidRequestError, match=words) as caught:
        follow(kind, source)

    assert "the_field" == caught.value.param
    assert "the_field" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_an_error_names_the_field_of_its_own_request(shared_compiler: ConstraintCompiler) -> None:
    """What is kept of one request's grammar does not show in another's errors."""
    for param in ("one", "other"):
        with pytest.raises(InvalidRequestError) as caught:
            shared_compiler.compile(Constraint(ConstraintKind.REGEX, "(", param)).result(60)
        assert param == caught.value.param


def test_a_token_that_is_not_allowed_is_an_error(follow: Callable[..., Any]) -> None:
    """An engine that ignores the mask is found out."""
    constraint = follow(ConstraintKind.CHOICE, '["a"]').constraint

    with pytest.raises(InvalidRequestError, match="doesn't satisfy the grammar"):
        constraint.accept(ord("b"))


def test_choices_walk_alone(shared_compiler: ConstraintCompiler) -> None:
    """Each of a request's sequences has its own state, as has the next request's."""
    wanted = Constraint(ConstraintKind.CHOICE, '["ab", "cd"]')
    grammar = shared_compiler.compile(wanted).result(60)
    first, second = grammar.begin("one"), grammar.begin("two")
    first.accept(ord("a"))
    third = shared_compiler.compile(wanted).result(60).begin("three")

    assert second.mask() == third.mask()
    assert first.mask() != second.mask()


def test_the_vocabulary_is_read_once(
    make_compiler: Callable[..., ConstraintCompiler], words: Any
) -> None:
    """However many requests come."""
    made = make_compiler(words)
    for _ in range(3):
        made.compile(Constraint(ConstraintKind.JSON_OBJECT)).result(60)

    assert 1 == words.asked


def test_a_request_does_not_wait_for_quiet(words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first constrained request has the tokenizer built at once."""
    monkeypatch.setattr(compiler, "QUIET_S", 3600.0)
    made = ConstraintCompiler(words)
    assert 0 == words.asked

    made.compile(Constraint(ConstraintKind.JSON_OBJECT)).result(60)
    made.close()

    assert 1 == words.asked


def test_only_a_large_vocabulary_is_prepared_for(
    words: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small one is as soon built as asked for, so models that need none have no tokenizer."""
    monkeypatch.setattr(compiler, "QUIET_S", 0.0)
    made = ConstraintCompiler(words)
    made._builder.join(0.05)
    assert 0 == words.asked
    made.close()

    monkeypatch.setattr(compiler, "QUICK_TOKENS", 1)
    large = ConstraintCompiler(words)
    large._builder.join(60)
    assert 1 == words.asked
    large.close()


@pytest.mark.parametrize("quick_tokens", [1, 10**6])
def test_who_comes_early_does_not_wait_for_all(
    words: Any, monkeypatch: pytest.MonkeyPatch, quick_tokens: int
) -> None:
    """For a large vocabulary a hasty tokenizer is built first, and the whole one later."""
    built: list[bool] = []

    class Watched(tokenizer.Tokenizer):
        def __init__(self, *arguments: Any, hasty: bool = False) -> None:
            built.append(hasty)
            super().__init__(*arguments, hasty=hasty)
            # The request was there before the quiet was over; the whole one follows soon.
            monkeypatch.setattr(compiler, "QUIET_S", 1.0)

    monkeypatch.setattr(compiler, "Tokenizer", Watched)
    monkeypatch.setattr(compiler, "QUICK_TOKENS", quick_tokens)
    monkeypatch.setattr(compiler, "QUIET_S", 3600.0)
    made = ConstraintCompiler(words)
    wanted = Constraint(ConstraintKind.REGEX, "[a-d]+x")

    early = made.compile(wanted).result(60)
    made._builder.join(60)
    late = made.compile(wanted).result(60)
    made.close()

    assert ([True, False] if quick_tokens == 1 else [False]) == built
    assert (quick_tokens > 1) == (early is late)
    assert early.begin("p").mask() == late.begin("p").mask()


def test_closing_leaves_the_engine_alone(words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Afterwards no thread can ask for the vocabulary of an engine that is gone."""
    monkeypatch.setattr(compiler, "QUIET_S", 3600.0)
    before = threading.active_count()
    made = ConstraintCompiler(words)

    made.close()

    assert 0 == words.asked
    assert before == threading.active_count()


def test_an_engine_without_masks_is_named_as_the_reason(
    make_compiler: Callable[..., ConstraintCompiler],
) -> None:
    """No vocabulary means no constraints."""

    class Plain:
        info = INFO

        def vocabulary(self) -> None:
            return None

    with pytest.raises(UnsupportedFeatureError, match="cannot constrain") as caught:
        make_compiler(Plain()).compile(Constraint(ConstraintKind.JSON_OBJECT, param="p")).result(60)

    assert "p" == caught.value.param


def test_a_vocabulary_without_the_characters(
    make_compiler: Callable[..., ConstraintCompiler],
) -> None:
    """A model that cannot write JSON can still be constrained to what it can write."""

    class Letters:
        info = INFO

        def vocabulary(self) -> Vocabulary:
            return Vocabulary([b"a", b"b", b""], frozenset({2}))

        def encode(self, text: str, **_fields: bool) -> list[int]:
            return ["ab".find(letter) for letter in text if letter in "ab"]

    made = make_compiler(Letters())

    constraint = made.compile(Constraint(ConstraintKind.REGEX, "ab")).result(60).begin("p")
    assert 0b001 == constraint.mask()[0]
    with pytest.raises(InvalidRequestError, match="no token that could come next"):
        made.compile(Constraint(ConstraintKind.JSON_OBJECT)).result(60)


def test_a_vocabulary_that_fails_is_said(
    make_compiler: Callable[..., ConstraintCompiler],
) -> None:
    """The thread's error reaches whoever wants a constraint."""

    class Broken:
        info = INFO

        def vocabulary(self) -> None:
            raise RuntimeError("no tokens today")

    with pytest.raises(UnavailableError, match="no tokens today"):
        make_compiler(Broken()).compile(Constraint(ConstraintKind.JSON_OBJECT)).result(60)
