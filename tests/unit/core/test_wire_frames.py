from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker import messages as m
from stoker.errors import BrokenFrameError, ContextLengthExceededError, InvalidRequestError
from stoker.events import (
    ChoiceFinished,
    Detokenized,
    Echo,
    Embedding,
    Event,
    Failed,
    Finished,
    FinishReason,
    Loading,
    Prefill,
    Queued,
    Ranking,
    ReasoningDelta,
    Relevance,
    Rendered,
    TextDelta,
    Timings,
    Tokenized,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from stoker.request import (
    ChatPrompt,
    Constraint,
    ConstraintKind,
    DetokenizeRequest,
    EmbedRequest,
    GenerateRequest,
    RenderRequest,
    Request,
    RerankRequest,
    TextPrompt,
    TokenizeRequest,
    TokenPrompt,
)
from stoker.sampling import SamplingParams
from stoker.wire.frames import (
    Cancel,
    FrameReader,
    FromRunner,
    Step,
    Submit,
    ToRunner,
    encode_frame,
)
from stoker.wire.request import GenerateRequestWire, request_to_wire

EVENTS: list[Event] = [
    Queued(3),
    Loading("reading", 0.5),
    Loading("starting"),
    Prefill(1, 2, 1),
    TextDelta("ü", 1, (TokenLogprob(5, b"\xc3", -0.5, (TokenLogprob(6, b"x", -1.0),)),)),
    ReasoningDelta("hm", 2),
    ToolCallDelta(0, "id", "name", "{}", 1),
    ChoiceFinished(FinishReason.LENGTH, 1, "stop"),
    Embedding(b"\x00\x00\x80?", 1),
    Ranking((Relevance(1, 0.75), Relevance(0, 0.1))),
    Tokenized((1, 2), (b"\xc3", b"")),
    Tokenized(()),
    Echo("x", (TokenLogprob(5, b"x", 0.0),), 1),
    Detokenized("\ufffd"),
    Rendered("<|im_start|>"),
    Finished(Usage(1, 2, 3, 4), Timings(0.25, 0.5)),
]

REQUESTS: list[Request] = [
    GenerateRequest("m", TextPrompt("x")),
    GenerateRequest(
        "m",
        TokenPrompt((1, 2, 3)),
        ignore_end=True,
        more_prompts=(TextPrompt("y"),),
        echo=True,
        priority=3,
        backend="b",
    ),
    GenerateRequest(
        "m",
        ChatPrompt(
            messages=(
                m.Message(
                    m.Author.USER,
                    (m.TextPart("a"), m.ImagePart(b"\x00", "image/png"), m.AudioPart(b"1", "x/y")),
                    name="bob",
                ),
                m.Message(
                    m.Author.ASSISTANT,
                    tool_calls=(m.ToolCall("1", "f", "{}"),),
                    reasoning="because",
                ),
                m.Message(m.Author.TOOL, (m.TextPart("r"),), tool_call_id="1"),
            ),
            tools=(m.Tool("f", "does", {"type": "object"}, strict=True),),
            tool_choice=m.ToolChoice(m.ToolChoiceMode.REQUIRED, "f"),
            parallel_tool_calls=False,
            add_generation_prompt=False,
            template_arguments={"enable_thinking": False},
        ),
        sampling=SamplingParams(temperature=0.0, seed=2**40, logit_bias={1: -100.0}, logprobs=3),
        max_tokens=5,
        stop=("a", "b"),
        n=2,
        constraint=Constraint(ConstraintKind.REGEX, "a+"),
        adapters=("lora",),
    ),
    GenerateRequest("m", TextPrompt("x", "y")),
    GenerateRequest(
        "m",
        ChatPrompt(
            (m.Message(m.Author.ASSISTANT, (m.TextPart("x"),)),), continue_final_message=True
        ),
    ),
    EmbedRequest("m", (TextPrompt("x"), TokenPrompt((1, 2)))),
    TokenizeRequest("m", TextPrompt("x"), add_special=False, parse_special=False, backend="b"),
    DetokenizeRequest("m", (1, 2), priority=1),
    RenderRequest(
        "m", ChatPrompt((m.Message(m.Author.USER, (m.TextPart("x"),)),)), keep_alive_s=1.0
    ),
    EmbedRequest("m", (TextPrompt("x"),), 5, normalize=False, backend="b", priority=1),
    RerankRequest("m", "q", ("a", "b")),
    RerankRequest("m", "q", ("a",), top_n=3, backend="b", priority=1),
]


def test_events_arrive_unchanged() -> None:
    """Every kind of event crosses the pipe as it is."""

    sent = list(enumerate(EVENTS))

    (step,) = FrameReader[FromRunner](FromRunner).feed(encode_frame(Step.from_domain(sent)))

    assert isinstance(step, Step)
    assert sent == step.to_domain()


def test_failures_arrive_with_their_data() -> None:
    """A failed request's error keeps its class and numbers."""

    error = ContextLengthExceededError(prompt_tokens=3, context_length=2)

    (step,) = FrameReader[FromRunner](FromRunner).feed(
        encode_frame(Step.from_domain([(0, Failed(error))]))
    )

    assert isinstance(step, Step)
    ((_, event),) = step.to_domain()
    assert isinstance(event, Failed)
    assert vars(error) == vars(event.error)


@pytest.mark.parametrize("request_", REQUESTS)
def test_requests_arrive_unchanged(request_: Request) -> None:
    """Every field of a request crosses the pipe."""

    frame = Submit(7, request_to_wire(request_))

    (arrived,) = FrameReader[ToRunner](ToRunner).feed(encode_frame(frame))

    assert isinstance(arrived, Submit)
    assert request_ == arrived.request.to_domain()


def test_the_field_of_a_constraint_arrives() -> None:
    """Errors of the runner name the field as the client wrote it."""
    sent = GenerateRequest(
        "m", TextPrompt("a"), constraint=Constraint(ConstraintKind.REGEX, "a", "guided.regex")
    )

    arrived = GenerateRequestWire.from_domain(sent).to_domain()

    assert arrived.constraint is not None
    assert "guided.regex" == arrived.constraint.param


@given(st.lists(st.integers(1, 40), max_size=30))
def test_frames_arrive_whole_however_the_bytes_are_cut(cuts: list[int]) -> None:
    """The reader gives the same frames for any chunking."""

    data = b"".join(encode_frame(Cancel(number)) for number in range(5))
    reader = FrameReader[ToRunner](ToRunner)
    frames = []
    for cut in [*cuts, len(data)]:
        frames += reader.feed(data[:cut])
        data = data[cut:]

    assert [Cancel(number) for number in range(5)] == frames


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x02hi"])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    """Lengths and bodies that cannot be ours end the conversation."""

    with pytest.raises(BrokenFrameError):
        FrameReader[ToRunner](ToRunner).feed(data)


@pytest.mark.parametrize(
    "request_",
    [
        DetokenizeRequest("m", (2**70,)),
        GenerateRequest("m", TextPrompt("x"), sampling=SamplingParams(seed=-(2**70))),
        GenerateRequest("m", ChatPrompt((), template_arguments={"a": 2**70})),
        GenerateRequest("m", TextPrompt("\ud800")),
    ],
)
def test_what_no_frame_can_carry_is_the_callers_error(request_: Request) -> None:
    """JSON has larger numbers than frames, and halves of characters."""
    with pytest.raises(InvalidRequestError, match="cannot be handed on"):
        encode_frame(Submit(0, request_to_wire(request_)))
