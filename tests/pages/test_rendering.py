import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pixelwise.errors import DataError
from pixelwise.pages.catalog import Refused
from pixelwise.pages.rendering import breakable, guarded, html

REQUEST = Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""})


def failing(error: Exception):
    def view(site: object, request: Request) -> Response:
        raise error

    return view


def test_an_error_is_a_page_with_the_way_out():
    answer = guarded(None, failing(DataError("D222", "<b>no</b> folder", "name `another`")), REQUEST)
    text = bytes(answer.body).decode()
    assert answer.status_code == 422
    assert "&lt;b&gt;no&lt;/b&gt; folder" in text
    assert "<code>another</code>" in text


@pytest.mark.parametrize("error", [Refused("no"), IndexError(7)])
def test_what_is_not_there_has_no_page(error: Exception):
    with pytest.raises(HTTPException) as missing:
        guarded(None, failing(error), REQUEST)
    assert missing.value.status_code == 404


def test_pages_are_not_kept():
    answer = html("message.html", 418, title="t", message="m", help="")
    assert (answer.status_code, answer.headers["cache-control"]) == (418, "no-store")


def test_a_name_is_broken_behind_its_slashes_and_stays_text():
    assert breakable("runs/<b>/a") == "runs/<wbr>&lt;b&gt;/<wbr>a"
