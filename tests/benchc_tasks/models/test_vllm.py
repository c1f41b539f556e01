"""backend=vllm against the real engine, with the bundled model; and what it says where there is none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, LlamaConfig
from vllm_server import why_no_vllm
from vllm_support import vllm_checkpoint

from benchc_metrics.benchmark import CLEAN, LETTERS, Condition
from benchc_metrics.responses import OptionResponse
from benchc_tasks.datasets import load_dataset
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.models import engines
from benchc_tasks.models.costs import Usage
from benchc_tasks.models.engines import EngineSettings
from benchc_tasks.models.generation.engines import generator_of
from benchc_tasks.models.generation.questions import TextQuestion, WritingSettings
from benchc_tasks.models.questions import ChoiceScorer, EngineError, Outcome, Question, ScoringError
from benchc_tasks.models.vllm import (
    BATCH_SIZE,
    PreparedQuestion,
    StartedEngine,
    VllmChoiceScorer,
    _refuse_without_images,
    start_engine,
)
from benchc_tasks.stacks.lmms_eval.backends import _start_vllm, build_scorer
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from benchc_tasks.stacks.pictures import ConditionedPicture
from benchc_tasks.stacks.prompting import Prompt

WHY_NO_VLLM = why_no_vllm()
INSTRUCTION = "\nAnswer with the option's letter from the given choices directly."
NEAR_TIE = 0.01
"""Two most probable options whose probabilities differ by less may change places."""
CONDITIONS = (CLEAN, Condition("gaussian_noise", 3), Condition("fog", 5), Condition("pixelate", 4))
ENGINE = {"max_model_len": 512, "enforce_eager": True}
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}


@pytest.fixture(scope="module")
def vllm() -> Iterator[None]:
    if WHY_NO_VLLM and os.environ.get("BENCHC_REQUIRE_VLLM") != "1":
        pytest.skip(WHY_NO_VLLM)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vllm_checkpoint(tmp_path_factory.mktemp("vllm") / "model")


@pytest.fixture(scope="module")
def scorer(vllm: None, checkpoint: Path) -> VllmChoiceScorer:
    """The scorer that `--model benchc --model_args backend=vllm,...` builds; one engine for this file."""
    settings = EngineSettings("vllm", str(checkpoint), ENGINE, torch.device("cpu"), dtype="float32")
    built = build_scorer(settings)
    assert isinstance(built, VllmChoiceScorer)
    return built


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    """The bundled set, every sample under each of `CONDITIONS`."""
    samples, prompt = load_dataset(), Prompt(pre_prompt="", post_prompt=INSTRUCTION)
    return [
        Question(
            f"sample {sample['id']!r} under {condition}",
            prompt.text(sample["question"], sample["options"]),
            tuple(LETTERS[: len(sample["options"])]),
            tuple(ConditionedPicture(samples.fingerprint, sample["id"], condition)(sample)),
        )
        for sample in map(samples.__getitem__, range(len(samples)))
        for condition in CONDITIONS
    ]


@pytest.fixture(scope="module")
def expected(vllm: None, questions: list[Question]) -> list[list[OptionResponse]]:
    """The scores of the bundled model by transformers, in float32."""
    settings = EngineSettings(None, None, {}, torch.device("cpu"), dtype="float32", batch_size=8)
    return answers(build_scorer(settings), questions)


def outcomes(scorer: ChoiceScorer[Any], questions: Sequence[Question]) -> list[Outcome]:
    size = scorer.batch_size
    batches = (questions[start : start + size] for start in range(0, len(questions), size))
    return [outcome for batch in batches for outcome in scorer.score(scorer.prepare(batch))]


def answers(scorer: ChoiceScorer[Any], questions: Sequence[Question]) -> list[list[OptionResponse]]:
    """Score all; none may be invalid."""
    found = outcomes(scorer, questions)
    assert not [outcome for outcome in found if isinstance(outcome, ScoringError)]
    return found


def probabilities(scores: Sequence[OptionResponse]) -> np.ndarray:
    weights = np.exp([score.value for score in scores])
    return weights / weights.sum()


def test_the_engine_answers_as_the_model_in_this_process(
    scorer: VllmChoiceScorer, questions: list[Question], expected: list[list[OptionResponse]]
) -> None:
    found = answers(scorer, questions)
    assert len(found) == 144 * len(CONDITIONS)
    pairs = [(probabilities(here), probabilities(there)) for here, there in zip(found, expected, strict=True)]
    differences = np.concatenate([np.abs(here - there) for here, there in pairs])
    # 0.01 would do for the mean; what is found is under 1e-6.
    assert differences.mean() < 1e-4
    assert differences.max() < 0.01
    for question, (here, there) in zip(questions, pairs, strict=True):
        second, best = np.sort(there)[-2:]
        if best - second > NEAR_TIE:
            assert here.argmax() == there.argmax(), question.name
    assert {int(there.argmax()) for _, there in pairs} == {0, 1, 2, 3}


def test_log_likelihoods_are_those_of_the_whole_vocabulary(
    scorer: VllmChoiceScorer, questions: list[Question], expected: list[list[OptionResponse]]
) -> None:
    """Not of a distribution over the options alone, nor of one whose temperature is 0."""
    near = 0
    for here, there in zip(answers(scorer, questions[:64]), expected, strict=False):
        for one, other in zip(here, there, strict=True):
            assert one.value == pytest.approx(other.value, abs=1e-2)
            assert one.is_greedy is other.is_greedy
            assert one.missing_mass is None
            near += abs(one.value - other.value) < 1e-4
    assert near > 200
    assert all(sum(np.exp([score.value for score in scores])) < 1 for scores in expected)


def test_questions_with_fewer_options_stand_in_one_batch_with_others(
    scorer: VllmChoiceScorer, questions: list[Question], expected: list[list[OptionResponse]]
) -> None:
    narrow = [Question(one.name, one.context, one.options[: 2 + n % 3], one.images) for n, one in enumerate(questions)]
    for here, there in zip(answers(scorer, narrow[:16]), expected, strict=False):
        assert [score.value for score in here] == pytest.approx([score.value for score in there[: len(here)]], abs=1e-2)


def test_the_size_of_a_batch_changes_nothing(scorer: VllmChoiceScorer, questions: list[Question]) -> None:
    """On a CPU; vLLM promises it nowhere. Without its caches, which would answer from the first time."""
    together = scorer.score(scorer.prepare(questions[:20]))
    scorer._engine.reset_prefix_cache()
    alone = [outcome for question in questions[:20] for outcome in scorer.score(scorer.prepare([question]))]
    for here, there in zip(together, alone, strict=True):
        assert probabilities(here) == pytest.approx(probabilities(there), abs=1e-5)


def test_where_tokens_cannot_be_asked_for_options_that_are_not_shown_are_invalid(
    scorer: VllmChoiceScorer, questions: list[Question]
) -> None:
    """An older vLLM shows its most probable tokens; here five of them."""
    older = VllmChoiceScorer(scorer._engine, scorer._chat, top=5)
    assert older.fingerprint != scorer.fingerprint
    some = questions[:128]
    exact, shown = answers(scorer, some), outcomes(older, some)
    invalid = [outcome for outcome in shown if isinstance(outcome, ScoringError)]
    assert 0 < len(invalid) < len(shown) / 2
    for question, scores, outcome in zip(some, exact, shown, strict=True):
        if isinstance(outcome, ScoringError):
            assert str(outcome).startswith(f"{question.name}: the options ")
            assert str(outcome).count("are not among the 5 tokens that the engine shows") == 1
            continue
        whole = sum(np.exp([score.value for score in scores]))
        for one, other in zip(scores, outcome, strict=True):
            assert other.value == pytest.approx(one.value, abs=1e-6)
            assert other.is_greedy is one.is_greedy
            assert other.missing_mass is not None
            assert 0 < other.missing_mass <= 1 - whole + 1e-6


def test_questions_that_cannot_be_answered_take_no_other_with_them(
    scorer: VllmChoiceScorer, questions: list[Question], expected: list[list[OptionResponse]]
) -> None:
    image = questions[0].images[0]
    bad = [
        (Question("long", "word " * 600, ("A", "B"), (image,)), r"tokens.*: give a larger max_model_len$"),
        (Question("no picture", "What?", ("A", "B"), ("picture",)), r"vLLM refused the question \(ValueError: "),  # type: ignore[arg-type]
        (Question("place", "What is <image>?", ("A", "B"), (image,)), r"'<image>', the model's own placeholder"),
        (Question("several", "What?", ("A", "green square"), (image,)), r"option 'green square' has 3 tokens, and"),
        (Question("none", "What?", ("A", ""), (image,)), r"the option '' has no token"),
    ]
    mixed = [*questions[:2], bad[0][0], questions[2], *(question for question, _ in bad[1:]), *questions[3:6]]
    found = scorer.score(scorer.prepare(mixed))
    faults = [outcome for outcome in found if isinstance(outcome, ScoringError)]
    assert len(faults) == len(bad)
    for fault, (question, sentence) in zip(faults, bad, strict=True):
        assert str(fault).startswith(f"{question.name}: ")
        with pytest.raises(ScoringError, match=sentence):
            raise fault
    good = [outcome for outcome in found if not isinstance(outcome, ScoringError)]
    for here, there in zip(good, expected[:6], strict=True):
        assert probabilities(here) == pytest.approx(probabilities(there), abs=1e-3)
    assert scorer.score(scorer.prepare(questions[:1]))[0] == found[0]


def test_a_question_without_and_one_with_a_wide_picture(scorer: VllmChoiceScorer, questions: list[Question]) -> None:
    context, options = questions[0].context, questions[0].options
    wide = Image.new("RGB", (2000, 3), "red")
    some = [Question("none", context, options, ()), Question("wide", context, options, (wide,))]
    reference = build_scorer(EngineSettings(None, None, {}, torch.device("cpu"), dtype="float32"))
    for here, there in zip(answers(scorer, some), answers(reference, some), strict=True):
        assert probabilities(here) == pytest.approx(probabilities(there), abs=1e-3)


def test_the_engine_writes_the_letter_that_it_prefers_and_votes_by_its_probabilities(
    scorer: VllmChoiceScorer, questions: list[Question], expected: list[list[OptionResponse]]
) -> None:
    generator = generator_of(scorer)

    def written(settings: WritingSettings, numbers: tuple[int, ...], some: Sequence[Question]) -> list[Any]:
        asked = [TextQuestion(each.name, each.context, each.images, settings, numbers) for each in some]
        return generator.generate(generator.prepare(asked))

    sure = [
        (question, scores)
        for question, scores in zip(questions, expected, strict=True)
        if np.diff(np.sort(probabilities(scores)))[-1] > NEAR_TIE
    ]
    greedy = written(WritingSettings(max_new_tokens=2), (0,), [question for question, _ in sure])
    preferred = [[question.options[int(np.argmax(probabilities(scores)))]] for question, scores in sure]
    assert greedy == preferred
    # The least sure of them, whose votes differ.
    question, scores = min(sure, key=lambda entry: probabilities(entry[1]).max())
    ((*votes,),) = written(WritingSettings(max_new_tokens=2, temperature=1.0), tuple(range(200)), [question])
    shares = np.array([votes.count(option) for option in question.options]) / len(votes)
    assert np.abs(shares - probabilities(scores)).max() < 0.17
    assert len(set(votes)) > 1


def test_the_system_message_reaches_the_prompt(
    scorer: VllmChoiceScorer, questions: list[Question], checkpoint: Path
) -> None:
    """The engine is the same, the chat format another; transformers says what should come of it."""
    settings = EngineSettings(None, str(checkpoint), {}, torch.device("cpu"), "float32", system_prompt="What colour?")
    reference = build_scorer(settings)
    prompted = VllmChoiceScorer(scorer._engine, reference._chat)
    assert prompted.fingerprint != scorer.fingerprint
    for here, there in zip(answers(prompted, questions[:8]), answers(reference, questions[:8]), strict=True):
        assert probabilities(here) == pytest.approx(probabilities(there), abs=1e-3)


def test_the_fingerprint_names_what_answers(scorer: VllmChoiceScorer, checkpoint: Path) -> None:
    import vllm

    fingerprint = scorer.fingerprint
    for part in (f"vllm {vllm.__version__}", "torch.float32", "cpu", "options"):
        assert part in fingerprint
    weights = checkpoint / "model.safetensors"
    times = weights.stat()
    os.utime(weights, (times.st_atime, times.st_mtime + 1))
    assert scorer.fingerprint != fingerprint
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert scorer.fingerprint == fingerprint


@pytest.fixture
def settle(
    scorer: VllmChoiceScorer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., VllmChoiceScorer]:
    """A function that builds a scorer as a user does, but takes the engine that has been started."""

    def build(*, chat_template: str | None = None, **settings: Any) -> VllmChoiceScorer:
        started = StartedEngine(scorer._engine, AutoProcessor.from_pretrained(checkpoint), chat_template)
        monkeypatch.setattr(engines, "start_engine", lambda *arguments, **named: started)
        built = build_scorer(EngineSettings("vllm", str(checkpoint), {}, torch.device("cpu"), **settings))
        assert isinstance(built, VllmChoiceScorer)
        return built

    return build


@pytest.mark.parametrize(("wanted", "most", "size"), [(1, None, BATCH_SIZE), ("auto", 9, 9), (7, None, 7)])
def test_the_batch_size_is_benchc_s_unless_the_user_names_one(
    wanted: int | str, most: int | None, size: int, settle: Callable[..., VllmChoiceScorer]
) -> None:
    assert settle(batch_size=wanted, max_batch_size=most).batch_size == size


def test_a_chat_template_of_the_user_s_writes_the_prompt(
    settle: Callable[..., VllmChoiceScorer], scorer: VllmChoiceScorer, questions: list[Question]
) -> None:
    other = settle(chat_template="<|user|><image>{{ messages[0].content[1].text }}<|end|><|assistant|>")
    assert other.fingerprint != scorer.fingerprint
    (prepared,) = other.prepare(questions[:1])
    assert isinstance(prepared, PreparedQuestion)
    assert prepared.prompt["prompt_token_ids"] == scorer._chat.prompt_tokens(
        f"<|user|><image>{questions[0].context}<|end|><|assistant|>"
    )


@pytest.mark.usefixtures("vllm")
def test_lmms_eval_with_the_engine(
    tmp_path: Path,
    lmms_eval: Callable[..., Any],
    questions: list[Question],
    expected: list[list[OptionResponse]],
) -> None:
    """On a CPU in float32, whatever the checkpoint says: its own bfloat16 would be a hundredth beside it."""
    checkpoint = vllm_checkpoint(tmp_path / "model")
    config = checkpoint / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"dtype": "float32"', '"dtype": "bfloat16"'))
    assert "bfloat16" in config.read_text(encoding="utf-8")
    arguments = f"backend=vllm,pretrained={checkpoint},max_model_len=512,enforce_eager=True"
    evaluation = lmms_eval(
        ["--model", "benchc", "--model_args", arguments, "--tasks", "benchc_gaussian_noise", "--limit", "2"],
        environment=ENVIRONMENT,
    )
    figures = evaluation.results["results"]["benchc_gaussian_noise"]
    assert figures["invalid_pairs,none"] == 0
    assert figures["length_normalised,none"] == 0
    records = [row["benchc"] for row in evaluation.samples("benchc_gaussian_noise")]
    assert len(records) == 2
    for number, record in enumerate(records):
        clean, noisy = expected[len(CONDITIONS) * number : len(CONDITIONS) * number + 2]
        for place, there in ((0, clean), (3, noisy)):
            assert record["log_likelihoods"][place] == pytest.approx([score.value for score in there], abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, r"^backend 'vllm' needs one model: give pretrained, a folder or a hub id$"),
        ({"pretrained": "here", "model": "there"}, r"^backend 'vllm' needs one model"),
        ({"pretrained": "here", "logprobs_mode": "processed_logprobs"}, r"^logprobs_mode is 'processed_logprobs'"),
        ({"pretrained": "here", "max_pixels": 9}, r"^argument 'max_pixels' has no effect .* give mm_processor_kwargs"),
        ({"pretrained": "here", "batch_size": "many"}, r"^batch_size is 'many': give a number"),
    ],
)
def test_arguments_that_cannot_be_meant_are_a_sentence(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        BenchCModel(backend="vllm", device="cpu", **arguments)


@pytest.mark.skipif(WHY_NO_VLLM is None, reason="vLLM is installed here")
def test_where_vllm_is_not_installed_the_sentence_says_so() -> None:
    with pytest.raises(ValueError, match=r"^backend 'vllm' needs vllm, which is not installed: pip install vllm$"):
        BenchCModel(backend="vllm", pretrained="anything", device="cpu")


@pytest.mark.parametrize(
    ("model", "arguments", "sentence"),
    [
        ("nowhere", {}, r"^vLLM could not start model '.*nowhere' with dtype: \w+: .+"),
        (None, {"max_model_length": 3}, r"^vLLM could not start .* with dtype, max_model_length: TypeError: .*max_mod"),
        (
            None,
            {"max_model_len": 10**6},
            r"^vLLM could not start .*: ValidationError: .*max_model_len .*1000000.* is gr",
        ),
        (None, {"dtype": "float65"}, r"^vLLM could not start"),
    ],
)
@pytest.mark.usefixtures("vllm")
def test_an_engine_that_does_not_start_is_a_sentence(
    model: str | None, arguments: dict[str, Any], sentence: str, checkpoint: Path, tmp_path: Path
) -> None:
    dtype = arguments.pop("dtype", "float32")
    with pytest.raises(ValueError, match=sentence) as caught:
        start_engine(str(tmp_path / model if model else checkpoint), arguments, _start_vllm, dtype=dtype)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("vllm")
def test_a_model_that_takes_no_images_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    from vllm.engine.arg_utils import EngineArgs

    text = LlamaConfig(hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, vocab_size=99)
    text.architectures = ["LlamaForCausalLM"]
    text.save_pretrained(tmp_path)
    config = EngineArgs(model=str(tmp_path), skip_tokenizer_init=True).create_model_config()
    with pytest.raises(
        ValueError, match=rf"^model '{tmp_path}' takes no images in vLLM: name a vision-language model$"
    ):
        _refuse_without_images(config)
    _refuse_without_images(EngineArgs(model=str(checkpoint)).create_model_config())


@pytest.mark.usefixtures("vllm")
def test_where_the_reason_stands_in_the_log_of_a_process_the_sentence_says_so(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The bundled model as it is has names of weights that vLLM 0.32 doesn't know."""
    with pytest.raises(
        ValueError, match=r": its process failed, and the lines of EngineCore and Worker above say why$"
    ):
        start_engine(str(DEMONSTRATION_MODEL), ENGINE, _start_vllm, dtype="float32")
    printed = capfd.readouterr()
    assert "no module or parameter named 'vision_tower.embeddings'" in printed.out + printed.err


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([-0.1, -0.2], "the probabilities of the 2 tokens that the engine shows sum to 1.72"),
        ([0.5, -2.0], "the engine gives token 1 the log-probability 0.5"),
        ([float("nan"), -2.0], "the engine gives token 1 the log-probability nan"),
        (["-0.1", -2.0], "the engine gives token 1 the log-probability '-0.1', not a number"),
        ([None, -2.0], "the engine gives token 1 the log-probability None, not a number"),
    ],
)
@pytest.mark.parametrize("top", [None, 20])
def test_numbers_of_an_engine_that_are_not_log_probabilities_are_one_invalid_question(
    values: list[Any], reason: str, top: int | None
) -> None:
    """No engine is needed to read an answer."""
    scorer = VllmChoiceScorer.__new__(VllmChoiceScorer)
    scorer._top, scorer.usage = top, Usage()
    asked = PreparedQuestion(Question("sample 'x' under clean", "?", ("A", "B"), ()), {}, (1, 2), None)
    shown = {token: SimpleNamespace(logprob=value) for token, value in zip((1, 2), values, strict=True)}
    outcome = scorer._outcome(asked, SimpleNamespace(prompt_token_ids=[7], outputs=[SimpleNamespace(logprobs=[shown])]))
    assert isinstance(outcome, ScoringError)
    assert str(outcome) == f"sample 'x' under clean: {reason}"


