"""Requests that simple and chat models read alike."""

from __future__ import annotations

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from benchc_metrics.benchmark import CLEAN, Condition
from benchc_tasks.datasets import SampleDataset, load_dataset, write_dataset
from benchc_tasks.stacks.lmms_eval.generation_requests import (
    ConditionedDocId,
    ConditionedDocs,
    SettingsAndMessages,
    SettingsAndPictures,
)
from benchc_tasks.stacks.pictures import ConditionedPicture
from benchc_tasks.stacks.prompting import Prompt
from support import rows_of_samples

FOG = Condition("fog", 3)
PROMPT = Prompt("", "\nLetter:")


@pytest.fixture
def samples(tmp_path: Path) -> SampleDataset:
    write_dataset(tmp_path / "samples.parquet", rows_of_samples(3))
    return load_dataset(tmp_path / "samples.parquet")


def test_a_doc_id_is_the_sample_s_place_with_a_condition():
    doc_id = ConditionedDocId(2, "fingerprint", FOG)
    assert (doc_id, doc_id % 100, json.dumps(doc_id)) == (2, 2, "2")
    for kept in (copy.copy(doc_id), copy.deepcopy(doc_id), pickle.loads(pickle.dumps(doc_id))):
        assert (int(kept), kept.dataset, kept.condition) == (2, "fingerprint", FOG)


def test_docs_are_samples_for_those_who_ask_by_number(samples):
    docs = ConditionedDocs(samples)
    assert len(docs) == 3
    assert list(docs) == list(samples)
    assert [doc["id"] for doc in docs[1:]] == ["sample-1", "sample-2"]
    assert docs.features == samples.features


@pytest.mark.parametrize("condition", [CLEAN, FOG])
def test_both_kinds_of_model_see_the_picture_of_the_condition(samples, condition):
    doc = ConditionedDocs(samples)[ConditionedDocId(1, samples.fingerprint, condition)]
    (expected,) = ConditionedPicture(samples.fingerprint, "sample-1", condition)(samples[1])
    (for_simple,) = SettingsAndPictures({})(doc)
    ((turn),) = SettingsAndMessages({}, PROMPT)(doc)
    picture, text = turn["content"]
    assert np.array_equal(for_simple, expected)
    assert np.array_equal(picture.pop("url"), expected)
    assert (turn["role"], picture) == ("user", {"type": "image"})
    assert text == {"type": "text", "text": "What colour is shape 1?\nA. red\nB. blue\nC. green\nLetter:"}


def test_threads_may_render_at_once(samples):
    docs, pictures = ConditionedDocs(samples), SettingsAndPictures({})
    ids = [
        ConditionedDocId(number, samples.fingerprint, Condition("gaussian_noise", severity))
        for number in range(3)
        for severity in (1, 3, 5)
    ]
    alone = [np.asarray(pictures(docs[doc_id])[0]) for doc_id in ids]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda doc_id: np.asarray(pictures(docs[doc_id])[0]), ids * 4))
    for number, picture in enumerate(together):
        assert np.array_equal(picture, alone[number % len(ids)])


def test_settings_are_those_that_were_given():
    settings = SettingsAndMessages({"max_new_tokens": 8}, PROMPT)
    assert settings == SettingsAndPictures({"max_new_tokens": 8}) == {"max_new_tokens": 8}
    assert dict(copy.deepcopy(settings)) == {"max_new_tokens": 8}
    assert sorted(settings.items()) == [("max_new_tokens", 8)]


def test_a_picture_is_never_shown_under_another_condition(samples):
    docs = ConditionedDocs(samples)
    with pytest.raises(
        ValueError, match=r"^sample 'sample-0' was looked up without its condition: .* cannot be run with"
    ):
        SettingsAndPictures({})(docs[int(ConditionedDocId(0, samples.fingerprint, FOG))])
    with pytest.raises(ValueError, match=r"two datasets into one batch: run their tasks one after the other, or with"):
        docs[ConditionedDocId(0, "another fingerprint", FOG)]
