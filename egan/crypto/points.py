"""Points of Curve25519 that no honest key is: refused wherever a key is read or comes
in.

A point of small order makes one signature good for every message, and a secret that
anyone can compute; a point with a second encoding gives one key two fingerprints.
"""

from __future__ import annotations

# RFC 7748, section 4.1: the field's prime; RFC 8032, section 5.1: the curve's constant.
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P

# y of the eight points of small order on edwards25519: order 4, order 1, order 2, order
# 8.
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL_Y = frozenset((0, 1, P - 1, ORDER_8, P - ORDER_8))
# u of the points of small order on curve25519 and on its twist.
ORDER_8_U = 0xB8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0
OTHER_ORDER_8_U = 0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F
SMALL_U = frozenset((0, 1, P - 1, ORDER_8_U, OTHER_ORDER_8_U))


def check_x25519(key: bytes) -> None:
    """Raises ValueError for 32 bytes that no X25519 key pair has as its public half."""
    u = int.from_bytes(key, "little")
    if len(key) != 32 or u >= P:
        raise ValueError("not the canonical encoding of a point")
    if u in SMALL_U:
        raise ValueError("a point of small order")


def check_ed25519(key: bytes) -> None:
    """Raises ValueError for 32 bytes that no Ed25519 key pair has as its public half."""
    number = int.from_bytes(key, "little")
    y = number & (2**255 - 1)
    if len(key) != 32 or y >= P:
        raise ValueError("not the canonical encoding of a point")
    # The points with x = 0, which has no sign, are among these.
    if y in SMALL_Y:
        raise ValueError("a point of small order")
    # RFC 8032, section 5.1.3: x^2 = (y^2 - 1) / (d y^2 + 1) must be a square.
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    if pow(x2, (P - 1) // 2, P) != 1:
        raise ValueError("not a point of the curve")
