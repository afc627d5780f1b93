import pytest

from pixelwise.pages.assets import STATIC, address_of, asset, live_style, style


def test_the_style_has_all_parts():
    assert all(part in style() for part in (".part-100 { --part: 100%; }", ".bench {", ".browse {", "--accent:"))
    assert asset("style.css").content == style().encode()
    assert asset("live.css").content == live_style().encode()


def test_addresses_change_with_the_content():
    versions = {asset(name).version for name in (*STATIC, "style.css", "live.css")}
    assert len(versions) == len(STATIC) + 2
    assert address_of("pages.js") == f"/static/pages.js?v={asset('pages.js').version}"
    with pytest.raises(KeyError):
        asset("pages.css")
