"""One sample's record: put together from responses, written as strict JSON, read back, refused with one sentence."""

import dataclasses
import gzip
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchc_metrics.records import RECORD_KEY, SCHEMA, SampleRecord, assemble_record, read_samples_log

INF, NAN = float("inf"), float("nan")
CONDITIONS = ["clean", "fog@1", "fog@2"]
GOOD = [[-0.1, True], [-2.5, False]] * 3
FIELDS = {
    "dataset": "sha256:00",
    "engine": "1",
    "benchc": "0.1.0",
    "prompt": "{question}",
    "sample": "photo-7",
    "source": "MMBench",
    "category": None,
}


def assembled(results=GOOD, conditions=CONDITIONS, option_count=2, answer=0, **fields):
    return assemble_record(
        results, conditions=conditions, option_count=option_count, answer=answer, **(FIELDS | fields)
    )


def with_response(condition, option, response):
    results = [list(result) for result in GOOD]
    results[CONDITIONS.index(condition) * 2 + option] = response
    return results


def test_responses_are_taken_condition_by_condition_and_option_by_option():
    results = [[-float(number), False] for number in range(1, 10)]
    record = assembled(results, option_count=3, answer=2)
    assert record.log_likelihoods == ((-1.0, -2.0, -3.0), (-4.0, -5.0, -6.0), (-7.0, -8.0, -9.0))
    assert (record.option_count, record.length_normalised, record.invalid) == (3, False, {})
    assert (record.sample, record.source, record.category, record.answer) == ("photo-7", "MMBench", None, 2)
    assert record.conditions == ("clean", "fog@1", "fog@2")


def test_unfiltered_responses_are_read_as_well():
    assert assembled(["(-0.1, True)", (-2.5, False)] * 3) == assembled()


def test_mean_losses_are_negated_and_marked():
    record = assembled([[0.1, True], [2.5, False]] * 3)
    assert record.log_likelihoods == assembled().log_likelihoods
    assert record.length_normalised is True


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ([NAN, False], "option 1: the backend answered nan: try float32 or bfloat16"),
        ({"invalid": "the backend returned no response"}, "option 1: the backend returned no response"),
        (
            [INF, False],
            "option 1: the backend answered a log-likelihood of +inf, which is impossible: try float32 or bfloat16",
        ),
    ],
)
def test_one_bad_response_makes_its_condition_invalid_with_the_reason(response, reason):
    record = assembled(with_response("fog@1", 1, response))
    assert record.invalid == {"fog@1": reason}
    assert record.log_likelihoods == ((-0.1, -2.5), None, (-0.1, -2.5))


def test_unreadable_response_makes_its_condition_invalid():
    reason = assembled(with_response("clean", 0, "A")).invalid["clean"]
    assert reason.startswith("option 0: response 'A' is not a pair")


def test_option_of_minus_infinity_is_an_answer_and_all_of_them_are_none():
    record = assembled([[-INF, False], [-0.5, True], [-INF, False], [-INF, False], [-0.1, True], [-INF, False]])
    assert record.log_likelihoods == ((-INF, -0.5), None, (-0.1, -INF))
    assert record.invalid == {"fog@1": "the backend gave every option the probability 0: try float32 or bfloat16"}


def test_infinite_loss_is_a_probability_of_zero_and_a_negative_one_is_impossible():
    record = assembled([[0.5, True], [INF, False], [0.5, True], [-INF, False], [0.5, True], [0.0, False]])
    assert record.length_normalised is True
    assert record.log_likelihoods == ((-0.5, -INF), None, (-0.5, 0.0))
    assert record.invalid["fog@1"].startswith(
        "option 1: the backend answered a mean loss of -inf, which is impossible: try"
    )


