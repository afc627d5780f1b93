from pixelwise.datasets.findings import finding, finding_of
from pixelwise.errors import DataError


def test_codes_with_w_are_warnings_and_all_others_errors():
    assert finding("W210", "a class is missing").severity == "warning"
    assert finding("D101", "truncated").severity == "error"


def test_five_files_are_named_and_all_are_counted():
    found = finding("D101", "truncated", [f"{i}.png" for i in range(9)])
    assert found.files == ("0.png", "1.png", "2.png", "3.png", "4.png")
    assert found.total == 9


def test_an_error_becomes_a_finding_about_its_file():
    found = finding_of(DataError("D102", "a.png: not an image", "remove it"), "a.png")
    assert (found.code, found.message, found.files, found.fix) == (
        "D102",
        "a.png: not an image",
        ("a.png",),
        "remove it",
    )


def test_a_warning_ends_with_its_fix():
    assert finding("W210", "a class is missing", fix="label it").with_fix == "a class is missing; label it"
    assert finding("W210", "a class is missing").with_fix == "a class is missing"
