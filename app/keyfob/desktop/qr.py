"""A small QR code encoder (ISO/IEC 18004): bytes, error correction M, versions 1 to 10. Pure.

For the addresses of the device grant, at most 213 bytes; what does not fit gives None, and the page shows no code.
"""

from __future__ import annotations

import itertools

Matrix = list[list[bool]]

# For level M: (error correction codewords a block, ((blocks, data codewords), …)) by version.
_BLOCKS: dict[int, tuple[int, tuple[tuple[int, int], ...]]] = {
    1: (10, ((1, 16),)),
    2: (16, ((1, 28),)),
    3: (26, ((1, 44),)),
    4: (18, ((2, 32),)),
    5: (24, ((2, 43),)),
    6: (16, ((4, 27),)),
    7: (18, ((4, 31),)),
    8: (22, ((2, 38), (2, 39))),
    9: (22, ((3, 36), (2, 37))),
    10: (26, ((4, 43), (1, 44))),
}
_ALIGNMENT: dict[int, tuple[int, ...]] = {
    1: (),
    2: (6, 18),
    3: (6, 22),
    4: (6, 26),
    5: (6, 30),
    6: (6, 34),
    7: (6, 22, 38),
    8: (6, 24, 42),
    9: (6, 26, 46),
    10: (6, 28, 50),
}
_LEVEL_M = 0b00

_EXP = [0] * 512
_LOG = [0] * 256


def _fill_tables() -> None:
    value = 1
    for power in range(255):
        _EXP[power] = value
        _LOG[value] = power
        value = value << 1 ^ (0x11D if value & 0x80 else 0)
    for power in range(255, 512):
        _EXP[power] = _EXP[power - 255]


_fill_tables()


def qr_matrix(text: str) -> Matrix | None:
    """Rows of modules, True being dark, without the quiet zone; None where `text` is too long."""
    data = text.encode()
    version = next((v for v in _BLOCKS if len(data) <= _room(v)), None)
    if version is None:
        return None
    bits = _place_order(_codewords(data, version))
    size = 17 + 4 * version
    grid: list[list[bool | None]] = [[None] * size for _ in range(size)]
    _functions(grid, version)
    fixed = [[cell is not None for cell in row] for row in grid]
    _data(grid, bits)
    best: Matrix | None = None
    least = 0
    for mask in range(8):
        candidate = _masked(grid, fixed, mask)
        _format(candidate, mask)
        penalty = _penalty(candidate)
        if best is None or penalty < least:
            best, least = candidate, penalty
    return best


def _room(version: int) -> int:
    """Bytes that fit: the data codewords less mode, length and terminator."""
    total = sum(count * size for count, size in _BLOCKS[version][1])
    return total - (2 if version < 10 else 3)


