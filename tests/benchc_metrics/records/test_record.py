"""One sample's record: written as strict JSON, read back in all versions, refused with one sentence."""

import gzip
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchc_metrics.designs import lite_conditions
from benchc_metrics.records import RECORD_KEY, SCHEMA, SampleRecord, read_samples_log
from benchc_metrics.records.assembly import assemble_generation_record, assemble_record

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
    record = assembled([[-INF, False], [-0.5, True], [NAN, False], [-1.0, False], [-1.0, True], [-2, False]])
    assert record.to_json_dict() == {
        "schema": "benchc.sample/4",
        **FIELDS,
        "option_count": 2,
        "answer": 0,
        "conditions": ["clean", "fog@1", "fog@2"],
        "obtained": "log-likelihoods",
        "predictions": [1, None, 0],
        "invalid": {"fog@1": "option 0: the backend returned nan: try float32 or bfloat16"},
        "log_likelihoods": [[None, -0.5], None, [-1.0, -2.0]],
        "letter_mass": [0.60653066, None, 0.503214724],
    }
    assert SCHEMA == "benchc.sample/4"


def test_written_record_of_generated_letters_has_the_documented_keys():
    facts = {**FIELDS, "sample": "s", "answer": 1, "context": "c"}
    record = assemble_generation_record(
        ["B", "B\ud83d", None],
        options=("dog", "cat"),
        conditions=CONDITIONS,
        **facts,
    )
    written = record.to_json_dict()
    assert written == {
        "schema": "benchc.sample/4",
        **FIELDS,
        "context": "c",
        "sample": "s",
        "option_count": 2,
        "answer": 1,
        "conditions": ["clean", "fog@1", "fog@2"],
        "obtained": "generated letters",
        "predictions": [1, 1, None],
        "invalid": {"fog@2": "the backend returned no text"},
        "texts": ["B", "B\ud83d", None],
    }
    assert SampleRecord.from_json_dict(json.loads(json.dumps(written, allow_nan=False))) == record


VOTES = {
    "obtained": "votes",
    "predictions": [0, None, 1],
    "invalid": {"fog@1": "no vote names an option"},
    "votes": [[3, 1], None, [0, 4]],
    "unparsed": [0, 4, 0],
}


def test_votes_are_written_and_read():
    written = {**assembled().to_json_dict(), **VOTES}
    del written["log_likelihoods"], written["letter_mass"]
    record = SampleRecord.from_json_dict(written)
    assert record.votes == ((3, 1), None, (0, 4))
    assert record.to_json_dict() == written


def test_the_largest_missing_mass_of_a_condition_is_kept():
    record = assembled([[-1, False, 0.125], [-0.5, True, 0.25], [NAN, False], [-1, False, 0.5], [-1, True], [0, False]])
    assert record.missing_mass == (0.25, None, None)
    written = json.dumps(record.to_json_dict(), allow_nan=False)
    assert SampleRecord.from_json_dict(json.loads(written)) == record


def test_the_design_of_a_record_is_written_and_read():
    asked = list(map(str, lite_conditions("photo-7", 2)))
    record = assembled(conditions=asked, design="lite-2")
    written = record.to_json_dict()
    assert written["design"] == "lite-2"
    assert SampleRecord.from_json_dict(json.loads(json.dumps(written))) == record
    assert "design" not in assembled().to_json_dict()


@pytest.mark.parametrize(
    ("design", "fault"),
    [
        ("lite-2", "conditions are not those that the design 'lite-2' asks of this sample"),
        ("lite", "conditions are not those that the design 'lite' asks of this sample"),
        ("full", "design 'full' must not be written: leave it out"),
        ("mine", "design 'mine' is not 'full', 'lite', or 'lite' with a number, such as 'lite-10'"),
    ],
)
def test_conditions_that_a_design_does_not_ask_are_refused(design, fault):
    with pytest.raises(ValueError, match=re.escape(fault)):
        assembled(design=design)


def test_records_of_version_3_are_read():
    record = assembled()
    assert SampleRecord.from_json_dict(record.to_json_dict() | {"schema": "benchc.sample/3"}) == record


SECOND = {
    "schema": "benchc.sample/2",
    **FIELDS,
    "answer": 0,
    "conditions": ["clean", "fog@1", "fog@2"],
    "log_likelihoods": [[None, -0.5], None, [-1.0, -2]],
    "length_normalised": False,
    "invalid": {"fog@1": "why"},
    "missing_mass": [0.25, None, None],
}


