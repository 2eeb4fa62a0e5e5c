"""What a loaded model takes in memory, as llama.cpp's log tells it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from stoker_llama_cpp.log import LogLine

# "load_tensors:   CPU_Mapped model buffer size =    93.80 MiB", and the same for the KV cache, the
# outputs and the computation. No function of the C interface tells these.
_BUFFER = re.compile(r"buffer size = +(\d+(?:\.\d+)?) MiB")


def memory_bytes(lines: Iterable[LogLine]) -> int | None:
    """Add up the buffers of which a load's log tells; None when it tells of none."""
    sizes_mib = [float(match[1]) for line in lines if (match := _BUFFER.search(line.text))]
    return round(sum(sizes_mib) * 1024 * 1024) if sizes_mib else None
