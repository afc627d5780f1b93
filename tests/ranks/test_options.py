from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixelwise.cli.line.options import flags_of
from pixelwise.errors import RecipeError
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.options import Options, chosen
from pixelwise.ranks.options import LaunchOptions
from pixelwise.training.options import ResumeOptions, TrainOptions

FLAGS = ["--devices", "--nodes", "--rendezvous", "--restarts"]


@pytest.mark.parametrize("options", [TrainOptions, ResumeOptions, EvaluateOptions])
def test_verbs_whose_work_can_be_shared_list_these_options_last(options: type[Options]):
    assert [flag.flags for flag in flags_of(options)][-4:] == FLAGS


def test_no_process_is_not_a_number_of_processes():
    with pytest.raises(RecipeError, match="devices") as caught:
        chosen(TrainOptions, None, {"devices": 0})
    assert caught.value.code == "R260"


def test_hosts_are_told_the_folder_of_their_run():
    LaunchOptions(devices=2).require_output(None)
    LaunchOptions(devices=2, nodes="2", rendezvous="a:1").require_output("runs/x")
    with pytest.raises(RecipeError, match="`output` is not given") as caught:
        LaunchOptions(devices=2, nodes="2", rendezvous="a:1").require_output(None)
    assert caught.value.code == "R238"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "enet-camvid", ".", "--restarts", "2"], "--restarts is 2, but --devices is not given"),
        (["train", "enet-camvid", ".", "--devices", "2", "--nodes", "2"], "--nodes is 2, but the hosts do not know"),
        (["resume", ".", "--devices", "2", "--rendezvous", "here"], "--rendezvous is 'here'; expected HOST:PORT"),
        (["evaluate", ".", "--nodes", "2"], "--nodes is 2, but --devices is not given"),
        (
            ["train", "enet-camvid", ".", "--devices", "2", "--nodes", "2", "--rendezvous", "a:1"],
            "--nodes is 2, but --output is not given",
        ),
        (["train", "enet-camvid", ".", "--devices", "2", "--device", "cuda:1"], "--device is cuda:1, one GPU, for 2"),
    ],
)
def test_contradictions_are_said_in_the_words_of_the_command_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Callable[..., Any]
):
    monkeypatch.chdir(tmp_path)
    code, _, stderr = run_cli(words)
    assert code == 2
    assert f"error[R238]: {said}" in stderr
    assert "`" not in stderr
