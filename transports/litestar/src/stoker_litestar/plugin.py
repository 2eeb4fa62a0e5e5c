"""What this distribution offers to stoker: the transport `http` and its dialects."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stoker.dialect import Dialect, DialectSpec
from stoker.hookspecs import hookimpl
from stoker.transport import Transport, TransportContext, TransportSpec
from stoker_litestar.options import HttpOptions


def _http(context: TransportContext) -> Transport:
    from stoker_litestar.server import HttpTransport  # noqa: PLC0415 - imports the web framework

    options = context.options
    if not isinstance(options, HttpOptions):
        raise TypeError(f"options must be HttpOptions, not {type(options).__name__}")
    return HttpTransport(options, context.dialects, context.keys)


def _openai() -> Dialect:
    from stoker_litestar.dialects.openai.dialect import (  # noqa: PLC0415 - only when mounted
        openai_dialect,
    )

    return openai_dialect()


def _anthropic() -> Dialect:
    from stoker_litestar.dialects.anthropic.dialect import (  # noqa: PLC0415 - only when mounted
        anthropic_dialect,
    )

    return anthropic_dialect()


def _rerank() -> Dialect:
    from stoker_litestar.dialects.rerank.dialect import (  # noqa: PLC0415 - only when mounted
        rerank_dialect,
    )

    return rerank_dialect()


def _responses() -> Dialect:
    from stoker_litestar.dialects.responses.dialect import (  # noqa: PLC0415 - only when mounted
        responses_dialect,
    )

    return responses_dialect()


def _ollama() -> Dialect:
    from stoker_litestar.dialects.ollama.dialect import (  # noqa: PLC0415 - only when mounted
        ollama_dialect,
    )

    return ollama_dialect()


def _docker() -> Dialect:
    from stoker_litestar.dialects.docker.dialect import (  # noqa: PLC0415 - only when mounted
        docker_dialect,
    )

    return docker_dialect()


def _below_engines(make: Callable[[], Dialect]) -> Callable[[], Dialect]:
    """An API below the prefixes of Docker Model Runner."""

    def factory() -> Dialect:
        from stoker_litestar.dialects.docker.dialect import PREFIXES  # noqa: PLC0415 - as above
        from stoker_litestar.dialects.prefix import below  # noqa: PLC0415 - as above

        return below(make(), PREFIXES)

    return factory


@hookimpl
def stoker_register_transports() -> Iterable[TransportSpec]:
    """The HTTP transport, which is the main one."""
    return [TransportSpec("http", _http, options_type=HttpOptions, priority=100)]


@hookimpl
def stoker_register_dialects() -> Iterable[DialectSpec]:
    """The APIs of OpenAI, Anthropic, Ollama and Docker Model Runner, and reranking."""
    return [
        DialectSpec("anthropic", _anthropic),
        DialectSpec("openai", _openai),
        DialectSpec("rerank", _rerank),
        DialectSpec("responses", _responses),
        DialectSpec("ollama", _ollama),
        DialectSpec("docker", _docker),
        DialectSpec("docker-anthropic", _below_engines(_anthropic)),
        DialectSpec("docker-openai", _below_engines(_openai)),
        DialectSpec("docker-rerank", _below_engines(_rerank)),
        DialectSpec("docker-responses", _below_engines(_responses)),
    ]
