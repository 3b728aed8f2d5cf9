"""Multipart bodies that are malformed, or whose parts contradict each other."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.fuzz.corpus.mutations import MUTATIONS
from tests.fuzz.corpus.request import OK, REFUSED, REFUSED_OR_OK, FuzzRequest, pick_case
from tests.fuzz.corpus.routes import BOUNDARY, b64, field_part, file_part, form, form_type, on_native_route
from tests.fuzz.corpus.valid_images import any_image, pngs

IMAGE = pngs()[1]
GOOD = (file_part("image"), IMAGE)
ONE = form([GOOD])
Case = tuple[str, str, bytes, frozenset[int]]


def form_envelope(rng: Random, index: int) -> FuzzRequest:
    """Send a body with a wrong boundary, preamble or end."""
    at = rng.randrange(len(ONE) - len(BOUNDARY) - 6)
    case, kind, body, accepted = pick_case(
        (
            ("no boundary", "multipart/form-data", ONE, REFUSED),
            ("an empty boundary", "multipart/form-data; boundary=", ONE, REFUSED),
            ("another boundary", form_type("other"), ONE, REFUSED),
            ("the boundary in quotes, unclosed", 'multipart/form-data; boundary="frontier', ONE, REFUSED_OR_OK),
            ("two boundaries", form_type("frontier; boundary=other"), ONE, REFUSED_OR_OK),
            ("a boundary of 300 characters", form_type("b" * 300), form([GOOD], "b" * 300), REFUSED_OR_OK),
            ("a boundary of spaces", form_type('"   "'), form([GOOD], "   "), REFUSED_OR_OK),
            ("a boundary of bytes", form_type("\xff\xfe"), form([GOOD], "\xff\xfe"), REFUSED_OR_OK),
            ("a longer boundary in the body", form_type(), form([GOOD], BOUNDARY + "s"), REFUSED_OR_OK),
            ("no end", form_type(), form([GOOD], end=""), REFUSED_OR_OK),
            ("an end without dashes", form_type(), form([GOOD], end="\r\n"), REFUSED_OR_OK),
            ("half an end", form_type(), form([GOOD], end="-"), REFUSED_OR_OK),
            ("cut short", form_type(), ONE[:at], REFUSED),
            ("no parts", form_type(), form([]), REFUSED),
            ("no body", form_type(), b"", REFUSED),
            ("a preamble alone", form_type(), b"This is a message of parts.\r\n", REFUSED),
            ("a preamble and an epilogue", form_type(), b"before\r\n" + ONE + b"after", REFUSED_OR_OK),
            ("an image, not parts", form_type(), IMAGE, REFUSED),
            ("line ends of Unix", form_type(), ONE.replace(b"\r\n", b"\n"), REFUSED_OR_OK),
            ("line ends of 1984", form_type(), ONE.replace(b"\r\n", b"\r"), REFUSED_OR_OK),
            ("line ends doubled", form_type(), ONE.replace(b"\r\n", b"\r\r\n"), REFUSED_OR_OK),
            ("multipart/mixed", "multipart/mixed; boundary=frontier", ONE, REFUSED_OR_OK),
            ("multipart/related", "multipart/related; boundary=frontier", ONE, REFUSED_OR_OK),
            ("multipart/", "multipart/; boundary=frontier", ONE, REFUSED_OR_OK),
            ("upper case", "MULTIPART/FORM-DATA; BOUNDARY=frontier", ONE, REFUSED_OR_OK),
            ("a charset that is none", "multipart/form-data; charset=rubbish; boundary=frontier", ONE, REFUSED_OR_OK),
        ),
        index,
    )
    return on_native_route(rng, case, kind, body, accepted)


def form_headers(rng: Random, index: int) -> FuzzRequest:
    """Send a complete image under odd part headers. If the meaning is clear, 200 is fine."""
    names = (
        'form-data; name=""',
        "form-data",
        "form-data; name",
        "form-data; name=image",
        'form-data; name="image',
        f'form-data; name="{"n" * rng.choice((300, 4_000, 9_000, 70_000))}"',
        'form-data; name="im\xe4ge"',
        'form-data; name="im\0ge"',
        'form-data; name="../../image"',
        'form-data; name="image#2"',
        'form-data; name="body"',
        'form-data; name="data"',
        'form-data; name="explain"',
        'form-data; name="__class__"',
        'form-data; name="image"; name="other"',
        'attachment; name="image"',
        'inline; filename="a.png"',
        "",
        ";;;;",
        "x" * 20_000,
        'form-data; name="image"; filename=""',
        'form-data; name="image"; filename="../../../etc/passwd"',
        'form-data; name="image"; filename="a\\".png"',
        'form-data; name="image"; filename="a;b=c.png"',
        'form-data; name="image"; filename="a\0.png"',
        f'form-data; name="image"; filename="{"f" * 20_000}.png"',
        "form-data; name=\"image\"; filename*=UTF-8''%ff%zz",
        "form-data; name=\"image\"; filename*=nothing''a.png",
        'form-data; name="image"; filename*=UTF-8\'\'a.png; filename="b.png"',
        'form-data; name="image"; filename*=',
    )
    lines = (
        "Content-Transfer-Encoding: rubbish",
        "Content-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: binary",
        "Content-Type: image/png; charset=rubbish",
        "Content-Type: ",
        "Content-Type: multipart/mixed; boundary=inner",
        "Content-Type: multipart/mixed",
        "Content-Length: 5",
        "Content-Length: -1",
        "Content-Length: 99999999999999999999",
        "Content-Type: image/png\r\nContent-Type: application/json",
        f"X-Long: {'x' * 20_000}",
        "X-Folded: a\r\n b",
        "no colon here",
        ": no name",
        "\r\n\r\n",
    )
    headers = [f"Content-Disposition: {name}\r\nContent-Type: image/png" for name in names]
    headers += [f"{field_part('image')}; filename=a.png\r\n{line}" for line in lines]
    headers += ["Content-Type: image/png", "Content-Disposition", 'content-disposition:form-data;name="image"']
    case = pick_case(headers, index)
    return on_native_route(rng, f"part with {case[:80]!r}", form_type(), form([(case, IMAGE)]), REFUSED_OR_OK)


def form_parts(rng: Random, index: int) -> FuzzRequest:
    """Send well-formed parts with wrong content."""
    option, json_part = field_part("top_k"), file_part("image", "application/json")
    nested_part = file_part("image", form_type("inner"))
    cases: tuple[tuple[str, Callable[[], list[tuple[str, bytes]]], frozenset[int]], ...] = (
        ("an option that is an image", lambda: [GOOD, (option, IMAGE)], REFUSED),
        ("an option that is a file", lambda: [GOOD, (file_part("top_k"), IMAGE)], REFUSED),
        ("an option of 3 MB", lambda: [GOOD, (option, b"9" * 3_000_000)], REFUSED),
        ("an option twice", lambda: [GOOD, (option, b"1"), (option, b"2")], REFUSED),
        ("an option alone", lambda: [(option, b"1")], REFUSED),
        ("an empty option", lambda: [GOOD, (option, b"")], REFUSED),
        ("an option that is no UTF-8", lambda: [GOOD, (option, b"\xff\xfe")], REFUSED),
        ("an option of no name we have", lambda: [GOOD, (field_part("topk"), b"3")], REFUSED),
        ("an empty image", lambda: [(file_part("image"), b"")], REFUSED),
        ("an empty image among good ones", lambda: [GOOD, (file_part("b"), b""), GOOD], REFUSED),
        ("a damaged image among good ones", lambda: [GOOD, (file_part("b"), IMAGE[:200]), GOOD], REFUSED),
        ("a field of a form among good images", lambda: [GOOD, (field_part("note"), b"a note"), GOOD], OK),
        ("500 images", lambda: [(file_part("image"), any_image(rng)) for _ in range(500)], REFUSED),
        ("500 parts of rubbish", lambda: [(file_part(f"p{n}"), b"x") for n in range(500)], REFUSED),
        ("50,000 parts of one name", lambda: [(field_part("a"), b"")] * 50_000, REFUSED),
        ("50,000 parts", lambda: [(field_part(f"a{n}"), b"x") for n in range(50_000)], REFUSED),
        ("JSON that is none", lambda: [(json_part, b"{")], REFUSED),
        ("JSON that is an image", lambda: [(json_part, IMAGE)], REFUSED),
        ("two JSON documents", lambda: [(json_part, b'{"image": ""}')] * 2, REFUSED),
        ("an array that is an image", lambda: [(file_part("image", "application/x-npy"), IMAGE)], REFUSED),
        ("base64", lambda: [(file_part("image"), b64(IMAGE).encode())], REFUSED),
        (
            "a form in the form",
            lambda: [(nested_part, form([GOOD], "inner"))],
            REFUSED_OR_OK,
        ),
        ("an image too large", lambda: [GOOD, (file_part("big"), IMAGE + bytes(6_000_000))], REFUSED),
    )
    case, parts, accepted = pick_case(cases, index)
    return on_native_route(rng, case, form_type(), form(parts()), accepted)


def form_mutated(rng: Random, index: int) -> FuzzRequest:
    """Send a good body of two images and an option, with a change anywhere."""
    body = form([(file_part("a"), any_image(rng)), (file_part("b"), any_image(rng)), (field_part("top_k"), b"2")])
    mutate = pick_case(MUTATIONS, index)
    for _ in range(rng.choice((1, 3))):
        body = mutate(rng, body)
    return on_native_route(rng, mutate.__name__.strip("_"), form_type(), body, REFUSED_OR_OK)
