import pytest
from asking import Browser

from pixelwise.pages.access import Guard, cookie_of, new_token
from pixelwise.serving.access import LOOPBACK, is_own_origin, name_of

TOKEN = "a-token"


async def behind(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


@pytest.fixture
def browser() -> Browser:
    return Browser(Guard(behind, TOKEN, "pixelwise-8765"))


def test_the_token_of_the_address_becomes_a_cookie(browser: Browser):
    answer = browser.get(f"/runs?sort=miou&token={TOKEN}&pin=a%26b")
    assert (answer.status, answer.headers["location"]) == (303, "/runs?sort=miou&pin=a%26b")
    assert answer.headers["set-cookie"] == f"pixelwise-8765={TOKEN}; Path=/; HttpOnly; SameSite=Strict"
    assert browser.get("/runs").body == b"/runs"


@pytest.mark.parametrize("address", ["/runs", "/runs?token=other", "/runs?token="])
def test_without_the_token_nothing_is_shown(browser: Browser, address: str):
    answer = browser.get(address)
    assert answer.status == 403
    assert b"/runs" not in answer.body


@pytest.mark.parametrize("cookie", ["pixelwise-8765=other", "pixelwise-8765=", "pixelwise=a-token", "\xff=;;"])
def test_another_cookie_is_no_token(browser: Browser, cookie: str):
    assert browser.get("/runs", cookie=cookie).status == 403


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "///"])
def test_a_redirect_stays_here(browser: Browser, path: str):
    location = browser.get(f"{path}?token={TOKEN}").headers["location"]
    assert location.startswith("/")
    assert location[1:2] not in ("/", "\\")


def test_a_name_of_the_net_that_leads_here_is_refused(browser: Browser):
    browser.get(f"/?token={TOKEN}")
    browser.host = "evil.example:8765"
    assert browser.get("/runs").status == 421
    assert browser.get(f"/?token={TOKEN}").status == 421


def test_pages_of_other_origins_are_refused(browser: Browser):
    browser.get(f"/?token={TOKEN}")
    assert browser.get("/runs", origin="http://evil.example").status == 403
    assert browser.get("/runs", origin="null").status == 403
    assert browser.get("/runs", origin="http://127.0.0.1:8765").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_written(browser: Browser, method: str):
    browser.get(f"/?token={TOKEN}")
    assert browser.get("/runs", method).status == 405


def test_photos_to_try_are_taken_from_own_pages_alone(browser: Browser):
    browser.get(f"/?token={TOKEN}")
    assert browser.get("/try/1", "POST", origin="http://127.0.0.1:8765").body == b"/try/1"
    assert browser.get("/try/1", "POST").status == 405
    assert browser.get("/try/1", "POST", origin="http://evil.example").status == 403
    assert browser.get("/try/1", "POST", origin="http://127.0.0.1:8765", cookie="").status == 403
    assert browser.get("/try/1", "PUT", origin="http://127.0.0.1:8765").status == 405


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:8765", True),
        ("localhost", True),
        ("LOCALHOST:9000", True),  # the other end of a tunnel
        ("[::1]:8765", True),
        ("[::1]", True),
        ("", False),
        ("127.0.0.1.evil.example:8765", False),
        ("evil.example", False),
        ("localhost:80@evil.example", False),
        ("[", False),
        ("0.0.0.0:8765", False),
    ],
)
def test_hosts(host: str, own: bool):
    assert (name_of(host) in LOOPBACK) is own


def test_origins():
    assert is_own_origin(None, "localhost:1")
    assert is_own_origin("http://localhost:1", "localhost:1")
    assert not is_own_origin("http://localhost:2", "localhost:1")
    assert not is_own_origin("http://[", "localhost:1")


def test_every_answer_says_what_a_page_may_load(browser: Browser):
    refused, entered = browser.get("/runs"), browser.get(f"/?token={TOKEN}")
    for answer in (refused, entered, browser.get("/runs")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_cookies_among_others():
    assert cookie_of("a=1; pixelwise-1=x; pixelwise-2=y", "pixelwise-2") == "y"
    assert cookie_of("a=1", "b") == ""


def test_tokens_differ():
    assert len({new_token() for _ in range(9)}) == 9
    assert len(new_token()) >= 43
