"""The workloads, by name, in the order in which they matter."""

from __future__ import annotations

from comparison.workload import Workload
from comparison.workloads.arrival import LongArrival
from comparison.workloads.copying import Copying
from comparison.workloads.day import MixedDay
from comparison.workloads.few import (
    FewFour,
    FewShared,
    FewSingle,
    FewStructured,
    SeedsFour,
)
from comparison.workloads.process import ColdStart, Memory
from comparison.workloads.requests import ShortRequests
from comparison.workloads.shared import SharedPrompt
from comparison.workloads.streams import BusyCore, FourStreams, Single, SixteenStreams
from comparison.workloads.structured import StructuredEight, StructuredSingle

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Single(),
        FourStreams(),
        SixteenStreams(),
        SharedPrompt(),
        StructuredSingle(),
        StructuredEight(),
        Copying(),
        LongArrival(),
        BusyCore(),
        ShortRequests(),
        Memory(),
        MixedDay(),
        ColdStart(),
        FewSingle(),
        FewFour(),
        SeedsFour(),
        FewShared(),
        FewStructured(),
    )
}
