"""Define the record of a sample, make records from responses, and read records of older versions."""

from benchc_metrics.records.record import (
    RECORD_KEY,
    SCHEMA,
    Obtained,
    SampleRecord,
    Sampling,
    read_samples_log,
)

__all__ = [
    "RECORD_KEY",
    "SCHEMA",
    "Obtained",
    "SampleRecord",
    "Sampling",
    "read_samples_log",
]
