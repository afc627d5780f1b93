"""The flags of version 0.1.0 still exist, whichever struct they come from now."""

from __future__ import annotations

import pytest

from pixelwise.cli.line.options import flags_of
from pixelwise.deployment.card.options import DeployOptions
from pixelwise.deployment.export.options import ExportOptions
from pixelwise.deployment.int8.options import QuantizeOptions
from pixelwise.options import Options
from pixelwise.profiling.options import ProfileOptions

EXPORT = (
    "--target --argmax --uint8-input --output-stride --dynamic --size --weights --classes --split --data --images "
    "--force"
)
QUANTIZE = f"{EXPORT} --sensitivity --max-miou-drop --calibration-images --least-equal --threads"
DEPLOY = (
    "--targets --int8 --qat-run --data --split --images --size --dynamic --argmax --uint8-input --threads --rounds "
    "--max-miou-drop --calibration-images"
)
PROFILE = "--train --data --size --steps --device --threads --runtime --batch --rounds --classes --output"


@pytest.mark.parametrize(
    ("options", "flags"),
    [(ExportOptions, EXPORT), (QuantizeOptions, QUANTIZE), (DeployOptions, DEPLOY), (ProfileOptions, PROFILE)],
)
def test_the_flags_are_still_there(options: type[Options], flags: str) -> None:
    assert set(flags.split()) <= {flag.flags for flag in flags_of(options)}


@pytest.mark.parametrize("options", [ExportOptions, QuantizeOptions, DeployOptions, ProfileOptions])
def test_every_option_says_what_it_is(options: type[Options]) -> None:
    for flag in flags_of(options):
        assert len(flag.parameter.default.help.split()) >= 3, flag.field
