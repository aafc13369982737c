"""JSON scalars that software often changes by mistake, as JSON texts."""

import json
import random

NUMBERS = ["-0", "-0.0", "0.0", "-0e3", "1.0", "1", "1e2", "1E+2", "1.50", "9e-05", "0.00009", "1.5e-7", "5e-324", "1.7976931348623157e308", "1e300",
           "0.1", "0.30000000000000004", "76561198275305775", "76561198275305780", "12345678901234567890", "1e16", "100000000000000000000"]
TEXTS = ["", " ", "1", "1.0", "-0", "1e2", "007", "0x1f", "76561198275305775", "true", "false", "null", "NaN", "Infinity", "-", "+5", ".5", " 1", "1 ", "a, b",
         ",", "a,b", '"', '""', '"1"', '"a', 'a"', "\\", "\\n", '\\"', "\n", "a\nb", "a\r\nb", "\r", "\t", "a\tb", "\0", "\x1b[31mred", "\x7f", "\u2028",
         "\u00a0", "a\u00a0b", "\ufeff", "a  b", "a b", "  a", "a  ", "🦊", "👩‍💻", "شراء الآن", "\u202eevil", "e\u0301", "é", "no value", "(empty)", "(other)",
         "3 other values", "<b>x</b>", "=1+1", "'=1+1", "@x", "__proto__", "n1", "s1", "constructor", "user.plan", "%", "&a=b", "#", "+", "a+b"]
UNITS = list(" ,\"'\\\n\r\t;:=+-#&%/<>{}[]aZ09é\u00a0\u200f\u202b\u2028🦊ش\u0301\0")


def _json(text):
    return json.dumps(text, ensure_ascii=False)


def _number(dice):
    kind = dice.randrange(6)
    if kind == 0:
        return str(dice.choice([1, -1]) * (2 ** 53 + dice.randint(-4, 4)))
    if kind == 1:
        return str(dice.choice([1, -1]) * (2 ** 63 + dice.randint(-4, 4)))
    if kind == 2:
        return str(dice.randint(-10 ** 17, 10 ** 17))
    if kind == 3:
        return "%.17g" % (dice.uniform(-1, 1) * 10.0 ** dice.randint(-3, 3))
    if kind == 4:
        return f"{dice.randint(1, 99)}e{dice.randint(-300, 290)}"
    return f"{dice.randint(0, 10 ** 6)}.{dice.randint(0, 999):03}"


def _text(dice):
    if dice.randrange(4) == 0:
        return _number(dice)
    return "".join(dice.choice(UNITS) for _ in range(dice.randint(1, 12)))


def scalars(count, seed=20261129):
    """`count` JSON texts, no two the same."""
    dice = random.Random(seed)
    found = dict.fromkeys([*NUMBERS, "true", "false", *(_json(text) for text in TEXTS)])
    while len(found) < count:
        found[_number(dice) if dice.randrange(2) else _json(_text(dice))] = None
    return list(found)[:count]


def key(text):
    """The identity of a value on the server: its kind and value. 64-bit integers are exact."""
    value = json.loads(text) if isinstance(text, str) else text
    if isinstance(value, (bool, str)):
        return type(value).__name__, value
    if isinstance(value, int) and -2 ** 63 <= value < 2 ** 63:
        return "number", value
    value = float(value)
    return "number", int(value) if value.is_integer() and -2 ** 63 <= value < 2 ** 63 else value
