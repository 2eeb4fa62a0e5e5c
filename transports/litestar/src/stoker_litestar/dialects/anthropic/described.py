"""What the routes of Anthropic's API take and give."""

from __future__ import annotations

from stoker.dialect import RouteDescription
from stoker_litestar.dialects.anthropic.count_tokens import TokenCount
from stoker_litestar.dialects.anthropic.message_fields import COUNT_FIELDS, MESSAGE_FIELDS
from stoker_litestar.dialects.anthropic.wire.model import ModelInfo, ModelPage
from stoker_litestar.dialects.anthropic.wire.request import MessagesRequest, PromptFields
from stoker_litestar.dialects.anthropic.wire.response import MessageObject, StreamEvent

MESSAGE = RouteDescription(
    "Answers a conversation.",
    MessagesRequest,
    MessageObject,
    StreamEvent,
    notes=MESSAGE_FIELDS.notes,
    refused=MESSAGE_FIELDS.refused,
)
COUNT = RouteDescription(
    "Counts the tokens that a conversation would be read as.",
    PromptFields,
    TokenCount,
    notes=COUNT_FIELDS.notes,
    refused=COUNT_FIELDS.refused,
)
MODELS = RouteDescription("Lists the models.", response=ModelPage)
MODEL = RouteDescription("Describes a model.", response=ModelInfo)
