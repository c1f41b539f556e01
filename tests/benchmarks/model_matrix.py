"""Score with a tiny checkpoint of every vision-language family of transformers, and compare with two slow ways.

    python tests/benchmarks/model_matrix.py            # all families; writes docs/model_families.md
    python tests/benchmarks/model_matrix.py llava git  # some, printed

For each entry of `MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES`: a checkpoint is made (tests/any_family.py), loaded as a
user's would be, and asked four questions with options of one token and of several, alone and in a batch of four. One
slow way is the whole sequence through the model, unpadded and without a cache; the other is `generate`, forced to write
the option. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import transformers as hf
from any_family import FAMILIES, NotBuilt, build_any
from loguru import logger
from PIL import Image

from benchc_tasks.models.chat import ChatFormat
from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.loading import LoadedModel, load_checkpoint
from benchc_tasks.models.questions import Question, ScoringError
from benchc_tasks.models.trial import Way

QUESTIONS = (
    "What is this?",
    "What colour is the big square? A red B green C blue D yellow. Answer with the option's letter.",
    "Where is the star, and how many are there of it?",
    "one two three four",
)
SIZES = ((40, 40), (70, 40), (40, 90), (64, 64))
OPTIONS = ("A", "B", "zebra crossing", " quick brown fox")
SEVERAL = (2, 3)
AGREES = 3e-5
PAGE = Path(__file__).resolve().parents[2] / "docs" / "model_families.md"
KNOWN = {
    "diffusion_gemma": "it writes by diffusion, and has no option log-likelihoods of one pass",
    "evolla": "it reads proteins, and AutoModelForImageTextToText does not know it",
    "hunyuan_vl": "its own `generate` differs alike in a batch: the position of a picture counts the pictures of the "
    "questions before it",
    "instructblipvideo": "it reads videos only",
    "kosmos-2.5": "its own `generate` differs in a batch, too",
    "llama4": "transformers 5.24 fails at every picture: it reads image_outputs where there are none",
    "minicpmv4_6": "its own `generate` differs alike in a batch: so do the features of pictures of several sizes",
    "mistral4": "the mapping names its text model, which reads no pictures",
    "pi0": "it controls robots",
}
"""What was found out about families that are not scored, or not alike in a batch."""
WAYS = {
    Way.FAST: "",
    Way.ALONE: "one by one",
    Way.WHOLE_REST: "whole sequences",
    Way.WHOLE: "one by one, whole sequences",
}


@dataclass(frozen=True)
class Row:
    """Outcome of one family.

    Attributes
    ----------
    family, built : str
        The type of its configuration; why there is no tiny model, empty if there is.
    sentence : str
        The message that a user gets, empty if none.
    way : str
        How the scorer reads it, where not the fast way.
    alone, batched, several, generated : float or None
        Largest differences to the slow reference in nats: letters at batch 1 and at batch 4, options of several tokens
        at both; and of `generate` to the slow reference.
    """

    family: str
    built: str = ""
    sentence: str = ""
    way: str = ""
    alone: float | None = None
    batched: float | None = None
    several: float | None = None
    generated: float | None = None


def picture(seed: int, size: tuple[int, int]) -> Image.Image:
    """Coloured blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST)


def inputs_of(loaded: LoadedModel, text: str, image: Image.Image) -> dict[str, Any]:
    """Run the processor over one question, as its documentation does."""
    content = [{"type": "image"}, {"type": "text", "text": text}]
    template = getattr(loaded.processor, "chat_template", None) or loaded.tokenizer.chat_template
    messages = [{"role": "user", "content": content}]
    prompt = loaded.processor.apply_chat_template(messages, add_generation_prompt=True, chat_template=template)
    begins = loaded.tokenizer.bos_token is not None and prompt.startswith(loaded.tokenizer.bos_token)
    settings: dict[str, Any] = {"return_tensors": "pt", **({"add_special_tokens": False} if begins else {})}
    if "mm_token_type_ids" in loaded.processor.model_input_names:
        settings["return_mm_token_type_ids"] = True
    try:
        made = loaded.processor(text=[prompt], images=[[image]], **settings)
    except Exception:
        made = loaded.processor(text=[prompt], images=[image], **settings)
    takes = inspect.signature(loaded.model.forward).parameters
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values())
    return {name: value for name, value in made.items() if name != "labels" and (anything or name in takes)}


