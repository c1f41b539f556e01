"""Discriminative selection: from a pool and many models' answers to a subset that tells models apart."""

from benchc_tasks.selection.answers import open_answers
from benchc_tasks.selection.building import Settings, build_subset, rebuild_subset
from benchc_tasks.selection.encoders import Encoders
from benchc_tasks.selection.manifest import Manifest, read_manifest
from benchc_tasks.selection.sets import SETS, named_set

__all__ = [
    "SETS",
    "Encoders",
    "Manifest",
    "Settings",
    "build_subset",
    "named_set",
    "open_answers",
    "read_manifest",
    "rebuild_subset",
]
