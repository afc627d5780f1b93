import pytest

from pixelwise.cli.options import flags_of
from pixelwise.errors import RecipeError
from pixelwise.options import field_texts
from pixelwise.training.options import ResumeOptions, TrainOptions


def test_existing_flags_keep_their_names():
    assert [flag.flags for flag in flags_of(TrainOptions)] == [
        "--weights", "--from", "--auto-batch", "--device", "--threads", "--track", "--evaluate/--no-evaluate",
    ]  # fmt: skip
    assert [flag.flags for flag in flags_of(ResumeOptions)] == [
        "--data", "--device", "--track", "--evaluate/--no-evaluate",
    ]  # fmt: skip


@pytest.mark.parametrize("options", [TrainOptions, ResumeOptions])
def test_every_option_has_a_text(options):
    assert set(field_texts(options)) == set(options.__struct_fields__)


def test_less_than_one_thread_is_refused():
    with pytest.raises(RecipeError) as caught:
        TrainOptions(threads=0)
    assert caught.value.code == "R260"
