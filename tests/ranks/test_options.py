import pytest

from pixelwise.cli.options import flags_of
from pixelwise.errors import RecipeError
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.options import Options, chosen
from pixelwise.training.options import ResumeOptions, TrainOptions

FLAGS = ["--devices", "--nodes", "--rendezvous", "--restarts"]


@pytest.mark.parametrize("options", [TrainOptions, ResumeOptions, EvaluateOptions])
def test_verbs_whose_work_can_be_shared_list_these_options_last(options: type[Options]):
    assert [flag.flags for flag in flags_of(options)][-4:] == FLAGS


def test_no_process_is_not_a_number_of_processes():
    with pytest.raises(RecipeError, match="devices") as caught:
        chosen(TrainOptions, None, {"devices": 0})
    assert caught.value.code == "R260"
