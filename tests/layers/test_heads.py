from __future__ import annotations

import torch
from torch import nn

from pixelwise.layers.heads import ConvolutionalHead


def test_a_head_has_the_given_number_of_convolutions_then_dropout_then_the_classifier() -> None:
    dropout = nn.Dropout2d(0.1)
    head = ConvolutionalHead(6, 4, 2, 3, dropout)

    with torch.no_grad():
        logits = head.eval()(torch.rand(2, 6, 5, 7))

    # 3x3 6 -> 4 and 4 -> 4 with two numbers per channel for each normalisation; 1x1 4 -> 3 with a bias.
    assert sum(parameter.numel() for parameter in head.parameters()) == 9 * 6 * 4 + 9 * 4 * 4 + 2 * 8 + 4 * 3 + 3
    assert [name for name, _ in head.named_children()] == ["convs", "dropout", "classifier"]
    assert head.dropout is dropout
    assert logits.shape == (2, 3, 5, 7)


def test_a_head_without_convolutions_classifies_the_features() -> None:
    head = ConvolutionalHead(6, 4, 0, 3, nn.Identity())

    assert head.classifier.weight.shape == (3, 6, 1, 1)
