"""What a launcher tells its processes."""

from pixelwise.machine.launched import hosts, is_first, launch, local_rank, local_world, restarts, world_size
from pixelwise.machine.threads import default_threads, own_cores, usable_cores

OF_TWO = {"WORLD_SIZE": "4", "RANK": "2", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "0"}


def test_a_process_that_was_started_alone():
    assert (world_size({}), local_world({}), local_rank({}), restarts({}), is_first({})) == (1, 1, 0, 0, True)
    # A variable that a scheduler left behind means nothing without the others.
    assert (local_world({"LOCAL_WORLD_SIZE": "8"}), local_rank({"LOCAL_RANK": "3"}), is_first({"RANK": "3"})) == (
        1, 0, True,
    )  # fmt: skip


def test_a_process_of_several():
    assert (world_size(OF_TWO), local_world(OF_TWO), local_rank(OF_TWO), is_first(OF_TWO)) == (4, 2, 0, False)
    assert is_first(OF_TWO | {"RANK": "0"})


def test_hosts():
    assert hosts({}) == 1
    assert hosts(OF_TWO) == 2  # four processes, two on this host
    assert hosts(OF_TWO | {"GROUP_WORLD_SIZE": "3"}) == 3


def test_processes_of_a_host_divide_its_cores():
    assert own_cores(OF_TWO) == max(1, usable_cores() // 2)
    assert default_threads(OF_TWO) == own_cores(OF_TWO)
    assert default_threads(OF_TWO | {"OMP_NUM_THREADS": "3"}) == 3
    # torchrun sets it to 1 where nobody has set it.
    assert default_threads(OF_TWO | {"OMP_NUM_THREADS": "1", "TORCHELASTIC_RUN_ID": "x"}) == own_cores(OF_TWO)
    assert default_threads({"OMP_NUM_THREADS": "1"}) == 1


def test_the_name_of_a_launch():
    assert launch({}) == ""
    assert launch({"TORCHELASTIC_RUN_ID": "none"}) == ""
    assert launch({"TORCHELASTIC_RUN_ID": "12345"}) == "12345"
