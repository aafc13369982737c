"""What was expected against what was answered, number by number."""

import math


class Checks:
    """Prints one line a check and keeps the sums."""

    def __init__(self):
        self.passed = self.failed = self.numbers = 0
        self.absent = []

    def compare(self, name, expected, got):
        """Every member of `expected` must be in `got` and equal it: integers exactly, fractions to 1e-9 of their size."""
        faults = []
        numbers = differences(expected, got, "", faults)
        self.numbers += numbers
        if faults:
            self.failed += 1
            print(f"FAILED {name}: {len(faults)} of {numbers} differ", flush=True)
            for fault in faults[:6]:
                print(f"       {fault}", flush=True)
        else:
            self.passed += 1
            print(f"ok     {name}: {numbers:,} compared", flush=True)

    def lacks(self, name, why):
        self.absent.append(name)
        print(f"-      {name}: not in this version ({why})", flush=True)

    def summary(self):
        absent = f", {len(self.absent)} not in this version" if self.absent else ""
        return f"{self.passed} checks passed, {self.failed} failed{absent}; {self.numbers:,} numbers and names compared"


def differences(expected, got, path, faults):
    """How many leaves were compared; those that differ are added to `faults`."""
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            faults.append(f"{path}: {got!r:.80} is no object")
            return 1
        return sum(
            differences(value, got[key], f"{path}.{key}", faults) if key in got else missing(f"{path}.{key}", faults)
            for key, value in expected.items())
    if isinstance(expected, (list, tuple)):
        if not isinstance(got, list) or len(got) != len(expected):
            faults.append(f"{path}: {got!r:.200} has not the {len(expected)} entries {expected!r:.200}")
            return 1
        return sum(differences(e, g, f"{path}[{i}]", faults) for i, (e, g) in enumerate(zip(expected, got)))
    if not are_equal(expected, got):
        faults.append(f"{path}: expected {expected!r}, got {got!r}")
    return 1


def missing(path, faults):
    faults.append(f"{path} is missing")
    return 1


def are_equal(expected, got):
    if isinstance(expected, bool) or isinstance(got, bool) or expected is None or isinstance(expected, str):
        return type(expected) is type(got) and expected == got
    if not isinstance(got, (int, float)):
        return False
    if isinstance(expected, int):
        return expected == got
    return math.isclose(expected, got, rel_tol=1e-9, abs_tol=1e-12)
