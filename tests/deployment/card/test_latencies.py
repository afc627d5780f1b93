from __future__ import annotations

from pathlib import Path

import pytest

from pixelwise.deployment.card import latencies
from pixelwise.deployment.card.latencies import measure_runtimes, with_latencies
from pixelwise.deployment.card.rows import CardRow
from pixelwise.deployment.export.export import Exported
from pixelwise.errors import CheckpointError, PixelwiseError, RecipeError
from pixelwise.profiling.latency import Candidate, Latency
from pixelwise.profiling.options import ProfileOptions

SIZE = (48, 64)


def measured(candidates: list[Candidate], size: tuple[int, int], *, rounds: int, **rest: object) -> list[Latency]:
    """Replaces the measurement: a pass takes a second per thread, and candidates in `bad` fail."""
    if any(candidate.source.endswith("bad") for candidate in candidates):
        raise CheckpointError("K463", "it fails")
    return [
        Latency(
            runtime=candidate.runtime, threads=candidate.threads, batch=1, size=size, rounds=rounds,
            median_seconds=candidate.threads, p99_seconds=candidate.threads, images_per_second=1.0,
            peak_memory_bytes=1, loaded_memory_bytes=1,
        )
        for candidate in candidates
    ]  # fmt: skip


def rows() -> list[CardRow]:
    return [
        CardRow(name="PyTorch", runtime="torch", precision="float32"),
        CardRow(name="bad", runtime="onnx", precision="float32", folder="bad"),
        CardRow(name="never made", runtime="openvino", precision="float32", folder="x", reason="because"),
        CardRow(name="good", runtime="onnx", precision="float32", folder="good"),
    ]


def test_a_form_that_cannot_be_timed_does_not_take_the_others_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latencies, "measure_latency", measured)
    torch, bad, never, good = with_latencies(rows(), Path("run"), Path("card"), SIZE, (1, 2), 5)
    assert [latency.threads for latency in torch.latencies] == [1, 2]
    assert [(latency.runtime, latency.rounds) for latency in good.latencies] == [("onnx", 5), ("onnx", 5)]
    assert (bad.latencies, bad.reason) == ((), "[K463] it fails")
    assert never == rows()[2]


@pytest.mark.heavy
def test_pytorch_is_timed_without_upsampling_if_the_artefacts_are(
    monkeypatch: pytest.MonkeyPatch, one_size: Exported, any_size: Exported
) -> None:
    seen: list[Candidate] = []
    monkeypatch.setattr(
        latencies, "measure_latency", lambda found, size, **rest: seen.extend(found) or measured(found, size, **rest)
    )
    for exported, head in ((one_size, True), (any_size, False)):
        seen.clear()
        own = CardRow(name="good", runtime="onnx", precision="float32", folder=exported.path.parent.name)
        with_latencies([rows()[0], own], Path("run"), exported.path.parent.parent, SIZE, (1,), 1)
        assert [one.head for one in seen] == [head, head]


def test_without_rounds_nothing_is_timed() -> None:
    assert with_latencies(rows(), Path("run"), Path("card"), SIZE, (1,), 0) == rows()


@pytest.mark.heavy
def test_an_artefact_runs_in_its_own_runtime_only(one_size: Exported) -> None:
    with pytest.raises(RecipeError) as caught:
        measure_runtimes(one_size.path.parent, ProfileOptions(runtimes=("torch",)))
    assert caught.value.code == "R245"


def test_an_unknown_runtime_gets_the_nearest_ones() -> None:
    with pytest.raises(RecipeError) as caught:
        measure_runtimes("town-demo", ProfileOptions(runtimes=("torch", "torch-bf61")))
    assert caught.value.code == "R250"
    assert "'torch-bf16'" in caught.value.message


@pytest.mark.heavy
def test_a_folder_that_is_gone_is_a_row_with_the_reason(small_run: Path, one_size: Exported) -> None:
    folder = one_size.path.parent
    good, gone = with_latencies(
        [
            CardRow(name="good", runtime="onnx", precision="float32", folder=folder.name),
            CardRow(name="gone", runtime="onnx", precision="float32", folder="nowhere"),
        ],
        small_run, folder.parent, SIZE, (1,), 1,
    )  # fmt: skip
    assert len(good.latencies) == 1
    assert gone.latencies == ()
    assert gone.reason.startswith("[K462]")


@pytest.mark.heavy
def test_a_table_has_a_line_per_runtime_and_number_of_threads() -> None:
    options = ProfileOptions(runtimes=("torch", "onnx"), threads=(1, 2), rounds=2, size=(32, 48))
    table = measure_runtimes("town-demo", options)
    assert [(line.runtime, line.threads) for line in table.rows] == [
        ("torch", 1), ("torch", 2), ("onnx", 1), ("onnx", 2),
    ]  # fmt: skip
    assert {line.size for line in table.rows} == {(32, 48)}


@pytest.mark.heavy
def test_a_batch_is_refused_for_what_takes_one_image(one_size: Exported) -> None:
    with pytest.raises(RecipeError, match="executorch") as caught:
        measure_runtimes("town-demo", ProfileOptions(runtimes=("torch", "executorch"), batch=4))
    assert caught.value.code == "R244"
    assert "`batch`" in caught.value.help
    with pytest.raises(RecipeError) as caught:
        measure_runtimes(one_size.path.parent, ProfileOptions(runtimes=("onnx",), batch=4))
    assert caught.value.code == "R244"
    assert "`batch`" in caught.value.help


def test_classes_are_refused_for_what_has_its_own(small_run: Path, one_size: Exported) -> None:
    for model in (small_run, one_size.path):
        with pytest.raises(RecipeError) as caught:
            measure_runtimes(model, ProfileOptions(runtimes=("onnx",), num_classes=5))
        assert caught.value.code == "R251"


@pytest.mark.parametrize("code", ["K461", "K465"])
def test_an_export_that_fails_advises_options_that_there_are(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise CheckpointError(code, "it fails", "keep it with `force`, or try another `target`")

    monkeypatch.setattr(latencies, "export", fail)
    with pytest.raises(PixelwiseError) as caught:
        measure_runtimes("town-demo", ProfileOptions(runtimes=("onnx",)))
    assert (caught.value.code, caught.value.message) == (code, "it fails")
    assert "`runtimes`" in caught.value.help
    assert "`force`" not in caught.value.help
