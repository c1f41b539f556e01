from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchc_tasks.selection.encoders import Encoders, embed, embed_by_tfidf

TEXTS = ["a cat and a dog", "the cat, the mouse", "an engine of a car", "the wheel of that car", "", "and the of"]


def similarity(embeddings: Any) -> Any:
    return embeddings @ embeddings.T


def test_texts_about_the_same_thing_are_neighbours() -> None:
    found = similarity(embed(Encoders(), TEXTS, None, seed=0))
    assert found[0, 1] > 0.3 > abs(found[0, 2])
    assert found[2, 3] > 0.3 > abs(found[1, 3])


def test_embeddings_have_unit_length_or_none() -> None:
    lengths = np.linalg.norm(embed(Encoders(), TEXTS, None, seed=0), axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 1, 0, 0], atol=1e-6)


@pytest.mark.parametrize("texts", [["the", "and"], ["one word"], ["same", "same"], ["", ""]])
def test_texts_with_next_to_nothing_in_them(texts: list[str]) -> None:
    found = embed(Encoders(), texts, None, seed=0)
    assert len(found) == len(texts)
    assert np.isfinite(found).all()


def test_tfidf_is_the_same_for_a_seed_whatever_the_number_of_threads() -> None:
    draw = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in draw.zipf(1.4, 12) % 500) for _ in range(1000)]
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            found.append(embed_by_tfidf(texts, seed=3))
    assert np.array_equal(*found)
    assert found[0].shape == (1000, 64)


def test_names_of_encoders() -> None:
    assert Encoders.of(["tfidf"]) == Encoders()
    assert Encoders.of(["clip:some/model"]) == Encoders("tfidf", "some/model")
    assert Encoders.of(["clip:x", "some/text"]).names == ["some/text", "clip:x"]
    for names in (["tfidf", "other"], ["clip:a", "clip:b"], ["clip:"], [""]):
        with pytest.raises(ValueError, match="give at most one for texts"):
            Encoders.of(names)


@pytest.fixture(scope="module")
def sentence_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A sentence-transformers model with random weights, made here: nothing is downloaded."""
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is an optional package")
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("sentence")
    words = sorted({word for text in TEXTS for word in text.replace(",", " ,").split()})
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(folder / "bert")
    size = len(vocabulary)
    bert = BertModel(
        BertConfig(vocab_size=size, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    )
    bert.save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"))
    model = SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu")
    model.save(str(folder / "model"))
    return str(folder / "model")


def test_a_sentence_transformers_model_by_its_path(sentence_model: str) -> None:
    done: list[int] = []
    texts = TEXTS[:4]
    found = embed(Encoders.of([sentence_model]), texts, None, 0, done.append)
    assert found.shape == (4, 32)
    assert sum(done) == 4
    assert np.array_equal(found, embed(Encoders.of([sentence_model]), texts, None, 0))
    assert similarity(found)[0, 0] == pytest.approx(1)
    assert not np.allclose(found[0], found[2], atol=1e-3)


@pytest.fixture(scope="module")
def clip_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CLIP model with random weights, made here."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    torch.manual_seed(0)
    tower = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**tower, "vocab_size": 50},
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


def test_a_clip_model_sees_the_images(clip_model: str, world: Any) -> None:
    encoders = Encoders.of([f"clip:{clip_model}"])
    texts = ["the same words"] * len(world.rows)
    done: list[int] = []
    found = embed(encoders, texts, world.dataset, 0, done.append)
    assert sum(done) == 2 * len(texts)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    # The texts are equal, so that what differs is the images.
    assert len(np.unique(found.round(5), axis=0)) == len(texts)
    # Half of the squared length is the image's.
    np.testing.assert_allclose((found[:, -24:] ** 2).sum(axis=1), 0.5, atol=1e-5)


def test_a_model_that_is_not_there_is_named(world: Any) -> None:
    for name, kind in (("no/such-model", "a sentence-transformers model"), ("clip:no/such-model", "a CLIP model")):
        with pytest.raises(ValueError, match=f"encoder 'no/such-model' cannot be loaded as {kind}"):
            embed(Encoders.of([name]), world.pool.texts, world.dataset, 0)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ValueError, match="needs sentence-transformers: run `pip install sentence-transformers`"):
        embed(Encoders.of(["some/model"]), TEXTS, None, 0)


def test_selecting_imports_neither_torch_nor_lmms_eval() -> None:
    script = (
        "import sys, benchc_tasks.selection, benchc_tasks.datasets.pools\n"
        "from benchc_tasks.selection.encoders import embed_by_tfidf\n"
        "embed_by_tfidf(['a cat', 'a dog', 'a bird'], 0)\n"
        "print([name for name in ('torch', 'lmms_eval', 'transformers') if name in sys.modules])"
    )
    folder = Path(__file__).parents[3]
    found = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
