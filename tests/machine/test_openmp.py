import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pixelwise.machine.openmp import SHORT_WAITS, configure

OURS = (
    *SHORT_WAITS,
    "OMP_WAIT_POLICY",
    "KMP_BLOCKTIME",
    "KMP_LIBRARY",
    "OMP_NUM_THREADS",
    "OMP_THREAD_LIMIT",
    "MKL_NUM_THREADS",
)


@pytest.fixture
def two_of_four(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A container with a quota of 1.5 CPUs on four cores, as `/proc` and `/sys` show it."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("150000 100000\n", "ascii")
    return tmp_path


def test_waiting_threads_sleep_soon_by_default(tmp_path: Path):
    environment = {"HOME": "/home/somebody"}
    configure(environment, tmp_path)
    assert environment == {"HOME": "/home/somebody"} | SHORT_WAITS


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY"])
def test_the_users_waiting_policy_is_kept(tmp_path: Path, name: str):
    environment = {name: "what somebody wants"}
    configure(environment, tmp_path)
    assert environment == {name: "what somebody wants"}


def test_a_quota_limits_the_number_of_threads(two_of_four: Path):
    environment: dict[str, str] = {}
    configure(environment, two_of_four)
    assert environment == SHORT_WAITS | {"OMP_NUM_THREADS": "2"}


@pytest.mark.parametrize(("before", "after"), [(3, 2), (1, 1)])
def test_a_torch_that_was_imported_before_takes_no_more_threads_than_the_quota(
    two_of_four: Path, before: int, after: int
):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(before)
    configure({}, two_of_four)
    assert torch.get_num_threads() == after


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "MKL_NUM_THREADS"])
def test_the_users_number_of_threads_is_kept(two_of_four: Path, name: str):
    environment = {name: "4"}
    configure(environment, two_of_four)
    assert environment == SHORT_WAITS | {name: "4"}


def test_configuring_twice_changes_nothing(two_of_four: Path):
    environment: dict[str, str] = {}
    configure(environment, two_of_four)
    before = dict(environment)
    configure(environment, two_of_four)
    assert environment == before


def python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a new interpreter in an environment in which nobody chose anything but `variables`."""
    clean = {name: value for name, value in os.environ.items() if name not in OURS}
    return subprocess.run(
        [sys.executable, *arguments], env=clean | variables, capture_output=True, text=True, check=True, timeout=280
    )


def test_importing_pixelwise_is_enough_and_imports_no_torch():
    code = "import os, sys, pixelwise; print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    assert python("-c", code).stdout.split() == [SHORT_WAITS["GOMP_SPINCOUNT"], "False"]


def gomp() -> Path:
    """GNU's runtime, as PyTorch brings it."""
    found = importlib.util.find_spec("torch")
    folders = found.submodule_search_locations if found is not None else None
    libraries = [file for folder in folders or () for file in (Path(folder) / "lib").glob("libgomp*.so*")]
    if not libraries:
        pytest.skip("this PyTorch does not bring GNU's runtime")
    return libraries[0]


def test_the_runtime_takes_it_when_it_is_loaded():
    code = f"import pixelwise, ctypes; ctypes.CDLL({str(gomp())!r})"
    shown = python("-c", code, OMP_DISPLAY_ENV="VERBOSE").stderr
    assert f"GOMP_SPINCOUNT = '{SHORT_WAITS['GOMP_SPINCOUNT']}'" in shown
    chosen = python("-c", code, OMP_DISPLAY_ENV="VERBOSE", OMP_WAIT_POLICY="PASSIVE").stderr
    assert "GOMP_SPINCOUNT = '0'" in chosen


LOADING = """
import pixelwise.training.runs, torch

class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 1
    def __getitem__(self, index):
        import os
        return int(os.environ["GOMP_SPINCOUNT"])

if __name__ == "__main__":
    print(next(iter(torch.utils.data.DataLoader(Data(), num_workers=1, multiprocessing_context="METHOD"))).item())
"""


@pytest.mark.heavy
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_loader_processes_inherit_it_and_torch_is_loaded_after_it(tmp_path: Path, method: str):
    script = tmp_path / "script.py"
    script.write_text(LOADING.replace("METHOD", method), "utf-8")
    assert python(str(script)).stdout.split() == [SHORT_WAITS["GOMP_SPINCOUNT"]]


TRAINING = """
import sys
from pixelwise.training.runs import train
recipe, data, output = sys.argv[1:]
train(recipe, data=data, output=output, threads=2)
"""


@pytest.mark.fuzz
def test_the_waiting_policy_does_not_affect_the_weights(tmp_path: Path, tiny_recipe: Path, tiny_data: Path):
    weights = []
    policies: tuple[dict[str, str], ...] = ({}, {"GOMP_SPINCOUNT": "100000"}, {"OMP_WAIT_POLICY": "PASSIVE"})
    for number, chosen in enumerate(policies):
        run = tmp_path / str(number)
        python("-c", TRAINING, str(tiny_recipe), str(tiny_data), str(run), **chosen)
        last = max((run / "checkpoints").glob("step-*"))
        weights.append((last.name, (last / "model.safetensors").read_bytes()))
    assert weights[1:] == [weights[0]] * 2
