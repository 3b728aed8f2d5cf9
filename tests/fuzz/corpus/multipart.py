"""Multipart bodies that are broken, or say something that nobody can mean."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.fuzz.corpus.mutations import MUTATIONS
from tests.fuzz.corpus.request import BAD, EITHER, OK, WireRequest, in_turn
from tests.fuzz.corpus.routes import BOUNDARY, b64, field_part, file_part, form, form_type, native
from tests.fuzz.corpus.valid_images import any_image, pngs

IMAGE = pngs()[1]
GOOD = (file_part("image"), IMAGE)
ONE = form([GOOD])
Case = tuple[str, str, bytes, frozenset[int]]


def form_envelope(rng: Random, turn: int) -> WireRequest:
    """The boundary, the frame and the end."""
    at = rng.randrange(len(ONE) - len(BOUNDARY) - 6)
    case, kind, body, accepted = in_turn(
        (
            ("no boundary", "multipart/form-data", ONE, BAD),
            ("an empty boundary", "multipart/form-data; boundary=", ONE, BAD),
            ("another boundary", form_type("other"), ONE, BAD),
            ("the boundary in quotes, unclosed", 'multipart/form-data; boundary="frontier', ONE, EITHER),
            ("two boundaries", form_type("frontier; boundary=other"), ONE, EITHER),
            ("a boundary of 300 characters", form_type("b" * 300), form([GOOD], "b" * 300), EITHER),
            ("a boundary of spaces", form_type('"   "'), form([GOOD], "   "), EITHER),
            ("a boundary of bytes", form_type("\xff\xfe"), form([GOOD], "\xff\xfe"), EITHER),
            ("a longer boundary in the body", form_type(), form([GOOD], BOUNDARY + "s"), EITHER),
            ("no end", form_type(), form([GOOD], end=""), EITHER),
            ("an end without dashes", form_type(), form([GOOD], end="\r\n"), EITHER),
            ("half an end", form_type(), form([GOOD], end="-"), EITHER),
            ("cut short", form_type(), ONE[:at], BAD),
            ("no parts", form_type(), form([]), BAD),
            ("no body", form_type(), b"", BAD),
            ("a preamble alone", form_type(), b"This is a message of parts.\r\n", BAD),
            ("a preamble and an epilogue", form_type(), b"before\r\n" + ONE + b"after", EITHER),
            ("an image, not parts", form_type(), IMAGE, BAD),
            ("line ends of Unix", form_type(), ONE.replace(b"\r\n", b"\n"), EITHER),
            ("line ends of 1984", form_type(), ONE.replace(b"\r\n", b"\r"), EITHER),
            ("line ends doubled", form_type(), ONE.replace(b"\r\n", b"\r\r\n"), EITHER),
            ("multipart/mixed", "multipart/mixed; boundary=frontier", ONE, EITHER),
            ("multipart/related", "multipart/related; boundary=frontier", ONE, EITHER),
            ("multipart/", "multipart/; boundary=frontier", ONE, EITHER),
            ("upper case", "MULTIPART/FORM-DATA; BOUNDARY=frontier", ONE, EITHER),
            ("a charset that is none", "multipart/form-data; charset=rubbish; boundary=frontier", ONE, EITHER),
        ),
        turn,
    )
    return native(rng, case, kind, body, accepted)


def form_headers(rng: Random, turn: int) -> WireRequest:
    """What stands above a part, each beside a whole image: as long as it can be told what is meant, 200 is fine."""
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
    case = in_turn(headers, turn)
    return native(rng, f"part with {case[:80]!r}", form_type(), form([(case, IMAGE)]), EITHER)


def form_parts(rng: Random, turn: int) -> WireRequest:
    """Parts that are well formed and wrong."""
    option, jsonlike = field_part("top_k"), file_part("image", "application/json")
    cases: tuple[tuple[str, Callable[[], list[tuple[str, bytes]]], frozenset[int]], ...] = (
        ("an option that is an image", lambda: [GOOD, (option, IMAGE)], BAD),
        ("an option that is a file", lambda: [GOOD, (file_part("top_k"), IMAGE)], BAD),
        ("an option of 3 MB", lambda: [GOOD, (option, b"9" * 3_000_000)], BAD),
        ("an option twice", lambda: [GOOD, (option, b"1"), (option, b"2")], BAD),
        ("an option alone", lambda: [(option, b"1")], BAD),
        ("an empty option", lambda: [GOOD, (option, b"")], BAD),
        ("an option that is no UTF-8", lambda: [GOOD, (option, b"\xff\xfe")], BAD),
        ("an option of no name we have", lambda: [GOOD, (field_part("topk"), b"3")], BAD),
        ("an empty image", lambda: [(file_part("image"), b"")], BAD),
        ("an empty image among good ones", lambda: [GOOD, (file_part("b"), b""), GOOD], BAD),
        ("a damaged image among good ones", lambda: [GOOD, (file_part("b"), IMAGE[:200]), GOOD], BAD),
        ("a field of a form among good images", lambda: [GOOD, (field_part("note"), b"a note"), GOOD], OK),
        ("500 images", lambda: [(file_part("image"), any_image(rng)) for _ in range(500)], BAD),
        ("500 parts of rubbish", lambda: [(file_part(f"p{n}"), b"x") for n in range(500)], BAD),
        ("50,000 parts of one name", lambda: [(field_part("a"), b"")] * 50_000, BAD),
        ("50,000 parts", lambda: [(field_part(f"a{n}"), b"x") for n in range(50_000)], BAD),
        ("JSON that is none", lambda: [(jsonlike, b"{")], BAD),
        ("JSON that is an image", lambda: [(jsonlike, IMAGE)], BAD),
        ("two JSON documents", lambda: [(jsonlike, b'{"image": ""}')] * 2, BAD),
        ("an array that is an image", lambda: [(file_part("image", "application/x-npy"), IMAGE)], BAD),
        ("base64", lambda: [(file_part("image"), b64(IMAGE).encode())], BAD),
        ("a form in the form", lambda: [(file_part("image", form_type("inner")), form([GOOD], "inner"))], EITHER),
        ("an image too large", lambda: [GOOD, (file_part("big"), IMAGE + bytes(6_000_000))], BAD),
    )
    case, parts, accepted = in_turn(cases, turn)
    return native(rng, case, form_type(), form(parts()), accepted)


def form_mutated(rng: Random, turn: int) -> WireRequest:
    """A good body of two images and an option, with a change anywhere."""
    body = form([(file_part("a"), any_image(rng)), (file_part("b"), any_image(rng)), (field_part("top_k"), b"2")])
    mutate = in_turn(MUTATIONS, turn)
    for _ in range(rng.choice((1, 3))):
        body = mutate(rng, body)
    return native(rng, mutate.__name__.strip("_"), form_type(), body, EITHER)
