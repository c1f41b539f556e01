"""The four stages of training.

Two skills have to be learnt, and together from nothing neither starts: to bind an answer to its letter, and to see.
So the language model first learns letters from text (`train_letters`) and then to read ideal image tokens
(`train_language`); the vision tower learns to write such tokens (`train_vision`); and last, both learn together from
pictures (`train_jointly`). The word embeddings, once learnt with the letters, are kept until the last stage: they
are the common tongue of the two halves, which are trained independently.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

from benchc_tasks.scorers.training.architecture import image_tokens
from benchc_tasks.scorers.training.optimiser import MuonAdamW
from benchc_tasks.scorers.training.patches import FAMILIES, word_embeddings
from benchc_tasks.scorers.training.streams import Mix, Pack, Stream

__all__ = ["Say", "train_jointly", "train_language", "train_letters", "train_vision"]

Say = Callable[[str], None]
_SHARPNESS = 10.0
_LOG_EVERY = 25
_LOOKS = 6
_THOUGHT = 0.5
_WHISPER = 6.0


class _Progress:
    """Running loss and accuracies, said every few steps; the stream never repeats, so these are held-out figures."""

    def __init__(self, stage: str, steps: int, say: Say) -> None:
        self.stage, self.steps, self.say = stage, steps, say
        self.start = time.monotonic()
        self.right: dict[str, float] = defaultdict(float)
        self.asked: dict[str, int] = defaultdict(int)
        self.losses: list[float] = []

    def count(self, category: str, right: float, asked: int = 1) -> None:
        self.right[category] += right
        self.asked[category] += asked

    def step(self, step: int, loss: float) -> None:
        self.losses.append(loss)
        if (step + 1) % _LOG_EVERY and step + 1 != self.steps:
            return
        shares = " ".join(f"{name} {100 * self.right[name] / self.asked[name]:.1f}" for name in sorted(self.asked))
        mean = sum(self.losses) / len(self.losses)
        seconds = time.monotonic() - self.start
        self.say(f"{self.stage} {step + 1}/{self.steps} {seconds:.0f}s loss {mean:.3f} {shares}")
        self.right.clear()
        self.asked.clear()
        self.losses.clear()


@contextmanager
def _only(model: Any, trained: Callable[[str], bool]) -> Iterator[list[tuple[str, torch.nn.Parameter]]]:
    """Let only the parameters of certain names learn; yield them, by name."""
    named = list(model.named_parameters())
    for name, parameter in named:
        parameter.requires_grad_(trained(name))
    try:
        yield [(name, parameter) for name, parameter in named if trained(name)]
    finally:
        for _, parameter in named:
            parameter.requires_grad_(True)


def _answer_loss(
    model: Any,
    pack: Pack,
    tokens: torch.Tensor | None,
    progress: _Progress,
    thought: float = 0.0,
    prompted: float = 0.0,
) -> torch.Tensor:
    """Cross-entropy of answers and ends of turn, given the picture's image tokens if there is a picture.

    The loss of `_thought_loss` is added with a weight of `thought`, and the model is prompted with the right word at a
    strength of `prompted` (see `_prompting`).
    """
    embedded = model.get_input_embeddings()(pack.ids)
    if tokens is not None:
        # The picture is the same stretch of every row: after the user's mark.
        embedded = torch.cat([embedded[:, :1], tokens, embedded[:, 1 + tokens.shape[1] :]], dim=1)
    with _prompting(model, pack, prompted):
        output = model.model.language_model(
            inputs_embeds=embedded,
            attention_mask=pack.mask,
            position_ids=pack.positions,
            use_cache=False,
            output_hidden_states=True,
        )
    hidden = output.last_hidden_state
    logits = model.lm_head(hidden[pack.rows, pack.columns])
    right = (logits.argmax(-1) == pack.targets)[pack.answers].tolist()
    for category, correct in zip(pack.categories, right, strict=True):
        progress.count(category, float(correct))
    losses = F.cross_entropy(logits, pack.targets, reduction="none")
    # The end of turn is learnt in a few steps; the answer is what matters.
    weights = torch.where(pack.answers, 1.0, 0.1)
    loss = (losses * weights).sum() / weights.sum()
    if thought == 0.0:
        return loss
    return loss + thought * _thought_loss(model, pack, output.hidden_states, progress)


@contextmanager
def _prompting(model: Any, pack: Pack, strength: float) -> Iterator[None]:
    """Whisper the answer in words to the model's fourth layer, where the letter is to be said.

    So the upper layers can learn to find the option that says a word before the lower ones know which word.
    """
    if strength == 0.0:
        yield
        return
    rows, _, lasts, words = pack.marks
    whisper = torch.zeros(*pack.ids.shape, model.get_input_embeddings().weight.shape[1])
    whisper[rows, lasts] = strength * _WHISPER * model.get_input_embeddings().weight[words].detach()

    def add(_: Any, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (arguments[0] + whisper, *arguments[1:])

    handle = model.model.language_model.layers[3].register_forward_pre_hook(add)
    try:
        yield
    finally:
        handle.remove()


def _thought_loss(model: Any, pack: Pack, hidden: tuple[torch.Tensor, ...], progress: _Progress) -> torch.Tensor:
    """Cross-entropy of the answer in words, read from the middle of the model.

    A letter needs the answer first: the second layer is to have it where the question ends, the third where the
    letter is to be said, and the layers above look for the option that says so.
    """
    rows, ends, lasts, words = pack.marks
    loss = torch.zeros(())
    for label, layer, columns in (("thought", 2, ends), ("recall", 3, lasts)):
        logits = model.lm_head(model.model.language_model.norm(hidden[layer][rows, columns]))
        progress.count(label, (logits.argmax(-1) == words).sum().item(), len(words))
        loss = loss + F.cross_entropy(logits, words)
    return loss


def _ideal_tokens(names: torch.Tensor, clear: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
    """Return the image tokens of a perfect vision tower, blurred: noise, varied strength, borders of any kind."""
    batch, patches, _ = names.shape
    # A border patch shows something between blank and what a random other patch shows.
    other = torch.gather(names, 1, torch.randint(patches, (batch, patches, 1)).expand_as(names))
    share = torch.rand(batch, patches, 1) * (~clear).unsqueeze(-1)
    mixed = names * (1.0 - share) + other * share
    strength = torch.empty(batch, patches, 1).uniform_(0.7, 1.2)
    tokens = mixed @ embeddings * strength
    return tokens + torch.randn_like(tokens) * 0.3 * embeddings.std()


def train_letters(model: Any, stream: Stream, steps: int, batch: int, say: Say) -> None:
    """Teach the language model to bind an answer to its letter, from text that contains the answer.

    It begins with short drills, which give way to whole prompts.

    Parameters
    ----------
    model
        Trained in place: the language model with its word embeddings.
    stream
        Source of questions.
    steps, batch
        Number of steps and of packs of questions a step.
    say
        Is handed a line of progress every few steps.
    """
    progress = _Progress("letters", steps, say)
    with _only(model, lambda name: "language_model" in name) as parameters:
        optimiser = MuonAdamW(parameters, steps, muon_rate=0.02, adam_rate=3e-3)
        for step in range(steps):
            drills = min(1.0, max(0.1, 1.0 - 5.0 * (step / steps - 0.45)))
            pack = stream.pack_text(stream.scenes(batch), Mix(drills=drills, hints=1.0, open=0.1))
            loss = _answer_loss(model, pack, None, progress)
            optimiser.step(loss)
            progress.step(step, loss.item())


def train_language(model: Any, stream: Stream, steps: int, batch: int, say: Say) -> None:
    """Teach the language model to read ideal image tokens and to answer by letters.

    It begins with questions whose text contains the answer and with scenes of one thing; both fade out.

    Parameters
    ----------
    model
        Trained in place: the language model without its word embeddings.
    stream
        Source of scenes and questions.
    steps, batch
        Number of steps and pictures a step.
    say
        Is handed a line of progress every few steps.
    """
    progress = _Progress("language", steps, say)
    embeddings = word_embeddings(model, stream.tokenizer).detach()
    with _only(model, lambda name: "language_model" in name and "embed_tokens" not in name) as parameters:
        optimiser = MuonAdamW(parameters, steps, muon_rate=0.02, adam_rate=2e-3)
        for step in range(steps):
            fade = max(0.0, 1.0 - step / (0.3 * steps))
            scenes = stream.scenes(batch, single=0.5 * fade)
            pack = stream.pack(scenes, Mix(hints=0.7 * fade, looks=_LOOKS))
            tokens = _ideal_tokens(*stream.names(scenes), embeddings)
            loss = _answer_loss(model, pack, tokens, progress)
            optimiser.step(loss)
            progress.step(step, loss.item())


def train_choices(model: Any, stream: Stream, steps: int, batch: int, say: Say) -> None:
    """Teach the language model to choose by what was asked, where several options name something in the picture.

    Parameters
    ----------
    model
        Trained in place: the language model without its word embeddings.
    stream, steps, batch, say
        As in `train_language`.
    """
    progress = _Progress("choices", steps, say)
    embeddings = word_embeddings(model, stream.tokenizer).detach()
    with _only(model, lambda name: "language_model" in name and "embed_tokens" not in name) as parameters:
        optimiser = MuonAdamW(parameters, steps, muon_rate=0.02, adam_rate=2e-3)
        for step in range(steps):
            scenes = stream.scenes(batch)
            pack = stream.pack(scenes, Mix(hints=0.1, looks=2, tempting=True))
            tokens = _ideal_tokens(*stream.names(scenes), embeddings)
            loss = _answer_loss(model, pack, tokens, progress, _THOUGHT, prompted=max(0.0, 1.0 - 2.0 * step / steps))
            optimiser.step(loss)
            progress.step(step, loss.item())


def _dense_loss(
    tokens: torch.Tensor, names: torch.Tensor, clear: torch.Tensor, embeddings: torch.Tensor, progress: _Progress
) -> torch.Tensor:
    """Compare image tokens with the words that name their patches: by family, and with their sum."""
    power = embeddings.square().sum(-1).mean()
    logits = tokens @ embeddings.T / power * _SHARPNESS
    loss = ((tokens - names @ embeddings)[clear]).square().mean() / embeddings.square().mean()
    for family, label in zip(FAMILIES, ("patch-colour", "patch-kind", "patch-place"), strict=True):
        wanted = names[..., family]
        counted = clear & (wanted.sum(-1) > 0)
        guesses, truth = logits[..., family][counted], wanted[counted].argmax(-1)
        loss = loss + F.cross_entropy(guesses, truth)
        progress.count(label, (guesses.argmax(-1) == truth).sum().item(), len(truth))
    return loss


def train_vision(model: Any, stream: Stream, steps: int, batch: int, say: Say) -> None:
    """Teach the vision tower and the projector to write the ideal image tokens of a picture.

    Parameters
    ----------
    model
        Trained in place: vision tower and projector.
    stream, steps, batch, say
        As in `train_language`.
    """
    progress = _Progress("vision", steps, say)
    embeddings = word_embeddings(model, stream.tokenizer).detach()
    with _only(model, lambda name: "vision_tower" in name or "projector" in name) as parameters:
        optimiser = MuonAdamW(parameters, steps, muon_rate=0.02, adam_rate=2e-3)
        for step in range(steps):
            scenes = stream.scenes(batch)
            tokens = image_tokens(model, stream.pixels(scenes))
            loss = _dense_loss(tokens, *stream.names(scenes), embeddings, progress)
            optimiser.step(loss)
            progress.step(step, loss.item())


def train_jointly(
    model: Any, stream: Stream, steps: int, batch: int, say: Say, dense: float = 0.2, checkpoint: Say | None = None
) -> None:
    """Teach the whole model on pictures and questions; the loss of `train_vision` is kept at a share of `dense`.

    Parameters
    ----------
    model
        Trained in place, all of it.
    stream, steps, batch, say
        As in `train_language`.
    dense
        Weight of the dense loss.
    checkpoint
        Is handed a name at every sixth of the steps, to save the model under.
    """
    progress = _Progress("joint", steps, say)
    with _only(model, lambda name: True) as parameters:
        optimiser = MuonAdamW(parameters, steps, muon_rate=0.01, adam_rate=1e-3)
        for step in range(steps):
            if checkpoint is not None and step % max(1, steps // 6) == 0:
                checkpoint(f"step-{step}")
            scenes = stream.scenes(batch)
            pack = stream.pack(scenes, Mix(looks=_LOOKS))
            tokens = image_tokens(model, stream.pixels(scenes))
            loss = _answer_loss(model, pack, tokens, progress, _THOUGHT)
            embeddings = word_embeddings(model, stream.tokenizer).detach()
            loss = loss + dense * _dense_loss(tokens, *stream.names(scenes), embeddings, progress)
            optimiser.step(loss)
            progress.step(step, loss.item())
