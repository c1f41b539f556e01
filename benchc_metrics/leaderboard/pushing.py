"""Hand a submission in: a pull request on the hub that adds its folder to the dataset repository of submissions."""

from __future__ import annotations

import shlex
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from benchc_metrics.leaderboard.schema import HubId, SubmissionRecord
from benchc_metrics.messages import quoted

__all__ = ["check_repository", "place_of", "push_submission", "pushed_files"]


def check_repository(repository: str) -> str:
    """Return the repository's name if the hub allows it.

    Raises
    ------
    ValueError
        If the name is not `ORG/NAME`.
    """
    try:
        TypeAdapter(HubId).validate_python(repository)
    except ValidationError:
        raise ValueError(f"{quoted(repository)} is not the name of a hub repository: write --push ORG/NAME") from None
    return repository


def place_of(record: SubmissionRecord) -> str:
    """Name the submission's folder in the repository: the model and when the submission was written.

    Each submission of a model gets its own folder, so that none overwrites an earlier one.
    """
    return f"{record.model.id}/{record.created.removesuffix('Z').replace(':', '')}"


def pushed_files(folder: Path) -> list[tuple[str, int]]:
    """List the files to send: the path relative to the submission, and the size in bytes."""
    return sorted(
        (path.relative_to(folder).as_posix(), path.stat().st_size) for path in folder.rglob("*") if path.is_file()
    )


def push_submission(folder: Path, record: SubmissionRecord, repository: str) -> str:
    """Open a pull request with the submission's files.

    Parameters
    ----------
    folder : Path
        As `write_submission` wrote it.
    record : SubmissionRecord
        Its record.
    repository : str
        Id ORG/NAME of a dataset repository.

    Returns
    -------
    str
        Address of the pull request.

    Raises
    ------
    ValueError
        If the hub refuses or is out of reach; the folder stays, and the sentence holds the command that sends it.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    place = place_of(record)
    again = f"`hf upload {repository} {shlex.quote(str(folder))} {place} --repo-type dataset --create-pr`"
    try:
        # One commit that opens the pull request: `upload_folder` opens it first and may leave it empty.
        commit = HfApi().create_commit(
            repository,
            [CommitOperationAdd(f"{place}/{path}", folder / path) for path, _ in pushed_files(folder)],
            repo_type="dataset",
            commit_message=f"Add a submission of {record.model.id}",
            commit_description=f"{record.dataset.samples} samples of {record.dataset.id}, evaluated by "
            f"{record.source.organisation}.",
            create_pr=True,
        )
    except GatedRepoError as error:
        raise ValueError(
            f"the repository {quoted(repository)} is gated: accept its terms on the hub, run `hf auth login`, and send "
            f"the submission with {again}"
        ) from error
    except RepositoryNotFoundError as error:
        raise ValueError(
            f"the hub shows you no dataset repository {quoted(repository)}: correct the name or run `hf auth login`, "
            f"and send the submission with {again}"
        ) from error
    except HfHubHTTPError as error:
        raise ValueError(
            f"the hub refused the submission ({error.response.status_code}): run `hf auth login` with a token that may "
            f"write, and send it with {again}"
        ) from error
    # Out of reach, for one of many reasons.
    except Exception as error:
        raise ValueError(
            f"the hub is out of reach ({type(error).__name__}): send the submission later with {again}"
        ) from error
    return commit.pr_url or str(commit)
