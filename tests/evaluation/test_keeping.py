import math

import msgspec
import pytest
from records.test_evaluations import result

from pixelwise.evaluation.keeping import other_groups, same_counts, with_earlier
from pixelwise.records.result import Result
from pixelwise.records.scores import GroupResult, MetricResult

RUN = "pixelwise evaluate run --split val --protocol native"


def scored(command: str = RUN, **fields) -> Result:
    return msgspec.structs.replace(result("val", "native"), command=command, **fields)


def groups(*names: str) -> tuple[GroupResult, ...]:
    return tuple(GroupResult(name=name, images=1, miou=0.5, pixel_accuracy=0.5, iou=(0.5,)) for name in names)


@pytest.mark.parametrize("field", ["weights_sha256", "data_fingerprint"])
def test_results_of_other_weights_or_data_share_nothing(field: str):
    assert same_counts(scored(), scored())
    assert not same_counts(scored(), scored(**{field: "other"}))
    assert not same_counts(scored(), scored(confusion_matrix=((7,),)))


def test_what_only_the_earlier_result_measured_is_kept_with_the_command_for_both():
    distance = MetricResult(title="distance", unit="px", value=2.0)
    before = scored(
        f"{RUN} --calibration --metric hausdorff95 --group '^0'",
        boundary_miou=0.25,
        calibration_error=0.125,
        metrics={"hausdorff95": distance},
        groups=groups("a", "b"),
        per_class=(msgspec.structs.replace(scored().per_class[0], boundary_iou=0.25),),
        miou=0.9,
    )
    now = scored(f"{RUN} --no-boundary")

    kept = with_earlier(now, before)

    assert (kept.boundary_miou, kept.calibration_error, kept.metrics) == (0.25, 0.125, {"hausdorff95": distance})
    assert kept.per_class[0].boundary_iou == 0.25
    assert [group.name for group in kept.groups] == ["a", "b"]
    assert kept.miou == now.miou
    assert kept.command == f"{RUN} --calibration --metric hausdorff95 --group '^0'"


def test_new_values_replace_old_ones():
    now = scored(boundary_miou=0.5, groups=groups("a"))
    kept = with_earlier(now, scored(boundary_miou=0.25))
    assert (kept.boundary_miou, kept.command) == (0.5, RUN)
    assert kept is now
    assert math.isnan(kept.calibration_error)


def test_another_division_into_groups_is_another_question():
    assert other_groups(scored(groups=groups("a")), scored(groups=groups("a", "b")))
    assert not other_groups(scored(groups=groups("a")), scored(groups=groups("a")))
    assert not other_groups(scored(), scored(groups=groups("a")))
    assert not other_groups(scored(groups=groups("a")), scored())
