"""Identification of file formats by their first bytes, with advice on how to convert each to JPEG or PNG.

The error for an unsupported file can then say what was sent. The signatures are from the specifications of the formats,
and from file(1).
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import struct
from dataclasses import dataclass

# Number of first bytes to look at. The signature of a TAR archive is at 257, that of DICOM at 128.
SNIFF_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class Format:
    """A file format.

    Attributes:
        name: without an article, such as `GIF` or `ZIP archive`.
        advice: one sentence that says how to get an image from such a file; empty for JPEG, PNG and WebP.
    """

    name: str
    advice: str = ""

    @property
    def is_supported(self) -> bool:
        """Return whether such files are decoded here."""
        return not self.advice


def _convert(suffix: str) -> str:
    return f"Convert it with ImageMagick: magick 'image.{suffix}[0]' image.png"


def _unpack(command: str) -> str:
    return f"Unpack it and send the image: {command}"


_CAMERA = "Export it as a JPEG with the camera's program, or run: darktable-cli photo.raw photo.jpg"
_HEIC = "Convert it with ImageMagick: magick photo.heic photo.jpg"
_VIDEO = "Take one frame of it: ffmpeg -i video.mp4 -frames:v 1 frame.png"
_DICOM = "Convert it with DCMTK, and choose the window: dcmj2pnm --write-png --use-window 1 scan.dcm scan.png"
_OFFICE = "Save the page as a picture, or run: libreoffice --convert-to png document.docx"
_PAGES = "Convert its pages to images: pdftoppm -png -r 200 document.pdf page"
_MARKUP = "Send the image itself: this may be an error page that was saved in its place"
_AS_TEXT = "A program read the file as text, which destroys it: copy it again as binary data"
_DOWNLOAD = "Copy or download the file again"
_JPEG = "Convert it with DCMTK (dcmdjpeg) or GDCM, or save it again as a JPEG of 8 bits or a PNG"

JPEG, PNG, WEBP = Format("JPEG"), Format("PNG"), Format("WebP")
_DICOM_FILE = Format("DICOM", _DICOM)
_TIFF = Format("TIFF or a camera's raw file", _convert("tif"))
_ZIP = Format("ZIP archive", _unpack("unzip images.zip"))
_HTML = Format("HTML page", _MARKUP)
_SVG = Format("SVG", "Draw it with a number of pixels: rsvg-convert -w 512 image.svg -o image.png")
_UTF16 = Format(
    "UTF-16 text", "Send the image's own bytes. PowerShell's > writes UTF-16: save downloads with curl -o image.png"
)
_TEXT = Format("plain text", "Send the image's own bytes: with curl, -T image.png or --data-binary @image.png")
_SENT_AS_TEXT = Format("image that was converted as text", _AS_TEXT)
_PACKAGES = {b"word/": "Word document", b"xl/": "Excel document", b"ppt/": "PowerPoint document"}

# Offset, bytes and format. The first entry that matches decides.
_SIGNATURES: tuple[tuple[int, bytes, Format], ...] = (
    (0, b"\xff\xd8\xff\xf7", Format("JPEG-LS", _JPEG)),
    (0, b"\xff\xd8\xff", JPEG),
    (0, b"\x89PNG\r\n\x1a\n", PNG),
    (8, b"WEBP", WEBP),
    (0, b"GIF87a", Format("GIF", _convert("gif"))),
    (0, b"GIF89a", Format("GIF", _convert("gif"))),
    (0, b"II*\0\x10\0\0\0CR", Format("CR2 (Canon raw)", _CAMERA)),
    (0, b"II*\0", _TIFF),
    (0, b"MM\0*", _TIFF),
    (0, b"II+\0", Format("BigTIFF", _convert("tif"))),
    (0, b"MM\0+", Format("BigTIFF", _convert("tif"))),
    (0, b"IIRO", Format("ORF (Olympus raw)", _CAMERA)),
    (0, b"IIRS", Format("ORF (Olympus raw)", _CAMERA)),
    (0, b"IIU\0", Format("RW2 (Panasonic raw)", _CAMERA)),
    (0, b"FUJIFILMCCD-RAW", Format("RAF (Fujifilm raw)", _CAMERA)),
    (0, b"FOVb", Format("X3F (Sigma raw)", _CAMERA)),
    (0, b"II\xbc", Format("JPEG XR", "Convert it with jxrlib: JxrDecApp -i image.jxr -o image.tif")),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", Format("JPEG 2000", _convert("jp2"))),
    (0, b"\xff\x4f\xff\x51", Format("JPEG 2000", _convert("j2k"))),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", Format("JPEG XL", "Convert it with libjxl: djxl image.jxl image.png")),
    (0, b"\xff\x0a", Format("JPEG XL", "Convert it with libjxl: djxl image.jxl image.png")),
    (0, b"8BPS", Format("PSD (Photoshop)", _convert("psd"))),
    (0, b"gimp xcf", Format("XCF (GIMP)", _convert("xcf"))),
    (0, b"v/1\x01", Format("OpenEXR", _convert("exr"))),
    (0, b"#?RADIANCE", Format("Radiance HDR", _convert("hdr"))),
    (0, b"qoif", Format("QOI", _convert("qoi"))),
    (0, b"DDS ", Format("DDS", _convert("dds"))),
    (0, b"SIMPLE  =", Format("FITS", _convert("fits"))),
    (0, b"icns", Format("ICNS", _convert("icns"))),
    (0, b"AT&TFORM", Format("DjVu document", "Convert its pages to images: ddjvu -format=tiff book.djvu page.tif")),
    (0, b"\x8aMNG", Format("MNG animation", _convert("mng"))),
    (0, b"\xd7\xcd\xc6\x9a", Format("WMF drawing", _convert("wmf"))),
    (40, b" EMF", Format("EMF drawing", _convert("emf"))),
    (128, b"DICM", _DICOM_FILE),
    (0, b"\x08\0\x05\0", _DICOM_FILE),  # without its preamble; it begins with group 8 or group 2
    (0, b"\x02\0\0\0UL", _DICOM_FILE),
    (344, b"n+1\0", Format("NIfTI volume", "Save one slice of it as a PNG, with nibabel and Pillow")),
    (0, b"\x89HDF\r\n\x1a\n", Format("HDF5", "Save one image of it as a PNG, with h5py and Pillow")),
    (0, b"\x93NUMPY", Format("NumPy array", "Send it as the body, as application/x-npy, or save it as a PNG")),
    (0, b"%PDF-", Format("PDF document", _PAGES)),
    (0, b"%!PS", Format("PostScript document", _convert("ps"))),
    (0, b"\xc5\xd0\xd3\xc6", Format("PostScript document", _convert("eps"))),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Format("Office document (OLE)", _OFFICE)),
    (0, b"PK\x03\x04", _ZIP),
    (0, b"PK\x05\x06", _ZIP),
    (0, b"\x1f\x8b", Format("gzip file", _unpack("gunzip image.png.gz"))),
    (0, b"BZh", Format("bzip2 file", _unpack("bunzip2 image.png.bz2"))),
    (0, b"\xfd7zXZ\0", Format("xz file", _unpack("unxz image.png.xz"))),
    (0, b"\x28\xb5\x2f\xfd", Format("Zstandard file", _unpack("unzstd image.png.zst"))),
    (0, b"7z\xbc\xaf\x27\x1c", Format("7-Zip archive", _unpack("7z x images.7z"))),
    (0, b"Rar!\x1a\x07", Format("RAR archive", _unpack("unrar x images.rar"))),
    (257, b"ustar", Format("TAR archive", _unpack("tar -xf images.tar"))),
    (8, b"AVI ", Format("AVI video", _VIDEO)),
    (8, b"WAVE", Format("WAV sound", "Send an image")),
    (0, b"\x1a\x45\xdf\xa3", Format("Matroska or WebM video", _VIDEO)),
    (0, b"\0\0\x01\xba", Format("MPEG video", _VIDEO)),
    (0, b"FLV\x01", Format("FLV video", _VIDEO)),
    (0, b"ID3", Format("MP3 sound", "Send an image")),
    (0, b"OggS", Format("Ogg sound or video", _VIDEO)),
    (0, b"SQLite format 3\0", Format("SQLite database", "Send an image")),
    (0, b"\x7fELF", Format("program (ELF)", "Send an image")),
    (0, b"\x80\x02", Format("Python pickle", "Save the image as a PNG: a pickle may hold code and is never read")),
    (0, b"\x80\x03", Format("Python pickle", "Save the image as a PNG: a pickle may hold code and is never read")),
    (0, b"\x80\x04", Format("Python pickle", "Save the image as a PNG: a pickle may hold code and is never read")),
    (0, b"\x80\x05", Format("Python pickle", "Save the image as a PNG: a pickle may hold code and is never read")),
    # An image that a program converted as UTF-8 or Latin-1 text, or whose line ends it changed.
    (0, b"\xef\xbf\xbdPNG", _SENT_AS_TEXT),
    (0, b"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", _SENT_AS_TEXT),
    (0, b"\xc2\x89PNG", _SENT_AS_TEXT),
    (0, b"\xc3\xbf\xc3\x98\xc3\xbf", _SENT_AS_TEXT),
    (0, b"\x89PNG\n\x1a", _SENT_AS_TEXT),
    (0, b"\x89PNG\r\r\n", _SENT_AS_TEXT),
    (0, b"\xff\xfe", _UTF16),
    (0, b"\xfe\xff", _UTF16),
)
_BRANDS = {
    b"avif": Format("AVIF", _convert("avif")),
    b"avis": Format("AVIF", _convert("avif")),
    b"crx ": Format("CR3 (Canon raw)", _CAMERA),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"), Format("HEIC", _HEIC)),
    **dict.fromkeys((b"mif1", b"msf1"), Format("HEIF", _HEIC)),
}
_MP4 = Format("MP4 or QuickTime video", _VIDEO)
# Beginnings of text files. They are compared in lower case, after leading white space.
_MARKUPS = (
    (b"<!doctype html", _HTML),
    (b"<html", _HTML),
    (b"<head", _HTML),
    (b"<body", _HTML),
    (b"<script", _HTML),
    (b"<svg", _SVG),
    (b"<?xml", Format("XML document", _MARKUP)),
    (b"http/1", Format("HTTP answer with its headers", "Send the body alone")),
    (b"http://", Format("URL", "Download the image and send its bytes: nothing is fetched from a network here")),
    (b"https://", Format("URL", "Download the image and send its bytes: nothing is fetched from a network here")),
    (b"file://", Format("URL", "Send the bytes of the image file: with curl, -T image.png")),
    (b"{\\rtf", Format("RTF document", _OFFICE)),
    (b"--", Format("multipart body", "Send the header Content-Type: multipart/form-data; boundary=<boundary>")),
    (b"version https://git-lfs", Format("Git LFS pointer", "Get the file itself: git lfs pull")),
    (b"{", Format("JSON", "Send it as the body of a request of its own, as application/json")),
    (b"[", Format("JSON", 'Send it as application/json, as {"instances": [...]}')),
)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}\Z")
_NETPBM = re.compile(rb"P[1-7][ \t\r\n#]")
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def identify(content: bytes | bytearray | memoryview) -> Format | None:
    """Return the format of a file, or None if it is unknown. No error is raised, whatever the bytes are.

    Args:
        content: the file, or at least its first SNIFF_BYTES bytes.
    """
    start = bytes(content[:SNIFF_BYTES])
    if not start:
        return Format("empty file", _DOWNLOAD)
    if not any(start) and len(start) > 4 and not any(memoryview(content)[-SNIFF_BYTES:]):
        return Format("file of zero bytes", f"The copy was not finished. {_DOWNLOAD}")
    return _binary(start, content) or _text(start)


def _binary(start: bytes, content: bytes | bytearray | memoryview) -> Format | None:
    for offset, signature, format_ in _SIGNATURES:
        if start.startswith(signature, offset) and (offset != 8 or start.startswith(b"RIFF")):
            if format_ is _ZIP:
                return _package(start)
            return _kind_of_jpeg(content) if format_ is JPEG else format_
    if start[4:8] == b"ftyp":
        brands = [start[8:12], *(start[at : at + 4] for at in range(16, min(64, int.from_bytes(start[:4])), 4))]
        # The first brand may be a general one. Then a later brand names the content.
        formats = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        return next((format_ for format_ in formats if format_.name != "HEIF"), formats[0] if formats else _MP4)
    if start[:2] == b"BM" and start[14:18] in (struct.pack("<I", n) for n in (12, 40, 52, 56, 64, 108, 124)):
        return Format("BMP", _convert("bmp"))
    if start[:3] == b"\0\0\x01" and start[3:4] == b"\0" and start[4:6] != b"\0\0" and start[9:10] == b"\0":
        return Format("ICO", _convert("ico"))
    if _NETPBM.match(start):
        return Format("PNM (PBM, PGM or PPM)", _convert("pnm"))
    if b"%PDF-" in start:  # readers allow other bytes before it
        return Format("PDF document", _PAGES)
    return None


def _package(start: bytes) -> Format:
    if b"mimetypeapplication/vnd.oasis.opendocument" in start:
        return Format("OpenDocument file", _OFFICE)
    if b"[Content_Types].xml" in start or any(prefix in start for prefix in _PACKAGES):
        return Format(next((name for prefix, name in _PACKAGES.items() if prefix in start), "Office document"), _OFFICE)
    return _ZIP


def _kind_of_jpeg(content: bytes | bytearray | memoryview) -> Format:
    """Return JPEG, or the unsupported kind of JPEG: 12 bits per channel, or lossless (ITU-T T.81, B.2.2)."""
    at = 2
    while at + 5 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], content[at + 2] << 8 | content[at + 3]
        if marker == 0xFF:  # a filler
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits = content[at + 4]
            lossless = marker in (0xC3, 0xC7, 0xCB, 0xCF)
            if bits != 8 or lossless:
                return Format(f"{'lossless ' if lossless else ''}JPEG of {bits} bits", _JPEG)
            return JPEG
        if marker == 0xDA or length < 2:
            break
        at += 2 + length
    return JPEG


def _text(start: bytes) -> Format | None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    lower = text.lower()
    if (encoded := _base64(text)) is not None:
        return encoded
    for beginning, format_ in _MARKUPS:
        if lower.startswith(beginning):
            if format_.name == "XML document" and (b"<svg" in lower or b"<html" in lower):
                return _SVG if b"<svg" in lower else _HTML
            return format_
    if re.match(rb"(?:[0-9a-f]{2}){16}", lower):
        return Format("hexadecimal text", "Decode it: xxd -r -p image.txt > image.png")
    if start.count(b"\0", 1) > len(start) // 3 and not start[1:16:2].strip(b"\0"):
        return _UTF16  # no byte order mark, but every second byte of Latin letters is zero
    if _CONTROL.search(start):
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # the last character may be cut
    except UnicodeDecodeError:
        return None
    return _TEXT


def _base64(text: bytes) -> Format | None:
    """Return the format of base64 text: of a file whose format is known, or of a data URL. None for other text."""
    if is_url := text[:5].lower() == b"data:":
        text = text.partition(b",")[2]
    letters = b"".join(text.split())[: SNIFF_BYTES // 2]
    letters = letters[: len(letters) // 4 * 4]
    if not _BASE64.match(letters):
        return None
    try:
        inner = base64.b64decode(letters.translate(bytes.maketrans(b"-_", b"+/")), validate=True)
    except binascii.Error:
        return None
    format_ = _binary(inner, inner)
    if format_ is None and not is_url:
        return None
    name = f"base64 text ({'data URL' if format_ is None else format_.name})"
    return Format(name, 'Decode it: base64 -d image.txt > image.png; or send {"image": "<base64>"} as application/json')
