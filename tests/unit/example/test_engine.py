from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from stoker.artifact import BundleFile, ModelBundle
from stoker.digest import Digest
from stoker.errors import InvalidRequestError, LoadError, UnsupportedFeatureError
from stoker.formats import FormatTable
from stoker.manifest import ANNOTATION_FILE_PATH, Descriptor
from stoker.media_types import MediaType, Role
from stoker.messages import Author, ImagePart, Message, TextPart, Tool
from stoker.reference import Reference
from stoker.request import (
    ChatPrompt,
    Constraint,
    ConstraintKind,
    GenerateRequest,
    TextPrompt,
    TokenPrompt,
)
from stoker.sampling import SamplingParams
from stoker_example.parrot.engine import ParrotEngine, Phrase, read_phrases
from stoker_example.parrot.plugin import (
    PARROT,
    ParrotOptions,
    load,
    stoker_register_backends,
    stoker_register_formats,
)

PHRASES = [Phrase("hello", "Hello yourself!"), Phrase("*", "You said: {text}")]


def ask(text: str, *, options: ParrotOptions | None = None) -> list[str]:
    engine = ParrotEngine(PHRASES, options or ParrotOptions())
    return list(engine.generate(GenerateRequest("p", TextPrompt(text)), index=0))


def chat(*turns: Message) -> GenerateRequest:
    return GenerateRequest("p", ChatPrompt(turns))


def test_answers_a_keyword_word_by_word() -> None:
    """The first phrase whose keyword was said gives the answer; the pieces are words."""

    assert ["Hello ", "yourself!"] == ask("Why hello there")


def test_the_star_hears_everything() -> None:
    """`*` fits whatever was said, and `{text}` is that."""

    assert "You said: Good {morning}" == "".join(ask("Good {morning}"))


def test_without_a_fitting_phrase_it_echoes() -> None:
    """A parrot that knows nothing better says what it heard."""
    engine = ParrotEngine([Phrase("hello", "Hi")], ParrotOptions())

    assert "Bye now" == "".join(
        engine.generate(GenerateRequest("p", TextPrompt("Bye now")), index=0)
    )


def test_answers_the_last_thing_that_the_user_said() -> None:
    """Earlier turns, and those of others, are not answered."""
    request = chat(
        Message(Author.USER, (TextPart("hello"),)),
        Message(Author.USER, (TextPart("Good "), TextPart("evening"))),
        Message(Author.ASSISTANT, (TextPart("hello"),)),
    )
    engine = ParrotEngine(PHRASES, ParrotOptions())

    assert "You said: Good evening" == "".join(engine.generate(request, index=0))


def test_repeat_says_it_again() -> None:
    """The option `repeat` counts how often the answer is said."""

    assert "Hello yourself! Hello yourself!" == "".join(
        ask("hello", options=ParrotOptions(repeat=2))
    )


