import base64
from pathlib import Path

import pytest

from pixelwise.storage.stores.access import access_of

KEY = base64.b64encode(b"a secret with = signs, as keys have").decode()
HOST = "https://photos.blob.core.windows.net"


@pytest.mark.parametrize(
    ("given", "config", "signature"),
    [
        (
            f"DefaultEndpointsProtocol=https;AccountName=photos;AccountKey={KEY};EndpointSuffix=core.windows.net",
            {"account_name": "photos", "account_key": KEY, "endpoint": HOST},
            "",
        ),
        (f"AccountName=photos;AccountKey={KEY}", {"account_name": "photos", "account_key": KEY}, ""),
        (
            f" blobendpoint={HOST}/ ; SharedAccessSignature=sv=1&sig=a%3D ;",
            {"account_name": "photos", "endpoint": HOST},
            "sv=1&sig=a%3D",
        ),
        (
            f"BlobEndpoint=http://127.0.0.1:1/photos;AccountKey={KEY}",
            {"account_name": "photos", "account_key": KEY, "endpoint": "http://127.0.0.1:1/photos"},
            "",
        ),
        ("UseDevelopmentStorage=true", {"use_emulator": True}, ""),
    ],
)
def test_connection_strings_of_azure(given: str, config: dict, signature: str):
    found = access_of("az://container/a", {"AZURE_STORAGE_CONNECTION_STRING": given})
    assert (found.url, found.config, found.signature) == ("az://container/a", config, signature)
    assert found.plain == ("http://" in given or "Development" in given)


@pytest.mark.parametrize("given", [KEY.rstrip("="), f"AccountKey={KEY}", "AccountName;AccountKey=1", "AccountName="])
def test_other_texts_are_refused_without_being_shown(given: str):
    with pytest.raises(OSError, match="AZURE_STORAGE_CONNECTION_STRING is not understood") as caught:
        access_of("az://container/a", {"AZURE_STORAGE_CONNECTION_STRING": given})
    assert KEY[:20] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_names_of_azures_command_line_count_after_those_of_obstore():
    short = {"AZURE_STORAGE_ACCOUNT": "one", "AZURE_STORAGE_KEY": KEY}
    assert access_of("az://container", short).config == {"account_name": "one", "account_key": KEY}
    both = short | {"AZURE_STORAGE_ACCOUNT_NAME": "two", "AZURE_STORAGE_ACCESS_KEY": "other"}
    assert access_of("az://container", both).config == {}


def test_a_signed_query_and_an_address_that_names_the_account():
    string = {"AZURE_STORAGE_CONNECTION_STRING": f"AccountName=other;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:1"}
    found = access_of(f"{HOST}/container/a?sv=1&sig=b", string)
    assert (found.url, found.config, found.signature) == (f"{HOST}/container/a", {"account_key": KEY}, "sv=1&sig=b")
    assert access_of("https://host/a?sig=b", string) == ("https://host/a?sig=b", {}, "", False)


@pytest.mark.parametrize(
    ("given", "url"), [("localhost:4443", "http://localhost:4443"), ("https://host/", "https://host")]
)
def test_the_emulator_of_google(given: str, url: str):
    found = access_of("gs://bucket", {"STORAGE_EMULATOR_HOST": given})
    assert (found.config, found.plain) == ({"base_url": url, "bearer_token": "emulator"}, url.startswith("http://"))
    assert access_of("gs://bucket", {"STORAGE_EMULATOR_HOST": given, "GOOGLE_BASE_URL": "https://a"}).config == {}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        "[default]\naws_access_key_id=one\naws_secret_access_key=a%b\n"
        "[photos]\naws_access_key_id=two\naws_secret_access_key=c\naws_session_token=d\n"
    )
    (tmp_path / ".aws/config").write_text(
        "[default]\nregion=eu-central-1\n[profile photos]\nendpoint_url=http://host:1\n[profile sso]\nsso_session=x\n"
    )
    return tmp_path


def test_profiles_of_aws(home: Path):
    default = {"access_key_id": "one", "secret_access_key": "a%b", "region": "eu-central-1"}
    photos = {"access_key_id": "two", "secret_access_key": "c", "session_token": "d", "endpoint": "http://host:1"}
    own = {"HOME": str(home)}
    assert access_of("s3://bucket", own).config == default
    assert access_of("s3://bucket", own | {"AWS_PROFILE": "photos"}) == ("s3://bucket", photos, "", True)
    region = access_of("s3://bucket", own | {"AWS_DEFAULT_REGION": "us-east-1"}).config
    assert region == {name: value for name, value in default.items() if name != "region"}
    # Variables come first, as they do for AWS's own tools.
    for name in ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        assert access_of("s3://bucket", own | {"AWS_PROFILE": "photos", name: "x"}).config == {}
    assert access_of("s3://bucket", own | {"AWS_SKIP_SIGNATURE": "true"}).config == {}
    assert access_of("s3://bucket", {"HOME": str(home / "none")}).config == {}


def test_profiles_that_give_no_access_are_refused(home: Path):
    with pytest.raises(OSError, match="no profile of this name"):
        access_of("s3://bucket", {"HOME": str(home), "AWS_PROFILE": "other"})
    with pytest.raises(OSError, match="aws configure export-credentials"):
        access_of("s3://bucket", {"HOME": str(home), "AWS_PROFILE": "sso"})
    (home / ".aws/credentials").write_text(f"aws_secret_access_key={KEY}\n")
    with pytest.raises(OSError, match="no configuration file of AWS") as caught:
        access_of("s3://bucket", {"HOME": str(home)})
    assert KEY[:20] not in f"{caught.value}{caught.value.__context__}"


@pytest.mark.parametrize(
    ("address", "environment"),
    [
        ("s3://bucket", {"AWS_ENDPOINT_URL": "http://host"}),
        ("s3://bucket", {"AWS_ENDPOINT_URL_S3": "HTTP://host"}),
        ("gs://bucket", {"GOOGLE_BASE_URL": "http://host"}),
        ("az://bucket", {"AZURE_ENDPOINT": "http://host"}),
        ("az://bucket", {"AZURE_STORAGE_USE_EMULATOR": "true"}),
        ("http://host/a", {}),
    ],
)
def test_without_encryption_only_where_somebody_asks_for_it(address: str, environment: dict[str, str]):
    assert access_of(address, environment).plain
    secure = {
        name: value.lower().replace("http:", "https:").replace("true", "no") for name, value in environment.items()
    }
    assert not access_of(address.replace("http:", "https:"), secure).plain
    # What is asked for one store is not asked for another.
    assert not access_of("https://elsewhere/a", environment).plain
