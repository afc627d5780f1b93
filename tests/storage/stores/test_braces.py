import pytest

from pixelwise.storage.stores.braces import expanded, has_braces


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("a-{08..11}.tar", ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{train,val}-{0..1}.tar", ["train-0.tar", "train-1.tar", "val-0.tar", "val-1.tar"]),
        ("a{b}.tar", ["a{b}.tar"]),
        ("{x}-{0..1}{}", ["{x}-0{}", "{x}-1{}"]),
        ("{,a}b", ["b", "ab"]),
    ],
)
def test_braces_stand_for_names(text: str, names: list[str]):
    assert expanded(text) == names
    assert has_braces(text) == (names != [text])


@pytest.mark.parametrize("text", ["{0..1000000}", "{0..9999}{0..9999}", "{" + "," * 1001 + "}{0..999}"])
def test_patterns_for_too_many_names_are_refused(text: str):
    with pytest.raises(ValueError, match="more than 1000000"):
        expanded(text)