def test_sample_without_any_answer_is_a_record_too():
    record = assembled([[NAN, False]] * 6)
    assert record.log_likelihoods == (None, None, None)
    assert record.option_count is None
    assert set(record.invalid) == set(CONDITIONS)


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        (GOOD[:3], "the first one missing is option 1 of condition 'fog@1'"),
        (GOOD[:4], "the first one missing is option 0 of condition 'fog@2'"),
        ([], "the first one missing is option 0 of condition 'clean'"),
        ([*GOOD, [-1.0, False]], "1 are left over after the last condition, 'fog@2'"),
    ],
)
def test_number_of_responses_that_does_not_match_is_refused(results, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as refusal:
        assembled(results)
    assert "sample 'photo-7' has" in str(refusal.value)
    assert "3 conditions x 2 options need 6" in str(refusal.value)


@pytest.mark.parametrize(
    ("changed", "invalid"),
    [
        ({("fog@2", 0): 0.3}, {"fog@2"}),
        ({("fog@2", 0): 0.3, ("fog@2", 1): 0.5}, set(CONDITIONS)),
        ({("fog@1", 0): 0.3, ("fog@2", 0): 0.3, ("fog@2", 1): 0.5}, set(CONDITIONS)),
        ({("fog@1", 0): 0.0, ("fog@1", 1): 0.0, ("fog@2", 0): 0.3, ("fog@2", 1): 0.5}, {"clean", "fog@2"}),
    ],
    ids=["in a condition", "between conditions", "both", "zeros are of both kinds"],
)
def test_log_likelihoods_beside_mean_losses_are_invalid(changed, invalid):
    results = list(GOOD)
    for (condition, option), value in changed.items():
        results[CONDITIONS.index(condition) * 2 + option] = [value, False]
    record = assembled(results)
    assert record.invalid == dict.fromkeys(
        invalid,
        "the backend answered log-likelihoods (negative) as well as mean losses (positive), "
        "where it must return one of the two",
    )
    assert record.length_normalised is False
    assert SampleRecord.from_json_dict(record.to_json_dict()) == record


def test_what_stands_beside_an_unreadable_answer_does_not_tell_what_the_others_mean():
    record = assembled([*GOOD[:4], [0.3, False], [NAN, False]])
    assert record.invalid == {"fog@2": "option 1: the backend answered nan: try float32 or bfloat16"}
    assert record.log_likelihoods[:2] == assembled().log_likelihoods[:2]


def test_what_holds_for_the_whole_question_is_said_of_no_option():
    record = assembled([*GOOD[:2], *[{"invalid": "sample 'photo-7' under fog@1: why"}] * 2, *GOOD[4:]])
    assert record.invalid == {"fog@1": "sample 'photo-7' under fog@1: why"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"option_count": 1, "results": GOOD[:3]}, "1 options and 3 conditions"),
        ({"conditions": [], "results": []}, "2 options and 0 conditions"),
        ({"conditions": ["fog@1", "clean", "fog@2"]}, "conditions do not begin with 'clean'"),
        ({"conditions": ["clean", "fog@1", "fog@1"]}, "a condition stands twice"),
        ({"conditions": ["clean", "fog@1", "fog@9"]}, "'fog@9' is neither 'clean' nor 'NAME@SEVERITY'"),
        ({"answer": 2}, "answer 2 is none of its 2 options"),
        ({"answer": -1}, "answer -1 is none of its 2 options"),
        ({"dataset": None}, "dataset is not text"),
        ({"source": 3}, "source is neither text nor null"),
    ],
)
def test_record_that_cannot_be_is_refused_by_sample(changes, sentence):
    with pytest.raises(ValueError, match=sentence) as refusal:
        assembled(**changes)
    assert str(refusal.value).startswith("sample 'photo-7'")


@st.composite
def records(draw):
    option_count = draw(st.integers(2, 26))
    severities = draw(st.lists(st.integers(1, 5), unique=True, max_size=5))
    conditions = ["clean", *(f"fog@{severity}" for severity in severities)]
    value = st.one_of(st.floats(max_value=0.0, allow_nan=False), st.just(NAN))
    count = len(conditions) * option_count
    results = [[number, False] for number in draw(st.lists(value, min_size=count, max_size=count))]
    return assembled(
        results,
        conditions=conditions,
        option_count=option_count,
        answer=draw(st.integers(0, option_count - 1)),
        sample=draw(st.text()),
        source=draw(st.none() | st.text()),
    )


