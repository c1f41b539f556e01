"""Train the model in three stages.

The model must learn two skills: to connect an answer with its letter, and to see. Together, from random weights, it
learns neither. So first the language model learns to read ideal image tokens (`train_language`) and the vision tower
learns to produce such tokens (`train_vision`); then both learn together from pictures (`train_jointly`). The word
embeddings keep their initial values until the last stage, because both halves share them and are trained separately.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from benchc_tasks.demonstration.training.architecture import image_tokens
from benchc_tasks.demonstration.training.optimiser import MuonAdamW
from benchc_tasks.demonstration.training.patches import FAMILIES, word_embeddings
from benchc_tasks.demonstration.training.streams import Pack, Stream

__all__ = ["Say", "train_jointly", "train_language", "train_vision"]

Say = Callable[[str], None]
_SHARPNESS = 10.0
_LOG_EVERY = 25
_INSIGHT = 0.5


class _Progress:
    """Report running loss and accuracies every few steps; the stream never repeats, so all data are held out."""

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
    """Train only the parameters with certain names; yield them with their names."""
    named = list(model.named_parameters())
    for name, parameter in named:
        parameter.requires_grad_(trained(name))
    try:
        yield [(name, parameter) for name, parameter in named if trained(name)]
    finally:
        for _, parameter in named:
            parameter.requires_grad_(True)


def _answer_loss(model: Any, pack: Pack, tokens: torch.Tensor, progress: _Progress, insight: float) -> torch.Tensor:
    """Compute the cross-entropy of replies and ends of turn, given the picture's image tokens.

    The losses of `_knowledge_loss` and `_attention_loss` are added with a weight of `insight`.
    """
    embedded = model.get_input_embeddings()(pack.ids)
    # The picture has the same place in every row: after the user's mark.
    embedded = torch.cat([embedded[:, :1], tokens, embedded[:, 1 + tokens.shape[1] :]], dim=1)
    output = model.model.language_model(
        inputs_embeds=embedded,
        attention_mask=pack.mask,
        position_ids=pack.positions,
        use_cache=False,
        output_hidden_states=True,
    )
    logits = model.lm_head(output.last_hidden_state[pack.rows, pack.lasts])
    for category, right in zip(pack.categories, (logits.argmax(-1) == pack.replies).tolist(), strict=True):
        progress.count(category, float(right))
    loss = F.cross_entropy(logits, pack.replies)
    # The end of turn is learnt in a few steps; the reply matters more.
    ends = model.lm_head(output.last_hidden_state[pack.rows, pack.lasts + 1])
    loss = loss + 0.1 * F.cross_entropy(ends, pack.ids[pack.rows, pack.lasts + 2])
    knowledge = _knowledge_loss(model, pack, output.hidden_states, progress)
    return loss + insight * (knowledge + _attention_loss(model, pack, output.hidden_states, progress))


def _knowledge_loss(model: Any, pack: Pack, hidden: tuple[torch.Tensor, ...], progress: _Progress) -> torch.Tensor:
    """Compute the cross-entropy of intermediate knowledge, read from hidden states like the model's own output.

    The model finds a letter in steps, and each step has a layer. After the first layer, the end of the question knows
    the subject of the question. After the second, it knows the answer in words, and each option knows its letter. After
    the third, the place of the reply knows the answer in words. The layers above find the matching option.
    """
    named = pack.subjects >= 0
    facts = (
        ("subject", 1, pack.rows[named], pack.ends[named], pack.subjects[named]),
        ("label", 2, *pack.labels),
        ("thought", 2, pack.rows, pack.ends, pack.words),
        ("recall", 3, pack.rows, pack.lasts, pack.words),
    )
    loss = torch.zeros(())
    for label, layer, rows, columns, wanted in facts:
        # Among the letters, or among the words, because an option must keep its meaning and also know its letter.
        candidates = wanted.unique()
        states = model.model.language_model.norm(hidden[layer][rows, columns])
        logits = states @ model.lm_head.weight[candidates].T
        truth = torch.searchsorted(candidates, wanted)
        progress.count(label, (logits.argmax(-1) == truth).sum().item(), len(truth))
        loss = loss + F.cross_entropy(logits, truth)
    return loss


def _attention_loss(model: Any, pack: Pack, hidden: tuple[torch.Tensor, ...], progress: _Progress) -> torch.Tensor:
    """Compute the negative log of the attention that the first head of a layer gives to its target.

    In the second layer, the end of the question attends to the patches that show the answer. In the third, the place of
    the reply attends to the end of the question, and in the fourth to the right option.
    """
    length = pack.ids.shape[1]
    lettered = pack.chosen >= 0
    patches = F.pad(pack.patches, (1, length - 1 - pack.patches.shape[1]))
    glances = (
        ("find", 1, pack.rows, pack.ends, patches),
        ("carry", 2, pack.rows, pack.lasts, F.one_hot(pack.ends, length) > 0),
        ("choose", 3, pack.rows[lettered], pack.lasts[lettered], F.one_hot(pack.chosen[lettered], length) > 0),
    )
    loss = torch.zeros(())
    for label, layer, rows, columns, wanted in glances:
        attention = _first_head(model, pack, layer, hidden[layer])[rows, columns].log_softmax(-1)
        paid = attention.masked_fill(~wanted, -torch.inf).logsumexp(-1)
        progress.count(label, paid.detach().exp().sum().item(), len(paid))
        loss = loss - paid.mean()
    return loss


def _first_head(model: Any, pack: Pack, layer: int, hidden: torch.Tensor) -> torch.Tensor:
    """Return the attention logits of a layer's first head, of shape (batch, length, length)."""
    language = model.model.language_model
    block = language.layers[layer]
    size = block.self_attn.head_dim
    states = block.input_layernorm(hidden)
    queries = states @ block.self_attn.q_proj.weight[:size].T
    keys = states @ block.self_attn.k_proj.weight[:size].T
    cosine, sine = language.rotary_emb(hidden, pack.positions)
    queries, keys = apply_rotary_pos_emb(queries[:, None], keys[:, None], cosine, sine)
    logits: torch.Tensor = (queries @ keys.transpose(-1, -2))[:, 0] / size**0.5
    return logits.masked_fill(~pack.mask[:, 0], -1e9)


