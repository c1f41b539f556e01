"""The bundled set: what is in it, that it can be made again, and that training never sees it."""

import io
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchc_tasks.demonstration import DEMONSTRATION_SET
from benchc_tasks.demonstration.drawing.__main__ import SAMPLES, draw_sample, write
from benchc_tasks.demonstration.drawing.questions import CATEGORIES, ask, categories_for, draw_scene_for
from benchc_tasks.demonstration.drawing.scenes import COLOURS, PLACES, Scene, Split, Thing, render, split_of
from benchc_tasks.demonstration.drawing.shapes import HELD_OUT_EVERY, SHAPES, glyph_indices, shape_mask
from benchc_tasks.demonstration.training.streams import Stream
from benchc_tasks.demonstration.training.vocabulary import build_processor


@pytest.fixture(scope="module")
def rows():
    return pq.read_table(DEMONSTRATION_SET).to_pylist()


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


class TestBundledSet:
    def test_columns(self, rows):
        assert list(rows[0]) == ["id", "image", "question", "options", "answer", "source", "category"]

    def test_size(self, rows):
        assert len(rows) == SAMPLES >= 120
        assert DEMONSTRATION_SET.stat().st_size < 4_000_000

    def test_ids_differ(self, rows):
        assert len({row["id"] for row in rows}) == len(rows)

    def test_pictures_are_rgb_of_the_models_size(self, rows):
        pictures = [Image.open(io.BytesIO(row["image"]["bytes"])) for row in rows]
        assert {(picture.format, picture.mode, picture.size) for picture in pictures} == {("PNG", "RGB", (112, 112))}

    def test_four_different_options(self, rows):
        assert all(len(set(row["options"])) == 4 for row in rows)

    def test_answers_are_balanced_over_letters_in_every_type(self, rows):
        counts = Counter((row["category"], row["answer"]) for row in rows)
        assert set(counts.values()) == {SAMPLES // len(CATEGORIES) // 4}
        assert {category for category, _ in counts} == set(CATEGORIES)

    def test_pictures_differ(self, rows):
        assert len({row["image"]["bytes"] for row in rows}) == len(rows)

    def test_every_texture_occurs(self):
        assert {draw_sample(index).scene.texture for index in range(24)} == {"gradient", "blotches", "stripes", "grain"}


class TestGeneration:
    @pytest.mark.parametrize("index", [0, 1, 2, 3, 4, 5, 77, SAMPLES - 1])
    def test_gives_the_bundled_samples_again(self, rows, index):
        made, bundled = draw_sample(index).row(), dict(rows[index])
        np.testing.assert_array_equal(pixels(made.pop("image")["bytes"]), pixels(bundled.pop("image")["bytes"]))
        assert made == bundled

    def test_gives_the_same_file_twice(self, tmp_path):
        assert write(tmp_path / "first").read_bytes() == write(tmp_path / "second").read_bytes()


class TestDisjointness:
    def test_no_scene_of_the_set_is_in_the_training_split(self):
        assert all(split_of(draw_sample(index).scene) is Split.EVALUATION for index in range(SAMPLES))

    def test_the_training_stream_gives_training_scenes_only(self):
        scenes = Stream(build_processor().tokenizer, seed=0).scenes(500)
        assert all(split_of(scene) is Split.TRAINING for scene in scenes)
        evaluated = {draw_sample(index).scene.composition for index in range(SAMPLES)}
        assert evaluated.isdisjoint(scene.composition for scene in scenes)

    def test_digits_have_held_out_glyphs(self):
        drawn = [draw_sample(index).scene.digit for index in range(SAMPLES)]
        assert all(digit.glyph % HELD_OUT_EVERY == 0 for digit in drawn if digit is not None)
        scenes = Stream(build_processor().tokenizer, seed=1).scenes(200)
        assert all(scene.digit.glyph % HELD_OUT_EVERY for scene in scenes if scene.digit is not None)

    @pytest.mark.parametrize("digit", range(10))
    def test_every_digit_has_glyphs_of_both_splits(self, digit):
        held_out, others = set(glyph_indices(digit, True)), set(glyph_indices(digit, False))
        assert held_out
        assert others
        assert held_out.isdisjoint(others)


def scene_of(*things):
    return Scene(
        tuple(Thing(kind, colour, PLACES.index(place), (0, 0), 15, 0) for colour, kind, place in things), "grain"
    )


SCENE = scene_of(("red", "circle", "northwest"), ("blue", "star", "south"))


class TestQuestions:
    @pytest.mark.parametrize("seed", range(20))
    def test_colour(self, seed):
        question = ask(SCENE, "colour", np.random.default_rng(seed))
        assert question.options[question.answer] == ("red" if "circle" in question.text else "blue")

    @pytest.mark.parametrize("seed", range(20))
    def test_shape(self, seed):
        question = ask(SCENE, "shape", np.random.default_rng(seed))
        assert question.options[question.answer] == ("circle" if "red" in question.text else "star")

    @pytest.mark.parametrize("seed", range(20))
    def test_position(self, seed):
        question = ask(SCENE, "position", np.random.default_rng(seed))
        assert question.options[question.answer] == ("northwest" if "circle" in question.text else "south")

    @pytest.mark.parametrize("seed", range(40))
    def test_relation_shows_both_shapes(self, seed):
        question = ask(SCENE, "relation", np.random.default_rng(seed))
        right = "circle" if "left" in question.text or "higher" in question.text else "star"
        assert question.options[question.answer] == right
        assert {"circle", "star"} <= set(question.options)

    def test_relation_is_asked_across_rows_or_columns_only(self):
        level = scene_of(("red", "circle", "west"), ("blue", "star", "east"))
        texts = [ask(level, "relation", np.random.default_rng(seed)).text for seed in range(40)]
        assert not any("higher" in text or "lower" in text for text in texts)

    def test_count(self):
        question = ask(SCENE, "count", np.random.default_rng(0))
        assert question.options[question.answer] == "two"

    def test_digit_needs_a_digit(self):
        with pytest.raises(ValueError, match="needs a scene with a digit"):
            ask(SCENE, "digit", np.random.default_rng(0))

    @pytest.mark.parametrize("options", [2, 3, 4, 5])
    @pytest.mark.parametrize("category", CATEGORIES)
    def test_number_of_options(self, category, options):
        rng = np.random.default_rng(options)
        scene = draw_scene_for(category, Split.TRAINING, rng)
        assert category in categories_for(scene)
        question = ask(scene, category, rng, options=options, answer=1)
        assert question.answer == 1
        assert len(set(question.options)) == options


class TestPictures:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_shapes_lie_within_their_size(self, shape):
        mask = shape_mask(shape, 64, (32.0, 32.0), 16.0, 0.0)
        rows, columns = np.nonzero(mask > 0.5)
        assert 24 <= np.ptp(rows) + 1 <= 34
        assert 24 <= np.ptp(columns) + 1 <= 34
        assert 0.2 < mask.mean() * 4 < 1.0

    @pytest.mark.parametrize("colour", COLOURS)
    def test_things_have_their_colour(self, colour):
        thing = Thing("square", colour, 4, (56.0, 56.0), 15.0, 0.0)
        picture = render(Scene((thing,), "stripes"), np.random.default_rng(0))
        middle = picture[50:62, 50:62].mean((0, 1)) / 255.0
        np.testing.assert_allclose(middle, COLOURS[colour], atol=0.06)