def _codewords(data: bytes, version: int) -> list[int]:
    length_bits = 8 if version < 10 else 16
    bits = f"0100{len(data):0{length_bits}b}" + "".join(f"{byte:08b}" for byte in data)
    correction, groups = _BLOCKS[version]
    capacity = sum(count * size for count, size in groups) * 8
    bits += "0" * min(4, capacity - len(bits))
    bits += "0" * (-len(bits) % 8)
    words = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    pads = (0xEC, 0x11)
    words += [pads[n % 2] for n in range(capacity // 8 - len(words))]
    blocks, start = [], 0
    for count, size in groups:
        for _ in range(count):
            blocks.append(words[start : start + size])
            start += size
    checks = [_correction(block, correction) for block in blocks]
    longest = max(len(block) for block in blocks)
    out = [block[i] for i in range(longest) for block in blocks if i < len(block)]
    return out + [check[i] for i in range(correction) for check in checks]


def _correction(block: list[int], count: int) -> list[int]:
    """Reed-Solomon over GF(256) with 0x11d: the remainder of the block by the generator."""
    generator = [1]
    for power in range(count):
        product = [0] * (len(generator) + 1)
        for i, factor in enumerate(generator):
            product[i] ^= factor
            product[i + 1] ^= _EXP[_LOG[factor] + power] if factor else 0
        generator = product
    rest = block + [0] * count
    for i in range(len(block)):
        lead = rest[i]
        if lead:
            for j, factor in enumerate(generator):
                if factor:
                    rest[i + j] ^= _EXP[_LOG[factor] + _LOG[lead]]
    return rest[len(block) :]


def _place_order(words: list[int]) -> list[bool]:
    return [bool(word >> bit & 1) for word in words for bit in range(7, -1, -1)]


def _functions(grid: list[list[bool | None]], version: int) -> None:
    """Finder, timing and alignment patterns, the dark module, version bits, and room for the format bits."""
    size = len(grid)
    for top, left in ((0, 0), (0, size - 7), (size - 7, 0)):
        for y in range(-1, 8):
            for x in range(-1, 8):
                if 0 <= top + y < size and 0 <= left + x < size:
                    ring = max(abs(y - 3), abs(x - 3))
                    grid[top + y][left + x] = ring in (0, 1, 3)
    for i in range(8, size - 8):
        grid[6][i] = grid[i][6] = i % 2 == 0
    places = _ALIGNMENT[version]
    for cy in places:
        for cx in places:
            if grid[cy][cx] is None or ((cy == 6 or cx == 6) and not _in_finder(cy, cx, size)):
                for y in range(-2, 3):
                    for x in range(-2, 3):
                        grid[cy + y][cx + x] = max(abs(y), abs(x)) != 1
    for i in range(9):
        for y, x in ((8, i), (i, 8)):
            if grid[y][x] is None:
                grid[y][x] = False
    for i in range(8):
        grid[8][size - 1 - i] = False
        grid[size - 1 - i][8] = False
    grid[size - 8][8] = True
    if version >= 7:
        value = version << 12 | _remainder(version << 12, 0x1F25)
        for i in range(18):
            bit = bool(value >> i & 1)
            grid[i // 3][size - 11 + i % 3] = bit
            grid[size - 11 + i % 3][i // 3] = bit


def _in_finder(y: int, x: int, size: int) -> bool:
    return (y < 9 and x < 9) or (y < 9 and x > size - 10) or (y > size - 10 and x < 9)


def _data(grid: list[list[bool | None]], bits: list[bool]) -> None:
    """Two columns at a time from the right, up and down by turns, past the timing column."""
    size, at, upward = len(grid), 0, True
    column = size - 1
    while column > 0:
        if column == 6:
            column -= 1
        for step in range(size):
            y = size - 1 - step if upward else step
            for x in (column, column - 1):
                if grid[y][x] is None:
                    grid[y][x] = bits[at] if at < len(bits) else False
                    at += 1
        upward = not upward
        column -= 2


def _masked(grid: list[list[bool | None]], fixed: list[list[bool]], mask: int) -> Matrix:
    return [
        [bool(cell) != (not fixed[y][x] and _mask(mask, y, x)) for x, cell in enumerate(row)]
        for y, row in enumerate(grid)
    ]


def _mask(mask: int, y: int, x: int) -> bool:
    match mask:
        case 0:
            return (y + x) % 2 == 0
        case 1:
            return y % 2 == 0
        case 2:
            return x % 3 == 0
        case 3:
            return (y + x) % 3 == 0
        case 4:
            return (y // 2 + x // 3) % 2 == 0
        case 5:
            return y * x % 2 + y * x % 3 == 0
        case 6:
            return (y * x % 2 + y * x % 3) % 2 == 0
    return ((y + x) % 2 + y * x % 3) % 2 == 0


def _format(grid: Matrix, mask: int) -> None:
    size = len(grid)
    data = _LEVEL_M << 3 | mask
    value = (data << 10 | _remainder(data << 10, 0x537)) ^ 0x5412
    for i in range(15):
        bit = bool(value >> i & 1)
        if i < 6:
            grid[i][8] = bit
        elif i < 8:
            grid[i + 1][8] = bit
        else:
            grid[size - 15 + i][8] = bit
        if i < 8:
            grid[8][size - 1 - i] = bit
        elif i == 8:
            grid[8][7] = bit
        else:
            grid[8][14 - i] = bit
    grid[size - 8][8] = True


def _remainder(value: int, generator: int) -> int:
    """Of a binary polynomial: the check bits of format and version."""
    while value.bit_length() >= generator.bit_length():
        value ^= generator << (value.bit_length() - generator.bit_length())
    return value


def _penalty(grid: Matrix) -> int:
    """The standard's four rules; the mask with the least is chosen."""
    size, total = len(grid), 0
    lines = [*grid, *(list(column) for column in zip(*grid, strict=True))]
    for line in lines:
        run = 1
        for before, cell in itertools.pairwise(line):
            run = run + 1 if cell == before else 1
            total += 3 if run == 5 else 1 if run > 5 else 0
        text = "".join("1" if cell else "0" for cell in line)
        for pattern in ("10111010000", "00001011101"):
            total += 40 * sum(text.startswith(pattern, i) for i in range(size))
    for y in range(size - 1):
        for x in range(size - 1):
            total += 3 * (grid[y][x] == grid[y][x + 1] == grid[y + 1][x] == grid[y + 1][x + 1])
    dark = sum(sum(row) for row in grid)
    return total + 10 * (abs(dark * 20 - size * size * 10) // (size * size))
