"""Images that are read from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchlight_client import InvalidArgument, read_image


def test_an_image_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n")
    assert read_image(str(tmp_path / "image.png")) == b"\x89PNG\r\n"


@pytest.mark.parametrize("path", ["http://example.org/a.png", "https://example.org/a.png", "file:///etc/passwd"])
def test_url_is_refused_and_not_fetched(path: str) -> None:
    with pytest.raises(InvalidArgument, match=r"the image is a URL .*: nothing is fetched from the network"):
        read_image(path)


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"the image is a folder .*: give one image file$"):
        read_image(str(tmp_path))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InvalidArgument, match=r"the image no/such\.png: No such file or directory; give an image file"):
        read_image("no/such.png")
