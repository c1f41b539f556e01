"""Requests of a stack, one an option, as questions with all their options; imports no stack."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard

from PIL import Image

from benchc_metrics.benchmark import Condition
from benchc_metrics.messages import quoted
from benchc_tasks.datasets import DatasetError
from benchc_tasks.datasets.fingerprint import image_digest
from benchc_tasks.models.generation.questions import TextQuestion, WritingSettings
from benchc_tasks.models.questions import Question, ScoringError, describe
from benchc_tasks.restoration import RestorationError, Restorer
from benchc_tasks.stacks.pictures import ConditionedPicture, condition_state

__all__ = [
    "Inquiry",
    "SampleUnderCondition",
    "TextInquiry",
    "group_by_sight",
    "knows_itself",
    "name_pixels",
    "picture_state",
]


class SampleUnderCondition(Protocol):
    """A `doc_to_visual` that says what it shows, as `benchc_tasks.stacks.pictures.ConditionedPicture` does.

    Two equal ones show the same picture, whatever task they come from.
    """

    @property
    def sample(self) -> str:
        """The sample's id."""
        ...

    @property
    def condition(self) -> Condition:
        """What is done to the image."""
        ...

    def __call__(self, doc: Any) -> list[Image.Image]:
        """Render the picture."""
        ...


def knows_itself(doc_to_visual: object) -> TypeGuard[SampleUnderCondition]:
    """Tell whether a `doc_to_visual` says what it shows."""
    return hasattr(doc_to_visual, "sample") and hasattr(doc_to_visual, "condition")


def picture_state(picture: SampleUnderCondition) -> tuple[str, str]:
    """Describe a picture for the key of a kept answer: dataset, sample and condition, and what the condition does."""
    return repr(picture), condition_state(picture.condition)


@dataclass
class TextInquiry:
    """All requests for texts that show the model the same prompt and the same picture, with the same settings.

    Attributes
    ----------
    name, sample, context
        As those of `Inquiry`.
    render : callable
        Renders the images.
    settings : WritingSettings
        How the texts are written.
    restore : Restorer or None
        Applied to every image.
    numbers : dict of int to int
        The numbers of the texts that are wanted, and their places among them.
    places : list of (int, int)
        For each request, its place among all requests and the place of its text.
    """

    name: str
    sample: str
    context: str
    render: Callable[[], Any]
    settings: WritingSettings
    restore: Restorer | None = None
    numbers: dict[int, int] = field(default_factory=dict)
    places: list[tuple[int, int]] = field(default_factory=list)

    def add(self, place: int, number: int) -> None:
        """Note that the request at `place` asks for text `number`."""
        self.places.append((place, self.numbers.setdefault(number, len(self.numbers))))

    def question(self) -> TextQuestion:
        """Render the images.

        Raises
        ------
        ScoringError
            If an image cannot be rendered, or what comes back is not an image.
        """
        try:
            images = tuple(self.render() or ())
        except Exception as fault:
            raise ScoringError(f"{self.name}: the image could not be rendered ({describe(fault)})") from fault
        for image in images:
            if not isinstance(image, Image.Image):
                raise ScoringError(
                    f"{self.name}: doc_to_visual returned a {type(image).__name__}, and benchc takes images"
                )
        if self.restore is not None:
            try:
                images = tuple(map(self.restore, images))
            except Exception as fault:
                raise ScoringError(f"{self.name}: the image could not be restored ({describe(fault)})") from fault
        return TextQuestion(self.name, self.context, images, self.settings, tuple(self.numbers))


