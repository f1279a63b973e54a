"""What is stored comes back as it was, or is a miss; it is never an error."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache_service.coherence.entry import NONCE_BYTES, Entry, decode, encode

KEY = "chairside:{7}:e:entry:availability:barber:7:date:2018-05-24"
NONCES = bytes(range(NONCE_BYTES)) + bytes(range(100, 100 + NONCE_BYTES))
ENTRY = Entry(b"payload", "10:20:11,12", 1_527_120_000.25, 300.0, 0.125)
RAW = encode(KEY, NONCES, ENTRY)


@given(
    key=st.text(max_size=200).filter(lambda text: text.isprintable()),
    nonces=st.lists(st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES), max_size=5),
    payload=st.binary(max_size=2000),
    snapshot=st.text(alphabet="0123456789:,", max_size=300),
    times=st.tuples(
        st.floats(allow_nan=False),
        st.floats(allow_nan=False, width=32),
        st.floats(allow_nan=False, width=32),
    ),
)
def test_an_entry_comes_back_as_it_was(
    key: str, nonces: list[bytes], payload: bytes, snapshot: str, times: tuple[float, float, float]
) -> None:
    """Whatever is stored under a key and nonces is read under them, empty parts too."""
    entry = Entry(payload, snapshot, *times)
    assert decode(key, b"".join(nonces), encode(key, b"".join(nonces), entry)) == entry


def test_every_flipped_bit_is_a_miss() -> None:
    """No single flipped bit, wherever it is, is served or raises."""
    for bit in range(len(RAW) * 8):
        damaged = bytearray(RAW)
        damaged[bit // 8] ^= 1 << bit % 8
        assert decode(KEY, NONCES, bytes(damaged)) is None, bit
    assert decode(KEY, NONCES, RAW) == ENTRY


def test_every_truncation_and_every_addition_is_a_miss() -> None:
    """What was cut anywhere, or has something behind it, is a miss."""
    for length in range(len(RAW)):
        assert decode(KEY, NONCES, RAW[:length]) is None, length
    assert decode(KEY, NONCES, RAW + b"\0") is None


@pytest.mark.parametrize("length", [1, 16, 48, 300])
def test_flipped_bytes_of_any_content_never_raise(length: int) -> None:
    """Noise in place of an entry is a miss."""
    noise = bytes((n * 37 + 11) % 256 for n in range(length))
    assert decode(KEY, NONCES, noise) is None
    assert decode(KEY, NONCES, RAW[:4] + noise) is None


@pytest.mark.parametrize(
    ("key", "nonces"),
    [
        (KEY + "x", NONCES),
        (KEY[:-1], NONCES),
        (KEY.replace("7", "8"), NONCES),
        ("", NONCES),
        (KEY, NONCES[NONCE_BYTES:] + NONCES[:NONCE_BYTES]),
        (KEY, NONCES[:NONCE_BYTES]),
        (KEY, NONCES + NONCES[:NONCE_BYTES]),
        (KEY, b""),
        (KEY, bytes(2 * NONCE_BYTES)),
    ],
)
def test_another_key_or_other_nonces_are_a_miss(key: str, nonces: bytes) -> None:
    """An entry is only its own key's, and only under the nonces that it was filled under."""
    assert decode(key, nonces, RAW) is None


@pytest.mark.parametrize("magic", [b"CSE0", b"CSE1", b"\0\0\0\0", b"cse1"])
def test_another_format_is_a_miss(magic: bytes) -> None:
    """An entry of another version is not read as one of this."""
    assert decode(KEY, NONCES, magic + RAW[4:]) is None


def test_a_length_that_lies_under_a_right_checksum_is_no_error() -> None:
    """Even with its checksum made right, an entry whose lengths lie never raises."""
    for key_length, nonce_count, snapshot_length in [
        (0xFFFF, 2, 0),
        (len(KEY), 0xFFFF, 0),
        (0, 0, 0xFFFF),
    ]:
        body = bytearray(RAW[8:])
        struct.pack_into("<HHH", body, 16, key_length, nonce_count, snapshot_length)
        raw = RAW[:4] + struct.pack("<I", zlib.crc32(body)) + bytes(body)
        assert decode(KEY, NONCES, raw) is None
