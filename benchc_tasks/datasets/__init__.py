"""Datasets of Bench-C: the sample schema, loading and checking, the bundled demonstration set."""

from benchc_tasks.datasets.images import decode_image
from benchc_tasks.datasets.loading import check_images, image_problem, load_dataset, write_dataset
from benchc_tasks.datasets.samples import SampleDataset
from benchc_tasks.datasets.schema import DatasetError
from benchc_tasks.datasets.sources import SOURCE_VARIABLE

__all__ = [
    "SOURCE_VARIABLE",
    "DatasetError",
    "SampleDataset",
    "check_images",
    "decode_image",
    "image_problem",
    "load_dataset",
    "write_dataset",
]
