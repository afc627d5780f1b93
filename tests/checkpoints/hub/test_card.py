from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
import yaml
from results import class_result, miniature

from pixelwise.checkpoints.hub.card import Subject, card_of
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Ancestor, Licence


def subject(**changes: Any) -> Subject:
    recipe = apply_overrides(find("enet-camvid"), ["notes=as it is"])
    known: dict[str, Any] = {
        "repository": "me/enet",
        "licence": Licence(weights="Apache-2.0", code="MIT"),
        "recipe": recipe,
        "facts": DataFacts(dataset="camvid", images={"train": 367, "val": 101}),
        "scores": (miniature(),),
        "step": 1200,
        "weights_sha256": "ab" * 32,
    }
    return Subject(**known | changes)


def parts(card: str) -> tuple[dict[str, Any], str]:
    """The front matter and the text."""
    before, front, text = card.split("---\n", 2)
    assert before == ""
    return yaml.safe_load(front), text


def test_the_front_matter_is_what_the_hub_reads():
    front, _ = parts(card_of(subject()))
    assert front["license"] == "apache-2.0"
    assert front["library_name"] == "pixelwise"
    assert front["pipeline_tag"] == "image-segmentation"
    assert front["datasets"] == ["camvid"]
    assert front["metrics"] == ["mean_iou", "accuracy"]
    assert "enet-camvid" in front["tags"]
    [model] = front["model-index"]
    [result] = model["results"]
    assert model["name"] == "enet"
    assert result["task"]["type"] == "image-segmentation"
    assert result["dataset"] == {"type": "camvid", "name": "camvid", "split": "val", "args": {"protocol": "native"}}
    assert [(one["type"], one["value"]) for one in result["metrics"]] == [("mean_iou", 0.75), ("accuracy", 0.9)]


def test_the_hubs_own_reader_accepts_it():
    from huggingface_hub import ModelCardData
    from huggingface_hub.repocard_data import model_index_to_eval_results

    front, _ = parts(card_of(subject()))
    name, results = model_index_to_eval_results(front["model-index"])
    assert (name, [one.metric_value for one in results]) == ("enet", [0.75, 0.9])
    assert ModelCardData(**{key: one for key, one in front.items() if key != "model-index"}).license == "apache-2.0"


@pytest.mark.parametrize(
    ("licence", "front"),
    [
        ("unknown", {"license": "unknown"}),
        ("CC-BY-NC-4.0", {"license": "cc-by-nc-4.0"}),
        ("Our Own Terms", {"license": "other", "license_name": "our-own-terms", "license_link": "README.md#licences"}),
    ],
)
def test_a_licence_that_the_hub_does_not_know_has_its_name(licence: str, front: dict[str, str]):
    found, _ = parts(card_of(subject(licence=Licence(weights=licence, code="MIT"))))
    assert {key: one for key, one in found.items() if key.startswith("license")} == front


def test_every_class_has_a_row_and_undefined_scores_are_said_to_be():
    _, text = parts(card_of(subject()))
    assert "| grass | 87.50 | 87.50 | 87.50 | 7 | 1 |" in text
    assert "| hut | n/a | n/a | n/a | 7 | 1 |" in text
    assert "Mean IoU 75.00 % (95 % interval over images: 50.00 to 90.00)" in text
    assert "split `val`, protocol `native`" in text
    _, text = parts(card_of(subject(scores=(miniature(drawn=12, images=90),))))
    assert "(95 % interval over 12 series of images: 50.00 to 90.00), pixel accuracy" in text


def test_an_undefined_score_is_in_no_index():
    front, text = parts(card_of(subject(scores=(miniature(miou=math.nan),))))
    assert [one["type"] for one in front["model-index"][0]["results"][0]["metrics"]] == ["accuracy"]
    assert "Mean IoU n/a %" in text


def test_a_run_without_scores_says_so():
    front, text = parts(card_of(subject(scores=())))
    assert "model-index" not in front
    assert "This run has not been scored." in text


def test_data_and_teachers_come_with_their_licences():
    teacher = Ancestor(
        recipe="large", step=9, weights_sha256="cd" * 32, licence="CC-BY-NC-4.0", encoder="e", encoder_licence="MIT"
    )
    licence = Licence(weights="mit", code="BSD-3-Clause", derived_from=(teacher,))
    _, text = parts(card_of(subject(licence=licence, data_licence="CC BY-NC 4.0")))
    assert "Licence or terms of the data: CC BY-NC 4.0." in text
    assert "images per split: train 367, val 101" in text
    assert "| code of the original network | BSD-3-Clause |" in text
    assert "large, step 9" in text
    assert "licence CC-BY-NC-4.0" in text
    _, silent = parts(card_of(subject()))
    assert "Licence or terms of the data: not stated by the owner." in silent
    assert "derived from" not in silent


def test_own_data_has_no_name_on_the_hub():
    recipe = msgspec.structs.replace(find("unet-resnet18"))
    front, text = parts(card_of(subject(recipe=recipe, facts=DataFacts(dataset="folder"))))
    assert "datasets" not in front
    assert front["model-index"][0]["results"][0]["dataset"]["type"] == "custom"
    assert "Data of the owner" in text


def test_three_lines_load_it():
    _, text = parts(card_of(subject()))
    code = text.split("```python\n")[1].split("```")[0].strip().splitlines()
    assert len(code) == 3
    assert 'pixelwise.load("hub://me/enet")' in code[1]
    assert "pixelwise predict hub://me/enet photos" in text


def test_names_of_others_are_no_markup():
    scores = (miniature(per_class=(class_result("<img src=x>|`a`\n# b", 0.5),)),)
    _, text = parts(card_of(subject(scores=scores)))
    assert r"| \<img src=x\>\|\`a\` \# b | 50.00" in text
    front, _ = parts(card_of(subject(licence=Licence(weights="x\n---\nlicense: mit", code="MIT"))))
    assert front["license"] == "other"


def test_the_card_of_an_artefact_says_in_what_it_runs():
    described = {
        "recipe_name": "enet",
        "runtime": "onnx",
        "classes": ["a", "b"],
        "score": {"miou": 0.5, "split": "val", "protocol": "native"},
    }
    front, text = parts(
        card_of(Subject(repository="me/e", licence=Licence(weights="mit", code="mit"), artefact=described))
    )
    assert "model-index" not in front
    assert "An exported network (onnx)" in text
    assert "mean IoU 50.00 % on the split `val`" in text
    assert "pixelwise[runtime,hub]" in text
    assert "pixelwise evaluate" not in text