def slowly(loaded: LoadedModel, inputs: dict[str, Any], tokens: Sequence[int]) -> float:
    """Score an option by one pass over the whole sequence, with nothing of benchc's."""
    option = torch.tensor([tokens])
    shape = inputs["input_ids"].shape
    ones = {"attention_mask"} | ({"token_type_ids"} if "PaliGemma" in type(loaded.model).__name__ else set())
    sequence = dict(inputs)
    for name, value in inputs.items():
        if name in ("cross_attention_mask", "image_attention_mask"):
            last = value[:, -1:].expand(-1, option.shape[1], *value.shape[2:])
            sequence[name] = torch.cat([value, last], 1)
        elif isinstance(value, torch.Tensor) and value.shape == shape:
            added = option if name == "input_ids" else torch.full_like(option, int(name in ones))
            sequence[name] = torch.cat([value, added.to(value.dtype)], 1)
    with torch.no_grad():
        logits = loaded.model(**sequence, use_cache=False).logits[0].double()
    steps = logits[-len(tokens) - 1 : -1].log_softmax(-1)
    return sum(float(step[token]) for step, token in zip(steps, tokens, strict=True))


def generated(loaded: LoadedModel, inputs: dict[str, Any], tokens: Sequence[int]) -> float:
    """Score an option by `generate`, which is allowed to write nothing else."""
    length = inputs["input_ids"].shape[1]
    written = loaded.model.generate(
        **inputs,
        max_new_tokens=len(tokens),
        min_new_tokens=len(tokens),
        do_sample=False,
        prefix_allowed_tokens_fn=lambda _, sofar: [tokens[min(len(sofar) - length, len(tokens) - 1)]],
        output_logits=True,
        return_dict_in_generate=True,
    )
    steps = [logits[0].double().log_softmax(-1) for logits in written.logits]
    return sum(float(step[token]) for step, token in zip(steps, tokens, strict=True))


def rows_of(loaded: LoadedModel, family: str) -> Row:
    """Compare."""
    chat = ChatFormat(loaded.processor, loaded.tokenizer)
    images = [picture(seed, size) for seed, size in enumerate(SIZES)]
    questions = [
        Question(f"question {number}", text, OPTIONS, (image,))
        for number, (text, image) in enumerate(zip(QUESTIONS, images, strict=True))
    ]
    values, ways = {}, []
    for size in (1, 4):
        scorer = TransformersChoiceScorer(loaded.model, chat, size)
        outcomes = [
            outcome
            for start in range(0, len(questions), size)
            for outcome in scorer.score(scorer.prepare(questions[start : start + size]))
        ]
        for outcome in outcomes:
            if isinstance(outcome, ScoringError):
                return Row(family, sentence=str(outcome))
        values[size] = np.array([[response.value for response in outcome] for outcome in outcomes])
        ways.append(scorer._way)
    expected = np.empty_like(values[1])
    forced: list[float] = []
    for number, question in enumerate(questions):
        inputs = inputs_of(loaded, question.context, images[number])
        tokens = [chat.option_tokens(chat.prompt(question.context, 1), option) for option in OPTIONS]
        expected[number] = [slowly(loaded, inputs, some) for some in tokens]
        if number == 1:
            try:
                forced = [generated(loaded, inputs, some) for some in tokens]
            except Exception as fault:
                logger.debug(f"{family}: generate failed ({fault})")
    differences = {size: np.abs(found - expected) for size, found in values.items()}
    letters = [place for place in range(len(OPTIONS)) if place not in SEVERAL]
    return Row(
        family,
        way=WAYS[max(ways, key=list(Way).index)],
        alone=float(differences[1][:, letters].max()),
        batched=float(differences[4][:, letters].max()),
        several=float(max(each[:, list(SEVERAL)].max() for each in differences.values())),
        generated=float(np.abs(forced - expected[1]).max()) if forced else None,
    )


