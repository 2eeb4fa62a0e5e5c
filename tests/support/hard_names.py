"""Hard cases of models' names: one list for the parser, every command and every route."""

from __future__ import annotations

HEX = "0123456789abcdef" * 4

MEANT = {
    "smollm2": "docker.io/ai/smollm2:latest",
    "smollm2:135m": "docker.io/ai/smollm2:135m",
    "me/smollm2": "docker.io/me/smollm2:latest",
    "SmolLM2:Q4_K_M": "docker.io/ai/smollm2:Q4_K_M",
    "localhost/x": "localhost/x:latest",
    "LocalHost/x": "localhost/x:latest",
    "localhost:5000": "docker.io/ai/localhost:5000",
    "127.0.0.1:5000/x": "127.0.0.1:5000/x:latest",
    "[::1]:5000/x/y:z": "[::1]:5000/x/y:z",
    "hf.co/Org/Repo:Q4_K_M": "hf.co/org/repo:Q4_K_M",
    "huggingface.co/Org/Repo:Q4_K_M": "hf.co/org/repo:Q4_K_M",
    "index.docker.io/ai/x": "docker.io/ai/x:latest",
    "registry-1.docker.io/x": "docker.io/ai/x:latest",
    "REG.Example:5000/Team/X:V1": "reg.example:5000/team/x:V1",
    "https.example/x": "https.example/x:latest",
    "docker.io/a.b/x": "docker.io/a.b/x:latest",
    "docker.io/localhost/x": "docker.io/localhost/x:latest",
    "a__b/c--d/e.f:_": "docker.io/a__b/c--d/e.f:_",
}
"""What each name means, complete."""

WRONG = (
    ":tag",
    "ai/",
    "/",
    "ai//x",
    "ai/x:",
    "ai/x:a b",
    f"ai/x:{'t' * 129}",
    "a" * 256,
    "ai/x@",
    "ai/x@sha256:12",
    f"ai/x@md5:{HEX[:32]}",
    f"ai/x@sha256:{HEX.upper()}",
    "https://reg.example/ai/x",
    "reg.example:99999/x",
    "ai/../x",
    "ai/..%2fx",
    "ai/x:../../y",
    "-ai/x",
    "ai/x-",
    "ai/k\u00f6ln",
    "ai/\u212aelvin",
    "ai/x\ny",
    "wheel:",
)
"""Names of nothing."""
