"""A deliberately naive reader of event streams, written from the text of the WHATWG HTML standard alone.

Section 9.2.6, "Interpreting an event stream", step by step and with none of our code: what the decoder is held against.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Reading:
    """What a browser makes of a stream: its messages as (type, data, last event id), and the reconnection time."""

    messages: list[tuple[str, str, str]] = field(default_factory=list)
    reconnection_time: int | None = None


def read(stream: bytes) -> Reading:
    reading = Reading()
    data = event_type = last_event_id = ""
    for line in lines_of(stream):
        if line == "":  # "If the line is empty (a blank line): dispatch the event"
            if data != "":
                reading.messages.append((event_type or "message", data.removesuffix("\n"), last_event_id))
            data = event_type = ""
            continue
        if line[0] == ":":  # "If the line starts with a U+003A COLON character: ignore the line"
            continue
        name, value = line, ""
        if ":" in line:
            colon = line.index(":")
            name, value = line[:colon], line[colon + 1 :]
            if value != "" and value[0] == " ":
                value = value[1:]
        if name == "event":
            event_type = value
        elif name == "data":
            data += value + "\n"
        elif name == "id":
            if "\0" not in value:
                last_event_id = value
        elif name == "retry" and value != "" and all(digit in "0123456789" for digit in value):
            reading.reconnection_time = int(value)
    return reading  # "Once the end of the file is reached, any pending data must be discarded"


def lines_of(stream: bytes) -> list[str]:
    """The stream's finished lines: one byte order mark dropped, ended by CRLF, LF or CR."""
    text = stream.decode("utf-8", errors="replace")
    if text != "" and text[0] == "\ufeff":
        text = text[1:]
    lines = []
    line = ""
    i = 0
    while i < len(text):
        if text[i] == "\r" and i + 1 < len(text) and text[i + 1] == "\n":
            lines.append(line)
            line = ""
            i += 2
        elif text[i] in "\r\n":
            lines.append(line)
            line = ""
            i += 1
        else:
            line += text[i]
            i += 1
    return lines
