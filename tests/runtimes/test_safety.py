"""Files from elsewhere that reach beyond themselves; every one is made here by hand."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runtimes.descriptions import sidecar_of

from pixelwise.errors import CheckpointError
from pixelwise.runtimes import load_artefact
from pixelwise.runtimes.inference import Inference
from pixelwise.runtimes.safety import external_data_problem, pt2_problem
from pixelwise.runtimes.sidecar import Input, Output, write_sidecar
from pixelwise.storage import sha256_file

onnx = pytest.importorskip("onnx")
WEIGHTS = np.arange(4, dtype=np.float32).tobytes()


def external(name: str = "w", **facts: str) -> Any:
    """A tensor of four floats that is kept in another file."""
    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[1, 4, 1, 1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in facts.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def graph_with(tensor: Any, place: str = "initializer") -> Any:
    """A model with a tensor in one of the places where a model may have one."""
    value = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 4, 2, 3])
    logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, 4, 2, 3])
    nodes = [onnx.helper.make_node("Add", ["images", tensor.name], ["logits"])]
    graph = onnx.helper.make_graph(nodes, "added", [value], [logits])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    constant = onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
    if place == "initializer":
        model.graph.initializer.append(tensor)
    elif place == "attribute":
        model.graph.node.insert(0, constant)
    elif place == "branch":
        branch = onnx.helper.make_graph([constant], "branch", [], [logits])
        model.graph.node.append(onnx.helper.make_node("If", ["images"], ["x"], then_branch=branch, else_branch=branch))
    elif place == "function":
        function = onnx.helper.make_function("own", "F", [], ["y"], [constant], [onnx.helper.make_opsetid("", 17)])
        model.functions.append(function)
    elif place == "sparse":
        indices = onnx.helper.make_tensor("i", onnx.TensorProto.INT64, [4], [0, 1, 2, 3])
        model.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(tensor, indices, [4]))
    else:
        model.training_info.add().algorithm.initializer.append(tensor)
    return model


def artefact(folder: Path, model: Any, *listed: str) -> Path:
    """An artefact of one ONNX file whose description lists further files."""
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    files = {name: sha256_file(folder / name) for name in ("model.onnx", *listed)}
    sidecar = sidecar_of(
        classes=("a", "b", "c", "d"),
        palette=((0, 0, 0),) * 4,
        preprocessing=sidecar_of().preprocessing.__class__(mean=(0.5,) * 4, std=(0.5,) * 4),
        input=Input(name="images", dtype="float32", layout="NCHW", size=(2, 3), batch=1),
        output=Output(name="logits", dtype="float32", stride=1, align_corners=False),
        inference=Inference(channels=(0, 1, 2, 3), window=(2, 3), window_stride=(1, 2)),
        files=files,
    )
    write_sidecar(sidecar, folder / "model.toml")
    return folder


def test_weights_beside_the_graph_are_used_if_they_are_listed(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(WEIGHTS)
    model = load_artefact(artefact(folder, graph_with(external(location="weights.bin")), "weights.bin"))
    (logits,) = model.head_logits(torch.ones(1, 4, 2, 3))
    assert torch.equal(logits[0, :, 0, 0], torch.tensor([1.0, 2.0, 3.0, 4.0]))


PLACES = ("dots", "absolute", "link", "hard link", "unlisted", "folder", "linked folder", "nul", "backslash", "itself")


def place(kind: str, folder: Path, secret: Path) -> tuple[str, tuple[str, ...]]:
    """Put a secret somewhere; returns the location that a tensor names, and the files that the description lists."""
    folder.mkdir()
    beside = folder / "weights.bin"
    if kind == "link":
        beside.symlink_to(secret)
    elif kind == "hard link":
        os.link(secret, beside)
    elif kind == "unlisted":
        beside.write_bytes(WEIGHTS)
    elif kind == "folder":
        (folder / "sub").mkdir()
        (folder / "sub" / "weights.bin").write_bytes(WEIGHTS)
    elif kind == "linked folder":
        (folder / "sub").symlink_to(secret.parent)
    locations = {
        "dots": f"../{secret.name}",
        "absolute": str(secret),
        "folder": "sub/weights.bin",
        "linked folder": f"sub/{secret.name}",
        "nul": "weights.bin\0",
        "backslash": "..\\secret.bin",
        "itself": "model.toml",
    }
    listed = ("weights.bin",) if kind in ("link", "hard link") else ()
    return locations.get(kind, "weights.bin"), listed


@pytest.mark.parametrize("kind", PLACES)
def test_weights_from_elsewhere_are_refused_before_the_runtime_sees_them(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(WEIGHTS)
    location, listed = place(kind, tmp_path / "artefact", secret)
    folder = artefact(tmp_path / "artefact", graph_with(external(location=location)), *listed)
    runtime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(runtime, "InferenceSession", lambda *_: pytest.fail("the runtime was started"))
    with pytest.raises(CheckpointError) as caught:
        load_artefact(folder, trust=True)
    assert caught.value.code == ("K462" if listed else "K472")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("where", ["initializer", "attribute", "branch", "function", "sparse", "training"])
def test_a_tensor_is_found_wherever_it_is(tmp_path: Path, where: str) -> None:
    proto = graph_with(external(location="/etc/hostname"), where)
    assert "'w' is kept in '/etc/hostname'" in external_data_problem(proto, tmp_path / "model.onnx", ["model.onnx"])


@pytest.mark.parametrize(
    ("facts", "right"),
    [
        ({}, True),
        ({"offset": "8", "length": "8"}, True),
        ({"offset": "0", "length": "17"}, False),
        ({"offset": "16", "length": "4"}, False),
        ({"offset": "-4", "length": "16"}, False),
        ({"length": "-1"}, False),
        ({"offset": "four"}, False),
        ({"offset": "9" * 30}, False),
    ],
)
def test_a_range_lies_within_its_file(tmp_path: Path, facts: dict[str, str], right: bool) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHTS)
    proto = graph_with(external(location="w.bin", **facts))
    assert (external_data_problem(proto, tmp_path / "model.onnx", ["w.bin"]) == "") == right


def test_a_place_is_named_once(tmp_path: Path) -> None:
    tensor = external(location="w.bin")
    tensor.external_data.add(key="location", value="/etc/hostname")
    (tmp_path / "w.bin").write_bytes(WEIGHTS)
    assert external_data_problem(graph_with(tensor), tmp_path / "model.onnx", ["w.bin"])


def test_the_weights_of_openvino_are_a_listed_file_of_their_own(tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret.bin", tmp_path / "artefact"
    secret.write_bytes(WEIGHTS)
    folder.mkdir()
    (folder / "model.xml").write_text("<net/>", "utf-8")
    for make in (lambda file: file.symlink_to(secret), lambda file: os.link(secret, file)):
        (folder / "model.bin").unlink(missing_ok=True)
        make(folder / "model.bin")
        for listed in (("model.xml", "model.bin"), ("model.xml",)):
            files = {name: sha256_file(folder / name) for name in listed}
            write_sidecar(sidecar_of(runtime="openvino", files=files), folder / "model.toml")
            with pytest.raises(CheckpointError, match=r"K462.*model\.bin"):
                load_artefact(folder)


@pytest.mark.parametrize(
    ("runtime", "name", "content"),
    [
        ("onnx", "model.onnx", b"\x00\x00\x00\x00ORTM" + bytes(64)),
        ("onnx", "model.onnx", b""),
        ("openvino", "model.xml", None),
    ],
)
def test_a_file_of_another_format_does_not_reach_the_runtime(
    tmp_path: Path, runtime: str, name: str, content: bytes | None
) -> None:
    proto = graph_with(external(location="/etc/hostname"))
    (tmp_path / name).write_bytes(proto.SerializeToString() if content is None else content)
    (tmp_path / "model.bin").write_bytes(b"")
    names = (name, "model.bin") if runtime == "openvino" else (name,)
    files = {one: sha256_file(tmp_path / one) for one in names}
    write_sidecar(sidecar_of(runtime=runtime, files=files), tmp_path / "model.toml")
    with pytest.raises(CheckpointError) as caught:
        load_artefact(tmp_path)
    assert caught.value.code == "K472"


class Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.file),))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `.pt2` as PyTorch writes it."""
    file = tmp_path_factory.mktemp("pt2") / "model.pt2"
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))
    torch.export.save(program, file)
    return file


