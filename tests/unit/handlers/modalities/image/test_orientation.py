"""Orientation in XMP, which some programs write where EXIF has none."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.unit.handlers.modalities.image.test_images import decoded, encoded

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
    b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


def with_xmp(image: Image.Image, format_: str, **how: Any) -> bytes:
    """An image whose XMP says that the camera was turned."""
    if format_ != "PNG":
        return encoded(image, format_, xmp=XMP, **how)
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return encoded(image, format_, pnginfo=info, **how)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_xmp_orientation_is_applied_where_exif_has_none(format_: str) -> None:
    assert decoded(with_xmp(Image.new("RGB", (64, 32)), format_)).size == (32, 64)
    camera = Image.Exif()
    camera[0x010F] = "a camera's name"
    assert decoded(with_xmp(Image.new("RGB", (64, 32)), format_, exif=camera)).size == (32, 64)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_beats_that_of_xmp(format_: str) -> None:
    upright = Image.Exif()
    upright[0x0112] = 1
    assert decoded(with_xmp(Image.new("RGB", (64, 32)), format_, exif=upright)).size == (64, 32)
