"""Questions about photographs at a given size: two real photographs, cut differently for each sample."""

from __future__ import annotations

import io
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from benchc_metrics.benchmark import CORRUPTION_FAMILIES, SEVERITIES
from benchc_tasks.corruptions import CORRUPTIONS, condition_seed, corrupt
from benchc_tasks.datasets import load_dataset
from benchc_tasks.demonstration import DEMONSTRATION_SET
from benchc_tasks.models.questions import Question
from benchc_tasks.stacks.prompting import LETTERS, Prompt

__all__ = ["CONDITIONS", "Sample", "ShownSample", "bundled_inquiries", "inquiries", "make_samples"]

CONDITIONS: tuple[tuple[str | None, int], ...] = (
    (None, 0),
    *((name, severity) for name in CORRUPTION_FAMILIES for severity in SEVERITIES),
)
"""Clean and all 95 corrupted conditions."""

WORDS = ("flower", "roof", "river", "animal", "street", "person", "boat", "sky", "garden", "vehicle")
COLOURS = ("red", "green", "blue", "yellow", "brown", "white", "black", "grey", "orange", "purple")


@dataclass(frozen=True)
class Sample:
    """A question about a photograph.

    Attributes
    ----------
    name : str
    photograph : str
        Names the picture; several samples may have it.
    picture : bytes
        The file.
    context : str
        The question with its lettered options.
    options : tuple of str
        The options' letters.
    """

    name: str
    photograph: str
    picture: bytes
    context: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class ShownSample:
    """A sample under a condition, rendered when it is asked for."""

    shown: Sample
    corruption: str | None
    severity: int

    @property
    def pixels(self) -> tuple[str, str | None, int] | None:
        """The same for all questions that show the same pixels; None where the sample's name decides over them."""
        is_random = self.corruption is not None and CORRUPTIONS[self.corruption].is_random
        return None if is_random else (self.shown.photograph, self.corruption, self.severity)

    @property
    def sample(self) -> str:
        """The sample's name."""
        return self.shown.name

    def question(self) -> Question:
        """Decode and corrupt the picture."""
        return self.question_about((self.image(),))

    def question_about(self, images: tuple[Image.Image, ...]) -> Question:
        """Ask about pictures that are rendered."""
        name = f"{self.sample} under {self.corruption or 'clean'}@{self.severity}"
        return Question(name, self.shown.context, self.shown.options, images)

    def image(self) -> Image.Image:
        """Decode and corrupt the picture."""
        image = Image.open(io.BytesIO(self.shown.picture)).convert("RGB")
        if self.corruption is not None:
            seed = condition_seed(self.sample, self.corruption, self.severity)
            image = corrupt(image, self.corruption, self.severity, seed=seed)
        return image


def make_samples(count: int, side: int, options: int, questions: int = 1, seed: int = 0) -> list[Sample]:
    """Make `questions` questions of `options` options about each of `count` pictures of `side` x `side` pixels."""
    photographs = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    generator = np.random.default_rng(seed)
    letters = tuple(string.ascii_uppercase[:options])
    samples = []
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        crop = int(generator.integers(300, min(photograph.size) + 1))
        left, top = (int(generator.integers(0, length - crop + 1)) for length in photograph.size)
        cut = photograph.crop((left, top, left + crop, top + crop)).resize((side, side), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        cut.save(buffer, "JPEG", quality=95)
        for question in range(questions):
            thing = WORDS[int(generator.integers(len(WORDS)))]
            colours = [COLOURS[place] for place in generator.permutation(len(COLOURS))[:options]]
            lines = [f"{letter}. {colour}" for letter, colour in zip(letters, colours, strict=True)]
            context = "\n".join(
                [
                    f"What colour is the {thing} in the middle of the picture?",
                    *lines,
                    "Answer with the option's letter from the given choices directly.",
                ]
            )
            name = f"photograph-{number}"
            samples.append(Sample(f"{name}-{question}", name, buffer.getvalue(), context, letters))
    return samples


def inquiries(samples: Sequence[Sample], conditions: Sequence[tuple[str | None, int]]) -> Iterator[ShownSample]:
    """Show every sample under every condition."""
    for sample in samples:
        for corruption, severity in conditions:
            yield ShownSample(sample, corruption, severity)


def bundled_inquiries(count: int, conditions: Sequence[tuple[str | None, int]]) -> tuple[list[ShownSample], np.ndarray]:
    """Show the first samples of the bundled set; return their answers' numbers too."""
    dataset = load_dataset(DEMONSTRATION_SET)
    prompt = Prompt.for_model(None, None)
    rows = [dataset[number] for number in range(min(count, len(dataset)))]
    samples = [
        Sample(
            str(row["id"]),
            str(row["id"]),
            row["image"],
            prompt.text(row["question"], row["options"]),
            tuple(LETTERS[: len(row["options"])]),
        )
        for row in rows
    ]
    return list(inquiries(samples, conditions)), np.array([row["answer"] for row in rows])
