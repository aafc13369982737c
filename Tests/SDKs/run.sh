#!/bin/sh
# The SDKs of other products, as published, against a cluster of real processes; see suite.py.
# SLUICE_PROGRAMS: directory of the programs (.build/release).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command -v openssl >/dev/null 2>&1 || sh "$here/../../deploy/install-deps.sh" openssl:openssl
# Without a browser the pages are skipped.
command -v chromium >/dev/null 2>&1 || sh "$here/../../deploy/install-deps.sh" chromium:chromium || true
export PYTHONDONTWRITEBYTECODE=1
PACKAGES=$here exec "$here/../../bench/python.sh" "$here/suite.py" "$@"
