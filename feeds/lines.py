"""Lines of a recording as columns: receive times and frames, every other line named and counted."""

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from headrace.batch import IntArray

_TIME_DIGITS = 19
_PAYLOAD_OFFSET = _TIME_DIGITS + 1
_POWERS = 10 ** np.arange(_TIME_DIGITS - 1, -1, -1, dtype=np.int64)
_COLUMNS = np.arange(_PAYLOAD_OFFSET)
_NEWLINE, _RETURN, _SPACE, _ZERO = b"\n\r 0"

_NS_BY_DIGITS = {10: 10**9, 13: 10**6, 16: 10**3, 19: 1}
"""What one unit of a time is worth, by its number of digits: s, ms, µs, ns from 2001 to 2262."""
_SECONDS_DIGITS = 10

_RECEIVED = re.compile(rb"([1-8]\d{9,18})(?:\.(\d+))?(: | )(?=[^ ])")
_ADDRESS = re.compile(rb"([A-Za-z][\w+.-]*://\S*) (<->|<-|->) ")
_CAPTURE_LINE = re.compile(
    rb"^(?:[1-8]\d{9,18}[ .:]|[A-Za-z][\w+.-]*://\S* (?:<->|<-|->) )", re.MULTILINE
)
_REASON_BY_ARROW = {
    b"<->": "line_session_opened",
    b"<-": "line_client_sent",
    b"->": "line_http_answer",
}
_CLOSING = {ord("{"): ord("}"), ord("["): ord("]")}