def rewritten(source: Path, target: Path, changes: dict[str, bytes]) -> Path:
    """A copy of an archive with some members replaced, those whose names end with the keys, or added."""
    left = dict(changes)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            key = next((key for key in changes if name.endswith(key)), None)
            new.writestr(name, old.read(name) if key is None else left.pop(key, b""))
        for key, content in left.items():
            new.writestr(f"{old.namelist()[0].partition('/')[0]}/{key}", content)
    return target


def test_what_pytorch_writes_is_accepted(exported: Path) -> None:
    assert pt2_problem(exported) == ""


def malicious(kind: str, exported: Path, mark: Path) -> dict[str, bytes]:
    code = pickle.dumps(Runs(mark))
    with zipfile.ZipFile(exported) as archive:
        name = next(name for name in archive.namelist() if name.endswith("weights_config.json"))
        config = json.loads(archive.read(name))
    weight = next(iter(config["config"].values()))
    saved = io.BytesIO()
    torch.save(Runs(mark), saved)
    if kind == "weight":
        weight["use_pickle"] = True
        return {
            "weights_config.json": json.dumps(config).encode(),
            f"data/weights/{weight['path_name']}": saved.getvalue(),
        }
    if kind == "constant":
        entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
        return {
            "constants_config.json": json.dumps({"config": {"x": entry}}).encode(),
            "data/constants/opaque_obj_0": code,
        }
    if kind == "unmarked constant":
        entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": False, "tensor_meta": None}
        return {
            "constants_config.json": json.dumps({"config": {"x": entry}}).encode(),
            "data/constants/opaque_obj_0": code,
        }
    if kind == "example":
        return {"data/sample_inputs/model.pt": saved.getvalue()}
    return {"data/aotinductor/model/library.so": b"\x7fELF"}


