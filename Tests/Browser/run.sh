#!/bin/sh
# The dashboard in Debian's Chromium, against a cluster of real processes.
# Usage: run.sh [pytest options], or run.sh screenshots [DIRECTORY].
# SLUICE_PROGRAMS: directory of the programs (.build/release).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
packages=""
command -v chromium >/dev/null 2>&1 || packages="$packages chromium"
[ -f /usr/share/javascript/chart.js/chart.min.js ] || packages="$packages libjs-chart.js"
python3 -c 'import ensurepip' 2>/dev/null || packages="$packages python3-venv"
if [ -n "$packages" ]; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo"
    echo "installing:$packages"
    $sudo apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq $packages >/dev/null || {
        echo "These packages are missing and could not be installed here:$packages" >&2
        exit 1
    }
fi
venv=$root/.build-browser/venv
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
export SLUICE_PROGRAMS="${SLUICE_PROGRAMS:-$root/.build/release}"
if [ "${1:-}" = screenshots ]; then
    shift
    exec "$venv/bin/python" "$here/screenshots.py" "$@"
fi
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider -rs "$here" "$@"
