import msgspec
import pytest
import torch
from torch import nn

from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Group, Optimizer, Sampling, Schedule
from pixelwise.training.optimization.optimizers import build_optimizer, set_learning_rates
from pixelwise.training.optimization.schedules import base_learning_rate

MODEL = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.PReLU())


def test_the_published_enet_decays_every_parameter():
    groups = build_optimizer(MODEL, Optimizer(kind="adam", lr=1e-3, weight_decay=2e-4, decay_all=True)).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(5, 2e-4)]


def test_otherwise_only_weights_with_two_or_more_dimensions_decay():
    groups = build_optimizer(MODEL, Optimizer(kind="sgd", lr=1e-3, weight_decay=0.1)).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.1), (4, 0.0)]


def test_kind_and_settings_reach_the_optimizer():
    sgd = build_optimizer(MODEL, Optimizer(kind="sgd", lr=0.5, momentum=0.8))
    adam = build_optimizer(MODEL, Optimizer(kind="adam", lr=0.5, betas=(0.7, 0.8)))
    adamw = build_optimizer(MODEL, Optimizer(kind="adamw", lr=0.5))
    assert (type(sgd), sgd.param_groups[0]["momentum"]) == (torch.optim.SGD, 0.8)
    assert (type(adam), adam.param_groups[0]["betas"]) == (torch.optim.Adam, (0.7, 0.8))
    assert (type(adamw), adamw.param_groups[0]["lr"]) == (torch.optim.AdamW, 0.5)


def rates(name: str, optimizer: Optimizer, *changes: str) -> dict[str, tuple[float, float]]:
    """Parameter -> (learning rate, weight decay), for a catalogue network."""
    model = build_model(apply_overrides(find_recipe(name), changes), 4)
    built = build_optimizer(model, optimizer)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        names[id(p)]: (group["lr"], group["weight_decay"]) for group in built.param_groups for p in group["params"]
    }
    assert len(found) == sum(len(group["params"]) for group in built.param_groups) == len(names)
    return found


def test_the_groups_of_united_perceptions_segformer():
    # Their stage normalisation, `encoder.layers.i.2`, has no "norm" in its name and decays.
    found = rates("segformer-b0-cityscapes", find_recipe("segformer-b0-cityscapes").optimizer)
    stem, block = "encoder.stages.0.embedding", "encoder.stages.1.blocks.1"
    expected = {
        f"{stem}.conv.weight": (6e-5, 0.01),
        f"{stem}.conv.bias": (6e-5, 0.01),
        f"{stem}.norm.weight": (6e-5, 0.0),
        f"{block}.norm1.bias": (6e-5, 0.0),
        f"{block}.norm2.weight": (6e-5, 0.0),
        f"{block}.attention.reduction.weight": (6e-5, 0.01),
        f"{block}.attention.reduction_norm.weight": (6e-5, 0.0),
        "encoder.stages.1.norm.weight": (6e-5, 0.01),
        "head.fusion.norm.weight": (6e-4, 0.01),
        "head.classifier.bias": (6e-4, 0.01),
    }
    for name, pair in expected.items():
        assert found[name] == pytest.approx(pair), name
    # Per stage: 1 in the embedding, 2 in each of 2 blocks, 1 reduction in each where there is one (not in the last).
    without_decay = [name for name, (_, decay) in found.items() if decay == 0]
    assert len(without_decay) == 2 * (4 * (1 + 2 * 2) + 3 * 2)


def test_swiftnets_encoder_learns_and_decays_at_a_quarter():
    found = rates("swiftnet-mobilenetv2-cityscapes", find_recipe("swiftnet-mobilenetv2-cityscapes").optimizer)
    assert {pair for name, pair in found.items() if name.startswith("encoder.")} == {(1e-4, 2.5e-5)}
    assert {pair for name, pair in found.items() if not name.startswith("encoder.")} == {(4e-4, 1e-4)}


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name", "biases", "depthwise"),
    # Classifier. MobileNetV2: a depthwise convolution in each of 17 blocks. MobileNetV3: 15, of which 8 have a squeeze
    # and excitation of two convolutions with biases; in its head two classifiers and a gate. Xception: 3 in each of
    # 21 blocks, 3 of the pyramid, 2 of the decoder.
    [
        ("deeplabv3-mobilenetv2-voc", 1, 17),
        ("deeplab-mobilenetv3-cityscapes", 19, 15),
        ("deeplabv3plus-xception65-voc", 1, 68),
    ],
)
def test_tensorflows_biases_learn_twice_as_fast_and_depthwise_weights_do_not_decay(
    name: str, biases: int, depthwise: int
):
    entry = find_recipe(name)
    model = build_model(entry)
    built = build_optimizer(model, entry.optimizer)
    found = {id(p): (group["lr"], group["weight_decay"]) for group in built.param_groups for p in group["params"]}
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    theirs = {id(p) for module in convolutions for p in module.parameters()}
    assert [found[id(m.bias)] for m in convolutions if m.bias is not None] == [(0.014, 0.0)] * biases
    assert [found[id(m.weight)] for m in convolutions if m.groups > 1] == [(0.007, 0.0)] * depthwise
    assert {found[id(m.weight)] for m in convolutions if m.groups == 1} == {(0.007, 4e-5)}
    normalizations = {found[id(p)] for p in model.parameters() if id(p) not in theirs}
    assert normalizations == {(0.007, 0.0)}


