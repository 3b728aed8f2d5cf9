"""docs/reference/http.md covers all features of the code, has the numbers of the code, and has a test for each row.

A comment at the end of a row holds its key: the name of its test, which readers need not see. Error types are the keys
of the rows of errors.md, which is made from the code.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from handlers import request, torchserve_handler
from handlers.explain.evidence.warnings import KINDS
from handlers.modalities.image import cost, jpeg
from handlers.options import OPTIONS
from handlers.protocols import headers, v2
from handlers.protocols.native import OUTPUT_TYPES
from models.card import Limits
from scripts.maintenance.openapi.schemas import max_body, option_schema
from serving.proxy.haproxy import TEMPLATE
from tests.integration.contract import ROWS

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "reference" / "http.md").read_text(encoding="utf-8")


def sections() -> dict[str, list[tuple[str, list[str]]]]:
    """Return the rows of the tables in each section, as their keys and cells."""
    tables = {}
    for section in TEXT.split("\n## ")[1:]:
        rows = re.findall(r"^\| (.*) <!-- ([\w-]+) --> \|$", section, re.MULTILINE)
        tables[section.partition("\n")[0]] = [
            (key, [cell.strip() for cell in re.split(r"(?<!\\)\|", cells)]) for cells, key in rows
        ]
    return tables


ROWS_OF = sections()
ERRORS = re.findall(r"^\| `(\w+)` \|", (DOCS / "reference" / "errors.md").read_text(encoding="utf-8"), re.MULTILINE)
KEYS = [key for rows in ROWS_OF.values() for key, _ in rows] + ERRORS


def row(key: str) -> list[str]:
    return next(cells for rows in ROWS_OF.values() for name, cells in rows if name == key)


def test_each_row_has_a_test_and_each_test_a_row() -> None:
    assert len(KEYS) == len(set(KEYS)) > 100
    assert set(KEYS) == set(ROWS)


def test_each_row_of_the_contract_has_a_key() -> None:
    contract = TEXT.partition("### Heavy predictions")[0]  # tests/integration/workers/ holds the rows after it
    rows = re.findall(r"^\| (?!---).*$", contract, re.MULTILINE)
    tables = re.findall(r"^\| ---", contract, re.MULTILINE)
    assert len([line for line in rows if " <!-- " in line]) == len(rows) - len(tables)


def test_each_option_has_its_row() -> None:
    documented = dict(ROWS_OF["Options"])
    for option in OPTIONS:
        name, header, kinds, description = documented[option.name]
        assert (name, header) == (f"`{option.name}`", f"`{option.header}`")
        assert kinds == ("explanations" if option.explain_only else "both")
        default = option.schema.get("default")
        assert default is None or str(default).lower() in description.lower()


def test_each_header_that_is_read_or_written_has_its_row() -> None:
    documented = {cells[0].strip("`").lower() for _, cells in ROWS_OF["Headers"]}
    documented |= {option.header.lower() for option in OPTIONS}
    ours = {headers.ATTRIBUTES_HEADER, v2.LENGTH_HEADER, "X-Model-Version", "X-Model-Engine", "X-Request-Id"}
    ours |= {"Server-Timing", "Accept"}
    template = TEMPLATE.read_text(encoding="utf-8")
    read = set(re.findall(r"req\.(?:hdr|hdr_val)\(([\w-]+)\)", template))
    written = set(re.findall(r"(?:set-header|hdr) ([A-Z][\w-]+)", template)) | {"WWW-Authenticate"}
    internal = {headers.QUERY_HEADER, request.ROUTE_HEADER, request.MULTIPART_HEADER, torchserve_handler.START_HEADER}
    internal |= {"content-type", "content-length", "transfer-encoding", "host", "x-torchlight-deadline"}
    internal |= {"x-torchlight-heavy", cost.MOVABLE_HEADER}
    in_a_table_of_its_own = {"link"}  # the row `options`
    everything = {name.lower() for name in ours | read | written} - internal - in_a_table_of_its_own
    assert everything - documented == set()


@pytest.mark.parametrize("name", Limits.model_fields)
def test_each_limit_of_a_model_has_its_row_and_value(name: str) -> None:
    assert f"{getattr(Limits(), name):,} " in row(name.replace("_", "-"))[0]


def test_documented_limits_equal_the_limits_in_the_code() -> None:
    template = TEMPLATE.read_text(encoding="utf-8")
    assert f"{max_body():,} bytes" in row("max-body")[0]
    assert f"{jpeg.MAX_SCANS} scans" in row("max-scans")[0]
    for key, setting in {
        "time-headers": "http-request",
        "time-silence": "client",
        "time-answer": "server",
    }.items():
        seconds = re.search(rf"^    timeout {setting} (\d+)s$", template, re.MULTILINE)
        assert seconds is not None
        assert f"{seconds[1]} s" in row(key)[0]


def test_each_type_of_an_answer_and_of_a_tensor_is_named() -> None:
    assert [kind for kind in set(OUTPUT_TYPES.values()) if kind not in TEXT] == ["application/json"]
    assert all(datatype in row("tensor-pixels")[0] for datatype in v2.PIXELS)
    assert all(f"`{output}`" in TEXT for output in (*v2.OUTPUTS, *v2.UNCERTAINTY_OUTPUTS, v2.EXPLANATION))


def test_each_choice_of_an_option_and_each_warning_is_named() -> None:
    for option in OPTIONS:
        for choice in option_schema(option).get("enum", []) if option.name != "method" else []:
            assert choice in row(option.name)[3], option.name
    assert all(f"`{kind}`" in row("why-warnings")[1] for kind in KINDS)
