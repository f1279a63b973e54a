"""Compressed entries: the same answers in fewer bytes, or misses, and never an error."""

import os
import struct
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cache_service.coherence.compression import grow, shrink
from cache_service.coherence.entry import (
    NONCE_BYTES,
    Entry,
    compressed,
    decode,
    encode,
    nonces_in,
)

KEY = "chairside:{7}:e:entry:list:clients:size:200"
NONCES = bytes(range(NONCE_BYTES))
ENTRY = Entry(b"a client's name, " * 300, "10:20:11,12", 1_527_120_000.25, 300.0, 0.125)
RAW = encode(KEY, NONCES, ENTRY)


@given(
    payload=st.binary(max_size=2000).flatmap(
        lambda some: st.integers(1, 20).map(lambda times: some * times)
    ),
    snapshot=st.text(alphabet="0123456789:,", max_size=300),
    nonces=st.lists(st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES), max_size=5),
)
def test_a_compressed_entry_is_the_same_entry_and_never_longer(
    payload: bytes, snapshot: str, nonces: list[bytes]
) -> None:
    """Whatever it holds, it is read as the one that was not compressed."""
    entry, joined = Entry(payload, snapshot, 1.5, 300.0, 0.125), b"".join(nonces)
    raw = encode(KEY, joined, entry)
    small = compressed(raw)
    assert len(small) <= len(raw)
    assert decode(KEY, joined, small) == entry
    assert nonces_in(small) == tuple(nonces)


def test_what_repeats_itself_becomes_much_less() -> None:
    """That is what it is for; key, nonces and snapshot stay readable."""
    small = compressed(RAW)
    assert len(small) < len(RAW) / 10
    assert KEY.encode() in small
    assert NONCES in small


def test_what_cannot_be_made_smaller_stays_as_it_is() -> None:
    """Noise is stored as it came."""
    raw = encode(KEY, NONCES, ENTRY._replace(payload=os.urandom(5000)))
    assert compressed(raw) == raw


def test_every_flipped_bit_and_every_cut_is_a_miss() -> None:
    """The checksum is of what is stored, so that nothing damaged is taken apart."""
    small = compressed(RAW)
    for bit in range(len(small) * 8):
        damaged = bytearray(small)
        damaged[bit // 8] ^= 1 << bit % 8
        assert decode(KEY, NONCES, bytes(damaged)) is None, bit
    for length in range(len(small)):
        assert decode(KEY, NONCES, small[:length]) is None, length


def test_another_key_and_another_nonce_are_a_miss() -> None:
    """Compression changes nothing of whose entry it is."""
    small = compressed(RAW)
    assert decode(KEY + "x", NONCES, small) is None
    assert decode(KEY, bytes(NONCE_BYTES), small) is None
    assert decode(KEY, None, small) == ENTRY


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not compressed at all",
        shrink(b"x" * 1000)[:-3],
        # Says that it holds a terabyte.
        b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 2**40) + b"\x01\0\0",
        # Does not say how much it holds.
        zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 1000),
    ],
)
def test_what_is_not_ours_is_a_miss_even_with_its_checksum_made_right(payload: bytes) -> None:
    """A payload that lies about itself takes no memory and raises nothing."""
    assert grow(payload) is None
    small = compressed(RAW)
    head = len(RAW) - len(ENTRY.payload)
    body = small[8:head] + payload
    assert decode(KEY, NONCES, small[:4] + struct.pack("<I", zlib.crc32(body)) + body) is None
