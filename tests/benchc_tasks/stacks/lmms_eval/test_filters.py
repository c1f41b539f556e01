"""The filter inside lmms-eval's own pipeline, and what the rest of the package may import."""

import subprocess
import sys

import pytest
from lmms_eval.api.instance import GenerationResult, Instance, unwrap_generation_output
from lmms_eval.filters import build_filter_ensemble

from benchc_metrics.records.assembly import assemble_record
from benchc_metrics.responses import OptionResponse
from benchc_tasks.stacks.lmms_eval.filters import GeneratedAnswerFilter, OptionLogLikelihoodFilter

NAN = float("nan")


def filtered(responses):
    """Responses after lmms-eval's filter pipeline, as `process_results` gets them."""
    instances = [
        Instance(
            request_type="loglikelihood",
            arguments=("context", "A"),
            idx=idx,
            metadata={"task": "benchc_fog", "doc_id": 0, "repeats": 1},
            resps=repeats,
        )
        for idx, repeats in enumerate(responses)
    ]
    build_filter_ensemble("none", [[OptionLogLikelihoodFilter, {}]]).apply(instances, [None] * len(instances))
    return [instance.filtered_resps["none"] for instance in instances]


def test_every_form_of_response_becomes_an_option_response_in_the_order_of_the_requests():
    written, _ = unwrap_generation_output((-0.25, False))
    assert filtered([[(-0.5, True)], [[-1.5, False]], [written], [(-2.0, False), (-9.0, False)]]) == [
        OptionResponse(-0.5, True),
        OptionResponse(-1.5, False),
        OptionResponse(-0.25, False),
        OptionResponse(-2.0, False),
    ]


@pytest.mark.parametrize(
    ("repeats", "reason"),
    [
        ([(NAN, False)], "the backend returned nan: try float32 or bfloat16"),
        (["(nan, False)"], "the backend returned nan: try float32 or bfloat16"),
        ([], "the backend returned no response: its own log may say why"),
        (["A"], "is not a pair of a number and a boolean"),
        ([None], "is not a pair of a number and a boolean"),
    ],
)
def test_bad_response_is_marked_and_the_others_stay(repeats, reason):
    good, bad = filtered([[(-0.5, True)], repeats])
    assert good == OptionResponse(-0.5, True)
    assert set(bad) == {"invalid"}
    assert reason in bad["invalid"]


def test_filtered_responses_become_a_record():
    responses = [[(-0.5, True)], ["(-1.5, False)"], [["-0.5", True]], [(-1.0, False)]]
    record = assemble_record(
        filtered(responses),
        conditions=["clean", "fog@3"],
        option_count=2,
        answer=0,
        sample="photo-7",
        dataset="d",
        engine="1",
        benchc="0.1.0",
        prompt="p",
    )
    assert record.log_likelihoods == ((-0.5, -1.5), None)
    assert record.invalid["fog@3"].startswith("option 0: response ['-0.5', True] is not a pair")


def test_records_and_metrics_import_no_stack_nor_torch():
    modules = ["", ".benchmark", ".records", ".records.assembly", ".responses", ".responses.letters", ".runs"]
    modules += [".metrics.calibration", ".metrics.ras", ".metrics.registry", ".metrics.sums"]
    program = (
        f"import sys, {', '.join('benchc_metrics' + module for module in modules)}\n"
        "print(sorted({'torch', 'lmms_eval', 'scipy', 'sklearn', 'benchc_tasks'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_first_answer_is_kept_whole_and_what_is_none_says_why():
    backend = [GenerationResult("<think>A</think> B"), "C", GenerationResult(None), ["A", "B"]]  # type: ignore[arg-type]
    responses = [[unwrap_generation_output(output)[0], "not looked at"] for output in backend]
    assert GeneratedAnswerFilter().apply([*responses, []], docs=[]) == [
        {"text": "<think>A</think> B"},
        {"text": "C"},
        {"invalid": "the backend returned no text"},
        {"invalid": "the backend returned ['A', 'B'], which is not text"},
        {"invalid": "the backend returned no text"},
    ]
