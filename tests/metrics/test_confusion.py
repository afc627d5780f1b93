from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.metrics import confusion_matrix


def loop(labels, prediction, num_classes: int, ignore: int) -> list[list[int]]:
    matrix = [[0] * num_classes for _ in range(num_classes)]
    for truth, guess in zip(labels, prediction, strict=True):
        if truth != ignore:
            matrix[truth][guess] += 1
    return matrix


def test_rows_are_the_truth_and_columns_the_prediction():
    labels = torch.tensor([[0, 0, 1], [1, 2, 255]], dtype=torch.uint8)
    prediction = torch.tensor([[0, 1, 1], [1, 0, 2]], dtype=torch.uint8)

    matrix = confusion_matrix(labels, prediction, 3)

    assert matrix.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert matrix.dtype == torch.int64


@given(
    num_classes=st.sampled_from([1, 2, 11, 19, 180, 181, 254]),
    seed=st.integers(0, 1 << 16),
    dtype=st.sampled_from([torch.uint8, torch.int64]),
    ignore=st.sampled_from([255, 254, -100]),
)
def test_equals_counting_in_a_loop(num_classes, seed, dtype, ignore):
    if dtype == torch.uint8 and ignore < 0:
        ignore = 255
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, num_classes, 60)
    labels[generator.random(60) < 0.2] = ignore
    prediction = generator.integers(0, num_classes, 60)

    matrix = confusion_matrix(
        torch.tensor(labels, dtype=dtype), torch.tensor(prediction, dtype=dtype), num_classes, ignore
    )

    assert matrix.tolist() == loop(labels, prediction, num_classes, ignore)


@given(
    num_classes=st.sampled_from([1, 2, 19, 150, 254, 255]),
    seed=st.integers(0, 1 << 16),
    longest=st.sampled_from([1, 30, 200]),
    ignore=st.sampled_from([255, 0, 100, -100]),
)
def test_short_and_long_runs_of_equal_pixels_are_counted_alike(num_classes, seed, longest, ignore):
    generator = np.random.default_rng(seed)
    labels, prediction = (
        np.repeat(generator.integers(0, num_classes, 40), generator.integers(1, longest + 1, 40))[:40].astype(np.uint8)
        for _ in range(2)
    )
    if ignore >= 0:
        labels[generator.random(40) < 0.1] = ignore

    matrix = confusion_matrix(labels, prediction, num_classes, ignore)

    assert matrix.tolist() == loop(labels.tolist(), prediction.tolist(), num_classes, ignore)


@pytest.mark.parametrize("ignore", [-100, 412, 255])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16])
def test_values_that_the_dtype_of_the_labels_cannot_hold_do_not_wrap_around(dtype, ignore):
    # Of 8 bits, -100 and 412 would be 156, and 255 would be -1.
    labels = torch.tensor([0, 1, 100, 1, 156 if dtype != torch.int8 else 2]).to(dtype)

    matrix = confusion_matrix(labels, torch.zeros_like(labels), 200, ignore)

    assert matrix.sum() == 5
    assert [int(matrix[class_id, 0]) for class_id in labels.tolist()] == [1, 2, 1, 2, 1]


def test_more_classes_than_the_type_of_the_labels_holds_put_nothing_out_of_range():
    labels = torch.tensor([0, 44, 200], dtype=torch.uint8)

    assert confusion_matrix(labels, labels, 300).diagonal().nonzero().flatten().tolist() == [0, 44, 200]


def test_images_of_many_bands_are_counted_whole(monkeypatch):
    monkeypatch.setattr("pixelwise.metrics.confusion._BAND", 100)
    labels = np.repeat(np.array([0, 1, 255, 2], np.uint8), 333).reshape(36, 37)
    prediction = np.repeat(np.array([0, 2], np.uint8), 666).reshape(36, 37)

    assert confusion_matrix(labels, prediction, 3).tolist() == [[333, 0, 0], [333, 0, 0], [0, 0, 333]]


@pytest.mark.parametrize("which", ["labels", "prediction"])
def test_values_out_of_range_are_found_in_long_runs_too(which):
    values = {"labels": np.zeros(1000, np.uint8), "prediction": np.zeros(1000, np.uint8)}
    values[which][400:500] = 3

    with pytest.raises(ValueError, match=rf"{which} contains? 3 \(100 px\)"):
        confusion_matrix(**values, num_classes=3)


def test_a_prediction_out_of_range_is_an_error_where_nothing_is_labelled_too():
    with pytest.raises(ValueError, match=r"prediction contains 9 \(1000 px\)"):
        confusion_matrix(np.full(1000, 255, np.uint8), np.full(1000, 9, np.uint8), 3)


def test_an_ignored_class_inside_the_range_has_an_empty_row():
    labels = np.array([0, 0, 1, 2], dtype=np.uint8)

    matrix = confusion_matrix(labels, np.array([0, 1, 1, 0], dtype=np.uint8), 3, ignore=0)

    assert matrix.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_numpy_arrays_and_mixed_types_are_counted_alike():
    labels = np.array([[0, 1], [1, 255]], dtype=np.uint8)
    prediction = torch.tensor([[0, 0], [1, 1]], dtype=torch.int64)

    assert confusion_matrix(labels, prediction, 2).tolist() == [[1, 0], [1, 1]]


