"""Detection of a file's format by its first bytes."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
import zipfile
from random import Random

import pytest
from PIL import Image

from handlers.errors import UnsupportedImage
from handlers.modalities.image import formats, images


def encoded(format_: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (24, 24), (9, 99, 199)).save(buffer, format_)
    return buffer.getvalue()


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("image.png"))
    return buffer.getvalue()


PNG = encoded("PNG")
TEXT = "<p>the scan is in the other mail</p>"
NAMES = {
    "GIF": encoded("GIF"),
    "BMP": encoded("BMP"),
    "TIFF or a camera's raw file": encoded("TIFF"),
    "AVIF": encoded("AVIF"),
    "JPEG 2000": encoded("JPEG2000"),
    "ICO": encoded("ICO"),
    "PNM (PBM, PGM or PPM)": encoded("PPM"),
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "HEIF": b"\0\0\0\x14ftypmif1\0\0\0\0mif1",
    "CR2 (Canon raw)": b"II*\0\x10\0\0\0CR\x02\0",
    "CR3 (Canon raw)": b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom",
    "JPEG XL": b"\xff\x0a\xfa\x1f",
    "PSD (Photoshop)": b"8BPS\0\x01",
    "DICOM": bytes(128) + b"DICM\x02\0\0\0",
    "NIfTI volume": bytes([92, 1]) + bytes(342) + b"n+1\0",
    "PDF document": b"%PDF-1.7\n%\xe2\xe3",
    "HTML page": b"\n <!DOCTYPE HTML><html><title>404 Not Found</title>",
    "XML document": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "SVG": b'<?xml version="1.0"?><!-- drawn --><svg width="9" height="9"/>',
    "HTTP answer with its headers": b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n",
    "URL": b"https://example.org/scan.png",
    "JSON": b'{"error": "no such scan"}',
    "multipart body": b'--X\r\nContent-Disposition: form-data; name="image"\r\n\r\n',
    "base64 text (PNG)": base64.encodebytes(PNG),
    "base64 text (JPEG)": b"data:image/jpeg;base64," + base64.b64encode(encoded("JPEG")),
    "base64 text (GIF)": base64.urlsafe_b64encode(encoded("GIF")),
    "base64 text (PDF document)": base64.b64encode(b"%PDF-1.7 and so on and on"),
    "hexadecimal text": PNG.hex().encode(),
    "plain text": b"samples/3.png",
    "UTF-16 text": TEXT.encode("utf-16"),
    "ZIP archive": zipped("scan.png"),
    "Word document": zipped("[Content_Types].xml", "word/document.xml"),
    "gzip file": gzip.compress(PNG),
    "TAR archive": tarred(),
    "MP4 or QuickTime video": b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41",
    "AVI video": b"RIFF\x24\0\0\0AVI LIST",
    "file of zero bytes": bytes(5_000),
    "image that was converted as text": PNG.decode("utf-8", "replace").encode(),
}


@pytest.mark.parametrize("name", NAMES)
def test_error_names_the_format_and_a_way_to_convert_it(name: str) -> None:
    format_ = formats.identify(NAMES[name])
    assert format_ is not None
    assert (format_.name, format_.is_supported) == (name, False)
    with pytest.raises(UnsupportedImage) as raised:
        images.open(NAMES[name])
    assert f"the file's format is {name}, which is not decoded here" in str(raised.value)
    assert str(raised.value).endswith(format_.advice)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("image that was converted as text", PNG.decode("latin-1").encode()),
        ("image that was converted as text", PNG.replace(b"\r\n", b"\n")),
        ("image that was converted as text", encoded("JPEG").decode("latin-1").encode()),
        ("UTF-16 text", TEXT.encode("utf-16-le")),
        ("UTF-16 text", TEXT.encode("utf-16-be")[1:]),
        ("plain text", "größer als ein Bild\n".encode() * 100),
        ("plain text", b""),
    ],
)
def test_text_is_told_from_images(name: str, content: bytes) -> None:
    format_ = formats.identify(content)
    assert format_ is not None
    assert format_.name == (name if content else "empty file")


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_supported_formats_need_no_advice(format_: str) -> None:
    found = formats.identify(encoded(format_))
    assert found is not None
    assert (found.name.upper(), found.is_supported) == (format_, True)


def test_jpeg_of_12_bits_or_without_loss_is_unsupported_and_not_damaged() -> None:
    content = encoded("JPEG")
    at = content.index(b"\xff\xc0")
    for changed, name in (
        (content[: at + 4] + b"\x0c" + content[at + 5 :], "JPEG of 12 bits"),
        (content[:at] + b"\xff\xc3" + content[at + 2 :], "lossless JPEG of 8 bits"),
    ):
        with pytest.raises(UnsupportedImage, match=f"the file's format is {name}"):
            images.decode(changed)


def test_every_beginning_of_every_file_and_noise_is_taken() -> None:
    random = Random(1)
    for content in (*NAMES.values(), *(random.randbytes(2_000) for _ in range(200))):
        for length in (0, 1, 2, 3, 5, 9, 17, 40, 300, 1_030):
            formats.identify(memoryview(content)[:length])
            formats.identify(bytearray(content[:length]) + b"\xff\xfe")
