"""A key is in nothing that a run prints or leaves behind, even where the server says it aloud."""

from __future__ import annotations

import pytest
from forked_evaluations import ForkedEvaluation, forking_server
from openai_server import MODEL, Asked, OpenAIServer, Reply, answer, refusal

from benchc_metrics.runs import read_run
from benchc_tasks.commands import cli
from benchc_tasks.datasets import write_dataset
from support import rows_of_samples

KEY = "sk-proj-Zq8wLr5tYv2xNb7k"
ARGUMENT_KEY = "sk-argument-Hd3mPs9cUf6j"
UNLUCKY, REFUSED = "unlucky-vlm", "refused-vlm"


def echo(asked: Asked) -> Reply:
    """Say the key to one model's every fifth picture, and to all questions of another."""
    said = f"Incorrect API key provided: {asked.headers['Authorization']} ({KEY}, {KEY[:14]}...)"
    model = asked.body.get("model")
    if model == REFUSED and asked.is_question:
        return refusal(401, said, headers=dict(asked.headers))
    if model == UNLUCKY and asked.is_question and "shape" in asked.text and sum(asked.picture.encode()) % 5 == 0:
        return refusal(400, said)
    return answer(asked)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ForkedEvaluation]:
    """Runs with and without cache and samples log, some of which fail."""
    server = OpenAIServer()
    server.behave = echo
    data, folder = tmp_path_factory.mktemp("data") / "samples.parquet", tmp_path_factory.mktemp("left")
    write_dataset(data, rows_of_samples(2))
    served = f"backend=openai,base_url={server.url},retry_backoff_s=0.01"
    user = server.url.replace("//", f"//me:{ARGUMENT_KEY}@")
    cached = ["--use_cache", str(folder / "cache")]
    arguments = {
        "whole": ["--model_args", f"{served},model={MODEL}"],
        "cached": ["--model_args", f"{served},model={UNLUCKY}", "--tasks", "benchc_fog", *cached],
        "again": ["--model_args", f"{served},model={UNLUCKY}", "--tasks", "benchc_fog", *cached],
        "async": ["--model_args", f"{served.replace('=', '=async_', 1)},model={UNLUCKY}", "--tasks", "benchc_fog"],
        "argument": ["--model_args", f"{served},model={MODEL},api_key={ARGUMENT_KEY}", *cached],
        "user": ["--model_args", f"backend=openai,model={MODEL},base_url={user}", *cached],
        "refused": ["--model_args", f"{served},model={REFUSED}", *cached],
        "loud": ["--model_args", f"{served},model={REFUSED}", "--verbosity", "DEBUG"],
    }
    environment = {"BENCHC_DATASET": str(data), "OPENAI_API_KEY": KEY}
    with forking_server() as forks:
        started = {
            name: forks.run(
                folder / name,
                ["--model", "benchc", "--tasks", "benchc", *some],
                environment=environment,
                log_samples=name != "async",
            )
            for name, some in arguments.items()
        }
    server.close()
    return started


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("refused", "refuses the key (401: Incorrect API key provided: Bearer *** (***, ***)): set OPENAI_API_KEY"),
        ("loud", "refuses the key (401: Incorrect API key provided: Bearer *** (***, ***)): set OPENAI_API_KEY"),
        ("argument", "api_key must not stand in --model_args, which lmms-eval prints and stores: set OPENAI_API_KEY"),
        ("user", "base_url must hold neither a user's name nor a password nor a query, since lmms-eval prints and"),
    ],
)
def test_a_run_that_fails_says_why(name: str, sentence: str, runs: dict[str, ForkedEvaluation]) -> None:
    assert sentence in " ".join(runs[name].output.split())


@pytest.mark.parametrize("name", ["cached", "again", "async"])
def test_questions_that_were_refused_have_the_server_s_words(name: str, runs: dict[str, ForkedEvaluation]) -> None:
    """Else nothing would be proved: these runs have answers, and reasons in which the key stood."""
    results = runs[name].results["results"]["benchc_fog"]
    assert 0 < results["invalid_pairs,none"] < 10
    assert "gave no answer (400: Incorrect API key provided: Bearer ***" in runs[name].output


def test_no_key_is_left(runs: dict[str, ForkedEvaluation], capsys: pytest.CaptureFixture[str]) -> None:
    """In what was printed, in the files of the runs, of the cache and of a submission made of one."""
    folder = runs["whole"].folder.parent
    words = ["-o", str(folder / "submission"), "--dataset-id", "lab/samples", "--model-id", "lab/tiny-vlm"]
    (whole,) = runs["whole"].folder.rglob("*_results.json")
    assert len(read_run(whole.parent).corruptions) == 19
    assert cli.main(["submit", str(whole.parent), *words]) == 0
    printed = capsys.readouterr()
    files = [path for path in folder.rglob("*") if path.is_file()]
    for name in ("cache", "submission", *runs):
        assert any(folder / name in path.parents for path in files), name
    for text in (printed.out.encode(), printed.err.encode(), *(path.read_bytes() for path in files)):
        assert KEY[:10].encode() not in text
        assert ARGUMENT_KEY[:15].encode() not in text
