"""What an ELF object file asks of the outside, and whether it is whole, read without any library."""

import struct

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
SYMBOL_TABLE = 2
CODE_FLAG = 0x4


class BrokenObject(ValueError):
    """Bytes that are no 64-bit little-endian ELF object, or only part of one."""


def sections(code: bytes) -> list[tuple[int, ...]]:
    """The section headers; BrokenObject where the file is not whole."""
    if len(code) < HEADER.size or code[:6] != b"\x7fELF\x02\x01":
        raise BrokenObject("not a 64-bit little-endian ELF object")
    fields = HEADER.unpack_from(code)
    start, size, count = fields[6], fields[11], fields[12]
    if size != SECTION.size or start + size * count > len(code):
        raise BrokenObject(f"the section table at {start:#x} leaves the file of {len(code)} bytes")
    return [SECTION.unpack_from(code, start + size * n) for n in range(count)]


def undefined_names(code: bytes) -> set[str]:
    """Names of the functions and data that the object expects to find elsewhere."""
    table = sections(code)
    names: set[str] = set()
    for header in table:
        if header[1] != SYMBOL_TABLE:
            continue
        strings = table[header[6]][4]
        for at in range(header[4], header[4] + header[5], SYMBOL.size):
            name, _, _, section, _, _ = SYMBOL.unpack_from(code, at)
            if name and section == 0:
                end = code.index(b"\0", strings + name)
                names.add(code[strings + name : end].decode())
    return names


def code_bytes(code: bytes) -> int:
    """Bytes of machine instructions and constants that are loaded to run."""
    loaded = 0x2  # allocated when running
    return sum(header[5] for header in sections(code) if header[2] & loaded)
