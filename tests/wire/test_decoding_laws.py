"""What holds of decoding whatever the bytes are: no dependence on cuts, nothing lost, the faults where they are."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_streamrt import StreamError
from pytest_streamrt.wire import SSEDecoder
from tests.strategies import chunked, examples, sizes, sse_soup, sse_text

RULES = pytest.mark.parametrize("rules", ["whatwg", "sdk"])


def read(chunks, rules):
    """The frames of a stream, and the fault that ended it, if any."""
    decoder = SSEDecoder(rules)
    frames = []
    try:
        for chunk in chunks:
            frames += decoder.feed(chunk)
        frames += decoder.close()
    except StreamError as error:
        return frames, (str(error), error.offset, error.cut_short)
    return frames, None


@RULES
@given(data=sse_soup, sizes=sizes)
@example(data=b"data:1\r\r\ndata:2\n\n", sizes=[1])
@example(data=b"data:1\n\r\ndata:2\r\r", sizes=[1])
@example(data=b"data:1\r\n\r\n\r\ndata:2\r\n\r\n", sizes=[1])
@example(data="data: 🙂é\u2028\n\n".encode(), sizes=[1])
@examples(100)
def test_frames_do_not_depend_on_where_the_bytes_were_cut(rules, data, sizes):
    assert read(chunked(data, sizes), rules) == read([data], rules)


@RULES
def test_each_single_cut_of_a_stream_of_all_line_ends_gives_the_same_frames(rules):
    data = (
        'id: 1\r\ndata: "é🙂"\r\n\r\ndata:b\rdata:c\r\r: note\n\ndata: d\n\r\nevent: e\rdata\n\n\ndata: last'.encode()
    )
    whole = read([data], rules)

    for cut in range(len(data) + 1):
        assert read([data[:cut], data[cut:]], rules) == whole


@RULES
@given(data=sse_soup, sizes=sizes, empty_at=st.integers(0, 5))
@examples(50)
def test_an_empty_chunk_changes_nothing(rules, data, sizes, empty_at):
    chunks = chunked(data, sizes)

    assert read([*chunks[:empty_at], b"", *chunks[empty_at:]], rules) == read(chunks, rules)


@given(data=sse_soup, sizes=sizes)
@examples(100)
def test_the_raw_bytes_of_all_frames_joined_are_the_stream(data, sizes):
    frames, fault = read(chunked(data, sizes), "whatwg")

    assert fault is None
    assert b"".join(frame.raw for frame in frames) == data


@given(data=sse_text, sizes=sizes)
@examples(100)
def test_the_raw_bytes_are_the_stream_under_the_rules_of_the_sdks_too(data, sizes):
    frames, fault = read(chunked(data, sizes), "sdk")

    assert fault is None
    assert b"".join(frame.raw for frame in frames) == data


@RULES
@given(data=sse_soup, sizes=sizes)
@examples(100)
def test_each_frame_begins_where_the_one_before_it_ended(rules, data, sizes):
    frames, _ = read(chunked(data, sizes), rules)

    at = 0
    for frame in frames:
        assert frame.offset == at
        assert frame.raw
        at += len(frame.raw)


@RULES
@given(data=sse_soup, sizes=sizes)
@examples(100)
def test_only_the_last_frame_can_be_incomplete_and_it_is_never_dispatched(rules, data, sizes):
    frames, _ = read(chunked(data, sizes), rules)

    assert all(frame.complete for frame in frames[:-1])
    assert not any(frame.dispatched for frame in frames if not frame.complete)


@given(data=sse_soup, sizes=sizes)
@examples(100)
def test_bad_utf_8_is_found_at_its_byte_under_the_rules_of_the_sdks(data, sizes):
    frames, fault = read(chunked(data, sizes), "sdk")

    try:
        data.decode()
    except UnicodeDecodeError as error:
        assert fault is not None
        message, offset, _ = fault
        # Where a character is broken off by a line end, Python and we name the character's first byte.
        assert offset == error.start
        assert f"byte {offset}" in message
        assert data.startswith(b"".join(frame.raw for frame in frames))
    else:
        assert fault is None


@pytest.mark.parametrize("end", [1, 2, 3])
def test_a_stream_that_ends_inside_a_character_says_so_and_is_cut_short(end):
    data = b"data: " + "🙂".encode()[:end]
    decoder = SSEDecoder("sdk")
    decoder.feed(data)

    with pytest.raises(StreamError, match="ends inside a UTF-8 character at byte 6") as caught:
        decoder.close()

    assert caught.value.offset == 6
    assert caught.value.cut_short


def test_a_wrong_byte_is_not_a_stream_cut_short():
    with pytest.raises(StreamError, match=r"not UTF-8 at byte 8: b'\\xff.*invalid start byte") as caught:
        SSEDecoder("sdk").feed(b"data: ok\xff\n\n")

    assert not caught.value.cut_short


def test_frames_before_a_fault_are_returned_before_it_is_raised():
    decoder = SSEDecoder("sdk")

    assert [frame.data for frame in decoder.feed(b"data: 1\n\ndata: \xff\n\ndata: 2\n\n")] == ["1"]
    for _ in range(2):
        with pytest.raises(StreamError, match="at byte 15"):
            decoder.feed(b"data: 3\n\n")
    with pytest.raises(StreamError, match="at byte 15"):
        decoder.close()


def test_a_fault_shows_at_the_close_where_nothing_is_fed_after_it():
    decoder = SSEDecoder("sdk")
    decoder.feed(b"data: 1\n\ndata: \xff\n\n")

    with pytest.raises(StreamError, match="at byte 15"):
        decoder.close()


def test_a_frame_is_returned_as_soon_as_its_blank_line_is_there():
    decoder = SSEDecoder()

    assert decoder.feed(b"data: 1\n") == []
    assert [frame.data for frame in decoder.feed(b"\n")] == ["1"]


def test_frames_of_bare_carriage_returns_are_not_held_back():
    decoder = SSEDecoder()

    assert [frame.data for frame in decoder.feed(b"data: 1\r\r")] == ["1"]


def test_closing_twice_gives_the_rest_once():
    decoder = SSEDecoder()
    decoder.feed(b"data: 1\n")

    (rest,) = decoder.close()

    assert (rest.data, rest.complete) == ("1", False)
    assert decoder.close() == []


def test_feeding_after_the_close_is_an_error():
    decoder = SSEDecoder()
    decoder.close()

    with pytest.raises(ValueError, match="a new stream needs a new decoder"):
        decoder.feed(b"data: 1\n\n")


def test_rules_that_are_none_are_refused():
    with pytest.raises(ValueError, match='rules must be "whatwg" or "sdk", not \'html\''):
        SSEDecoder("html")


def test_a_line_of_data_over_64_kib_is_one_event():
    data = b"data: " + b"x" * 200_000 + b"\n\n"

    frames, _ = read(chunked(data, [1000]), "whatwg")

    assert [len(frame.data) for frame in frames] == [200_000]
