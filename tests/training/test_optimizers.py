import torch
from torch import nn

from pixelwise.recipes.schema import Optimizer
from pixelwise.training.optimizers import build_optimizer

MODEL = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.PReLU())


def test_the_published_enet_decays_every_parameter():
    groups = build_optimizer(MODEL, Optimizer(kind="adam", lr=1e-3, weight_decay=2e-4, decay_all=True)).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(5, 2e-4)]


def test_otherwise_only_weights_with_two_or_more_dimensions_decay():
    groups = build_optimizer(MODEL, Optimizer(kind="sgd", lr=1e-3, weight_decay=0.1)).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.1), (4, 0.0)]


def test_kinds_and_settings_arrive():
    sgd = build_optimizer(MODEL, Optimizer(kind="sgd", lr=0.5, momentum=0.8))
    adam = build_optimizer(MODEL, Optimizer(kind="adam", lr=0.5, betas=(0.7, 0.8)))
    adamw = build_optimizer(MODEL, Optimizer(kind="adamw", lr=0.5))
    assert (type(sgd), sgd.param_groups[0]["momentum"]) == (torch.optim.SGD, 0.8)
    assert (type(adam), adam.param_groups[0]["betas"]) == (torch.optim.Adam, (0.7, 0.8))
    assert (type(adamw), adamw.param_groups[0]["lr"]) == (torch.optim.AdamW, 0.5)
