"""Check that the directory of a .mar is looked at before anything is unpacked."""

from __future__ import annotations

import io
import json
import re
import stat
import zipfile
from pathlib import Path

import pytest

from serving.artifacts import mar, model_config
from serving.artifacts.archive import prove
from serving.errors import ArchiveError, ConfigError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "digits-1.0.mar"


def write(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr(mar.MANIFEST, json.dumps({"model": {"modelName": "digits", "modelVersion": "1.0"}}))
        for name, content in members:
            file.writestr(name, content)


def refused(path: Path) -> str:
    with pytest.raises(ArchiveError) as raised, mar.opened(path):
        pass
    with pytest.raises(ArchiveError):
        prove(path)
    return str(raised.value)


def test_an_archive_in_order_is_opened(path: Path) -> None:
    write(path, ("golden/00.png", b"x"), ("handlers/", b""), ("handlers/torchserve_handler.py", b"pass"))
    with mar.opened(path) as file:
        assert mar.manifest(file)["modelName"] == "digits"
        assert mar.read(file, "handlers/torchserve_handler.py") == b"pass"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_that_was_written_as_a_stream_is_opened(path: Path, compression: int) -> None:
    class Stream(io.RawIOBase):
        """A file that cannot be gone back in, so that lengths come behind each member."""

        def __init__(self) -> None:
            self.content = b""

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.content += bytes(data)
            return len(data)

    stream = Stream()
    with zipfile.ZipFile(stream, "w", compression) as file:
        file.writestr(mar.MANIFEST, b'{"model": {}}')
        file.writestr("torchserve_handler.py", b"pass\n" * 100)
    path.write_bytes(stream.content)
    with mar.opened(path) as opened:
        assert mar.read(opened, "torchserve_handler.py") == b"pass\n" * 100


@pytest.mark.parametrize(
    "name", ["../evil.py", "/etc/evil", "a/../../evil", "a//b", "./a", "a\\..\\b", "C:evil", "a\nb", "a\x1bb", "a/.."]
)
def test_a_name_that_could_lead_out_of_the_folder_is_refused(path: Path, name: str) -> None:
    write(path, (name, b"evil"))
    assert f"the name of its member {name!r} could lead out of its folder" in refused(path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_link_or_a_device_is_refused(path: Path, kind: int) -> None:
    link = zipfile.ZipInfo("weights.safetensors")
    link.create_system, link.external_attr = 3, (kind | 0o777) << 16
    write(path, (link, b"/etc/passwd"))
    assert "its member 'weights.safetensors' is a link or a device" in refused(path)


def test_two_members_of_one_name_are_refused(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        write(path, ("torchserve_handler.py", b"good"), ("torchserve_handler.py", b"evil"))
    assert "it has two members of the name 'torchserve_handler.py'" in refused(path)


def test_zip_bomb_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mar, "ALLOWANCE", 1_000_000)
    write(path, ("weights.safetensors", bytes(10_000_000)), compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 20_000
    assert re.search(
        r"it would unpack to 10,000,\d+ bytes, more than 1,\d+,\d+, the limit for a file of", refused(path)
    )


def test_a_settings_file_that_unpacks_to_much_is_refused(path: Path) -> None:
    write(path, (model_config.FILE_NAME, b"#" * 3_000_000), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ConfigError, match=r"model-config\.yaml: more than 2,000,000 bytes"):
        model_config.of_archive(path)


def test_a_settings_file_with_aliases_is_refused(path: Path) -> None:
    write(path, (model_config.FILE_NAME, b"predict: &a {batchSize: 1}\nhandler: *a\n"))
    with pytest.raises(ConfigError, match=r"model-config\.yaml: line 2 has an alias"):
        model_config.of_archive(path)


def test_too_many_members_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mar, "MAX_MEMBERS", 2)
    write(path, ("a", b""), ("b", b""))
    assert "it has 3 members, more than 2, the limit" in refused(path)


@pytest.mark.parametrize("where", ["in front", "between", "behind"])
def test_members_that_only_torchserve_would_see_are_refused(path: Path, where: str) -> None:
    """Java reads local headers in their order, and Python the directory at the end."""
    hidden = io.BytesIO()
    with zipfile.ZipFile(hidden, "w") as file:
        file.writestr("torchserve_handler.py", b"evil")
        size = file.start_dir
    extra = hidden.getvalue()[:size]
    write(path, ("a.py", b"good"), ("b.py", b"good"))
    with zipfile.ZipFile(path) as good:
        at = {"in front": 0, "between": good.getinfo("b.py").header_offset, "behind": good.start_dir}[where]
    content = path.read_bytes()
    path.write_bytes(content[:at] + extra + content[at:])
    _move_directory(path, at, len(extra))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None, "Python sees nothing wrong"
        assert "torchserve_handler.py" not in archive.namelist()
    assert "it holds bytes that its directory does not list" in refused(path)


def _move_directory(path: Path, at: int, length: int) -> None:
    """Correct the offsets in the directory for bytes that were put in."""
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\5\6")
    start = int.from_bytes(content[end + 16 : end + 20], "little") + length
    content[end + 16 : end + 20] = start.to_bytes(4, "little")
    position = start
    while content[position : position + 4] == b"PK\1\2":
        offset = int.from_bytes(content[position + 42 : position + 46], "little")
        if offset >= at:
            content[position + 42 : position + 46] = (offset + length).to_bytes(4, "little")
        lengths = [int.from_bytes(content[position + skip : position + skip + 2], "little") for skip in (28, 30, 32)]
        position += 46 + sum(lengths)
    path.write_bytes(content)


@pytest.mark.parametrize("content", [b"", b"PK\5\6", b"no zip file at all", b'{"model": 1}'])
def test_file_that_is_not_a_zip_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "not a complete .mar" in refused(path)


@pytest.mark.parametrize("manifest", [b"[]", b"{", b'{"model": 3}', b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(path: Path, manifest: bytes) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(mar.MANIFEST, manifest)
    with pytest.raises(ArchiveError, match=r"MANIFEST\.json.*make it again"), mar.opened(path) as opened:
        mar.manifest(opened)


def test_a_deflated_member_that_is_damaged_is_no_traceback(path: Path) -> None:
    write(path, ("weights.safetensors", b"weights" * 1000), compression=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        member = file.getinfo("weights.safetensors")
    start = member.header_offset + 30 + len(member.filename)
    content[start : start + 10] = b"\xff" * 10
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"not a complete \.mar"), mar.opened(path) as opened:
        mar.read(opened, "weights.safetensors")