@dataclass
class Inquiry:
    """All requests that show the model the same prompt and the same picture.

    Attributes
    ----------
    name : str
        What an error message calls it.
    sample : str
        The sample that it shows, whatever the condition.
    context : str
        The prompt.
    doc_to_visual : callable or None
        Renders the images from the doc.
    find_doc : callable
        Returns the doc.
    options : dict of str to int
        The distinct continuations and their numbers, in the order in which they were first asked for.
    places : list of (int, int)
        For each request, its place among all requests and the number of its option.
    restore : Restorer or None
        What is done to each image before the model sees it.
    pixels : hashable or None
        Equal for pictures that are equal to the pixel; None where that is not known. See `name_pixels`.
    """

    name: str
    sample: str
    context: str
    doc_to_visual: Callable[[Any], Any] | None
    find_doc: Callable[[], Any]
    options: dict[str, int] = field(default_factory=dict)
    places: list[tuple[int, int]] = field(default_factory=list)
    restore: Restorer | None = None
    pixels: Hashable | None = None

    @classmethod
    def of_picture(cls, context: str, picture: SampleUnderCondition, find_doc: Callable[[], Any]) -> Inquiry:
        """Ask about a picture that says what it shows."""
        sample = f"sample {quoted(picture.sample)}"
        return cls(f"{sample} under {picture.condition}", sample, context, picture, find_doc)

    def add(self, place: int, continuation: str) -> None:
        """Note that the request at `place` asks for `continuation`."""
        self.places.append((place, self.options.setdefault(continuation, len(self.options))))

    def question(self) -> Question:
        """Render the images; thread-safe if `doc_to_visual` is.

        Raises
        ------
        ScoringError
            If an image cannot be rendered or restored, or what comes back is not an image.
        """
        try:
            visuals = self.doc_to_visual(self.find_doc()) if self.doc_to_visual is not None else None
        except DatasetError as fault:
            reason = str(fault).removeprefix(f"{self.sample}: ")
            raise ScoringError(f"{self.name}: {reason}") from fault
        except Exception as fault:
            raise ScoringError(f"{self.name}: the image could not be rendered ({describe(fault)})") from fault
        images = tuple(visuals or ())
        for image in images:
            if not isinstance(image, Image.Image):
                raise ScoringError(
                    f"{self.name}: doc_to_visual returned a {type(image).__name__}, and benchc scores images only"
                )
        if self.restore is not None:
            try:
                images = tuple(map(self.restore, images))
            except RestorationError as fault:
                raise ScoringError(f"{self.name}: {fault}") from fault
        return self.question_about(images)

    def question_about(self, images: tuple[Image.Image, ...]) -> Question:
        """Ask about images that are rendered: these pixels, for this or another inquiry."""
        return Question(self.name, self.context, tuple(self.options), images)


def name_pixels(inquiries: Iterable[Inquiry]) -> None:
    """Tell which inquiries show the same pixels, by the bytes of their images and by their conditions.

    Pictures under a condition that draws random numbers are left out: the draws follow from the sample.
    """
    digests: dict[tuple[str, str], str | None] = {}
    for inquiry in inquiries:
        picture = inquiry.doc_to_visual
        if type(picture) is ConditionedPicture and not picture.depends_on_sample:
            sample = picture.dataset, picture.sample
            if sample not in digests:
                digests[sample] = _digest(inquiry)
            if (digest := digests[sample]) is not None:
                inquiry.pixels = digest, picture.condition


def _digest(inquiry: Inquiry) -> str | None:
    try:
        image = inquiry.find_doc()["image"]
    except Exception:  # what cannot be read is named where it is asked
        return None
    return image_digest(image) if isinstance(image, bytes) else None


def group_by_sight(
    requests: Iterable[tuple[object, str | Callable[[Any], str], Callable[[], Inquiry]]],
) -> list[Inquiry]:
    """Group requests by what the model sees.

    Parameters
    ----------
    requests : iterable of (object, str or callable, callable)
        For each request what tells what it shows from anything else, the continuation or a function of the doc that
        returns it, and a function that makes the inquiry if it is the first one to show that.

    Returns
    -------
    list of Inquiry
        In the order in which they are first asked for.
    """
    inquiries: dict[object, Inquiry] = {}
    for place, (shown, continuation, make) in enumerate(requests):
        inquiry = inquiries.get(shown)
        if inquiry is None:
            inquiry = inquiries[shown] = make()
        inquiry.add(place, continuation if isinstance(continuation, str) else continuation(inquiry.find_doc()))
    return list(inquiries.values())