@given(records())
def test_record_survives_strict_json(record):
    written = json.dumps(record.to_json_dict(), allow_nan=False)
    assert SampleRecord.from_json_dict(json.loads(written)) == record


def test_written_record_has_the_documented_keys_and_nulls():
    record = assembled([[-INF, False], [-0.5, True], [NAN, False], [-1.0, False], [-1.0, True], [0, False]])
    assert record.to_json_dict() == {
        "schema": "benchc.sample/2",
        **FIELDS,
        "answer": 0,
        "conditions": ["clean", "fog@1", "fog@2"],
        "log_likelihoods": [[None, -0.5], None, [-1.0, 0.0]],
        "length_normalised": False,
        "invalid": {"fog@1": "option 0: the backend answered nan: try float32 or bfloat16"},
        "missing_mass": None,
    }
    assert SCHEMA == "benchc.sample/2"


def test_the_largest_missing_mass_of_a_condition_is_kept():
    record = assembled([[-1, False, 0.125], [-0.5, True, 0.25], [NAN, False], [-1, False, 0.5], [-1, True], [0, False]])
    assert record.missing_mass == (0.25, None, None)
    written = json.dumps(record.to_json_dict(), allow_nan=False)
    assert SampleRecord.from_json_dict(json.loads(written)) == record


def test_the_first_version_is_read_and_its_engines_showed_all():
    written = assembled().to_json_dict()
    assert written.pop("missing_mass") is None
    assert SampleRecord.from_json_dict(written | {"schema": "benchc.sample/1"}) == assembled()
    with pytest.raises(ValueError, match="missing keys 'missing_mass' in its record"):
        SampleRecord.from_json_dict(written)