@dataclass(slots=True)
class ParsedLines:
    """What the lines of one chunk hold.

    Shapes:  `receive_times_ns` and `payloads` have one item a frame.
    `openings` are addresses of connections with the index of the first frame after each.
    `dropped` counts lines that are no frame by reason; `lines` is all of them.
    """

    lines: int
    receive_times_ns: IntArray
    payloads: list[str]
    openings: list[tuple[int, str]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    times_scaled: int = 0


def looks_like_capture(head: bytes) -> bool:
    """Tell whether any line of a file's beginning has one of the two recorded forms."""
    return _CAPTURE_LINE.search(head) is not None


def parse_lines(chunk: bytes, *, cut: bool) -> ParsedLines:
    """Return the frames of whole lines; only a file's last line may lack its newline.

    Form 1 is `RECV_NS JSON`; form 2 `T: FRAME` (seconds), `URL <-> T`, `URL <- T: FRAME`.
    `cut` says that the file broke off in the last line, which is then dropped as truncated.
    """
    whole = chunk if _ends_whole(chunk, cut=cut) else chunk[: chunk.rfind(b"\n") + 1]
    parsed = ParsedLines(0, np.zeros(0, np.int64), [])
    if len(whole) < len(chunk):
        parsed.lines += 1
        parsed.dropped["line_truncated"] += 1
    if not whole:
        return parsed
    buffer = np.frombuffer(whole, np.uint8)
    starts, ends = _line_bounds(buffer)
    is_frame, times = _nanosecond_times(buffer, starts, ends)
    parsed.lines += len(starts)
    parsed.receive_times_ns = times
    begins = starts + _PAYLOAD_OFFSET
    if not is_frame.all():
        _parse_odd_lines(whole, starts, ends, begins=begins, is_frame=is_frame, parsed=parsed)
        begins, ends = begins[is_frame], ends[is_frame]
        parsed.receive_times_ns = times[is_frame]
    parsed.payloads = _texts(whole, begins, ends)
    return parsed


def _ends_whole(chunk: bytes, *, cut: bool) -> bool:
    if chunk.endswith(b"\n"):
        return True
    last = chunk[chunk.rfind(b"\n") + 1 :].rstrip(b"\r")
    if cut:
        return False
    match = _RECEIVED.match(last)
    if match is None:
        return _ADDRESS.match(last) is not None
    closing = _CLOSING.get(last[match.end()])
    return closing is None or last[-1] == closing


def _line_bounds(buffer: npt.NDArray[np.uint8]) -> tuple[IntArray, IntArray]:
    """Return where each line starts and where its text ends, without its line ending."""
    ends = np.flatnonzero(buffer == _NEWLINE)
    if buffer[-1] != _NEWLINE:
        ends = np.append(ends, len(buffer))
    starts = np.empty_like(ends)
    starts[0] = 0
    starts[1:] = ends[:-1] + 1
    with_return = (ends > starts) & (buffer[ends - 1] == _RETURN)
    return starts, ends - with_return


def _nanosecond_times(
    buffer: npt.NDArray[np.uint8], starts: IntArray, ends: IntArray
) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Return which lines are plain form 1 in nanoseconds, and their times (0 for the others)."""
    is_frame = ends - starts > _PAYLOAD_OFFSET
    rows = starts if is_frame.all() else starts[is_frame]
    heads = buffer[rows[:, None] + _COLUMNS]
    digits = heads[:, :_TIME_DIGITS] - np.uint8(_ZERO)
    good = (digits <= 9).all(axis=1) & (heads[:, _TIME_DIGITS] == _SPACE)  # noqa: PLR2004 the decimal system
    good &= (digits[:, 0] >= 1) & (digits[:, 0] <= 8)  # noqa: PLR2004 from 9e18 on it leaves int64
    good &= buffer[rows + _PAYLOAD_OFFSET] != _SPACE
    times = np.zeros(len(starts), np.int64)
    times[is_frame] = digits.astype(np.int64) @ _POWERS
    is_frame[is_frame] = good
    return is_frame, times


def _parse_odd_lines(
    chunk: bytes,
    starts: IntArray,
    ends: IntArray,
    *,
    begins: IntArray,
    is_frame: npt.NDArray[np.bool_],
    parsed: ParsedLines,
) -> None:
    """Judge one by one the lines that are not plain form 1, filling in what is found."""
    odd = np.flatnonzero(~is_frame)
    openings = []
    for row, start, end in zip(odd.tolist(), starts[odd].tolist(), ends[odd].tolist(), strict=True):
        line = chunk[start:end]
        match = _RECEIVED.match(line)
        time_ns = _time_ns(match) if match else None
        if match is None or time_ns is None:
            reason = _reason_of(line)
            parsed.dropped[reason] += 1
            if reason == "line_session_opened":
                openings.append((row, line.split(b" ", 1)[0].decode("ascii", "backslashreplace")))
            continue
        expected_digits = _SECONDS_DIGITS if match[3] == b": " else _TIME_DIGITS
        parsed.times_scaled += len(match[1]) != expected_digits
        parsed.receive_times_ns[row] = time_ns
        begins[row] = start + match.end()
        is_frame[row] = True
    if openings:
        frames_before = np.cumsum(is_frame)
        parsed.openings = [(int(frames_before[row]), address) for row, address in openings]


def _time_ns(match: re.Match[bytes]) -> int | None:
    """Return a time of any unit in nanoseconds, exactly; None if its length fits no unit."""
    unit_ns = _NS_BY_DIGITS.get(len(match[1]))
    if unit_ns is None:
        return None
    decimals = len(str(unit_ns)) - 1
    fraction = (match[2] or b"")[:decimals].ljust(decimals, b"0")
    return int(match[1]) * unit_ns + int(fraction or b"0")


def _reason_of(line: bytes) -> str:
    if not line.strip():
        return "line_empty"
    address = _ADDRESS.match(line)
    if address:
        return _REASON_BY_ARROW[address[2]]
    return "line_configuration" if line.startswith(b"configuration: ") else "line_malformed"


def _texts(chunk: bytes, begins: IntArray, ends: IntArray) -> list[str]:
    bounds = zip(begins.tolist(), ends.tolist(), strict=True)
    if chunk.isascii():
        text = chunk.decode("ascii")
        return [text[begin:end] for begin, end in bounds]
    return [chunk[begin:end].decode("utf-8", "backslashreplace") for begin, end in bounds]
