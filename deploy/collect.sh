#!/usr/bin/env bash
# collect.sh PROGRAMS OUT: gathers what the image holds of Sluice: stripped programs in OUT/bin, the Swift libraries
# they load in OUT/lib, the demo's funnel and the shell completions of `sluice` in OUT/share. Runs where the programs were built:
# only there ldd finds the libraries.
set -euo pipefail

if [[ $# != 2 ]]; then
    echo "usage: $0 FOLDER_WITH_PROGRAMS OUT" >&2
    exit 2
fi
source_folder=$1 out=$2
mkdir -p "$out/bin" "$out/lib" "$out/share/completions"

for program in sluice sluice-ingest sluice-shard sluice-coordinator; do
    if [[ ! -f $source_folder/$program ]]; then
        echo "$0: $source_folder/$program is missing" >&2
        exit 1
    fi
    libraries=$(ldd "$source_folder/$program")
    if grep 'not found' <<<"$libraries" >&2; then
        echo "$0: libraries of $program are missing" >&2
        exit 1
    fi
    # Whatever lies in the folder of the Swift core library is Swift's own; all else comes with the image's system.
    swift_folder=$(awk '$1 == "libswiftCore.so" { sub(/\/[^\/]*$/, "", $3); print $3 }' <<<"$libraries")
    while read -r library; do
        if [[ -n $swift_folder && ${library%/*} == "$swift_folder" ]]; then
            install -m 0644 "$library" "$out/lib/"
        fi
    done < <(awk '$2 == "=>" { print $3 }' <<<"$libraries")
    install -m 0755 "$source_folder/$program" "$out/bin/$program"
    strip "$out/bin/$program"
done
for shell in bash zsh fish; do
    "$source_folder/sluice" --generate-completion-script "$shell" >"$out/share/completions/sluice.$shell"
    chmod 0644 "$out/share/completions/sluice.$shell"
done
install -D -m 0644 "$(dirname "${BASH_SOURCE[0]}")/demo-funnel.json" "$out/share/demo-funnel.json"
install -D -m 0644 -t "$out/share/funnels" "$(dirname "${BASH_SOURCE[0]}")"/funnels/*.json
