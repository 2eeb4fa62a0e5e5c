"""The distribution API over loopback."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from stoker.digest import Digest
from stoker.media_types import OCI_MANIFEST

from .conftest import FakeCatalog

NAME = "team/models/phi"
MANIFEST = b'{"schemaVersion": 2}'
BLOB = bytes(range(256)) * 10_000
"""More than two of the pieces that are read at once."""
DIGEST = Digest.of(BLOB)
URL = f"/v2/{NAME}/blobs/{DIGEST}"


@pytest.fixture
def catalog(tmp_path: Path) -> FakeCatalog:
    """A repository with a manifest, a large blob and an empty one."""
    path = tmp_path / "blob"
    path.write_bytes(BLOB)
    empty = tmp_path / "empty"
    empty.touch()
    return FakeCatalog(
        manifests={(NAME, "latest"): MANIFEST, (NAME, str(Digest.of(MANIFEST))): MANIFEST},
        blobs={(NAME, DIGEST): path, (NAME, Digest.of(b"")): empty},
        tag_lists={NAME: ("a", "b", "c", "d"), "empty": ()},
    )


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
async def test_the_api_says_that_it_is_here(http: httpx.AsyncClient, path: str) -> None:
    """Clients ask for the base first."""
    response = await http.get(path)

    assert 200 == response.status_code
    assert "registry/2.0" == response.headers["docker-distribution-api-version"]


@pytest.mark.parametrize("reference", ["latest", str(Digest.of(MANIFEST))])
async def test_a_manifest_comes_as_it_was_stored(http: httpx.AsyncClient, reference: str) -> None:
    """A manifest is found by tag and digest, with its type and digest in headers."""
    response = await http.get(f"/v2/{NAME}/manifests/{reference}")

    assert (200, MANIFEST) == (response.status_code, response.content)
    assert OCI_MANIFEST == response.headers["content-type"]
    assert str(Digest.of(MANIFEST)) == response.headers["docker-content-digest"]


@pytest.mark.parametrize(
    ("path", "size_bytes"), [(f"/v2/{NAME}/manifests/latest", len(MANIFEST)), (URL, len(BLOB))]
)
async def test_head_tells_size_and_digest(
    http: httpx.AsyncClient, path: str, size_bytes: int
) -> None:
    """HEAD has the headers of GET and no body."""
    response = await http.head(path)

    assert (200, b"") == (response.status_code, response.content)
    assert str(size_bytes) == response.headers["content-length"]
    assert response.headers["docker-content-digest"].startswith("sha256:")


async def test_a_blob_comes_whole(http: httpx.AsyncClient) -> None:
    """A blob that is larger than one piece is complete."""
    response = await http.get(URL)

    assert 200 == response.status_code
    assert BLOB == response.content
    assert str(len(BLOB)) == response.headers["content-length"]
    assert "application/octet-stream" == response.headers["content-type"]
    assert "bytes" == response.headers["accept-ranges"]


async def test_an_empty_blob_is_a_blob(http: httpx.AsyncClient) -> None:
    """No bytes are an answer too."""
    response = await http.get(f"/v2/{NAME}/blobs/{Digest.of(b'')}")

    assert (200, b"") == (response.status_code, response.content)


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=1048570-1048585", 1048570, 1048586),
        ("bytes=2559990-", 2_559_990, 2_560_000),
        ("bytes=-10", 2_559_990, 2_560_000),
        ("bytes=2559990-9999999", 2_559_990, 2_560_000),
    ],
)
async def test_a_part_of_a_blob(
    http: httpx.AsyncClient, header: str, start: int, stop: int
) -> None:
    """A download that broke off can go on."""
    response = await http.get(URL, headers={"range": header})

    assert 206 == response.status_code
    assert BLOB[start:stop] == response.content
    assert f"bytes {start}-{stop - 1}/{len(BLOB)}" == response.headers["content-range"]


async def test_a_range_behind_the_end_is_refused(http: httpx.AsyncClient) -> None:
    """The refusal says how long the blob is."""
    response = await http.get(URL, headers={"range": f"bytes={len(BLOB)}-"})

    assert 416 == response.status_code
    assert f"bytes */{len(BLOB)}" == response.headers["content-range"]
    assert "RANGE_INVALID" == response.json()["errors"][0]["code"]


async def test_a_conditional_range_holds_for_the_same_blob_only(http: httpx.AsyncClient) -> None:
    """`If-Range` with another tag gives the whole blob."""
    etag = (await http.head(URL)).headers["etag"]
    same = await http.get(URL, headers={"range": "bytes=0-1", "if-range": etag})
    other = await http.get(URL, headers={"range": "bytes=0-1", "if-range": '"x"'})

    assert (206, 200) == (same.status_code, other.status_code)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/v2/{NAME}/manifests/nope", 404, "MANIFEST_UNKNOWN"),
        (f"/v2/{NAME}/blobs/{Digest.of(b'x')}", 404, "BLOB_UNKNOWN"),
        (f"/v2/{NAME}/blobs/sha256:12", 400, "DIGEST_INVALID"),
        ("/v2/nobody/tags/list", 404, "NAME_UNKNOWN"),
        (f"/v2/{NAME}/tags/list?n=x", 400, "PAGINATION_NUMBER_INVALID"),
        ("/v2/_catalog?n=x", 400, "PAGINATION_NUMBER_INVALID"),
        ("/v2/_other", 404, "NAME_UNKNOWN"),
    ],
)
async def test_errors_have_the_specifications_form(
    http: httpx.AsyncClient, path: str, status: int, code: str
) -> None:
    """Clients find the code where they look for it."""
    response = await http.get(path)

    assert status == response.status_code
    (error,) = response.json()["errors"]
    assert code == error["code"]
    assert error["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", f"/v2/{NAME}/manifests/latest"),
        ("POST", f"/v2/{NAME}/blobs/uploads/"),
        ("DELETE", URL),
        ("PUT", "/v2/"),
    ],
)
async def test_writing_is_not_supported(http: httpx.AsyncClient, method: str, path: str) -> None:
    """Whoever pushes is told that this registry only reads."""
    response = await http.request(method, path)

    assert 405 == response.status_code
    assert "GET, HEAD" == response.headers["allow"]
    assert "UNSUPPORTED" == response.json()["errors"][0]["code"]


@pytest.mark.parametrize(
    ("query", "tags", "following"),
    [
        ("", ["a", "b", "c", "d"], None),
        ("?n=2", ["a", "b"], "n=2&last=b"),
        ("?n=2&last=b", ["c", "d"], None),
        ("?last=bb", ["c", "d"], None),
        ("?n=0", [], None),
        ("?n=9", ["a", "b", "c", "d"], None),
    ],
)
async def test_tags_come_in_pages(
    http: httpx.AsyncClient, query: str, tags: list[str], following: str | None
) -> None:
    """A page that is not the last links to the next."""
    response = await http.get(f"/v2/{NAME}/tags/list{query}")

    assert {"name": NAME, "tags": tags} == response.json()
    link = f'</v2/{NAME}/tags/list?{following}>; rel="next"' if following else None
    assert link == response.headers.get("link")


@pytest.mark.parametrize(
    ("query", "names", "following"),
    [("", ["empty", NAME], None), ("?n=1", ["empty"], "n=1&last=empty"), ("?last=f", [NAME], None)],
)
async def test_the_catalog_comes_in_pages(
    http: httpx.AsyncClient, query: str, names: list[str], following: str | None
) -> None:
    """All repositories are listed, as tags are."""
    response = await http.get(f"/v2/_catalog{query}")

    assert (200, {"repositories": names}) == (response.status_code, response.json())
    link = f'</v2/_catalog?{following}>; rel="next"' if following else None
    assert link == response.headers.get("link")


@pytest.mark.parametrize("path", [URL, f"/v2/{NAME}/manifests/latest"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_a_client_has_is_not_sent_again(
    http: httpx.AsyncClient, method: str, path: str
) -> None:
    """By the tag that came with it, alone, weak, or among others; another tag brings the whole."""
    etag = (await http.head(path)).headers["etag"]

    for said in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        headers = {"if-none-match": said, "range": "bytes=0-3"}
        response = await http.request(method, path, headers=headers)
        assert (304, b"") == (response.status_code, response.content)
        assert etag == response.headers["etag"]
    assert 200 == (await http.get(path, headers={"if-none-match": '"other"'})).status_code
