"""What the routes of the OpenAI APIs take and give."""

from __future__ import annotations

from stoker.dialect import RouteDescription
from stoker_litestar.dialects.openai.chat_fields import CHAT_FIELDS
from stoker_litestar.dialects.openai.completion_fields import COMPLETION_FIELDS
from stoker_litestar.dialects.openai.embedding_fields import EMBEDDING_FIELDS
from stoker_litestar.dialects.openai.wire import tokenizing
from stoker_litestar.dialects.openai.wire.chat_request import ChatRequest
from stoker_litestar.dialects.openai.wire.chat_response import ChatChunk, ChatCompletion
from stoker_litestar.dialects.openai.wire.completion_request import CompletionRequest
from stoker_litestar.dialects.openai.wire.completion_response import Completion
from stoker_litestar.dialects.openai.wire.embedding_request import EmbeddingRequest
from stoker_litestar.dialects.openai.wire.embedding_response import EmbeddingList
from stoker_litestar.dialects.openai.wire.model import ModelList, ModelObject

MODELS = RouteDescription("Lists the models.", response=ModelList)
MODEL = RouteDescription("Describes a model.", response=ModelObject)
CHAT = RouteDescription(
    "Answers a conversation.",
    ChatRequest,
    ChatCompletion,
    ChatChunk,
    notes=CHAT_FIELDS.notes,
    refused=CHAT_FIELDS.refused,
)
COMPLETION = RouteDescription(
    "Continues a text.",
    CompletionRequest,
    Completion,
    Completion,
    notes=COMPLETION_FIELDS.notes,
    refused=COMPLETION_FIELDS.refused,
)
EMBEDDING = RouteDescription(
    "Makes vectors of texts.",
    EmbeddingRequest,
    EmbeddingList,
    notes=EMBEDDING_FIELDS.notes,
    refused=EMBEDDING_FIELDS.refused,
)
INPUT_TOKENS = RouteDescription(
    "Counts the tokens of a conversation, its tools included.",
    ChatRequest,
    tokenizing.InputTokens,
    notes=CHAT_FIELDS.notes,
    refused=CHAT_FIELDS.refused,
)
TOKENIZE = RouteDescription(
    "Tells the tokens of a text or a conversation.",
    tokenizing.TokenizeBody,
    tokenizing.TokenizeAnswer,
)
DETOKENIZE = RouteDescription(
    "Tells the text of tokens.", tokenizing.DetokenizeBody, tokenizing.DetokenizeAnswer
)
TEMPLATE = RouteDescription(
    "Writes a conversation out as the model's chat template does.",
    tokenizing.TemplateBody,
    tokenizing.TemplateAnswer,
)