@pytest.mark.parametrize("kind", ["weight", "constant", "unmarked constant", "example", "library"])
def test_a_member_that_runs_code_is_refused_even_with_trust(tmp_path: Path, exported: Path, kind: str) -> None:
    mark, folder = tmp_path / "it ran", tmp_path / "artefact"
    folder.mkdir()
    file = rewritten(exported, folder / "model.pt2", malicious(kind, exported, mark))
    assert pt2_problem(file)
    write_sidecar(sidecar_of(runtime="torch-export", files={"model.pt2": sha256_file(file)}), folder / "model.toml")
    with pytest.raises(CheckpointError) as caught:
        load_artefact(folder, trust=True)
    assert caught.value.code == "K472"
    assert not mark.exists()


def test_the_malicious_ones_of_these_tests_do_run_in_pytorch(tmp_path: Path, exported: Path) -> None:
    mark = tmp_path / "it ran"
    file = rewritten(exported, tmp_path / "model.pt2", malicious("weight", exported, mark))
    with contextlib.suppress(Exception):  # it has run before PyTorch finds that it is no tensor
        torch.export.load(file)
    assert mark.exists()


def test_a_pt2_is_opened_only_with_trust_and_says_why(tmp_path: Path, exported: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(exported.read_bytes())
    files = {"model.pt2": sha256_file(tmp_path / "model.pt2")}
    write_sidecar(sidecar_of(runtime="torch-export", files=files), tmp_path / "model.toml")
    for given in (tmp_path, tmp_path / "model.pt2", tmp_path / "model.toml"):
        with pytest.raises(CheckpointError) as caught:
            load_artefact(given)
        assert caught.value.code == "K471"
        assert "code" in caught.value.message
        assert "`trust`" in caught.value.help
    assert load_artefact(tmp_path, trust=True).sidecar.runtime == "torch-export"


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + 18 * b"\0"])
def test_what_is_no_archive_is_said_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pt2").write_bytes(content)
    if content.startswith(b"PK"):
        assert pt2_problem(tmp_path / "model.pt2") == ""  # an empty archive: PyTorch says what is missing
    else:
        assert "archive" in pt2_problem(tmp_path / "model.pt2")
