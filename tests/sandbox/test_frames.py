import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyman.sandbox.inside.frames import Malformed, Reader, joined, pack, split

HEADERS = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8) | st.none(), max_size=4)
PIECES = st.lists(st.tuples(st.sampled_from(["stdout", "value"]), st.binary(max_size=64)), max_size=4)


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=64)), max_size=4), st.integers(1, 40))
def test_frames_come_out_as_they_went_in_however_the_bytes_are_cut(frames, cut):
    data = b"".join(pack(header, body) for header, body in frames)
    reader, read = Reader(64), []
    for at in range(0, len(data), cut):
        frame = reader.feed(data[at : at + cut])
        while frame is not None:
            read.append(frame)
            frame = reader.feed(b"")

    assert read == frames
    assert not reader


@given(PIECES)
def test_pieces_come_out_as_they_went_in(pieces):
    frame = Reader(1000).feed(joined({}, pieces))
    assert frame is not None
    header, body = frame
    assert split(header, body, frozenset({"stdout", "value"})) == pieces


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_wait_or_are_refused(data):
    try:
        frame = Reader(64, header_max=64).feed(data)
    except Malformed:
        return

    assert frame is None or isinstance(frame[0], dict)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff\0\0\0\0",
        b"\0\0\0\x02\xff\xff\xff\xff",
        b"\0\0\0\x02\0\0\0\0[]",
        b"\0\0\0\x02\0\0\0\0{x",
        b"\0\0\xff\x00\0\0\0\0" + b"[" * 0xFF00,
    ],
    ids=["a huge header", "a huge body", "no object", "no JSON", "deep JSON"],
)
def test_a_frame_that_is_none_is_refused_before_it_is_kept(data):
    with pytest.raises(Malformed):
        Reader(1 << 20).feed(data)


@pytest.mark.parametrize("parts", [[["stdout", 4]], [["stdout", -1], ["stdout", 4]], [["x", 3]], [3], "abc", [[[], 3]]])
def test_pieces_that_do_not_fit_the_body_are_refused(parts):
    with pytest.raises(Malformed):
        split({"parts": parts}, b"abc", frozenset({"stdout"}))
