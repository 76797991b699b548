"""Cutting a stream anew: the bytes stay what they were, and the same way of cutting gives the same cuts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt.wire import SSEDecoder, rechunk
from tests.strategies import chunked, examples, sizes, sse_soup

cuts = st.sampled_from(["recorded", "whole", "event", "byte"]) | st.integers(-3, 2**40)


@given(data=sse_soup, sizes=sizes, how=cuts)
@examples(150)
def test_the_chunks_joined_are_the_bytes_that_went_in_and_none_is_empty(data, sizes, how):
    for given_as in (data, chunked(data, sizes), iter([b"", *chunked(data, sizes), b""])):
        chunks = rechunk(given_as, how)

        assert b"".join(chunks) == data
        assert all(chunks)


@given(data=sse_soup, sizes=sizes, seed=st.integers())
@examples(100)
def test_the_same_seed_cuts_the_same_bytes_alike_however_they_came(data, sizes, seed):
    assert rechunk(data, seed) == rechunk(chunked(data, sizes), seed)


def test_another_seed_cuts_elsewhere():
    data = b"data: 1\n\n" * 500

    assert len({tuple(map(len, rechunk(data, seed))) for seed in range(10)}) == 10


def test_recorded_leaves_the_chunks_as_they_came_but_for_empty_ones():
    assert rechunk([b"da", b"", b"ta: 1\n\n"], "recorded") == [b"da", b"ta: 1\n\n"]
    assert rechunk(b"data: 1\n\n", "recorded") == [b"data: 1\n\n"]


def test_whole_is_one_chunk():
    assert rechunk([b"da", b"ta: 1\n\n"], "whole") == [b"data: 1\n\n"]


def test_byte_is_a_chunk_for_each_byte():
    assert rechunk([b"\xc3\xa9", b"\r\n"], "byte") == [b"\xc3", b"\xa9", b"\r", b"\n"]


def test_event_is_a_chunk_for_each_frame_and_one_for_the_unfinished_rest():
    data = b": note\n\ndata: 1\r\n\r\ndata: 2\n\ndata: 3"

    assert rechunk(data, "event") == [b": note\n\n", b"data: 1\r\n\r\n", b"data: 2\n\n", b"data: 3"]


@given(data=sse_soup)
@examples(100)
def test_each_chunk_by_event_holds_one_frame(data):
    # Where lines end in CRs, the LF of a CRLF may stand at the beginning of the chunk that follows.
    for chunk in rechunk(data.replace(b"\r", b"\n"), "event")[:-1]:
        decoder = SSEDecoder()

        assert len([*decoder.feed(chunk), *decoder.close()]) == 1


def test_random_cuts_fall_inside_characters_and_between_cr_and_lf():
    data = "data: 🙂\r\n\r\n".encode() * 30

    ends = [chunk[-1:] for seed in range(5) for chunk in rechunk(data, seed)]

    assert b"\r" in ends
    assert any(end[0] >= 0x80 for end in ends)


def test_random_cuts_put_several_events_into_one_chunk_too():
    data = b"data: 1\n\n" * 500

    assert any(chunk.count(b"\n\n") > 1 for chunk in rechunk(data, 1))


@pytest.mark.parametrize("how", ["recorded", "whole", "event", "byte", 1])
def test_nothing_cut_is_no_chunk(how):
    assert rechunk(b"", how) == []
    assert rechunk([b"", b""], how) == []


@pytest.mark.parametrize("how", ["bytes", "", None, 1.5, True, False, b"byte"])
def test_a_way_of_cutting_that_is_none_is_refused(how):
    with pytest.raises(ValueError, match='"recorded", "whole", "event", "byte" or by an integer seed, not'):
        rechunk(b"data: 1\n\n", how)


@pytest.mark.parametrize("data", [b"", []], ids=["bytes", "chunks"])
def test_a_way_of_cutting_that_is_none_is_refused_for_an_empty_stream_too(data):
    with pytest.raises(ValueError, match="by an integer seed, not 'bytes'"):
        rechunk(data, "bytes")
