"""The reference pages are what the code makes. So every flag, key, metric and error type is on a page.

A change of the code that changes a page fails here until `make reference` has written the page again.
"""

from __future__ import annotations

import re
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from models.card import Card
from scripts import cli
from scripts.maintenance.openapi.schemas import all_errors
from scripts.maintenance.reference import errors, keys, pages
from serving.artifacts.model_config import ModelConfig
from serving.exporter.definitions import DEFINITIONS
from training.recipe import Recipe


class Crop(BaseModel):
    """A nested model.

    Attributes:
        size: side in pixels, which may
            need two lines.
    """

    size: Annotated[int, Field(ge=4, le=64)] = 24


class Settings(BaseModel):
    """An example of a file.

    Attributes:
        name: `a` or b | c.
        rate: above zero.
        crop: how to crop.
        crops: more of them.
    """

    name: str
    rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    crop: Crop = Crop(size=32)
    crops: tuple[Crop, ...] = ()


@pytest.mark.parametrize("name", pages.PAGES)
def test_page_is_what_the_code_makes(name: str) -> None:
    page = (pages.FOLDER / name).read_text(encoding="utf-8")
    assert page == pages.render(name), "make it again: make reference"


@pytest.mark.parametrize("model", [ModelConfig, Recipe, Card])
def test_each_key_has_a_meaning(model: type[BaseModel]) -> None:
    assert [key.name for key in keys.keys_of(model) if not re.search(r"\w{2}", key.meaning)] == []


@pytest.mark.slow
def test_each_metric_and_each_error_type_is_on_its_page() -> None:
    assert [each.name for each in DEFINITIONS if f"| `{each.name}` |" not in pages.render("metrics.md")] == []
    assert [kind for kind in all_errors() if f"| `{kind}` |" not in pages.render("errors.md")] == []


def test_each_flag_of_each_command_is_on_its_page() -> None:
    text = pages.render("cli.md")
    for name, command in cli.commands().items():
        section = re.split(r"\n#+ ", text.partition(f"# torchlight {name}\n")[2])[0]
        arguments = command.assemble_argument_collection(parse_docstring=True)
        flags = [argument.name for argument in arguments if argument.show]
        assert [flag for flag in flags if f"* `{flag}" not in section] == [], name


def test_error_type_without_advice_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "all_errors", lambda: {**all_errors(), "Teapot": 418})
    with pytest.raises(ValueError, match="Teapot"):
        errors.blocks()


def test_keys_have_type_default_bounds_and_meaning() -> None:
    assert [key.cells() for key in keys.keys_of(Settings)] == [
        ["`name`", "text", "required", "", "`a` or b \\| c"],
        ["`rate`", "number or null", "`null`", "above 0, below 1", "Above zero"],
        ["`crop`", "mapping", "", "", "How to crop"],
        ["`crop.size`", "whole number", "`32`", "4 to 64", "Side in pixels, which may need two lines"],
        ["`crops`", "list of mappings", "`[]`", "", "More of them"],
        ["`crops[].size`", "whole number", "`24`", "4 to 64", "Side in pixels, which may need two lines"],
    ]


def test_nested_keys_have_a_table_of_their_own() -> None:
    text = keys.sections(keys.keys_of(Settings))
    top, crop, crops = text.split("\n### ")
    assert "`crop.size`" not in top
    assert crop.startswith("`crop`\n\n| key |")
    assert "| `crops[].size` |" in crops


def test_key_without_a_meaning_is_an_error() -> None:
    class Undocumented(BaseModel):
        """No attributes here."""

        size: int

    with pytest.raises(KeyError, match="size"):
        list(keys.keys_of(Undocumented))