def tried(family: str, folder: Path) -> Row:
    """Make, load and compare one family."""
    try:
        build_any(family, folder)
    except NotBuilt as fault:
        return Row(family, built=str(fault))
    said: list[str] = []
    sink = logger.add(lambda line: said.append(str(line).strip()), level="WARNING", format="{message}")
    try:
        loaded = load_checkpoint(str(folder), {}, device=torch.device("cpu"), dtype=torch.float32)
        row = rows_of(loaded, family)
    except Exception as fault:
        row = Row(family, sentence=str(fault) if type(fault).__name__ != "AttributeError" else repr(fault))
    finally:
        logger.remove(sink)
    told = row.sentence or "; ".join(dict.fromkeys(said))
    return Row(**{**vars(row), "sentence": told.replace(str(folder), family)})


def written(row: Row) -> str:
    """Write a line of the table."""

    def agrees(difference: float | None) -> str:
        if difference is None:
            return "-"
        return f"yes ({difference:.0e})" if difference <= AGREES else f"**no** ({difference:.2g})"

    said = f"no tiny model: {row.built}" if row.built else row.sentence
    if row.family in KNOWN:
        said = f"{KNOWN[row.family]} ({said})" if said else KNOWN[row.family]
    said = " ".join(said.replace("|", "\\|").split())
    cells = (agrees(row.alone), agrees(row.batched), agrees(row.several), agrees(row.generated), said or "-")
    return f"| `{row.family}` | {' | '.join(cells)} |"


HEAD = """# Which model families were tried

```bash
python tests/benchmarks/model_matrix.py
```

The script writes this page: for every entry of transformers' `MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES` it makes a
tiny randomly initialised checkpoint from the family's default configuration, and compares what the scorer of
[scoring.md](scoring.md) answers with a slow reference: the whole sequence through the model, unpadded and without a
cache. Four questions, options of one token and of several. *yes* is a largest difference of at most 3e-5 nats, *no* is
more, with the difference in nats.

A random model shows that numbers agree, and nothing of how well a family answers. Where there is no tiny model, the
family was not tried, and the guard of the first question (scoring.md) is what stands between it and a wrong number.

"""
COLUMNS = """| family | letters alone | letters in a batch of 4 | several tokens | `generate` | message to the user |
| --- | --- | --- | --- | --- | --- |"""


def counted(rows: Sequence[Row]) -> str:
    """Sum the table up in a sentence."""
    scored = [row for row in rows if row.alone is not None]
    agreeing = [row for row in scored if max(row.alone or 0, row.batched or 0, row.several or 0) <= AGREES]
    slow = [row for row in scored if row.way]
    untried = [row for row in rows if row.built]
    others = [row for row in rows if not row.built and row.alone is None]
    refused = [row for row in others if "name a" in row.sentence]
    return (
        f"With transformers {hf.__version__} and torch {torch.__version__.partition('+')[0]}: of {len(rows)} entries, "
        f"{len(rows) - len(untried)} were built. {len(scored)} were scored, of which {len(agreeing)} agree in every "
        f"column of the scorer and {len(slow)} are read a slower way. {len(refused)} are refused in a sentence with a "
        f"cure, most of them encoder-decoders and models without a language-model head. {len(others) - len(refused)} "
        "fail in their own model or processor, most of them because the parts of the tiny checkpoint do not fit "
        "together."
    )


def main() -> None:
    """Print the table, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", choices=[*FAMILIES, []])
    parser.add_argument("--folder", type=Path, help="keep the checkpoints here")
    parser.add_argument("--rows", type=Path, help="keep the rows here, and try no family again that is there")
    settings = parser.parse_args()
    hf.logging.set_verbosity_error()
    torch.set_num_threads(1)
    logger.remove()
    lines = settings.rows.read_text().splitlines() if settings.rows and settings.rows.exists() else []
    known = {row.family: row for row in (Row(**json.loads(line)) for line in lines)}
    rows = []
    print(COLUMNS)
    with tempfile.TemporaryDirectory() as temporary:
        for family in settings.families or FAMILIES:
            row = known.get(family) or tried(family, (settings.folder or Path(temporary)) / family)
            rows.append(row)
            print(written(row), flush=True)
            if settings.rows and family not in known:
                with settings.rows.open("a") as file:
                    file.write(json.dumps(vars(row)) + "\n")
    print(counted(rows))
    if not settings.families:
        PAGE.write_text(
            f"{HEAD}{counted(rows)}\n\n{COLUMNS}\n" + "\n".join(map(written, rows)) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
