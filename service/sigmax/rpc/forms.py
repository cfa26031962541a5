"""Forms of requests: what the requests of a client have in common, recognised by their bytes.

A client sends the same bytes every time, but for the numbers: once a request was read whole, of the next
only the numbers are left to read. What costs here is not arithmetic but how many different things are done
for a request, since between two of them the transport empties the caches. Which bytes make a form, and what
is read of a request that has it, is for the form to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

_MAX_FORMS = 4096
_MAX_BYTES = 8 * 2**20
_MAX_ALIKE = 8
"""Of one model and length; each order of the entries of a map is a form of its own."""

_PRICE = 64
"""To learn a form costs less than what so many recognised requests save."""

_MOST = 4096 * _PRICE
"""What is lent at the beginning, and as much as can be saved: who comes after millions of recognised requests
could otherwise have something learnt from each of his."""


class Form(Protocol):
    """What some requests have in common."""

    @property
    def kept(self) -> int:
        """About how many bytes it keeps."""
        ...

    def matches(self, request: bytes) -> bool:
        """Whether a request, which is as long as the one that it was learnt from, has this form."""
        ...


F = TypeVar("F", bound=Form)


class Forms(Generic[F]):
    """The forms met so far: so many, of so many bytes, and not learnt at the expense of other requests.

    Learning has to pay: it begins with a loan, and then must be earned by requests that were recognised, of
    which no more is saved than was lent. Of requests none of which is, one in so many is learnt from, in case
    that they become alike.
    """

    __slots__ = ("_earned", "_forms", "_kept")

    def __init__(self) -> None:
        self._forms: dict[tuple[int, bytes], tuple[F, ...]] = {}
        self._kept = 0
        self._earned = _MOST

    def find(self, request: bytes) -> F | None:
        """The form of a request, if it is known."""
        for form in self._forms.get(_key(request), ()):
            if form.matches(request):
                if self._earned < _MOST:
                    self._earned += 1
                return form
        return None

    def learn(self, request: bytes, form_of: Callable[[], F | None]) -> None:
        """Remember the form of a request that was answered, if it has one, in the place of one that matches.

        Args:
            request: as it came.
            form_of: what says its form; not called where learning does not pay.
        """
        if self._earned < _PRICE:
            self._earned += 1
            return
        self._earned -= _PRICE
        form = form_of()
        if form is None:
            return
        if len(self._forms) >= _MAX_FORMS or self._kept + form.kept > _MAX_BYTES:
            self._forms.clear()
            self._kept = 0
        key = _key(request)
        old = self._forms.get(key, ())
        new = (form, *[other for other in old if not other.matches(request)])[:_MAX_ALIKE]
        self._forms[key] = new
        self._kept += sum(each.kept for each in new) - sum(each.kept for each in old)


def _key(request: bytes) -> tuple[int, bytes]:
    """The length of a request, and its bytes up to the end of its first field, which names the model."""
    return len(request), request[: request[1] + 2] if len(request) > 1 else request
