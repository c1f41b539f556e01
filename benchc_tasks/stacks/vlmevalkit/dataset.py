"""The dataset of VLMEvalKit: rows whose pictures are corrupted when a model asks for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from vlmeval.dataset.image_base import ImageBaseDataset
from vlmeval.smp import load

from benchc_tasks.stacks.vlmevalkit.names import NamedData
from benchc_tasks.stacks.vlmevalkit.rows import Row, table_of, write_picture

__all__ = ["Launch", "RowMessage", "dataset_class"]


class RowMessage(list[dict[str, str]]):
    """What a model is asked: a picture and a text; it knows its row."""

    rows: list[Row]
    place: int


@dataclass
class Launch:
    """State that the datasets of one launch share.

    Attributes
    ----------
    data : mapping of str to NamedData
    rows : mapping of str to list of Row
        Those of each dataset.
    pictures : Path or None
        The folder of the picture files; None where the model reads rows itself.
    finish : callable
        Called with a dataset, its rows and the text of each row by its index; writes the records and returns metrics.
    """

    data: dict[str, NamedData]
    rows: dict[str, list[Row]]
    pictures: Path | None
    finish: Callable[[NamedData, list[Row], dict[str, str]], dict[str, Any]]


def dataset_class(launch: Launch) -> type[ImageBaseDataset]:
    """Make the class of the datasets of a launch."""

    class BenchCDataset(ImageBaseDataset):  # type: ignore[misc]  # VLMEvalKit is skipped
        """A corruption over the samples; see `Launch`."""

        TYPE = "MCQ"
        # A model's own prompt would be another question than the one that the record names.
        force_use_dataset_prompt = True

        @classmethod
        def supported_datasets(cls) -> list[str]:
            return list(launch.data)

        def __init__(self, dataset: str, **_: Any) -> None:
            self.rows = launch.rows[dataset]
            self._places = {row.index: place for place, row in enumerate(self.rows)}
            super().__init__(dataset, skip_noimg=False)

        def load_data(self, dataset: str) -> pd.DataFrame:
            return pd.DataFrame(table_of(self.rows))

        def build_prompt(self, line: Any) -> RowMessage:
            place = self._places[str(line["index"])]
            row = self.rows[place]
            shown = str(write_picture(row, launch.pictures)) if launch.pictures is not None else row.index
            message = RowMessage([{"type": "image", "value": shown}, {"type": "text", "value": row.prompt}])
            message.rows, message.place = self.rows, place
            return message

        def dump_image(self, line: Any) -> list[str]:
            row = self.rows[self._places[str(line["index"])]]
            if launch.pictures is None:
                raise ValueError("the model benchc reads rows, and no picture files are written for it")
            return [str(write_picture(row, launch.pictures))]

        def evaluate(self, eval_file: str, **_: Any) -> dict[str, Any]:
            table = load(eval_file)
            texts = dict(zip(map(str, table["index"]), map(str, table["prediction"]), strict=True))
            return launch.finish(launch.data[self.dataset_name], self.rows, texts)

    return BenchCDataset
