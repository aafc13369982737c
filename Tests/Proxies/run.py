#!/usr/bin/env python3
"""Runs the tests of TLS and of proxies, one after the other; the exit status is 1 if one fails."""

import os
import shutil
import sys
import tempfile
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Prometheus"))

import attempt  # noqa: E402
import proxies  # noqa: E402, F401
import tls  # noqa: E402, F401


def main(names):
    unknown = set(names) - {body.__name__ for body in attempt.ATTEMPTS}
    if unknown:
        sys.exit(f"no test has the name {', '.join(sorted(unknown))}")
    failed = 0
    for body in attempt.ATTEMPTS:
        if names and body.__name__ not in names:
            continue
        folder = tempfile.mkdtemp(prefix="sluice-proxies-")
        try:
            body(folder)
            print(f"ok      {body.__name__}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {body.__name__}\n{traceback.format_exc()}", flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