def test_the_second_version_is_read_as_the_record_of_today():
    record = SampleRecord.from_json_dict(SECOND)
    assert (record.obtained, record.option_count, record.predictions) == ("log-likelihoods", 2, (1, None, 0))
    assert record.log_likelihoods == ((-INF, -0.5), None, (-1.0, -2.0))
    assert record.letter_mass == (0.60653066, None, 0.503214724)
    assert record.missing_mass == (0.25, None, None)
    assert (record.context, record.model) == (None, None)
    losses = SampleRecord.from_json_dict(SECOND | {"length_normalised": True})
    assert (losses.obtained, losses.letter_mass) == ("mean losses", None)
    invalid = {"log_likelihoods": [None] * 3, "missing_mass": None, "invalid": dict.fromkeys(CONDITIONS, "why")}
    assert SampleRecord.from_json_dict(SECOND | invalid).option_count is None


def test_the_first_version_is_read_and_its_engines_showed_all():
    first = {**SECOND, "schema": "benchc.sample/1"}
    del first["missing_mass"]
    assert SampleRecord.from_json_dict(first) == SampleRecord.from_json_dict(SECOND | {"missing_mass": None})


GENERATION = {
    "schema": "benchc.generation/1",
    **FIELDS,
    "option_count": 2,
    "answer": 1,
    "conditions": ["clean", "fog@1", "fog@2"],
    "answers": ["A", "B", None],
    "letters": ["A", "B", None],
    "invalid": {"fog@2": "the backend returned no text"},
    "ras": "not defined",
}


def test_the_record_of_generated_answers_is_read_as_the_record_of_today():
    record = SampleRecord.from_json_dict(GENERATION)
    assert (record.obtained, record.predictions) == ("generated letters", (0, 1, None))
    assert (record.texts, record.option_count, record.answer) == (("A", "B", None), 2, 1)


@pytest.mark.parametrize(
    ("written", "changes", "fault"),
    [
        (
            GENERATION,
            {"schema": "benchc.generation/2"},
            "schema 'benchc.generation/2' is not 'benchc.sample/4', the one",
        ),
        (GENERATION, {"more": 1}, "more: Extra inputs are not permitted"),
        (GENERATION, {"answer": True}, "answer: Input should be a valid integer"),
        (GENERATION, {"answer": 2}, "answer 2 is not one of its 2 options"),
        (GENERATION, {"answer": -1}, "answer: Input should be greater than or equal to 0"),
        (GENERATION, {"option_count": 1}, "option_count: Input should be greater than or equal to 2"),
        (GENERATION, {"option_count": 27}, "option_count: Input should be less than or equal to 26"),
        (GENERATION, {"sample": 7}, "sample: Input should be a valid string"),
        (GENERATION, {"conditions": ["fog@1", "clean", "fog@2"]}, "conditions do not begin with 'clean'"),
        (GENERATION, {"conditions": "clean"}, "conditions: Input should be a valid tuple"),
        (GENERATION, {"answers": ["A", "B"]}, "texts does not have one entry for each of its 3 conditions"),
        (GENERATION, {"answers": ["A", 1, None]}, "texts.1: Input should be a valid string"),
        (GENERATION, {"letters": ["A", "C", None]}, "prediction 2 under 'fog@1' is not one of its 2 options"),
        (GENERATION, {"letters": ["A", "AB", None]}, "letter 'AB' is not one of A to Z"),
        (GENERATION, {"letters": ["A", "", None]}, "letter '' is not one of A to Z"),
        (GENERATION, {"letters": ["A", "B", "B"]}, "invalid must give a reason for exactly the conditions without"),
        (GENERATION, {"invalid": {}}, "invalid must give a reason for exactly the conditions without a predict"),
        (GENERATION, {"invalid": {"fog@2": ""}}, "invalid.fog@2: String should have at least 1 character"),
        (GENERATION, {"ras": 0.5}, "ras is 0.5, which generated letters do not define"),
        (SECOND, {"length_normalised": 0}, "length_normalised is neither true nor false"),
        (SECOND, {"log_likelihoods": "-1.0"}, "log_likelihoods: Input should be a valid tuple"),
    ],
)
def test_older_record_that_is_not_ours_is_refused_by_sample(written, changes, fault):
    with pytest.raises(ValueError, match=r"^sample ") as caught:
        SampleRecord.from_json_dict(written | changes)
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "key"), [(SECOND, key) for key in SECOND] + [(GENERATION, key) for key in GENERATION]
)
def test_missing_key_of_an_older_version_is_named(written, key):
    if (written, key) == (SECOND, "missing_mass"):
        return
    part = {name: value for name, value in written.items() if name != key}
    with pytest.raises(ValueError, match=f"(?:{key}|texts|predictions): Field required|schema None is not"):
        SampleRecord.from_json_dict(part)