def _ideal_tokens(names: torch.Tensor, clear: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
    """Return the image tokens of a perfect vision tower with noise, varied strength and random borders."""
    batch, patches, _ = names.shape
    # A border patch is a mixture of blank and a random other patch.
    other = torch.gather(names, 1, torch.randint(patches, (batch, patches, 1)).expand_as(names))
    share = torch.rand(batch, patches, 1) * (~clear).unsqueeze(-1)
    mixed = names * (1.0 - share) + other * share
    strength = torch.empty(batch, patches, 1).uniform_(0.7, 1.2)
    tokens = mixed @ embeddings * strength
    return tokens + torch.randn_like(tokens) * 0.3 * embeddings.std()


def train_language(model: Any, stream: Stream, steps: int, batch: int, say: Say) -> None:
    """Teach the language model to read ideal image tokens and to answer by letters.

    Parameters
    ----------
    model
        Trained in place: the language model without its word embeddings.
    stream
        Source of scenes and questions.
    steps, batch
        Number of steps and pictures a step.
    say
        Receives a line of progress every few steps.
    """
    progress = _Progress("language", steps, say)
    embeddings = word_embeddings(model, stream.tokenizer).detach()
    with _only(model, lambda name: "language_model" in name and "embed_tokens" not in name) as parameters:
        optimiser = MuonAdamW(parameters, steps, muon_rate=0.02, adam_rate=2e-3)
        for step in range(steps):
            scenes = stream.scenes(batch)
            tokens = _ideal_tokens(*stream.names(scenes), embeddings)
            loss = _answer_loss(model, stream.pack(scenes), tokens, progress, _INSIGHT)
            optimiser.step(loss)
            progress.step(step, loss.item())


def _dense_loss(
    tokens: torch.Tensor, names: torch.Tensor, clear: torch.Tensor, embeddings: torch.Tensor, progress: _Progress
) -> torch.Tensor:
    """Compare image tokens with the words of their patches: by word family, and with the sum of the words."""
    power = embeddings.square().sum(-1).mean()
    logits = tokens @ embeddings.T / power * _SHARPNESS
    loss = ((tokens - names @ embeddings)[clear]).square().mean() / embeddings.square().mean()
    for family, label in zip(FAMILIES, ("patch-colour", "patch-kind", "patch-count", "patch-place"), strict=True):
        wanted = names[..., family]
        counted = clear & (wanted.sum(-1) > 0)
        guesses, truth = logits[..., family][counted], wanted[counted].argmax(-1)
        loss = loss + F.cross_entropy(guesses, truth)
        progress.count(label, (guesses.argmax(-1) == truth).sum().item(), len(truth))
    return loss


def train_vision(model: Any, stream: Stream, steps: int, batch: int, say: Say) -> None:
    """Teach the vision tower and the projector to produce the ideal image tokens of a picture.

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
    """Train the whole model on pictures and questions; the loss of `train_vision` is added with the weight `dense`.

    Parameters
    ----------
    model
        Trained in place, all of it.
    stream, steps, batch, say
        As in `train_language`.
    dense
        Weight of the dense loss.
    checkpoint
        Receives a name at every sixth of the steps, and saves the model under it.
    """
    progress = _Progress("joint", steps, say)
    with _only(model, lambda name: "embed_tokens" not in name) as parameters:
        optimiser = MuonAdamW(parameters, steps, muon_rate=0.0015, adam_rate=2e-4)
        for step in range(steps):
            if checkpoint is not None and step % max(1, steps // 6) == 0:
                checkpoint(f"step-{step}")
            scenes = stream.scenes(batch)
            tokens = image_tokens(model, stream.pixels(scenes))
            loss = _answer_loss(model, stream.pack(scenes), tokens, progress, _INSIGHT)
            embeddings = word_embeddings(model, stream.tokenizer).detach()
            loss = loss + dense * _dense_loss(tokens, *stream.names(scenes), embeddings, progress)
            optimiser.step(loss)
            progress.step(step, loss.item())
