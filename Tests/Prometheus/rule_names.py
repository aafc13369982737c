"""Names of the alerts in the file of rules, read without a YAML library."""

import re

from promtool import RULES


def alerts():
    with open(RULES) as file:
        return set(re.findall(r"^\s*- alert: (\w+)$", file.read(), re.MULTILINE))
