from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from sigmax.rpc.forms import Forms


@dataclass(frozen=True, slots=True)
class Begins:
    """Requests that begin alike."""

    beginning: bytes
    kept: int = 100

    def matches(self, request: bytes) -> bool:
        return request.startswith(self.beginning)


def request(model: str, rest: str) -> bytes:
    return b"\n" + bytes([len(model)]) + model.encode() + rest.encode()


def learn(forms: Forms[Begins], given: bytes, kept: int = 100) -> None:
    forms.learn(given, partial(Begins, given[:-1], kept))


def test_a_form_is_found_by_requests_of_its_length_that_match() -> None:
    forms: Forms[Begins] = Forms()
    learn(forms, request("iris", "row 1"))

    assert forms.find(request("iris", "row 2")) == Begins(request("iris", "row "))
    assert forms.find(request("iris", "row 22")) is None
    assert forms.find(request("iris", "col 2")) is None
    assert forms.find(request("rose", "row 2")) is None


def test_nothing_is_found_for_hardly_any_bytes() -> None:
    forms: Forms[Begins] = Forms()

    for given in (b"", b"\n", b"\n\xff"):
        assert forms.find(given) is None
        forms.learn(given, lambda: None)


def test_forms_of_one_length_are_known_side_by_side_the_latest_eight() -> None:
    forms: Forms[Begins] = Forms()
    for letter in "abcdefghij":
        learn(forms, request("iris", letter + "1"))

    known = [letter for letter in "abcdefghij" if forms.find(request("iris", letter + "2"))]

    assert known == list("cdefghij")


def test_a_form_learnt_anew_takes_the_place_of_the_old_one() -> None:
    forms: Forms[Begins] = Forms()
    for kept in (1, 2, 3):
        learn(forms, request("iris", "a1"), kept)
    for letter in "bcdefgh":
        learn(forms, request("iris", letter + "1"))

    assert forms.find(request("iris", "a2")) == Begins(request("iris", "a"), 3)


def test_forms_are_bounded_in_number_and_in_bytes() -> None:
    many: Forms[Begins] = Forms()
    for number in range(4096):
        learn(many, request(f"m{number}", "x"), 1)
    for _ in range(64):
        assert many.find(request("m4095", "y"))
    learn(many, request("m4096", "x"), 1)
    large: Forms[Begins] = Forms()
    for number in range(100):
        learn(large, request(f"m{number}", "x"), 2**20)

    assert len(many._forms) <= 4096
    assert many.find(request("m4096", "y")) is not None
    assert large._kept <= 8 * 2**20
    assert large.find(request("m99", "y")) is not None
    assert large.find(request("m0", "y")) is None


def test_learning_that_does_not_pay_becomes_rare() -> None:
    forms: Forms[Begins] = Forms()
    tried: list[None] = []
    for _ in range(4096 + 64 * 10):
        forms.learn(b"different each time", lambda: tried.append(None))

    assert 4096 < len(tried) <= 4096 + 10


def test_recognised_requests_earn_what_learning_costs() -> None:
    forms: Forms[Begins] = Forms()
    learn(forms, request("iris", "a1"))
    for number in range(4095):
        forms.learn(request("iris", str(number)), lambda: None)
    for _ in range(64):
        assert forms.find(request("iris", "a2"))

    learn(forms, request("iris", "b1"))

    assert forms.find(request("iris", "b2")) is not None


def test_what_was_earned_long_ago_does_not_pay_for_more_than_the_loan_did() -> None:
    forms: Forms[Begins] = Forms()
    learn(forms, request("iris", "a1"))
    for _ in range(64 * 4096 + 64 * 10):
        assert forms.find(request("iris", "a2"))
    tried: list[None] = []
    for _ in range(4096 + 10):
        forms.learn(b"different each time", lambda: tried.append(None))

    assert len(tried) == 4096
