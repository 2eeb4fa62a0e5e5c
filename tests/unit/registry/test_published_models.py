"""Models as real publishers put them into registries: pulled, opened, and described."""

from __future__ import annotations

import json

import pytest
from gguf_file import gguf_bytes

from stoker.artifact import ModelFacts
from stoker.errors import UnknownFormatError
from stoker.media_types import GGUF, SAFETENSORS, MediaType, Role
from stoker.selection import decide
from stoker.wire.manifest import encode_manifest
from stoker_registry.store import OciStore

from .conftest import FakeRegistry, ignore

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
IMAGE_CONFIG = "application/vnd.docker.container.image.v1+json"
WEIGHTS = gguf_bytes(
    {
        "general.architecture": "llama",
        "general.size_label": "8",
        "general.file_type": 15,
        "general.license": "apache-2.0",
        "llama.context_length": 512,
        "tokenizer.chat_template": "{{ messages }}",
    }
)
FACTS = ModelFacts(
    "gguf", "llama", "8", "Q4_K_M", 512, has_chat_template=True, license="apache-2.0"
)


def publish(
    registry: FakeRegistry,
    layers: list[tuple[str, bytes, str | None]],
    config: object,
    config_type: str = IMAGE_CONFIG,
    manifest_type: str = DOCKER_MANIFEST,
) -> None:
    """Have a model whose manifest says what it is in its own way."""
    manifest = registry.add(layers, config=json.dumps(config).encode(), config_type=config_type)
    document = json.loads(encode_manifest(manifest)) | {"mediaType": manifest_type}
    registry.add_manifest(json.dumps(document).encode(), media_type=manifest_type)


def test_a_model_of_ollamas_registry(store: OciStore, registry: FakeRegistry) -> None:
    """The weights run, the Go template is kept but is no chat template, and defaults are known."""
    kind = "application/vnd.ollama.image."
    publish(
        registry,
        [
            (f"{kind}model", WEIGHTS, None),
            (f"{kind}template", b"{{ .Prompt }}", None),
            (f"{kind}params", b'{"stop":["x"]}', None),
            (f"{kind}license", b"Apache", None),
        ],
        {"model_format": "gguf", "model_family": "llama", "model_type": "8", "file_type": "Q4_K_M"},
    )

    artifact = store.pull(registry.reference(), ignore)
    bundle = store.open(artifact)

    assert [WEIGHTS] == [path.read_bytes() for path in bundle.weights]
    assert [Role.WEIGHTS, Role.OTHER, Role.PARAMETERS, Role.LICENSE] == [
        item.role for item in bundle.files
    ]
    assert FACTS == artifact.facts


def test_a_model_of_hugging_faces_registry(store: OciStore, registry: FakeRegistry) -> None:
    """What `hf.co` serves has Docker's type for the weights under an image's config."""
    publish(registry, [(str(GGUF), WEIGHTS, None)], {"model_format": "gguf"})

    artifact = store.pull(registry.reference(), ignore)

    assert [GGUF] == [item.media_type for item in store.open(artifact).files]
    assert FACTS == artifact.facts


def test_a_config_that_says_nothing(store: OciStore, registry: FakeRegistry) -> None:
    """Docker's first form without any key in its config is described by its weights."""
    publish(
        registry,
        [(str(GGUF), WEIGHTS, None)],
        {},
        "application/vnd.docker.ai.model.config.v0.1+json",
        "application/vnd.oci.image.manifest.v1+json",
    )

    facts = store.pull(registry.reference(), ignore).facts

    # The format alone is the publisher's to say, for it decides what the layers are.
    assert ModelFacts(None, *[getattr(FACTS, name) for name in _NAMES]) == facts


_NAMES = (
    *("architecture", "parameters", "quantization", "context_length"),
    *("has_chat_template", "license"),
)


@pytest.mark.parametrize("prefix", ["cncf", "cnai"])
def test_a_modelpack_with_old_and_new_names(
    store: OciStore, registry: FakeRegistry, prefix: str
) -> None:
    """ModelPack's present and former media types mean the same."""
    raw = f"application/vnd.{prefix}.model.weight.v1.raw"
    publish(
        registry,
        [(raw, WEIGHTS, "m.gguf"), (f"application/vnd.{prefix}.model.doc.v1.raw", b"#", "R.md")],
        {"config": {"format": "gguf"}, "modelfs": {"type": "layers", "diffIds": []}},
        f"application/vnd.{prefix}.model.config.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
    )

    artifact = store.pull(registry.reference(), ignore)

    assert [(Role.WEIGHTS, GGUF)] == [
        (item.role, item.media_type) for item in store.open(artifact).files[:1]
    ]
    assert FACTS == artifact.facts


@pytest.mark.parametrize(
    ("media_type", "reason"),
    [
        ("application/vnd.ollama.image.tensor", "one blob per tensor"),
        ("application/vnd.docker.ai.dduf", "makes images"),
    ],
)
def test_what_cannot_run_is_pulled_and_says_why(
    store: OciStore, registry: FakeRegistry, media_type: str, reason: str
) -> None:
    """Keeping such a model is fine; choosing a backend for it fails with a reason."""
    publish(registry, [(media_type, b"?", None)], {})
    artifact = store.pull(registry.reference(), ignore)

    with pytest.raises(UnknownFormatError, match=reason):
        decide(store._chain.own.formats.layers(artifact), {}).require()


def test_a_docker_model_of_files(store: OciStore, registry: FakeRegistry) -> None:
    """Docker's second form keeps every file of a folder under its own path."""
    kind = "application/vnd.docker.ai.model.file"
    publish(
        registry,
        [
            (str(SAFETENSORS), b"\2\0\0\0\0\0\0\0{}", "model.safetensors"),
            (kind, b'{"model_type":"llama","max_position_embeddings":64}', "config.json"),
            (kind, b"{}", "sub/tokenizer.json"),
        ],
        {"config": {"format": "safetensors"}},
        "application/vnd.docker.ai.model.config.v0.2+json",
        "application/vnd.oci.image.manifest.v1+json",
    )

    artifact = store.pull(registry.reference(), ignore)
    bundle = store.open(artifact)

    assert [
        ("model.safetensors", MediaType(SAFETENSORS), Role.WEIGHTS),
        ("config.json", MediaType(kind), Role.CONFIG),
        ("tokenizer.json", MediaType(kind), Role.TOKENIZER),
    ] == [(item.path.name, item.media_type, item.role) for item in bundle.files]
    assert ("llama", 64) == (artifact.facts.architecture, artifact.facts.context_length)
