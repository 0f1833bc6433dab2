"""The few messages of src/base/wire.h that a test must speak itself: little-endian integers, u32-length-prefixed strings."""
import struct


def text(value):
    data = value.encode()
    return struct.pack("<I", len(data)) + data


class Reader:
    def __init__(self, data):
        self.data = data

    def number(self, form):
        (value,) = struct.unpack_from("<" + form, self.data)
        self.data = self.data[struct.calcsize("<" + form):]
        return value

    def text(self):
        size = self.number("I")
        value, self.data = self.data[:size].decode(), self.data[size:]
        return value


def add_client(workspace):
    return struct.pack("<H", 0) + text(workspace)


def dial(request, host, port, ranges=(), trace="t"):
    return struct.pack("<HQ", 0, request) + text(host) + struct.pack("<HI", port, len(ranges)) + b"".join(map(text, ranges)) + text(trace)


def dial_answer(data):
    """("dialled", request, address) or ("refused", request, code, message)."""
    reader = Reader(data)
    number, request = reader.number("H"), reader.number("Q")
    return ("dialled", request, reader.text()) if number == 0 else ("refused", request, reader.text(), reader.text())


def audit_record(data):
    reader = Reader(data)
    assert reader.number("H") == 0
    return reader.number("Q"), reader.text()


def audit_ack(sequence):
    return struct.pack("<HQ", 1, sequence)