def test_words_per_second_slows_it_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option `words_per_second` sets the pause after each word."""
    pauses: list[float] = []
    monkeypatch.setattr("stoker_example.parrot.engine.time.sleep", pauses.append)

    ask("hello", options=ParrotOptions(words_per_second=4))

    assert [0.25, 0.25] == pauses


def test_ignore_end_never_stops() -> None:
    """With `ignore_end` the parrot starts over until it is stopped."""
    request = GenerateRequest("p", TextPrompt("hello"), ignore_end=True)
    pieces = ParrotEngine(PHRASES, ParrotOptions()).generate(request, index=0)

    assert "Hello yourself! Hello " == "".join(itertools.islice(pieces, 3))


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"constraint": Constraint(ConstraintKind.JSON_OBJECT)}, "constraint"),
        ({"adapters": ("polite",)}, "adapters"),
        ({"sampling": SamplingParams(logprobs=1)}, "logprobs"),
        ({"sampling": SamplingParams(logit_bias={1: 1.0})}, "logit_bias"),
        ({"prompt": TokenPrompt((1, 2))}, "prompt"),
        (
            {"prompt": ChatPrompt((Message(Author.USER, (TextPart("a"),)),), tools=(Tool("t"),))},
            "tools",
        ),
        (
            {"prompt": ChatPrompt((Message(Author.USER, (ImagePart(b"", "image/png"),)),))},
            "messages",
        ),
    ],
)
def test_refuses_by_name_what_it_cannot_do(change: dict[str, Any], param: str) -> None:
    """A field that would be dropped is refused before the first word."""
    request = attrs.evolve(GenerateRequest("p", TextPrompt("hello")), **change)

    with pytest.raises(UnsupportedFeatureError) as caught:
        ParrotEngine(PHRASES, ParrotOptions()).generate(request, index=0)
    assert param == caught.value.param


@pytest.mark.parametrize("request_", [chat(), GenerateRequest("p", TextPrompt("  "))])
def test_silence_cannot_be_answered(request_: GenerateRequest) -> None:
    """A request without words is refused."""

    with pytest.raises(InvalidRequestError):
        ParrotEngine(PHRASES, ParrotOptions()).generate(request_, index=0)


def test_reads_phrases_in_order(tmp_path: Path) -> None:
    """A weights file has a keyword and an answer per line; answers may have colons."""
    path = tmp_path / "polly.parrot"
    path.write_text("Hello: Hi: there\n*: {text}?\n", encoding="utf-8")

    assert [Phrase("hello", "Hi: there"), Phrase("*", "{text}?")] == read_phrases(path)


@pytest.mark.parametrize("content", [b"", b"no colon\n", b"key:\n", b": answer\n", b"\xff: x"])
def test_a_malformed_weights_file_does_not_load(tmp_path: Path, content: bytes) -> None:
    """What is no parrot is a `LoadError` that names the file."""
    path = tmp_path / "polly.parrot"
    path.write_bytes(content)

    with pytest.raises(LoadError, match="polly"):
        read_phrases(path)


def test_a_missing_weights_file_does_not_load(tmp_path: Path) -> None:
    """A file that is not there is a `LoadError` too."""

    with pytest.raises(LoadError):
        read_phrases(tmp_path / "gone.parrot")


def test_load_makes_the_engine_of_a_bundle(tmp_path: Path) -> None:
    """The record's `load` reads all weights and applies the options."""
    path = tmp_path / "polly.parrot"
    path.write_text("*: Squawk\n", encoding="utf-8")
    bundle = ModelBundle(
        Reference.parse("polly"),
        Digest.of(b"polly"),
        (BundleFile(path, Role.WEIGHTS, PARROT),),
    )
    stages: list[str] = []
    (spec,) = stoker_register_backends()
    options = msgspec.convert({"repeat": 2}, spec.options_type)
    engine = load(bundle, options, lambda stage, fraction: stages.append(stage))
    answer = engine.generate(GenerateRequest("p", TextPrompt("x")), index=0)

    assert "Squawk Squawk" == "".join(answer)
    assert ["reading phrases"] == stages


@pytest.mark.parametrize(
    "table", [{"repeat": 0}, {"words_per_second": 0.5}, {"loud": True}, {"repeat": "often"}]
)
def test_wrong_options_are_refused(table: dict[str, object]) -> None:
    """Options are checked when the core decodes them, unknown names included."""

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, ParrotOptions)


@pytest.mark.parametrize(
    ("media_type", "path"),
    [(PARROT, None), (MediaType("application/vnd.cncf.model.weight.v1.raw"), "x/polly.parrot")],
)
def test_its_weights_are_known(media_type: MediaType, path: str | None) -> None:
    """The format rules know a parrot by its media type, or in ModelPack by its file name."""
    annotations = {ANNOTATION_FILE_PATH: path} if path else {}
    descriptor = Descriptor(media_type, Digest.of(b"polly"), 5, annotations)
    layer = FormatTable.of(stoker_register_formats()).layer(descriptor)

    assert (Role.WEIGHTS, PARROT) == (layer.role, layer.media_type)