def test_the_first_matching_pattern_decides_and_without_decay_all_vectors_never_decay():
    groups = (Group(pattern="weight", lr=2.0, weight_decay=0.5), Group(pattern="^0", lr=3.0, weight_decay=0.7))
    built = build_optimizer(MODEL, Optimizer(kind="sgd", lr=1.0, weight_decay=0.1, groups=groups)).param_groups
    found = {(group["lr"], group["weight_decay"]): [p.ndim for p in group["params"]] for group in built}
    # The convolution's weight; the other two weights; the convolution's bias; the normalisation's bias.
    assert found == {(2.0, 0.5): [4], (2.0, 0.0): [1, 1], (3.0, 0.0): [1], (1.0, 0.0): [1]}


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ((Group(pattern="^heda"),), "'\\^heda'.*did you mean 'head'"),
        ((Group(pattern="head"), Group(pattern="^head\\.classifier")), "classifier'.*head.classifier.weight"),
    ],
)
def test_a_group_without_a_parameter_is_a_mistake(groups: tuple[Group, ...], words: str):
    with pytest.raises(RecipeError, match=words) as caught:
        rates("segformer-b0-cityscapes", Optimizer(lr=1.0, groups=groups))
    assert caught.value.code == "R230"
    assert caught.value.help


def test_an_invalid_pattern_is_refused_at_once():
    with pytest.raises(RecipeError, match=r"R203.*optimizer\.groups: '\('"):
        Group(pattern="(")


def test_layers_farther_from_the_head_learn_more_slowly():
    found = rates("segformer-b0-cityscapes", Optimizer(lr=1.0, layer_decay=0.5))
    # Eight blocks; what lies between two of them counts with the one before.
    expected = {
        "head.classifier.weight": 1.0,
        "encoder.stages.3.norm.weight": 2**-1,
        "encoder.stages.3.blocks.1.norm1.weight": 2**-1,
        "encoder.stages.3.blocks.0.norm1.weight": 2**-2,
        "encoder.stages.1.embedding.conv.weight": 2**-7,
        "encoder.stages.0.norm.weight": 2**-7,
        "encoder.stages.0.blocks.1.norm1.weight": 2**-7,
        "encoder.stages.0.blocks.0.norm1.weight": 2**-8,
        "encoder.stages.0.embedding.conv.weight": 2**-9,
    }
    assert {name: found[name][0] for name in expected} == expected


@pytest.mark.heavy
def test_timms_networks_have_timms_layers_and_new_layers_learn_like_the_head():
    optimizer = Optimizer(lr=1.0, layer_decay=0.5)
    # ConvNeXt's stages have 2, 2, 6 and 2 blocks; a halving belongs to the stage behind it.
    found = rates("generic-fpn", optimizer, "model.encoder=convnext_atto")
    expected = {
        "encoder.network.stem_0.weight": 2**-13,
        "encoder.network.stages_0.blocks.1.conv_dw.weight": 2**-11,
        "encoder.network.stages_1.downsample.1.weight": 2**-10,
        "encoder.network.stages_1.blocks.0.conv_dw.weight": 2**-10,
        "encoder.network.stages_3.blocks.1.conv_dw.weight": 2**-1,
    }
    assert {name: found[name][0] for name in expected} == expected
    assert {rate for name, (rate, _) in found.items() if not name.startswith("encoder.")} == {1.0}
    # A plain transformer's pyramid is not pretrained.
    found = rates("generic-fpn", optimizer, "model.encoder=vit_tiny_patch16_224")
    assert found["encoder.network.pos_embed"][0] == 2**-13
    assert found["encoder.network.norm.weight"][0] == 2**-1
    assert {rate for name, (rate, _) in found.items() if "enlarging" in name} == {1.0}


@pytest.mark.parametrize(
    ("names", "layers"),
    [
        (["cls_token", "patch_embed.proj.weight", "blocks.0.w", "blocks.1.w", "norm.weight"], [0, 0, 1, 2, 2]),
        (["stem_0.w", "stages_0.blocks.0.w", "stages_1.downsample.0.w", "stages_1.blocks.0.w"], [0, 1, 1, 2]),
        (["conv1.w", "layer1.0.w", "layer1.1.w", "layer2.0.w"], [0, 1, 2, 3]),
        (["stem.conv.w", "s1.b1.conv1.w", "s2.b1.w", "s2.b2.w"], [0, 1, 2, 3]),
        (["conv_stem.w", "blocks.0.0.w", "blocks.1.0.w", "blocks.1.1.w"], [0, 1, 2, 3]),
        (["layers_0.blocks.0.w", "layers_0.blocks.1.w", "layers_1.downsample.w", "layers_1.blocks.0.w"], [1, 2, 2, 3]),
        (["conv1.w", "layer1.0.w", "transition1.0.0.w", "stage2.0.branches.0.0.w", "stage2.1.w"], [0, 1, 1, 2, 3]),
    ],
)
def test_blocks_are_counted_in_the_names_of_every_kind_of_encoder(names: list[str], layers: list[int]):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Module()
            self.parameter = {f"encoder.{name}": nn.Parameter(torch.zeros(1)) for name in names}

        def named_parameters(self, *_: object, **__: object):  # type: ignore[override]
            return iter(self.parameter.items())

    net = Net()
    net.encoder.parameters = lambda recurse=True: iter(net.parameter.values())  # type: ignore[method-assign]
    built = build_optimizer(net, Optimizer(lr=1.0, layer_decay=0.5))
    found = {id(p): group["lr"] for group in built.param_groups for p in group["params"]}
    expected = [0.5 ** (max(layers) + 1 - layer) for layer in layers]
    assert [found[id(parameter)] for parameter in net.parameter.values()] == expected


