"""Write a dataset under a condition as the tab-separated file that VLMEvalKit reads."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchc_metrics.benchmark import LETTERS, Condition
from benchc_metrics.files import replace_file
from benchc_metrics.messages import quoted
from benchc_tasks.datasets import SampleDataset
from benchc_tasks.stacks.pictures import ConditionedPicture

__all__ = ["TsvExport"]

_MEASURED = 8
"""Samples whose pictures are encoded to say how large the files will be."""


class TsvExport:
    """A dataset that is written once for each condition.

    Parameters
    ----------
    dataset : SampleDataset
    output : Path
        A folder, new or empty.
    limit : int, optional
        Only the first samples.

    Raises
    ------
    ValueError
        If the folder is in use, or a text holds a null character, which no TSV file can hold.
    """

    def __init__(self, dataset: SampleDataset, output: Path, limit: int | None = None) -> None:
        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise ValueError(f"the output {quoted(str(output))} is there already and not empty; name another with -o")
        self.samples = min(limit or len(dataset), len(dataset))
        self._dataset = dataset
        self._output = output
        rows = [row for row, _ in zip(dataset.without_images(), range(self.samples), strict=False)]
        for row in rows:
            if any("\0" in text for text in (row["id"], row["question"], *row["options"])):
                raise ValueError(f"sample {quoted(row['id'])} holds a null character, which no TSV file can: change it")
        self._letters = LETTERS[: max(len(row["options"]) for row in rows)]

    def bytes_of_one(self) -> float:
        """Estimate the bytes of one file from its first pictures under noise, which compresses worst."""
        measured = min(self.samples, _MEASURED)
        noisy = Condition("gaussian_noise", 3)
        return sum(len(self._image(position, noisy)) for position in range(measured)) / measured * self.samples

    def write(self, condition: Condition) -> Path:
        """Write the file of one condition.

        Parameters
        ----------
        condition : Condition
            Clean, or a corruption at a severity.

        Returns
        -------
        Path
            `BenchC_clean.tsv`, or `BenchC_fog_3.tsv`; the pictures are those that the tasks show, as PNG in base64.
        """
        name = "clean" if condition.is_clean else f"{condition.corruption}_{condition.severity}"
        text = io.StringIO()
        writer = csv.writer(text, delimiter="\t", lineterminator="\n")
        writer.writerow(["index", "id", "question", *self._letters, "answer", "category", "split", "image"])
        writer.writerows(self._rows(condition))
        self._output.mkdir(parents=True, exist_ok=True)
        path = self._output / f"BenchC_{name}.tsv"
        replace_file(path, text.getvalue())
        return path

    def _rows(self, condition: Condition) -> Iterator[list[str]]:
        with ThreadPoolExecutor() as pool:
            images = pool.map(lambda position: self._image(position, condition), range(self.samples))
            for position, image in enumerate(images):
                row = self._dataset[position]
                options = [*row["options"], *[""] * (len(self._letters) - len(row["options"]))]
                yield [
                    str(position),
                    row["id"],
                    row["question"],
                    *options,
                    LETTERS[row["answer"]],
                    row.get("category") or "",
                    str(condition),
                    image,
                ]

    def _image(self, position: int, condition: Condition) -> str:
        row = self._dataset[position]
        (picture,) = ConditionedPicture(self._dataset.fingerprint, row["id"], condition)(row)
        encoded = io.BytesIO()
        picture.save(encoded, "PNG", compress_level=1)
        return base64.b64encode(encoded.getvalue()).decode()
