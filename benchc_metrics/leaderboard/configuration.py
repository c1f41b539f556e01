"""The maintainers' configuration file, which decides what a leaderboard is over; no submission does.

    schema: benchc.leaderboard/1
    title: Bench-C leaderboard
    dataset:
      id: ORG/NAME                 # on the hub
      revision: 0123abc            # its git revision there
      fingerprint: ab8f...         # printed by `benchc info`
    engine: "1"                    # the version of the installed benchc by default
    prompt: "{question}..."        # the prompt of the tasks by default
    ras_reading: brier             # how RAS reads calibration alignment; brier by default
    address: https://...           # where submissions are handed in
    install: benchc==0.1.0         # what pip installs for it; the version that makes the site by default

Only `schema` and the dataset's `id` and `fingerprint` must be there.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from benchc_metrics.leaderboard.schema import HubId, Name, Revision, Strict, Text, Url, first_fault
from benchc_metrics.leaderboard.strict_text import parse_yaml
from benchc_metrics.messages import reason_of
from benchc_metrics.metrics.ras import DEFAULT_READING, Reading

__all__ = ["CONFIGURATION_SCHEMA", "DatasetOfSite", "LeaderboardConfiguration", "read_configuration"]

CONFIGURATION_SCHEMA: Literal["benchc.leaderboard/1"] = "benchc.leaderboard/1"
_LARGEST_CONFIGURATION = 100_000


class DatasetOfSite(Strict):
    """The dataset that all submissions of a site are over."""

    id: HubId
    revision: Revision | None = None
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]


class LeaderboardConfiguration(Strict):
    """The content of the file; see the module's text.

    Attributes
    ----------
    schema_version : str
        Written as `schema`.
    title : str
        Heading of the site.
    dataset : DatasetOfSite
    engine, prompt : str or None
        What submissions must have been evaluated with; None stands for those of the installed benchc.
    ras_reading : str
        Of RAS; submissions of another reading are not shown.
    address : str or None
        Where submissions are handed in.
    install : str or None
        What `pip install` is given by those who submit.
    """

    schema_version: Literal["benchc.leaderboard/1"] = Field(alias="schema")
    title: Name = "Bench-C leaderboard"
    dataset: DatasetOfSite
    engine: Name | None = None
    prompt: Text | None = None
    ras_reading: Reading = DEFAULT_READING
    address: Url | None = None
    install: Name | None = None


def read_configuration(file: str | PathLike[str]) -> LeaderboardConfiguration:
    """Read a configuration file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not YAML, of another schema version, or a field is missing, unknown, twice there or of another type;
        one sentence that names the file and the field.
    """
    path = Path(file)
    try:
        with path.open(encoding="utf-8") as opened:
            text = opened.read(_LARGEST_CONFIGURATION + 1)
        if len(text) > _LARGEST_CONFIGURATION:
            raise ValueError(f"it has more than {_LARGEST_CONFIGURATION} characters")
        return LeaderboardConfiguration.model_validate(parse_yaml(text))
    except ValidationError as refusal:
        raise ValueError(f"{path}: {first_fault(refusal)}; docs/leaderboard.md lists the fields") from None
    except UnicodeDecodeError as fault:
        raise ValueError(f"{path} is not UTF-8 ({reason_of(fault)}): write it again as UTF-8") from None
    except ValueError as fault:
        raise ValueError(f"{path} cannot be read as YAML ({fault})") from None
