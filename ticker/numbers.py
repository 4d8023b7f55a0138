"""Numbers that are never rounded: as digits and decimal places, as scaled integers, and as plain decimal texts."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from ticker.errors import BadPublication
from ticker.texts import shown

MAX_INTEGER = 2**53 - 1
"""The largest magnitude of any integer on the wire: JavaScript numbers are exact up to it."""

MAX_SCALE = 15
"""The most decimal places: 2**53 has sixteen digits."""

EXACT_TEXT = 16
"""Characters of fifteen digits and a point: a float tells decimals of so many digits apart."""

MAX_DIGITS = 40
"""The most digits of a number, before and behind the decimal point each."""

_PLAIN_DECIMAL = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}(?:\.([0-9]{{1,{MAX_DIGITS}}}))?")
_WIRE_DECIMAL = re.compile(rf"-?(?:0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}})(?:\.[0-9]{{1,{MAX_DIGITS}}})?")
_POWERS: list[int] = [10**places for places in range(MAX_SCALE + 1)]
_LONGEST_NUMBER = 256
"""The most characters of a number's text: zeros at either end, or an exponent, can make it longer than its digits."""


def parse_decimal(value: object) -> tuple[int, int]:
    """Return a number as `(digits, places)`: `value == digits / 10**places`, exactly, with the least `places >= 0`.

    Raises `BadPublication` for floats, for anything but a finite number, and for more than 40 digits on either side.
    """
    if type(value) is str:
        plain = _PLAIN_DECIMAL.fullmatch(value)
        if plain is not None:
            return _shortest(value, plain[1])
        if len(value) > _LONGEST_NUMBER or not value.isascii() or "_" in value or value != value.strip():
            raise BadPublication(f"{shown(value)} is not a decimal number")
    elif type(value) is int:
        if abs(value) >= 10**MAX_DIGITS:
            raise BadPublication(f"an integer of more than {MAX_DIGITS} digits")
        return value, 0
    elif not isinstance(value, Decimal):
        raise BadPublication(
            f"{shown(value)} is a {type(value).__name__}: give prices and sizes as str, Decimal or int"
        )
    return _from_decimal(value)


def scaled_number(digits: int, places: int, scale: int) -> int | str:
    """Return a parsed number as the wire has it at this scale: an integer of 53 bits, else its plain decimal text."""
    if places <= scale:
        scaled: int = digits * _POWERS[scale - places]
        if -MAX_INTEGER <= scaled <= MAX_INTEGER:
            return scaled
    return decimal_text(digits, places)


def rescaled_number(value: int | str, scale: int, new_scale: int) -> int | str:
    """Return a number of the wire at another scale."""
    digits, places = (value, scale) if isinstance(value, int) else parse_decimal(value)
    return scaled_number(*fewest_places(digits, places), new_scale)


def is_plain_decimal(text: str) -> bool:
    """Return whether a text is a decimal as the wire has it: 40 digits on either side, no exponent, no leading zero."""
    return _WIRE_DECIMAL.fullmatch(text) is not None


def decimal_text(scaled: int, scale: int) -> str:
    """Return a scaled integer as a decimal with exactly `scale` places: `decimal_text(139121, 5) == "1.39121"`."""
    if scale == 0:
        return str(scaled)
    digits = str(abs(scaled)).rjust(scale + 1, "0")
    return f"{'-' if scaled < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


def _shortest(text: str, fraction: str | None) -> tuple[int, int]:
    """Split a plain decimal string; zeros at the end of its fraction do not make it finer."""
    if fraction is None:
        return int(text), 0
    kept = fraction.rstrip("0")
    whole = text[: len(text) - len(fraction) - 1]
    return int(whole + kept), len(kept)


def fewest_places(digits: int, places: int) -> tuple[int, int]:
    """Return the same number with the fewest decimal places."""
    while places and digits % 10 == 0:
        digits, places = digits // 10, places - 1
    return digits, places


def _from_decimal(value: str | Decimal) -> tuple[int, int]:
    """Parse a number with an exponent ("1E-7"), or a Decimal; slower."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise BadPublication(f"{shown(value)} is not a decimal number") from None
    if not number.is_finite():
        raise BadPublication(f"{shown(value)} is not a finite number")
    sign, written, _ = number.as_tuple()
    if len(written) > _LONGEST_NUMBER:
        raise BadPublication(f"a number of {len(written)} digits")
    digits = int("".join(map(str, written)).rstrip("0") or "0")
    if digits == 0:
        return 0, 0
    # The number is digits * 10**power: zeros at the end of the written number are in the power.
    power = number.adjusted() + 1 - len(str(digits))
    if power < -MAX_DIGITS or number.adjusted() >= MAX_DIGITS:
        raise BadPublication(f"{shown(value)} has more than {MAX_DIGITS} digits before or behind the decimal point")
    signed = -digits if sign else digits
    return (signed * 10**power, 0) if power >= 0 else (signed, -power)
