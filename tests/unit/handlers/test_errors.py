from __future__ import annotations

import orjson
import pytest

from handlers import errors
from handlers.errors import RequestError


def test_every_type_word_has_the_status_that_the_docstring_draws() -> None:
    found = {
        name: kind.status for name, kind in vars(errors).items() if getattr(kind, "__module__", "") == errors.__name__
    }
    assert found == {
        "RequestError": 400,
        "MissingImage": 400,
        "BadMultipart": 400,
        "BadJSON": 400,
        "BadTensor": 400,
        "UnknownOption": 400,
        "BadOption": 400,
        "NotAcceptable": 406,
        "ImageTooLarge": 413,
        "TooManyImages": 413,
        "ResponseTooLarge": 413,
        "UnsupportedImage": 415,
        "CorruptImage": 422,
        "InferenceFailed": 500,
        "Overloaded": 503,
        "OutOfMemory": 503,
        "DeadlineExceeded": 504,
    }
    drawn = [line.split() for line in str(errors.__doc__).splitlines() if "──" in line]
    assert {words[1]: int(words[2]) for words in drawn} == {k: v for k, v in found.items() if k != "RequestError"}


def test_the_type_word_is_the_name_of_the_class() -> None:
    assert errors.MissingImage("nothing").type == "MissingImage"
    assert all(issubclass(kind, RequestError) for kind in (errors.BadJSON, errors.InferenceFailed))


def test_the_body_has_code_type_and_message_and_for_kserve_the_message_as_error_too() -> None:
    error = errors.TooManyImages("65 images")
    assert error.body() == {"code": 413, "type": "TooManyImages", "message": "65 images"}
    assert error.body(kserve=True) == {**error.body(), "error": "65 images"}


@pytest.mark.parametrize("kserve", [True, False])
def test_a_message_that_quotes_half_a_surrogate_pair_can_still_be_sent(kserve: bool) -> None:
    body = errors.BadJSON("the JSON body has \ud800, ä").body(kserve=kserve)
    assert orjson.loads(orjson.dumps(body))["message"] == "the JSON body has ?, ä"
