from __future__ import annotations

import inspect

from handlers import errors
from handlers.errors import RequestError


def test_every_type_word_has_the_status_that_the_docstring_draws() -> None:
    found = {name: kind.status for name, kind in vars(errors).items() if inspect.isclass(kind)}
    assert found == {
        "RequestError": 400,
        "NoImage": 400,
        "BadMultipart": 400,
        "BadJSON": 400,
        "UnknownOption": 400,
        "BadOption": 400,
        "ImageTooLarge": 413,
        "UnsupportedImage": 415,
        "DamagedImage": 422,
        "InferenceFailed": 500,
    }
    drawn = [line.split() for line in str(errors.__doc__).splitlines() if "──" in line]
    assert {words[1]: int(words[2]) for words in drawn} == {k: v for k, v in found.items() if k != "RequestError"}


def test_the_type_word_is_the_name_of_the_class() -> None:
    assert errors.NoImage("nothing").type == "NoImage"
    assert all(issubclass(kind, RequestError) for kind in (errors.BadJSON, errors.InferenceFailed))
