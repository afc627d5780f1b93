from pathlib import Path

from pixelwise.records.problems import Problem, append_problems, clear_problems, read_problems


def problem(number: int) -> Problem:
    return Problem(file=f"{number}.png", code="D101", message="m", help="h")


def test_problems_are_kept_in_order_and_forgotten(tmp_path: Path):
    append_problems(tmp_path, [])
    assert not (tmp_path / "problems.jsonl").exists()
    append_problems(tmp_path, [problem(1), problem(2)])
    append_problems(tmp_path, [problem(3)])
    assert read_problems(tmp_path) == [problem(1), problem(2), problem(3)]
    clear_problems(tmp_path)
    assert read_problems(tmp_path) == []
    clear_problems(tmp_path)
