"""From samples to points in space: neighbours are about the same thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.messages import quoted
from benchc_tasks.datasets import SampleDataset, decode_image

__all__ = [
    "CLIP_PREFIX",
    "TFIDF",
    "Encoders",
    "embed",
    "embed_by_clip",
    "embed_by_sentence_transformer",
    "embed_by_tfidf",
]

TFIDF = "tfidf"
CLIP_PREFIX = "clip:"

TOPICS = 64
"""Dimensions that a truncated singular value decomposition leaves of the term weights (latent semantic analysis)."""

IMAGE_BATCH = 32

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Encoders:
    """The encoder of samples.

    Attributes
    ----------
    text : str
        `tfidf`, or the name or path of a sentence-transformers model.
    image : str or None
        The name or path of a CLIP model, or None where images are not looked at.
    """

    text: str = TFIDF
    image: str | None = None

    @classmethod
    def of(cls, names: Sequence[str]) -> Encoders:
        """Read what stands behind `--encoder`: at most one for texts and one, `clip:NAME`, for images.

        Raises
        ------
        ValueError
            If two are for the same thing.
        """
        images = [name.removeprefix(CLIP_PREFIX) for name in names if name.startswith(CLIP_PREFIX)]
        texts = [name for name in names if not name.startswith(CLIP_PREFIX)]
        if len(images) > 1 or len(texts) > 1 or "" in names or "" in images:
            raise ValueError(
                f"encoders {', '.join(map(repr, names))}: give at most one for texts (tfidf or a sentence-transformers "
                "model) and one for images (clip:NAME)"
            )
        return cls(texts[0] if texts else TFIDF, images[0] if images else None)

    @property
    def names(self) -> list[str]:
        """What `of` reads."""
        return [self.text, *([f"{CLIP_PREFIX}{self.image}"] if self.image else [])]


def embed(
    encoders: Encoders,
    texts: Sequence[str],
    dataset: SampleDataset | None,
    seed: int,
    report: Callable[[int], None] = lambda done: None,
) -> FloatArray:
    """Embed samples.

    Parameters
    ----------
    encoders : Encoders
        Of texts and, if named, of images.
    texts : sequence of n str
        Question and options.
    dataset : SampleDataset of n samples, or None
        For the images; not looked at without an image encoder.
    seed : int
        For what is random in an encoder.
    report : callable, optional
        Told how many samples have been encoded since it was last called; n for each encoder.

    Returns
    -------
    ndarray of float32, shape (n, dimensions)
        Of unit length; text and image, if both are there, have the same weight.
    """
    if encoders.text == TFIDF:
        parts = [embed_by_tfidf(texts, seed)]
        report(len(texts))
    else:
        parts = [embed_by_sentence_transformer(encoders.text, texts, report)]
    if encoders.image is not None:
        if dataset is None:
            raise ValueError(f"encoder 'clip:{encoders.image}' needs the pool's images: give a dataset that has some")
        parts.append(embed_by_clip(encoders.image, dataset, report))
    return _unit_length(np.concatenate([_unit_length(part) for part in parts], axis=1))


def embed_by_tfidf(texts: Sequence[str], seed: int) -> FloatArray:
    """Embed texts by latent semantic analysis: term weights, of which the main directions are kept.

    Parameters
    ----------
    texts : sequence of n str
    seed : int
        Of the randomised singular value decomposition (Halko et al. 2011).

    Returns
    -------
    ndarray of float32, shape (n, at most 64)
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    weigh = TfidfVectorizer(
        # A word that stands in one sample only connects it to no other.
        min_df=2 if len(texts) >= 100 else 1,
        max_features=2**16,
        sublinear_tf=True,
        stop_words="english",
        # Numbers and single letters are often all that options are made of.
        token_pattern=r"(?u)\b\w+\b",
        dtype=np.float32,
    )
    try:
        weights = weigh.fit_transform(texts)
    except ValueError:
        # Not one word is left: then all samples are about the same thing.
        return np.ones((len(texts), 1), dtype=np.float32)
    dimensions = min(TOPICS, min(weights.shape) - 1)
    if dimensions < 1:
        return np.asarray(weights.toarray(), dtype=np.float32)
    with threadpool_limits(limits=1):
        return np.asarray(TruncatedSVD(dimensions, random_state=seed).fit_transform(weights), dtype=np.float32)


def embed_by_sentence_transformer(name: str, texts: Sequence[str], report: Callable[[int], None]) -> FloatArray:
    """Embed texts by a sentence-transformers model.

    Parameters
    ----------
    name : str
        Of a model on the hub, or a path.
    texts : sequence of n str
    report : callable
        Told the texts done.

    Returns
    -------
    ndarray of float32, shape (n, dimensions)

    Raises
    ------
    ValueError
        If sentence-transformers is not installed, or has no such model.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ValueError(
            f"encoder {quoted(name)} needs sentence-transformers: run `pip install sentence-transformers`, "
            "or take tfidf"
        ) from error
    model = _loaded(name, lambda: SentenceTransformer(name), "a sentence-transformers model")
    parts = []
    for start in range(0, len(texts), 1024):
        chunk = list(texts[start : start + 1024])
        parts.append(np.asarray(model.encode(chunk, show_progress_bar=False), dtype=np.float32))
        report(len(chunk))
    return np.concatenate(parts)


def embed_by_clip(name: str, dataset: SampleDataset, report: Callable[[int], None]) -> FloatArray:
    """Embed images by a CLIP model's image tower.

    Parameters
    ----------
    name : str
        Of a model on the hub, or a path.
    dataset : SampleDataset of n samples
    report : callable
        Told the images done.

    Returns
    -------
    ndarray of float32, shape (n, dimensions)

    Raises
    ------
    ValueError
        If there is no such model.
    """
    import torch
    from transformers import AutoImageProcessor, CLIPModel

    model = _loaded(name, lambda: CLIPModel.from_pretrained(name).eval(), "a CLIP model")
    processor = _loaded(name, lambda: AutoImageProcessor.from_pretrained(name), "a CLIP model")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    parts = []
    for images in _image_batches(dataset):
        pixels = processor(images=images, return_tensors="pt")["pixel_values"].to(device)
        with torch.inference_mode():
            features = model.get_image_features(pixel_values=pixels)
        # transformers 5 returns the projected features as the pooled output, some versions by themselves.
        features = getattr(features, "pooler_output", features)
        parts.append(features.float().cpu().numpy())
        report(len(images))
    return np.concatenate(parts).astype(np.float32)


def _image_batches(dataset: SampleDataset) -> Iterator[list[Any]]:
    for start in range(0, len(dataset), IMAGE_BATCH):
        rows = (dataset[index] for index in range(start, min(start + IMAGE_BATCH, len(dataset))))
        yield [decode_image(row["image"], sample=row["id"]) for row in rows]


def _loaded(name: str, load: Callable[[], Any], kind: str) -> Any:
    try:
        return load()
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"encoder {quoted(name)} cannot be loaded as {kind} ({reason}); give a name or path of one"
        ) from error


def _unit_length(embeddings: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.where(lengths > 0, lengths, 1), dtype=np.float32)
