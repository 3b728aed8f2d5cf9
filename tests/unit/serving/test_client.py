from __future__ import annotations

import socket
from pathlib import Path

import pytest

from serving.client import Client, read_image
from serving.errors import ClientError


def test_an_image_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n")
    assert read_image(str(tmp_path / "image.png")) == b"\x89PNG\r\n"


@pytest.mark.parametrize("path", ["http://example.org/a.png", "https://example.org/a.png", "file:///etc/passwd"])
def test_import_makes_no_network_request(path: str) -> None:
    with pytest.raises(ClientError, match=r"IMAGE is a URL .*: nothing is fetched from the network"):
        read_image(path)


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match=r"IMAGE is a folder .*: give one image file, such as samples/3\.png"):
        read_image(str(tmp_path))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ClientError, match=r"IMAGE no/such\.png: No such file or directory; give an image file"):
        read_image("no/such.png")


def test_a_server_that_is_not_there_is_answered_with_how_to_start_one() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(ClientError, match=f"nothing answers at {url}: start a server with `make serve`"):
            Client(url).predict("digits", b"")