def test_layer_decay_without_an_encoder_is_refused():
    with pytest.raises(RecipeError, match=r"optimizer\.layer_decay is 0\.5.*Sequential") as caught:
        build_optimizer(MODEL, Optimizer(lr=1.0, layer_decay=0.5))
    assert caught.value.code == "R231"


def test_lr_batch_scales_the_rate_with_the_images_per_step():
    assert base_learning_rate(Optimizer(lr=0.005), Sampling(batch_size=3)) == 0.005
    scaled = Optimizer(lr=0.005, lr_batch=8)
    assert base_learning_rate(scaled, Sampling(batch_size=8)) == 0.005
    assert base_learning_rate(scaled, Sampling(batch_size=2, accumulate=4)) == 0.005
    assert base_learning_rate(scaled, Sampling(batch_size=8, accumulate=2)) == 0.01


def test_every_group_follows_the_schedule_at_its_own_rate():
    recipe = msgspec.structs.replace(
        find_recipe("town-demo"),
        optimizer=Optimizer(kind="sgd", lr=0.8, lr_batch=16, groups=(Group(pattern="^0", lr=10.0),)),
        schedule=Schedule(iterations=4, kind="poly", power=1.0, min_lr=0.1),
        sampling=Sampling(batch_size=8),
    )
    optimizer = build_optimizer(MODEL, recipe.optimizer)
    shown = set_learning_rates(optimizer, recipe, 2, 10)
    # Base rates 0.4 and 4, both half way to 0.1.
    assert shown == pytest.approx(0.25)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.25, 2.05])


def test_a_group_with_its_own_warm_up_does_not_learn_at_first():
    group = Group(pattern="^classifier", warmup_after=10, warmup_iterations=20)
    recipe = msgspec.structs.replace(
        find_recipe("enet-camvid-2021"),
        optimizer=Optimizer(kind="adamw", lr=1.0, decay_all=True, groups=(group,)),
        schedule=Schedule(iterations=100),
    )
    model = nn.ModuleDict({"classifier": nn.Linear(1, 1), "rest": nn.Linear(1, 1)})
    optimizer = build_optimizer(model, recipe.optimizer)

    found = []
    for step in (0, 20, 30):
        set_learning_rates(optimizer, recipe, step, 10)
        found.append([one["lr"] for one in optimizer.param_groups])

    assert [own for own, _ in found] == pytest.approx([0, 0.5, 1])
    assert found[0][1] == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"warmup_after": -1, "warmup_iterations": 1}, "warmup_after of the group"),
        ({"warmup_iterations": -1}, "warmup_iterations of the group"),
        ({"warmup_after": 5}, "has no warmup_iterations"),
    ],
)
def test_impossible_warm_ups_of_groups_are_refused(values: dict[str, int], message: str):
    with pytest.raises(RecipeError, match=message):
        Group(pattern="a", **values)


def test_a_group_cannot_warm_up_by_itself_where_rates_change_with_epochs():
    recipe = find_recipe("enet-camvid-2021")
    optimizer = Optimizer(lr=1.0, groups=(Group(pattern="^a", warmup_iterations=5),))
    with pytest.raises(RecipeError, match="has a warm-up of its own"):
        msgspec.structs.replace(recipe, optimizer=optimizer, schedule=Schedule(epochs=9, kind="step"))


class _Prepared(nn.Module):
    """A network as one that is prepared for int8: the original one is its `graph`."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = nn.ModuleDict({"encoder": nn.Linear(2, 2), "decoder": nn.Linear(2, 2)})


def test_groups_of_a_network_that_is_prepared_for_int8_are_those_of_the_network():
    model = _Prepared()
    plain = Optimizer(lr=1.0, decay_all=True, groups=(Group(pattern="^encoder", lr=0.1),))
    named = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        group["lr_factor"]: sorted(named[id(one)] for one in group["params"])
        for group in build_optimizer(model, plain).param_groups
    }
    assert found == {
        0.1: ["graph.encoder.bias", "graph.encoder.weight"],
        1.0: ["graph.decoder.bias", "graph.decoder.weight"],
    }
