from __future__ import annotations

import torch
import torch.nn.functional as F
from evaluation.color_model import CLASSES, GreyModel
from torch import Tensor, nn

from pixelwise.models import SegmentationModel
from pixelwise.prediction.engine.folding import copied, made_for_prediction
from pixelwise.recipes.families.real_time.enet import ENetSpec


class Network(SegmentationModel):
    """Convolution, normalisation and what a test adds; statistics as after a training."""

    def __init__(self, conv: nn.Module, norm: nn.Module | None = None) -> None:
        super().__init__(ENetSpec(), CLASSES)
        generator = torch.Generator().manual_seed(1)
        self.conv, self.norm, self.lock = conv, norm or nn.BatchNorm2d(4), None
        with torch.no_grad():
            for name, values in self.norm.state_dict().items():
                if name != "num_batches_tracked":
                    values.copy_(torch.rand(4, generator=generator) + 0.5)
        self.eval()

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.norm(self.conv(images)),)


class Twice(Network):
    """The output of the convolution is used beside the normalisation, too."""

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        features = self.conv(images)
        return (self.norm(features) + features,)


class Standardised(nn.Conv2d):
    """A convolution that changes its weights in each call."""

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight / self.weight.std(), self.bias)


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def logits(model: SegmentationModel) -> Tensor:
    images = torch.linspace(-2, 2, 2 * 3 * 9 * 11).view(2, 3, 9, 11)
    with torch.no_grad():
        return model.head_logits(images)[0]


def test_a_normalisation_becomes_weights_and_bias_of_its_convolution():
    conv = nn.Conv2d(3, 4, 1)
    network = Network(conv)
    norm = network.norm
    made = made_for_prediction(network)

    assert (norms(network), norms(made)) == (1, 0)
    torch.testing.assert_close(logits(made), logits(network))
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()  # type: ignore[operator]
    torch.testing.assert_close(made.conv.weight, conv.weight * scale[:, None, None, None])  # type: ignore[arg-type]
    assert next(made.parameters()).is_contiguous(memory_format=torch.channels_last)


class NormAct(nn.BatchNorm2d):
    """A normalisation with an activation, as timm has them."""

    def __init__(self) -> None:
        super().__init__(4)
        self.drop, self.act = nn.Identity(), nn.ReLU()

    def forward(self, input: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(input)))


def test_the_activation_of_a_normalisation_stays():
    network = Network(nn.Conv2d(3, 4, 3), NormAct())
    made = made_for_prediction(network)

    assert norms(made) == 0
    assert float(logits(network).min()) == 0
    torch.testing.assert_close(logits(made), logits(network))


def test_a_network_whose_copy_says_something_else_is_used_as_it_is():
    network = Twice(nn.Conv2d(3, 4, 1))

    assert made_for_prediction(network) is network
    assert norms(network) == 1


def test_a_normalisation_after_a_convolution_of_changing_weights_stays():
    network = Network(Standardised(3, 4, 1))
    made = made_for_prediction(network)

    assert norms(made) == 1
    torch.testing.assert_close(logits(made), logits(network))


def test_a_normalisation_after_anything_else_stays():
    made = made_for_prediction(Network(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())))

    assert norms(made) == 1


def test_a_network_that_cannot_be_copied_is_used_as_it_is():
    network = Network(nn.Conv2d(3, 4, 1))
    network.lock = (one for one in ())  # type: ignore[assignment]

    assert copied(network) is None
    assert made_for_prediction(network) is network


def test_a_shared_copy_has_the_weights_but_notes_for_itself():
    network = GreyModel()
    other = copied(network, shared=True)

    assert isinstance(other, GreyModel)
    assert other.centres is network.centres
    assert other.sizes is not network.sizes
