"""Every YAML and JSON file is bounded before anything is made of it, and none is read in another way."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from models import documents, tensors
from models.card import Card, CardError
from models.documents import DocumentError, parse_json, parse_yaml, read_json_lines, read_yaml

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("models", "handlers", "training", "serving", "scripts", "benchmarks")
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

# What parses text that comes from the network or this process, and bounds it elsewhere. Benchmarks read no other JSON
# than answers and lines of their own children.
NOT_FILES = {
    "handlers/request.py",  # the body of a request
    "handlers/options.py",  # an option of a request
    "serving/grpc/errors.py",
    "serving/grpc/service.py",
    "serving/grpc/infer.py",
    "serving/rollout/shadow/answers.py",  # an answer of a version
    "serving/rollout/shadow/replay.py",
    "serving/rollout/shadow/samples.py",  # what a worker sends
    "serving/tune/load.py",
    "scripts/evaluation/gallery/folder.py",  # what the handler in this process answered
}
# Files that run without Torchlight's packages: before there is an environment, and in those of the other servers.
ALONE = {"scripts/setup.py", "benchmarks/compare/systems/programs/classifier.py"}
READERS = {"models/documents.py", "models/tensors.py"}


@pytest.mark.parametrize("text", ["a: 1\nb: [x, y]\n", "", "- 1\n- {a: [1, 2.5, null, true]}\n", "größe: '日本'"])
def test_yaml_is_read_as_pyyaml_reads_it(text: str) -> None:
    expected = {"a: 1": {"a": 1, "b": ["x", "y"]}, "": None, "- 1": [1, {"a": [1, 2.5, None, True]}]}
    assert parse_yaml(text, "here") == expected.get(text.partition("\n")[0], {"größe": "日本"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, r"here: line 2 has an alias \(\*a\): write the value out"),
        ("base: &base {a: 1}\nother: {<<: *base}\n", r"line 2 has an alias \(\*base\)"),
        ("a: &a [*a]", r"line 1 has an alias \(\*a\)"),
        ("[" * 33 + "]" * 33, "here: nested more than 32 deep, the limit"),
        ("[" * 500_000, "nested more than 32 deep"),
        ("a: " * 1 + "\n ".join("- " * depth for depth in range(1, 40)), "nested more than 32 deep|not YAML"),
        ("a: " + ":".join(["59"] * 100_000), "line 1 has a number of more than 400 characters"),
        ("a: " + "1" * 100_000, "line 1 has a number of more than 400 characters"),
        ("x" * 2_000_001, "here: more than 2,000,000 bytes, the limit; put the file back"),
        ("a: [", "here: not YAML: "),
        ("a: 2026-13-45", "here: not YAML: "),
        ("!!python/object/apply:os.system [id]", "here: not YAML: "),
    ],
)
def test_yaml_beyond_a_limit_is_refused_by_its_name_within_a_second(text: str, words: str) -> None:
    start = time.process_time()
    with pytest.raises(DocumentError, match=words):
        parse_yaml(text, "here")
    assert time.process_time() - start < 1


def test_bytes_that_are_no_unicode_are_no_yaml() -> None:
    with pytest.raises(DocumentError, match="here: not YAML: "):
        parse_yaml(b"a: \xff", "here")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 33 + "]" * 33, "here: nested more than 32 deep, the limit"),
        ('{"a":' * 100_000, "here: nested more than 32 deep"),
        ("[" + "1" * 10_000 + "]", "here: not JSON: "),
        ("[1, 2", "here: not JSON: "),
        ("[" + "1," * 1_000_000 + "1]", "here: more than 2,000,000 bytes"),
    ],
)
def test_json_beyond_a_limit_is_refused_by_its_name(text: str, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        parse_json(text, "here")


def test_json_within_the_limits_is_read() -> None:
    assert parse_json("[" * 32 + "]" * 32, "here")
    assert parse_json(b'{"a": [1, 2.5, null, "\xc3\xa9"]}', "here") == {"a": [1, 2.5, None, "é"]}


def test_a_file_is_not_read_further_than_its_limit(tmp_path: Path) -> None:
    with (tmp_path / "card.yaml").open("wb") as file:
        file.truncate(50_000_000_000)  # of nothing: it takes no room on the disk
    with pytest.raises(DocumentError, match=r"card\.yaml: more than 2,000,000 bytes"):
        read_yaml(tmp_path / "card.yaml")
    with pytest.raises(CardError, match=r"card\.yaml: more than 2,000,000 bytes"):
        Card.load(tmp_path)


def test_a_card_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_text(BOMB, encoding="utf-8")
    with pytest.raises(CardError, match=r"card\.yaml: line 2 has an alias"):
        Card.load(tmp_path)


def test_the_largest_card_is_within_the_limits(card: Card, tmp_path: Path) -> None:
    classes = tuple(f"n{number:08d} a name, and another" for number in range(21_841))
    large = card.model_copy(update={"classes": classes})
    large.save(tmp_path)
    assert Card.load(tmp_path) == large


def test_lines_that_are_no_documents_are_passed_over(tmp_path: Path) -> None:
    lines = [b'{"a": 1}', b"[" * 100_000, b'"' + b"x" * 3_000_000 + b'"', b"\xff", b"", b'{"b": 2}', b'{"cut": ']
    (tmp_path / "lines").write_bytes(b"\n".join(lines))
    assert list(read_json_lines(tmp_path / "lines")) == [{"a": 1}, {"b": 2}]


def test_the_header_of_a_tensor_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.arange(3)}, path)
    assert tensors.load_tensors(path)["a"].tolist() == [0, 1, 2]
    with path.open("r+b") as file:
        file.write((tensors.MAX_HEADER + 1).to_bytes(8, "little"))
        file.truncate(50_000_000)
    with pytest.raises(SafetensorError, match="a header of 16,000,001 bytes, more than 16,000,000, the limit"):
        tensors.load_tensors(path)


def test_no_other_code_reads_yaml_json_or_tensors_from_files() -> None:
    wrong: dict[str, list[str]] = {}
    users = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if name in READERS | ALONE:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in ("safetensors.torch", "json", "orjson", "yaml"):
                calls = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Attribute):
                calls = [ast.unparse(node)]
            else:
                continue
            for call in calls:
                if call in ("json.loads", "orjson.loads"):
                    if not name.startswith("benchmarks/"):
                        users.add(name)
                elif (
                    call.rpartition(".")[2] in ("load", "load_all", "safe_load", "full_load", "load_file")
                    and (call.startswith(("json.", "yaml.", "safetensors.")))
                ) or call.endswith((".model_validate_json", ".validate_json")):
                    wrong.setdefault(name, []).append(call)
    assert wrong == {}
    assert users - NOT_FILES == set(), "read files by models/documents.py"
    assert NOT_FILES - users == set(), "no longer needed here"
    assert documents.MAX_DEPTH == 32