def test_whole_numbers_in_json_are_numbers():
    written = assembled().to_json_dict()
    written["log_likelihoods"][0] = [-1, 0]
    assert SampleRecord.from_json_dict(written).log_likelihoods[0] == (-1.0, 0.0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"schema": "benchc.sample/3"}, "schema 'benchc.sample/3' is not 'benchc.sample/2'"),
        ({"schema": "benchc.sample/1"}, "schema 'benchc.sample/1' is not 'benchc.sample/2'"),
        ({"missing_mass": [0.5]}, "missing_mass is not a list of one probability or null for each"),
        ({"missing_mass": [0.5, 0.5, 1.5]}, "missing_mass is not a list of one probability or null for each"),
        ({"missing_mass": [0.5, 0.5, NAN]}, "missing_mass is not a list of one probability or null for each"),
        ({"missing_mass": [0.5, 0.5, True]}, "missing_mass is not a list of one probability or null for each"),
        ({"missing_mass": "0.5"}, "missing_mass is not a list of one probability or null for each"),
        ({"extra": 1}, "unknown keys 'extra'"),
        ({"log_likelihoods": [[-1.0, -2.0]] * 2}, "one entry for each of its 3 conditions"),
        ({"log_likelihoods": [[-1.0, -2.0], [-1.0], [-1.0, -2.0]]}, "condition 'fog@1' has 1 options"),
        ({"log_likelihoods": [[-1.0]] * 3}, "condition 'clean' has 1 options where a sample has at least 2"),
        ({"log_likelihoods": [[-1.0, 0.5]] * 3}, "condition 'clean' has log-likelihoods that are not numbers"),
        ({"log_likelihoods": [[-1.0, NAN]] * 3}, "condition 'clean' has log-likelihoods that are not numbers"),
        ({"log_likelihoods": [[None, None]] * 3}, "with one above -inf"),
        ({"log_likelihoods": [["-1", "-2"]] * 3}, "condition 'clean' has log-likelihoods that are not numbers"),
        ({"log_likelihoods": [[True, False]] * 3}, "condition 'clean' has log-likelihoods that are not numbers"),
        ({"log_likelihoods": [-1.0] * 3}, "neither a list nor null"),
        ({"log_likelihoods": "-1.0"}, "log_likelihoods is not a list"),
        ({"log_likelihoods": [[-1.0, -2.0], None, [-1.0, -2.0]]}, "invalid does not give a reason for exactly"),
        ({"invalid": {"fog@1": "why"}}, "invalid does not give a reason for exactly"),
        ({"invalid": {"fog@1": ""}}, "invalid does not map conditions to reasons"),
        ({"invalid": None}, "invalid does not map conditions to reasons"),
        ({"conditions": None}, "conditions is not a list"),
        ({"conditions": ["clean", 1, 2]}, "conditions is not a list of text"),
        ({"answer": True}, "answer is not an integer"),
        ({"answer": 0.0}, "answer is not an integer"),
        ({"length_normalised": 0}, "length_normalised is neither true nor false"),
    ],
)
def test_written_record_that_is_not_ours_is_refused_by_sample(changes, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as refusal:
        SampleRecord.from_json_dict(assembled().to_json_dict() | changes)
    assert str(refusal.value).startswith("sample 'photo-7': ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("key", ["schema", *(field.name for field in dataclasses.fields(SampleRecord))])
def test_missing_key_is_named(key):
    written = assembled().to_json_dict()
    del written[key]
    with pytest.raises(ValueError, match=f"missing keys '{key}'" if key != "schema" else "schema None is not"):
        SampleRecord.from_json_dict(written)


@pytest.mark.parametrize("written", [None, [], "record", 3])
def test_what_is_no_mapping_is_refused(written):
    with pytest.raises(ValueError, match="must be a mapping of its fields"):
        SampleRecord.from_json_dict(written)


@pytest.fixture
def rows():
    """Rows as lmms-eval writes them: our record among its own keys, of which one may hold a NaN."""
    records = [assembled(sample=f"photo-{number}") for number in range(3)]
    return records, [
        json.dumps({"doc_id": number, "target": "A", "ras": NAN, RECORD_KEY: record.to_json_dict()}, ensure_ascii=False)
        for number, record in enumerate(records)
    ]


@pytest.mark.parametrize("name", ["20260101_000000_samples_benchc_fog.jsonl", "samples.jsonl.gz"])
def test_samples_log_is_read_row_by_row(tmp_path, rows, name):
    records, lines = rows
    text = "\n".join(lines) + "\n\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    assert list(read_samples_log(path)) == records
    assert next(read_samples_log(str(path))) == records[0]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"benchc": {"schema": ', "line 2: the row is not JSON"),
        ('{"doc_id": 1}', "line 2: the row has no 'benchc' record"),
        ("[1]", "line 2: the row has no 'benchc' record"),
        (
            '{"benchc": {"schema": "benchc.generation/1"}}',
            "line 2: the row is of a benchc-gen task, and its generated answers have no RAS, which needs option "
            "log-likelihoods: give a run of the benchc_* tasks",
        ),
        ('{"benchc": {"schema": "other", "sample": "photo-9"}}', "line 2: sample 'photo-9': schema 'other'"),
    ],
)
def test_row_that_is_not_ours_is_named_by_file_and_line(tmp_path, rows, line, sentence):
    records, lines = rows
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join([lines[0], line, lines[2]]), encoding="utf-8")
    reading = read_samples_log(path)
    assert next(reading) == records[0]
    with pytest.raises(ValueError, match=re.escape(sentence)) as refusal:
        next(reading)
    assert str(path) in str(refusal.value)


def test_damaged_file_is_named(tmp_path, rows):
    _, lines = rows
    cut_off = tmp_path / "cut.jsonl.gz"
    cut_off.write_bytes(gzip.compress("\n".join(lines).encode())[:-20])
    no_text = tmp_path / "picture.jsonl"
    no_text.write_bytes(b"\x89PNG\xff\xfe")
    no_gzip = tmp_path / "plain.jsonl.gz"
    no_gzip.write_text(lines[0], encoding="utf-8")
    for path in (cut_off, no_text, no_gzip):
        with pytest.raises(ValueError, match=re.escape(f"{path}: the file cannot be read after line")):
            list(read_samples_log(path))


def test_absent_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read_samples_log(tmp_path / "absent.jsonl"))