@pytest.mark.parametrize(("difference", "is_blind"), [(0.0, True), (5e-3, True), (0.1, False)])
def test_an_engine_to_which_pictures_make_no_difference_ends_the_run(difference: float, is_blind: bool) -> None:
    """No engine is needed to compare its answers."""

    class Answering(VllmChoiceScorer):
        def __init__(self) -> None:
            self._has_looked = False
            self._engine = SimpleNamespace(model_config=SimpleNamespace(model="tiny"))

        def _prepare(self, question: Question) -> PreparedQuestion:
            return PreparedQuestion(question, {}, (1, 2), None)

        def ask(self, ready: Sequence[PreparedQuestion], read: object) -> list[Any]:
            level = [one.question.images[0].getpixel((0, 0))[0] / 255 for one in ready]
            return [[OptionResponse(-1.0 - difference * each, True), OptionResponse(-2.0, False)] for each in level]

    engine = Answering()
    asked = engine.prepare([Question(str(n), "?", ("A", "B"), (Image.new("RGB", (4, 4)),)) for n in range(3)])
    if not is_blind:
        assert len(engine.score(asked)) == 3
        return
    with pytest.raises(EngineError, match=r"^model 'tiny' answers the same in vLLM whatever its pictures show: name a"):
        engine.score(asked)


def test_an_engine_whose_process_has_died_ends_the_run(scorer: VllmChoiceScorer, questions: list[Question]) -> None:
    """The last test of the engine, which it kills."""
    (process,) = scorer._processes
    process.kill()
    for _ in range(2):
        with pytest.raises(EngineError, match=r"^vLLM's engine has died, and the lines of EngineCore and Worker above"):
            scorer.score(scorer.prepare(questions[:4]))
