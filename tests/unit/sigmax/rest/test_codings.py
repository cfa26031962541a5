"""gzip and deflate: what is read, how far it is unpacked, and who gets an answer in them."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmax.errors import InvalidInput, TooLarge, UnsupportedMedia
from sigmax.rest.codings import BESIDE, Packing, coding_of, packed, unpacked, wanted

LIMIT = 2**20
GZIP, DEFLATE = Packing("gzip", always=False), Packing("deflate", always=False)


def unpack(content: bytes, coding: str, limit: int = LIMIT) -> bytes:
    return asyncio.run(unpacked(content, coding, limit))


def bare(content: bytes) -> bytes:
    """Deflate without zlib's header and sum."""
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(content) + stream.flush()


Pack = Callable[[bytes], bytes]
FORMS: list[tuple[str, Pack]] = [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", bare)]


@pytest.mark.parametrize(("coding", "pack"), FORMS)
@given(content=st.binary(max_size=300), times=st.sampled_from([1, 1000]))
@settings(max_examples=30)
def test_what_was_packed_is_unpacked(coding: str, pack: Pack, content: bytes, times: int) -> None:
    assert unpack(pack(content * times), coding) == content * times


@pytest.mark.parametrize(("coding", "pack"), FORMS)
@pytest.mark.parametrize("size", [1, BESIDE - 1, BESIDE, BESIDE + 1, LIMIT])
def test_every_size_up_to_the_limit_is_unpacked_and_none_beyond(coding: str, pack: Pack, size: int) -> None:
    content = pack(b"a" * size)

    assert len(unpack(content, coding, size)) == size
    with pytest.raises(TooLarge, match=f"larger than {size - 1} bytes when it is unpacked"):
        unpack(content, coding, size - 1)


def test_a_bomb_is_not_unpacked_beyond_the_limit() -> None:
    bomb = gzip.compress(b"\0" * (100 * 2**20), 9)
    assert len(bomb) < 110_000

    tracemalloc.start()
    with pytest.raises(TooLarge):
        unpack(bomb, "gzip")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 3 * LIMIT


def test_members_of_gzip_are_read_one_after_the_other_wherever_they_end() -> None:
    parts = [b"a" * (2**16 + place) for place in range(5)] + [b""] + [bytes([place]) for place in range(256)]

    assert unpack(b"".join(map(gzip.compress, parts)), "gzip") == b"".join(parts)


def test_zeros_behind_gzip_fill_a_block() -> None:
    assert unpack(gzip.compress(b"here") + b"\0" * 500, "gzip") == b"here"


@pytest.mark.parametrize(
    ("content", "coding", "text"),
    [
        (b"", "gzip", "gzip, which ends early"),
        (b"", "deflate", "deflate, which ends early"),
        (gzip.compress(b"here", mtime=0)[:-1], "gzip", "gzip, which ends early"),
        (gzip.compress(b"a" * 200_000, mtime=0)[:100], "gzip", "gzip, which ends early"),
        (zlib.compress(b"here")[:-1], "deflate", "deflate, which ends early"),
        (bare(b"here")[:-1], "deflate", "deflate, which ends early"),
        (b'{"rows": []}', "gzip", "gzip, which is broken, or is none"),
        (b'{"rows": []}', "deflate", "deflate, which is broken, or is none"),
        (zlib.compress(b"here"), "gzip", "gzip, which is broken, or is none"),
        (gzip.compress(b"here", mtime=0)[:-8] + b"12345678", "gzip", "gzip, which is broken, or is none"),
        (
            gzip.compress(b"here", mtime=0) + b"more",
            "gzip",
            "gzip, which is followed by 4 bytes of something else",
        ),
        (
            gzip.compress(b"here", mtime=0) + b"\0\0m",
            "gzip",
            "gzip, which is followed by 3 bytes of something else",
        ),
        (
            zlib.compress(b"here") + b"\0",
            "deflate",
            "deflate, which is followed by 1 bytes of something else",
        ),
        (gzip.compress(b"here", mtime=0) + b"\x1f\x8b", "gzip", "gzip, which ends early"),
        (gzip.compress(b"", mtime=0) * 2000, "gzip", "gzip, which has more than 1024 members"),
    ],
)
def test_what_cannot_be_unpacked_is_told_with_the_coding(content: bytes, coding: str, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        unpack(content, coding)

    assert str(refused.value) == f"the body's content-encoding is {text}"


@given(content=st.binary(max_size=200))
def test_bytes_of_any_kind_are_unpacked_or_refused(content: bytes) -> None:
    for coding in ("gzip", "deflate"):
        for whole in (content, gzip.compress(b"x" * 50)[: len(content)] + content):
            with contextlib.suppress(InvalidInput, TooLarge):
                unpack(whole, coding, 100)


@pytest.mark.parametrize(
    ("values", "coding"),
    [
        ([], ""),
        ([b""], ""),
        ([b"identity"], ""),
        ([b"gzip"], "gzip"),
        ([b" GZip "], "gzip"),
        ([b"x-gzip"], "gzip"),
        ([b"deflate"], "deflate"),
        ([b"identity, gzip"], "gzip"),
        ([b"identity", b"deflate"], "deflate"),
    ],
)
def test_codings_are_told_by_their_names(values: list[bytes], coding: str) -> None:
    assert coding_of(values) == coding


@pytest.mark.parametrize(
    "values", [[b"br"], [b"gzip, gzip"], [b"gzip", b"deflate"], [b"zstd"], [b"\xff"], [b"gzip;q=1"]]
)
def test_any_other_coding_is_refused_with_those_that_there_are(values: list[bytes]) -> None:
    with pytest.raises(UnsupportedMedia, match="is not read: send gzip or deflate, or the body as it is"):
        coding_of(values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([b""], None),
        ([b"identity"], None),
        ([b"br, zstd"], None),
        ([b"gzip, deflate, br, zstd"], GZIP),
        ([b"gzip, deflate"], GZIP),
        ([b"deflate, gzip;q=0.9"], DEFLATE),
        ([b"deflate;q=0.5, gzip;q=0.7"], GZIP),
        ([b"gzip;q=0, deflate"], DEFLATE),
        ([b"gzip;q=0, deflate;q=0"], None),
        ([b"gzip;q=0.000"], None),
        ([b"*"], GZIP),
        ([b"*;q=0"], None),
        ([b"gzip;q=0, *"], DEFLATE),
        ([b"br;q=1, *;q=0.1"], GZIP),
        ([b"identity, gzip;q=0.5"], None),
        ([b"identity;q=0.5, gzip"], GZIP),
        ([b"identity, gzip"], GZIP),
        ([b"br", b"gzip"], GZIP),
        ([b"gzip", b"deflate;q=0.5"], GZIP),
        ([b"GZIP;Q=1, br"], GZIP),
        ([b"x-gzip, br"], GZIP),
        ([b" gzip\t; q=0.5 , br"], GZIP),
        ([b"gzip;q=2, br"], None),
        ([b"gzip;q=0.1234, nonsense/"], None),
        ([b"gzip, " + b"x" * 600], None),
        ([b"gzip"], Packing("gzip", always=True)),
        ([b"deflate"], Packing("deflate", always=True)),
        ([b"gzip;q=0.5"], Packing("gzip", always=True)),
        ([b"gzip, identity;q=0"], Packing("gzip", always=True)),
        ([b"deflate, br, *;q=0"], Packing("deflate", always=True)),
        ([b"*, identity;q=0"], Packing("gzip", always=True)),
        ([b"gzip, *;q=0, identity;q=0.1"], GZIP),
    ],
)
def test_answers_are_packed_as_the_weights_say(values: list[bytes], expected: Packing | None) -> None:
    assert wanted(values) == expected


def test_the_same_bytes_are_packed_to_the_same_bytes() -> None:
    body = b'{"probabilities": [[0.25, 0.75]]}' * 50

    assert gzip.decompress(packed(body, "gzip")) == zlib.decompress(packed(body, "deflate")) == body
    assert packed(body, "gzip") == packed(body, "gzip")
