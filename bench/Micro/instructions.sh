#!/bin/sh
# Instructions a key of the product's kernel and of its C twin, by callgrind: what three rounds more cost.
#     instructions.sh KEYS WINDOW_MS KERNEL_TWIN
set -eu
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null | sed -n 's/.*Collected : //p'
}
keys=$(od -A n -t u8 -j 8 -N 32 -w32 "$1" | awk '{ for (i = 1; i <= NF; i++) sum += $i; print sum }')
for program in "$(dirname "$0")/kernel" "$3"; do
    one=$(count "$program" "$1" "$2" 1)
    four=$(count "$program" "$1" "$2" 4)
    echo "$(basename "$program"): $(awk "BEGIN { printf \"%.1f\", ($four - $one) / 3 / $keys }") instructions a key"
done
