#!/bin/sh
# Installs the system libraries that a build needs, where they are missing; says in one sentence what can't be had.
set -eu
missing=""
# A machine may have only the compiler that Swift brings.
compiler=$(command -v cc || command -v clang || true)
for name in nghttp2/nghttp2.h:libnghttp2-dev lz4.h:liblz4-dev sqlite3.h:libsqlite3-dev zlib.h:zlib1g-dev; do
    echo "#include <${name%%:*}>" | "${compiler:-false}" -E -x c - >/dev/null 2>&1 || missing="$missing ${name##*:}"
done
# Extra packages, each behind a program or a file of it, that only some tests or pages use.
for extra in "$@"; do
    command -v "${extra%%:*}" >/dev/null 2>&1 || [ -e "${extra%%:*}" ] || missing="$missing ${extra##*:}"
done
command -v swift >/dev/null 2>&1 || {
    echo "Swift 6.2 or later is missing: install it from swift.org, then run this again." >&2
    exit 1
}
[ -z "$missing" ] && exit 0
run=""
[ "$(id -u)" = 0 ] || run="sudo"
if command -v apt-get >/dev/null 2>&1 && { [ -z "$run" ] || command -v sudo >/dev/null 2>&1; }; then
    echo "installing:$missing"
    # An old package list names versions that are gone, hence the update.
    if $run apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq $missing >/dev/null; then
        exit 0
    fi
fi
echo "These packages are missing and could not be installed here:$missing" >&2
exit 1