def test_inputs_are_left_as_they_were():
    labels = torch.tensor([0, 1, 255], dtype=torch.int16)
    prediction = torch.tensor([0, 1, 1], dtype=torch.int16)

    confusion_matrix(labels, prediction, 2)

    assert labels.tolist() == [0, 1, 255]
    assert prediction.tolist() == [0, 1, 1]


def test_an_all_void_image_counts_nothing():
    labels = torch.full((4, 5), 255, dtype=torch.uint8)

    assert confusion_matrix(labels, torch.zeros(4, 5, dtype=torch.uint8), 3).sum() == 0


def test_an_empty_image_counts_nothing():
    empty = torch.zeros(0, dtype=torch.uint8)

    assert confusion_matrix(empty, empty, 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("wrong", [3, 255])
def test_a_prediction_out_of_range_is_an_error_and_not_a_wrong_cell(wrong):
    labels = torch.tensor([0, 1, 1], dtype=torch.uint8)
    prediction = torch.tensor([0, wrong, wrong], dtype=torch.uint8)

    with pytest.raises(ValueError, match=rf"prediction contains {wrong} \(2 px\); expected 0\.\.2"):
        confusion_matrix(labels, prediction, 3)


def test_a_negative_prediction_is_an_error():
    with pytest.raises(ValueError, match=r"-1 \(1 px\)"):
        confusion_matrix(torch.tensor([0, 0]), torch.tensor([0, -1]), 3)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_a_label_out_of_range_is_an_error_with_its_count(dtype):
    labels = torch.tensor([0, 3, 7, 7, 255], dtype=dtype)

    with pytest.raises(ValueError, match=r"labels contain 3 \(1 px\), 7 \(2 px\); expected 0\.\.2 or 255"):
        confusion_matrix(labels, torch.zeros(5, dtype=torch.uint8), 3)


def test_a_negative_label_is_an_error():
    with pytest.raises(ValueError, match=r"labels contain -1 \(1 px\)"):
        confusion_matrix(torch.tensor([0, -1]), torch.tensor([0, 0]), 3)


def test_many_wrong_values_are_summarised():
    labels = torch.arange(10, 20, dtype=torch.uint8)

    with pytest.raises(ValueError, match="14 \\(1 px\\) and 5 more values"):
        confusion_matrix(labels, torch.zeros(10, dtype=torch.uint8), 3)


def test_different_shapes_are_an_error_with_both_shapes():
    with pytest.raises(ValueError, match=r"labels.*\(2, 3\).*prediction.*\(3, 2\)"):
        confusion_matrix(torch.zeros(2, 3, dtype=torch.uint8), torch.zeros(3, 2, dtype=torch.uint8), 2)


def test_float_predictions_are_an_error():
    with pytest.raises(ValueError, match=r"^prediction\b.*torch\.float32"):
        confusion_matrix(torch.zeros(2, dtype=torch.uint8), torch.zeros(2), 2)


def test_a_void_prediction_is_an_error_unless_a_rule_is_named():
    labels, prediction = np.array([0, 0, 1, 255], np.uint8), np.array([0, 255, 255, 255], np.uint8)

    with pytest.raises(ValueError, match=r"255 \(3 px\)"):
        confusion_matrix(labels, prediction, 2)
    assert confusion_matrix(labels, prediction, 2, void_prediction="miss").tolist() == [[1, 0, 1], [0, 0, 1]]
    assert confusion_matrix(labels, prediction, 2, void_prediction="ignore").tolist() == [[1, 0], [0, 0]]


@given(
    num_classes=st.sampled_from([1, 2, 19, 181, 254, 255]),
    seed=st.integers(0, 1 << 16),
    rule=st.sampled_from(["miss", "ignore"]),
)
def test_void_predictions_equal_counting_in_a_loop(num_classes, seed, rule):
    generator = np.random.default_rng(seed)
    labels, prediction = (generator.integers(0, num_classes, 60).astype(np.uint8) for _ in range(2))
    labels[generator.random(60) < 0.2] = 255
    prediction[generator.random(60) < 0.3] = 255
    expected = [[0] * (num_classes + 1) for _ in range(num_classes)]
    for truth, guess in zip(labels.tolist(), prediction.tolist(), strict=True):
        if truth != 255:
            expected[truth][num_classes if guess == 255 else guess] += 1
    if rule == "ignore":
        expected = [row[:-1] for row in expected]

    assert confusion_matrix(labels, prediction, num_classes, void_prediction=rule).tolist() == expected


@pytest.mark.parametrize("rule", ["miss", "ignore"])
@pytest.mark.parametrize("which", [0, 1])
def test_values_outside_stay_errors_where_void_predictions_are_allowed(rule, which):
    values = [np.array([0, 1, 255], np.uint8), np.array([0, 1, 255], np.uint8)]
    values[which][1] = 2

    with pytest.raises(ValueError, match=r"2 \(1 px\)"):
        confusion_matrix(*values, num_classes=2, void_prediction=rule)
