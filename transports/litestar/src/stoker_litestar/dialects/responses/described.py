"""What the routes of the Responses API take and give."""

from __future__ import annotations

from stoker.dialect import RouteDescription
from stoker_litestar.dialects.responses.count import InputTokens
from stoker_litestar.dialects.responses.response_fields import COUNT_FIELDS, RESPONSE_FIELDS
from stoker_litestar.dialects.responses.stored import Deleted, ItemPage
from stoker_litestar.dialects.responses.wire import events
from stoker_litestar.dialects.responses.wire.request import CountRequest, ResponseRequest
from stoker_litestar.dialects.responses.wire.response import ResponseObject

_EVENT = (
    events.Created
    | events.InProgress
    | events.Completed
    | events.Incomplete
    | events.FailedEvent
    | events.ItemAdded
    | events.ItemDone
    | events.PartAdded
    | events.PartDone
    | events.TextDeltaEvent
    | events.TextDone
    | events.ReasoningDeltaEvent
    | events.ReasoningDone
    | events.SummaryAdded
    | events.SummaryDelta
    | events.SummaryTextDone
    | events.SummaryDone
    | events.ArgumentsDelta
    | events.ArgumentsDone
)

RESPONSE = RouteDescription(
    "Answers, and keeps the response.",
    ResponseRequest,
    ResponseObject,
    _EVENT,
    notes=RESPONSE_FIELDS.notes,
    refused=RESPONSE_FIELDS.refused,
)
COUNT = RouteDescription(
    "Counts the tokens that a request would be read as.",
    CountRequest,
    InputTokens,
    notes=COUNT_FIELDS.notes,
    refused=COUNT_FIELDS.refused,
)
COMPACTION = RouteDescription("Is not there: conversations are not compacted.")
STORED = RouteDescription("Tells a response that was kept.", response=ResponseObject)
DELETED = RouteDescription("Removes a response that was kept.", response=Deleted)
ITEMS = RouteDescription("Lists what the model read for a response.", response=ItemPage)
CANCEL = RouteDescription("Is always an error: nothing is made in the background.")
