"""Whatever is asked of whichever address: an answer, never a fault of the server."""

import re
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest
from asking import Browser
from data_to_show import shown_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs_to_show import shown_run

import pixelwise
from pixelwise.pages.app import Site, application
from pixelwise.recipes.overrides import to_toml

NAMES = (
    "sort", "reverse", "axis", "pin", "hide", "with", "order", "text", "class", "first", "code", "split", "size",
    "labels", "top", "left", "box", "kind", "result", "v", "data", "queue", "base", "session", "from", "step",
)  # fmt: skip
"""What queries of the pages are made of."""
STRANGE = (
    "", "0", "-1", "00", "1e9", "9" * 30, "٣", "²", "None", "nan", "..", "a\0b", "\udcff", "%", "<b>", "0-1", "1-0-0",
    "0-0-8-8-64-48", "0-0-0-0-0-0", "town", "photo", "labels", "a" * 64, "native", "missed", "64x48", "D202", "\n",
)  # fmt: skip
"""Values that are nearly right, and such that surprise what reads numbers, paths and text."""
HEADERS = (
    "content-type",
    "content-length",
    "origin",
    "range",
    "if-none-match",
    "accept",
    "hx-request",
    "last-event-id",
)


class Site_:
    """The pages of two runs and a data set, examined, with the addresses of their routes and ids that exist."""

    def __init__(self, folder: Path) -> None:
        for name in "ab":
            run = shown_run(folder / "runs" / name)
            (run / "recipe.toml").write_text(to_toml(pixelwise.recipe("town-demo")))
        data = shown_data(folder / "photos")
        self.site = Site([folder / "runs"], [data], edit=True)
        self.site.networks.close()
        self.site.models.close()
        app = application([folder / "runs"], "t", site=self.site)
        self.browser = Browser(app)
        self.browser.get("/?token=t")
        self.paths = [route.path for route in app._app.routes if not route.path.endswith("/events")]
        home = self.browser.get("/data").headers["location"]
        while 'hx-trigger="load' in (text := self.browser.get(home).text):
            time.sleep(0.01)
        text += self.browser.get("/runs").text + self.browser.get("/fix").text
        self.ids = sorted(set(re.findall(r"/(?:data|run|fix|live)/([0-9a-f]{12,16})", text)))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Site_:
    return Site_(tmp_path_factory.mktemp("pages"))


@pytest.mark.heavy
@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_request_is_a_fault(pages: Site_, data: st.DataObject):
    value = st.one_of(st.sampled_from(STRANGE), st.sampled_from(pages.ids), st.text(max_size=8), st.integers().map(str))
    path = data.draw(st.sampled_from(pages.paths))
    path = re.sub(r"\{[^}]*\}", lambda _: data.draw(value), path)
    query = data.draw(st.lists(st.tuples(st.sampled_from(NAMES), value), max_size=4))
    text = urlencode(query, errors="surrogatepass")
    method = data.draw(st.sampled_from(("GET", "GET", "GET", "HEAD", "PUT", "POST", "DELETE")))
    latin = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=12)
    headers = data.draw(st.dictionaries(st.sampled_from(HEADERS), st.one_of(st.sampled_from(STRANGE[:6]), latin)))
    headers = {name: text for name, text in headers.items() if text.isprintable()}
    if method in ("PUT", "POST") and data.draw(st.booleans()):
        headers |= {"origin": "http://127.0.0.1:8765", "content-type": "application/octet-stream"}
    body = data.draw(st.binary(max_size=48)) if method in ("PUT", "POST") else b""
    address = f"{path}?{text}"
    answer = pages.browser.get(address, method, body, **{name.replace("-", "_"): one for name, one in headers.items()})
    assert 200 <= answer.status < 500, (method, address, headers, answer.status)