def test_whole_numbers_in_json_are_numbers():
    written = assembled().to_json_dict()
    written["log_likelihoods"][0] = [-1, 0]
    assert SampleRecord.from_json_dict(written).log_likelihoods[0] == (-1.0, 0.0)


VALID = "Input should be a valid"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"schema": "benchc.sample/5"}, "schema 'benchc.sample/5' is not 'benchc.sample/4'"),
        ({"schema": 3}, "schema 3 is not 'benchc.sample/4'"),
        ({"missing_mass": [0.5]}, "missing_mass does not have one entry for each of its 3 conditions"),
        ({"missing_mass": [0.5, 0.5, 1.5]}, "missing_mass.2: Input should be less than or equal to 1"),
        ({"missing_mass": [0.5, 0.5, NAN]}, "missing_mass.2: Input should be"),
        ({"missing_mass": [0.5, 0.5, True]}, f"missing_mass.2: {VALID} number"),
        ({"missing_mass": "0.5"}, f"missing_mass: {VALID} tuple"),
        ({"letter_mass": [0.5, -0.1, 0.5]}, "letter_mass.1: Input should be greater than or equal to 0"),
        ({"extra": 1}, "extra: Extra inputs are not permitted"),
        ({"log_likelihoods": [[-1.0, -2.0]] * 2}, "one entry for each of its 3 conditions"),
        ({"log_likelihoods": [[-1.0, -2.0], [-1.0], [-1.0, -2.0]]}, "log_likelihoods under 'fog@1' are 1, but the"),
        ({"log_likelihoods": [[-1.0]] * 3}, "log_likelihoods under 'clean' are 1, but the sample has 2 options"),
        ({"log_likelihoods": [[-1.0, 0.5]] * 3}, "log_likelihoods.0.1: Input should be less than or equal to 0"),
        ({"log_likelihoods": [[-1.0, NAN]] * 3}, "log_likelihoods.0.1: Input should be"),
        ({"log_likelihoods": [[None, None]] * 3}, "condition 'clean' has no log-likelihood above -inf"),
        ({"log_likelihoods": [["-1", "-2"]] * 3}, f"log_likelihoods.0.0: {VALID} number"),
        ({"log_likelihoods": [[True, False]] * 3}, f"log_likelihoods.0.0: {VALID} number"),
        ({"log_likelihoods": [-1.0] * 3}, f"log_likelihoods.0: {VALID} tuple"),
        ({"log_likelihoods": "-1.0"}, f"log_likelihoods: {VALID} tuple"),
        ({"log_likelihoods": None}, "log_likelihoods contradict obtained 'log-likelihoods'"),
        ({"log_likelihoods": [[-1.0, -2.0], None, [-1.0, -2.0]]}, "'fog@1' has a prediction but no log-likelihoods"),
        ({"votes": [[1, 0]] * 3}, "votes contradict obtained 'log-likelihoods'"),
        ({"obtained": "votes"}, "log_likelihoods contradict obtained 'votes'"),
        ({"obtained": "a guess"}, "obtained: Input should be 'log-likelihoods', 'mean losses', 'votes' or"),
        ({"predictions": [0, None, 0]}, "invalid must give a reason for exactly"),
        ({"predictions": [0, 2, 0]}, "prediction 2 under 'fog@1' is not one of its 2 options"),
        ({"predictions": [0, -1, 0]}, "predictions.1: Input should be greater than or equal to 0"),
        ({"predictions": [0, 0]}, "predictions does not have one entry for each of its 3 conditions"),
        ({"option_count": None}, "option_count is null, but a condition has a prediction"),
        ({"invalid": {"fog@1": "why"}}, "invalid must give a reason for exactly"),
        ({"invalid": {"fog@1": ""}}, "invalid.fog@1: String should have at least 1 character"),
        ({"invalid": None}, f"invalid: {VALID} dictionary"),
        ({"conditions": None}, f"conditions: {VALID} tuple"),
        ({"conditions": ["clean", 1, 2]}, f"conditions.1: {VALID} string"),
        ({"answer": True}, f"answer: {VALID} integer"),
        ({"answer": 0.0}, f"answer: {VALID} integer"),
    ],
)
def test_written_record_that_is_not_ours_is_refused_by_sample(changes, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as refusal:
        SampleRecord.from_json_dict(assembled().to_json_dict() | changes)
    assert str(refusal.value).startswith("sample 'photo-7': ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "key", ["schema", *(name for name, field in SampleRecord.model_fields.items() if field.is_required())]
)
def test_missing_key_is_named(key):
    written = assembled().to_json_dict()
    del written[key]
    with pytest.raises(ValueError, match=f"{key}: Field required" if key != "schema" else "schema None is not"):
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
