"""Chromium as the client: pages of other origins, and the form that an application would have."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from handlers.protocols.multipart import Part
from handlers.request import MULTIPART_HEADER, RawRequest, parse
from models.card import Limits
from tests.support.browser import Posted, visit, web_site
from tests.support.stub_backend import TOKEN, running_proxy

# What a page gets to see of each request: the status, its headers and the body; or that the browser refused it.
CALLS = """
async function call(path, options) {
  try {
    const answer = await fetch(PROXY + path, options);
    const seen = Object.fromEntries(answer.headers);
    return {status: answer.status, headers: seen, body: await answer.text()};
  } catch (error) {
    return {refused: error.name};
  }
}
async function calls() {
  const token = {"Authorization": "Bearer " + TOKEN};
  const image = new Uint8Array([137, 80, 78, 71]);
  return {
    predict: await call("/predictions/digits", {method: "POST", body: image, headers: {...token, "X-Top-K": "2"}}),
    unauthorized: await call("/predictions/digits", {method: "POST", body: image}),
    missing: await call("/predictions/nothing", {method: "POST", body: image, headers: token}),
    method: await call("/predictions/digits", {headers: token}),
    large: await call("/predictions/digits", {method: "PUT", body: new Uint8Array(8500001), headers: token}),
    health: await call("/v2/health/live", {}),
  };
}
async function report() {
  await fetch("/result", {method: "POST", body: JSON.stringify(await calls())});
}
"""

FORM = """
<form id="form" method="post" enctype="multipart/form-data" action="/form">
  <input type="file" name="image"><input type="file" name="second"><input type="file" name="größe &quot;neu&quot;">
  <input name="top_k" value="2"><input name="target" value=""><input name="method" value="  ">
  <input type="hidden" name="faithfulness" value="0"><input type="checkbox" name="faithfulness" checked>
  <input type="checkbox" name="counterfactual"><input type="hidden" name="_charset_">
  <input type="hidden" name="csrf_token" value="abc"><textarea name="notes"></textarea>
  <input name="straße" value="Hauptstraße ☃"><button name="send" value="Classify">Classify</button>
</form>
<script>
function choose(index, name) {
  const bytes = Uint8Array.from(atob(IMAGE), (letter) => letter.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, {type: "image/png"}));
  document.querySelectorAll("input[type=file]")[index].files = files.files;
}
function submit() {
  choose(0, "drei ☃ \\"3\\".png");
  choose(2, "3.png");
  document.querySelector("textarea").value = "one\\ntwo";
  document.querySelector("button").click();
}
</script>
"""


def script(**constants: Any) -> str:
    return "".join(f"const {name} = {json.dumps(value)};" for name, value in constants.items())


@pytest.fixture(scope="module")
def seen(digit: dict[str, bytes]) -> dict[str, Any]:
    """Return what pages of an allowed and of another origin saw, and the form that the allowed one sent."""
    image = base64.b64encode(digit["3"]).decode()
    with (
        web_site(posts=2) as allowed,
        web_site(posts=1) as other,
        running_proxy(tokens=True, cors_origins=("https://lab.example", allowed.origin)) as proxy,
    ):
        proxy.script.headers = {"X-Model-Version": "1.0", "X-Model-Engine": "eager", "Server-Timing": "wait;dur=1"}
        constants = script(PROXY=proxy.url, TOKEN=TOKEN, IMAGE=image)
        allowed.page = f"<script>{constants}{CALLS}</script>{FORM}<script>report().then(submit)</script>"
        other.page = f"<script>{constants}{CALLS}report()</script>"
        result, form = visit(allowed)
        (denied,) = visit(other)
        return {"allowed": json.loads(result.body), "other": json.loads(denied.body), "form": form}


def test_a_page_of_an_allowed_origin_reads_answers_and_errors(seen: dict[str, Any]) -> None:
    answers = seen["allowed"]
    assert {name: answer.get("status") for name, answer in answers.items()} == {
        "predict": 200,
        "unauthorized": 401,
        "missing": 404,
        "method": 405,
        "large": 413,
        "health": 200,
    }
    for name in ("x-request-id", "x-model-version", "x-model-engine", "server-timing"):
        assert answers["predict"]["headers"][name]
    assert answers["method"]["headers"]["allow"] == "POST, PUT, OPTIONS"
    assert json.loads(answers["missing"]["body"])["type"] == "ModelNotFound"
    assert json.loads(answers["unauthorized"]["body"])["type"] == "Unauthorized"


def test_a_page_of_another_origin_reads_nothing(seen: dict[str, Any]) -> None:
    assert set(seen["other"]) == set(seen["allowed"])
    assert list(seen["other"].values()) == [{"refused": "TypeError"}] * len(seen["other"])


def test_the_form_that_chromium_sends_is_understood(seen: dict[str, Any], digit: dict[str, bytes]) -> None:
    form: Posted = seen["form"]
    for sent in (b'name="send"', b'filename=""', b'name="target"\r\n\r\n\r\n', b"one\r\ntwo", b"\r\non\r\n", b"UTF-8"):
        assert sent in form.body
    request = parse(RawRequest("explain", (Part("body", form.body),), {MULTIPART_HEADER: form.content_type}), Limits())
    assert request.images == (("image", digit["3"]), ("größe %22neu%22", digit["3"]))
    assert (request.options.top_k, request.options.target, request.options.method) == (2, None, None)
    assert (request.options.faithfulness, request.options.counterfactual) == (True, False)
