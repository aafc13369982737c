#!/usr/bin/env bash
# Builds the image from programs that exist already, starts a small cluster out of it and checks that it works:
# events in, counts out, rights, health, restart on the same volume. Also checks compose.yaml.
#
# With a docker engine it uses that. Without one it needs root on Debian or Ubuntu: it then makes a base system with
# debootstrap and builds and runs with buildah (no daemon, no registry; chroot isolation, loopback only).
set -euo pipefail

usage() {
    cat <<END
usage: $0 [--binaries DIR] [--engine docker|buildah] [--base IMAGE|debootstrap] [--keep-logs]
  --binaries  folder with sluice, sluice-ingest, sluice-shard and sluice-coordinator
              [default: swift build -c release --show-bin-path]
  --engine    [default: docker where an engine answers, else buildah]
  --base      base image, or debootstrap to make one [default: with docker that of this machine's release, else debootstrap]
  --keep-logs leave the logs where they are, also after a pass
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binaries='' engine='' base='' keep_logs=false
while [[ $# -gt 0 ]]; do
    case $1 in
        --binaries | --engine | --base)
            [[ $# -ge 2 ]] || { usage >&2; exit 2; }
            declare "${1#--}=$2"
            shift 2
            ;;
        --keep-logs) keep_logs=true; shift ;;
        --help | -h) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

# --- What this run owns, and how it goes away -----------------------------------------------------------------------

work=$(mktemp -d "${TMPDIR:-/tmp}/sluice-image-test.XXXXXX")
logs=$work/logs
mkdir "$logs"
name=sluice-image-test-$$
declare -A runner=()     # service -> pid of its `buildah run`, or container id
volumes=() images=() network=''
passed=false

say() { echo "image test: $*"; }
fail() { echo "image test: FAILED: $*" >&2; exit 1; }

# The last process of the chain that `buildah run` starts: the program itself.
program_pid() {
    local pid=$1 child
    while child=$(pgrep -P "$pid" | head -n 1) && [[ -n $child ]]; do pid=$child; done
    [[ $pid != "$1" ]] && echo "$pid"
}

# stop_service NAME: as an operator would, by SIGTERM; fails unless the program then ends by itself with 0.
stop_service() {
    local service=$1 id=${runner[$1]} pid status=0
    if [[ $engine == docker ]]; then
        docker stop --time 20 "$id" >/dev/null
        status=$(docker inspect -f '{{.State.ExitCode}}' "$id")
        docker logs "$id" >>"$logs/$service" 2>&1
        docker rm "$id" >/dev/null
    else
        pid=$(program_pid "$id") || fail "$service is not running"
        kill -TERM "$pid"
        for _ in {1..200}; do
            kill -0 "$id" 2>/dev/null || break
            sleep 0.1
        done
        kill -0 "$id" 2>/dev/null && fail "$service runs on 20 s after SIGTERM"
        wait "$id" || status=$?
    fi
    unset "runner[$service]"
    [[ $status == 0 ]] || fail "$service ended with $status after SIGTERM"
}

cleanup() {
    local status=$? service pid
    trap - EXIT
    set +e
    for service in "${!runner[@]}"; do
        if [[ $engine == docker ]]; then
            docker logs "${runner[$service]}" >>"$logs/$service" 2>&1
            docker rm --force "${runner[$service]}" >/dev/null 2>&1
        elif pid=$(program_pid "${runner[$service]}"); then
            # Nothing of it is needed any more; buildah itself must live to undo its mounts.
            kill -KILL "$pid" 2>/dev/null
            wait "${runner[$service]}" 2>/dev/null
        fi
    done
    if [[ $engine == docker ]]; then
        [[ ${#volumes[@]} == 0 ]] || docker volume rm "${volumes[@]}" >/dev/null 2>&1
        [[ -z $network ]] || docker network rm "$network" >/dev/null 2>&1
        [[ ${#images[@]} == 0 ]] || docker rmi "${images[@]}" >/dev/null 2>&1
    elif [[ -d $work/storage ]]; then
        bud rm --all >/dev/null 2>&1
    fi
    if ! $passed; then
        for service in "$logs"/*; do
            [[ -s $service ]] && { echo "--- ${service##*/}"; tail -n 40 "$service"; } >&2
        done
    fi
    if $keep_logs || ! $passed; then
        echo "image test: logs are in $logs" >&2
        find "$work" -mindepth 1 -maxdepth 1 ! -name logs -exec rm -rf {} +
    else
        rm -rf "$work"
    fi
    # Whoever sees 0 must have seen the line below.
    if $passed && [[ $status == 0 ]]; then echo "image test passed"; else exit "$((status == 0 ? 1 : status))"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# --- compose.yaml ---------------------------------------------------------------------------------------------------

check_compose() {
    local composer=() checked=()
    if docker compose version >/dev/null 2>&1; then
        composer=(docker compose)
    elif command -v docker-compose >/dev/null; then
        composer=(docker-compose)
    fi
    if [[ ${#composer[@]} -gt 0 ]]; then
        SLUICE_CLUSTER_SECRET=x "${composer[@]}" -f "$here/compose.yaml" config >"$logs/compose" 2>&1 ||
            fail "compose.yaml is not accepted by ${composer[*]}"
        "${composer[@]}" -f "$here/compose.demo.yaml" config >"$logs/compose-demo" 2>&1 ||
            fail "compose.demo.yaml is not accepted by ${composer[*]}"
        checked+=("${composer[*]} config")
    fi
    # A composer checks the grammar; these are the promises of README.md.
    if python3 -c 'import yaml' 2>/dev/null; then
        python3 - "$here/compose.yaml" <<'END' || fail "compose.yaml breaks a rule"
import sys, yaml
services = yaml.safe_load(open(sys.argv[1]))["services"]
shards = sorted(name for name in services if name.startswith("shard-"))
assert set(services) == {"ingest", "coordinator", *shards} and len(shards) == 3, sorted(services)
published = {port.rsplit(":", 1)[1]: name for name, service in services.items() for port in service.get("ports", [])}
assert published == {"8080": "ingest", "8090": "coordinator"}, published
listed = services["coordinator"]["environment"]["SLUICE_SHARDS"].split(",")
assert [address.split(":")[0] for address in listed] == shards, listed
for i, name in enumerate(shards):
    assert services[name]["command"] == ["sluice-shard", "--shard", str(i)], name
    assert services[name]["networks"] == ["cluster"], name
volumes = [service["volumes"] for service in services.values()]
assert len({volume for own in volumes for volume in own}) == len(services), "volumes are shared"
for name, service in services.items():
    assert service["read_only"] and service["cap_drop"] == ["ALL"], name
    assert service["security_opt"] == ["no-new-privileges:true"] and service["restart"] == "unless-stopped", name
    assert service["mem_limit"] and service["stop_grace_period"] and service["healthcheck"]["test"][-1] == "health", name
    keys = [key for key in service["environment"] if key.endswith("_KEYS")]
    assert not keys or name == "coordinator", (name, keys)
END
        checked+=(rules)
    fi
    [[ ${#checked[@]} -gt 0 ]] || fail "compose.yaml can't be checked: neither docker compose nor Python's yaml is here"
    say "compose.yaml checked: $(IFS=,; echo "${checked[*]}")"
}

# --- The image ------------------------------------------------------------------------------------------------------

# The programs need a C library at least as new as where they were built: here, most likely.
release_image() {
    (
        # shellcheck source=/dev/null
        . /etc/os-release 2>/dev/null || true
        case ${ID:-} in
            debian) echo "debian:$VERSION_CODENAME-slim" ;;
            ubuntu) echo "ubuntu:$VERSION_ID" ;;
            *) echo debian:bookworm-slim ;;
        esac
    )
}

# A storage of its own, so that the machine's images are neither used nor changed.
bud() {
    buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}

# Prints the path of an archive with a minimal system, of the release that the programs were built on.
base_archive() {
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/sluice-image-test mirror components archive root
    # shellcheck source=/dev/null
    . /etc/os-release
    case $ID in
        debian) mirror=http://deb.debian.org/debian components=main ;;
        ubuntu) mirror=http://archive.ubuntu.com/ubuntu components='main universe' ;;
        *) fail "debootstrap is for Debian and Ubuntu, this is $ID: give --base IMAGE" ;;
    esac
    archive=$cache/$ID-$VERSION_CODENAME-$(dpkg --print-architecture).tar
    if [[ ! -f $archive ]]; then
        say "making a base system: $archive" >&2
        mkdir -p "$cache"
        root=$work/rootfs
        debootstrap --variant=minbase --components="${components// /,}" "$VERSION_CODENAME" "$root" "$mirror" \
            >"$logs/debootstrap" 2>&1 || fail "debootstrap failed"
        # debootstrap knows the first release only; the fixes are in these.
        {
            echo "deb $mirror $VERSION_CODENAME $components"
            echo "deb $mirror $VERSION_CODENAME-updates $components"
            if [[ $ID == debian ]]; then
                echo "deb http://deb.debian.org/debian-security $VERSION_CODENAME-security $components"
            else
                echo "deb http://security.ubuntu.com/ubuntu $VERSION_CODENAME-security $components"
            fi
        } >"$root/etc/apt/sources.list"
        rm -rf "$root"/var/cache/apt/archives/*.deb
        # The name appears only once the archive is whole: an interrupted run leaves no half base behind.
        tar --numeric-owner --exclude=./dev/* -C "$root" -cf "$archive.$$" .
        mv "$archive.$$" "$archive"
        rm -rf "$root"
    fi
    echo "$archive"
}

# need_tools COMMAND:PACKAGE…
need_tools() {
    local tool missing=()
    for tool in "$@"; do command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}"); done
    [[ ${#missing[@]} == 0 ]] && return
    say "installing ${missing[*]}"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
        >"$logs/apt" 2>&1 || fail "cannot install ${missing[*]}"
}

build_image() {
    local archive scratch service
    "$here/collect.sh" "$binaries" "$work/dist"
    say "programs $(du -sh "$work/dist/bin" | cut -f 1), Swift libraries $(du -sh "$work/dist/lib" | cut -f 1)"
    if [[ $base == debootstrap ]]; then
        archive=$(base_archive)
        base=$name-base
        if [[ $engine == docker ]]; then
            docker import "$archive" "$base" >/dev/null
            images+=("$base")
        else
            base=localhost/$base
            scratch=$(bud from scratch)
            bud add "$scratch" "$archive" / >/dev/null
            bud commit --quiet "$scratch" "$base" >/dev/null
            bud rm "$scratch" >/dev/null
        fi
    fi
    say "building on $base with $engine"
    if [[ $engine == docker ]]; then
        image=$name
        DOCKER_BUILDKIT=1 docker build --network host --tag "$image" --file "$here/Dockerfile" \
            --build-arg BASE_IMAGE="$base" --build-arg BINARIES=prebuilt "$work/dist" >"$logs/build" 2>&1 ||
            fail "the image can't be built"
        images+=("$image")
        say "image: $(($(docker inspect -f '{{.Size}}' "$image") / 1000000)) MB unpacked"
    else
        image=localhost/$name
        # The docker format, since OCI's has no health check.
        bud bud --isolation chroot --network host --layers=false --format docker --tag "$image" \
            --file "$here/Dockerfile" --ignorefile "$here/Dockerfile.dockerignore" \
            --build-arg BASE_IMAGE="$base" --build-arg BINARIES=prebuilt \
            "$work/dist" >"$logs/build" 2>&1 || fail "the image can't be built"
        # A container per service: buildah keeps a container's /data, made from the image's, from run to run.
        for service in "${services[@]}"; do
            container[$service]=$(bud from --pull-never "$image")
            root[$service]=$(bud mount "${container[$service]}")
        done
        say "image: $(du -sm "${root[ingest]}" | cut -f 1) MB unpacked"
    fi
}

check_image() {
    local user check
    if [[ $engine == docker ]]; then
        user=$(docker inspect -f '{{.Config.User}}' "$image")
        check=$(docker inspect -f '{{json .Config.Healthcheck.Test}}' "$image")
    else
        user=$(bud inspect --type image --format '{{.Docker.Config.User}}' "$image")
        check=$(bud inspect --type image --format '{{.Docker.Config.Healthcheck.Test}}' "$image")
    fi
    [[ $user == 10001:10001 ]] || fail "the image's user is '$user'"
    [[ $check == *health* ]] || fail "the image has no health check: '$check'"
}

# The completion scripts are those of the program, and an interactive bash has loaded its own.
check_completions() {
    local check
    check='for shell in bash zsh fish; do
            sluice --generate-completion-script $shell | cmp - /usr/local/share/sluice/completions/sluice.$shell || exit 1
        done
        test -s /usr/local/share/bash-completion/completions/sluice && test -s /usr/local/share/zsh/site-functions/_sluice &&
            test -s /usr/local/share/fish/vendor_completions.d/sluice.fish && bash -ic "complete -p sluice" 2>/dev/null'
    if [[ $engine == docker ]]; then
        docker run --rm --network none "$image" bash -c "$check" >"$logs/completions" 2>&1
    else
        bud run --isolation chroot --network host "${container[ingest]}" -- bash -c "$check" >"$logs/completions" 2>&1
    fi || fail "the shell completions of the image do not work"
}

# --- A cluster out of the image -------------------------------------------------------------------------------------

# A port that nothing listens on, below the range from which connections get theirs.
free_port() {
    local port
    while true; do
        port=$((20000 + RANDOM % 12000))
        if [[ " ${taken[*]} " != *" $port "* ]] && ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            taken+=("$port")
            free=$port
            return
        fi
    done
}

# Docker: a network as in compose.yaml, every service with its own address. Buildah: one loopback for all, so all
# ports differ. The settings are read by name in start_service.
# shellcheck disable=SC2034
plan_cluster() {
    local service
    taken=()
    SLUICE_HOST=127.0.0.1 SLUICE_ALLOW_PLAIN_TEXT=false
    SLUICE_CLUSTER_SECRET=$(random_key) SLUICE_WRITE_KEYS=$(random_key) SLUICE_READ_KEYS=$(random_key)
    if [[ $engine == docker ]]; then
        docker network create "$name" >/dev/null
        network=$name
        SLUICE_HOST=0.0.0.0 SLUICE_ALLOW_PLAIN_TEXT=true
        SLUICE_SHARDS=shard-0:8100,shard-1:8100 SLUICE_COORDINATOR=coordinator:8091
        http_port=([ingest]=8080 [coordinator]=8090 [shard-0]=8200 [shard-1]=8200)
        wire_port=([ingest]=8081 [coordinator]=8091 [shard-0]=8100 [shard-1]=8100)
    else
        for service in "${services[@]}"; do
            free_port; http_port[$service]=$free
            free_port; wire_port[$service]=$free
        done
        SLUICE_SHARDS=127.0.0.1:${wire_port[shard-0]},127.0.0.1:${wire_port[shard-1]}
        SLUICE_COORDINATOR=127.0.0.1:${wire_port[coordinator]}
    fi
}

random_key() { od -An -v -tx1 -N 16 /dev/urandom | tr -d ' \n'; }

# start_service NAME PROGRAM [FLAG…]
start_service() {
    local service=$1 flags variables variable
    shift
    flags=(--env SLUICE_HTTP_PORT="${http_port[$service]}" --env SLUICE_WIRE_PORT="${wire_port[$service]}")
    variables=(SLUICE_HOST SLUICE_ALLOW_PLAIN_TEXT SLUICE_COORDINATOR SLUICE_CLUSTER_SECRET)
    [[ $service != coordinator ]] || variables+=(SLUICE_SHARDS SLUICE_WRITE_KEYS SLUICE_READ_KEYS)
    # Other users of the machine can read these keys while the test runs; they open nothing else.
    for variable in "${variables[@]}"; do flags+=(--env "$variable=${!variable}"); done
    if [[ $engine == docker ]]; then
        [[ " ${volumes[*]} " == *" $name-$service "* ]] || volumes+=("$name-$service")
        runner[$service]=$(docker run --detach --name "$name-$service" --network "$network" --network-alias "$service" \
            --publish "127.0.0.1::${http_port[$service]}" --read-only --tmpfs /tmp:size=16m --cap-drop ALL \
            --security-opt no-new-privileges --mount "type=volume,src=$name-$service,dst=/data" \
            "${flags[@]}" "$image" "$@")
    else
        bud run --isolation chroot --network host "${flags[@]}" "${container[$service]}" -- "$@" >>"$logs/$service" 2>&1 &
        runner[$service]=$!
    fi
}

url() {
    if [[ $engine == docker ]]; then
        echo "http://$(docker port "${runner[$1]}" "${http_port[$1]}/tcp" | head -n 1)"
    else
        echo "http://127.0.0.1:${http_port[$1]}"
    fi
}

request() { curl --silent --show-error --noproxy '*' --max-time 20 "$@"; }

wait_ready() {
    local service=$1 id=${runner[$1]}
    for _ in {1..300}; do
        if request --fail "$(url "$service")/readyz" >/dev/null 2>&1; then return; fi
        if [[ $engine == docker ]]; then
            [[ $(docker inspect -f '{{.State.Running}}' "$id") == true ]] || fail "$service has ended"
        else
            kill -0 "$id" 2>/dev/null || fail "$service has ended"
        fi
        sleep 0.2
    done
    fail "$service is not ready after 60 s: $(request "$(url "$service")/readyz" 2>&1)"
}

check_process() {
    local service=$1 program=$2 uid pid health=''
    if [[ $engine == docker ]]; then
        uid=$(docker top "${runner[$service]}" -o pid,uid | awk 'NR == 2 { print $2 }')
        # The image's own check, run by the engine.
        for _ in {1..60}; do
            health=$(docker inspect -f '{{.State.Health.Status}}' "${runner[$service]}")
            [[ $health == healthy ]] && break
            sleep 1
        done
        [[ $health == healthy ]] || fail "$service is $health to the engine"
        docker exec "${runner[$service]}" "$program" health || fail "'$program health' fails for $service"
    else
        pid=$(program_pid "${runner[$service]}") || fail "$service is not running"
        [[ $(<"/proc/$pid/comm") == "${program:0:15}" ]] || fail "process $pid of $service is $(<"/proc/$pid/comm")"
        uid=$(stat -c %u "/proc/$pid")
        bud run --isolation chroot --network host --env SLUICE_HTTP_PORT="${http_port[$service]}" \
            "${container[$service]}" -- "$program" health || fail "'$program health' fails for $service"
        # HEALTHCHECK says /proc/1/exe, but chroot isolation has no process 1 of its own.
        bud run --isolation chroot --network host --env SLUICE_HTTP_PORT="${http_port[$service]}" \
            "${container[$service]}" -- "/proc/$pid/exe" health || fail "'/proc/$pid/exe health' fails for $service"
    fi
    [[ $uid == 10001 ]] || fail "$service runs as uid $uid"
}

# `health` must also be able to say no.
check_health_refuses() {
    local program
    for program in sluice-ingest sluice-shard sluice-coordinator; do
        if [[ $engine == docker ]]; then
            if docker run --rm --network none "$image" "$program" health; then fail "'$program health' finds a service where none is"; fi
        else
            free_port
            if bud run --isolation chroot --network host --env SLUICE_HTTP_PORT="$free" "${container[ingest]}" -- "$program" health \
                2>/dev/null; then fail "'$program health' finds a service where none is"; fi
        fi
    done
}

# counts BODY: the step counts of a query, by spaces.
counts() {
    local answer
    answer=$(request --fail-with-body -H "Authorization: Bearer $SLUICE_READ_KEYS" -H 'Content-Type: application/json' \
        --data-binary "$1" "$(url coordinator)/v1/query") || fail "the query failed: $answer"
    grep -o '"count": *[0-9]*' <<<"$answer" | tr -dc '0-9\n' | paste -sd ' '
}

expect() {
    [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"
}

events() {
    local user
    for user in {1..40}; do
        echo "{\"user_id\":\"u$user\",\"event\":\"visit\",\"timestamp\":\"2024-03-05T12:00:00Z\"}"
        ((user > 20)) || echo "{\"user_id\":\"u$user\",\"event\":\"cart\",\"timestamp\":\"2024-03-05T12:01:00Z\"}"
        ((user > 10)) || echo "{\"user_id\":\"u$user\",\"event\":\"buy\",\"timestamp\":\"2024-03-05T12:02:00Z\"}"
    done
}

funnel='{"funnel":{"steps":["visit","cart","buy"]}}'

check_cluster() {
    local answer service rows
    answer=$(request -o /dev/null -w '%{http_code}' -H 'Content-Type: application/x-ndjson' --data-binary @<(events) "$(url ingest)/v1/events")
    expect 'events without a key' 401 "$answer"
    answer=$(request --fail-with-body -H "Authorization: Bearer $SLUICE_WRITE_KEYS" -H 'Content-Type: application/x-ndjson' \
        --data-binary @<(events) "$(url ingest)/v1/events") || fail "events are refused: $answer"
    expect 'a batch' '{"accepted":70,"rejected":[]}' "${answer//[[:space:]]/}"
    # Half past eleven in London is the next day in Berlin.
    answer=$(request --fail-with-body -H "Authorization: Bearer $SLUICE_WRITE_KEYS" -H 'Content-Type: application/json' \
        --data-binary '{"user_id":"late","event_type":"visit","timestamp":"2024-03-10T23:30:00Z"}' "$(url ingest)/track-event") ||
        fail "an event is refused: $answer"
    expect 'the funnel' '41 20 10' "$(counts "$funnel")"
    # Needs the image's time zone data.
    expect 'the next day in Berlin' '1 0 0' "$(counts "${funnel%\}},\"start\":\"2024-03-11\",\"end\":\"2024-03-11\",\"time_zone\":\"Europe/Berlin\"}")"
    expect 'the next day in UTC' '0 0 0' "$(counts "${funnel%\}},\"start\":\"2024-03-11\",\"end\":\"2024-03-11\",\"time_zone\":\"UTC\"}")"
    for service in shard-0 shard-1; do
        rows=$(request --fail "$(url "$service")/metrics" | awk '$1 ~ /^sluice_store_rows/ { print $2 + 0 }')
        [[ $rows -gt 0 ]] || fail "$service has no rows"
    done
}

check_restart() {
    stop_service shard-0
    start_service shard-0 sluice-shard --shard 0
    wait_ready shard-0
    # The coordinator's link comes back by itself, but not at once.
    local got=''
    for _ in {1..50}; do
        got=$(counts "$funnel" 2>/dev/null) && [[ $got == '41 20 10' ]] && return
        sleep 0.2
    done
    fail "after a restart of shard-0 on its volume: expected '41 20 10', got '$got'"
}

# --- The run --------------------------------------------------------------------------------------------------------

if [[ -z $engine ]]; then
    if docker info >/dev/null 2>&1; then engine=docker; else engine=buildah; fi
fi
case $engine in
    docker) base=${base:-$(release_image)} ;;
    buildah)
        [[ $(id -u) == 0 ]] || fail "no docker engine answers, and buildah with chroot isolation needs root"
        base=${base:-debootstrap}
        need_tools buildah:buildah debootstrap:debootstrap curl:curl pgrep:procps strip:binutils
        ;;
    *) fail "--engine must be docker or buildah" ;;
esac
if [[ -z $binaries ]]; then binaries=$(cd "$here/.." && swift build -c release --show-bin-path); fi

services=(ingest coordinator shard-0 shard-1)
declare -A http_port=() wire_port=() container=() root=()
image='' free=''
check_compose
build_image
check_image
check_completions
plan_cluster
start_service shard-0 sluice-shard --shard 0
start_service shard-1 sluice-shard --shard 1
start_service coordinator sluice-coordinator
start_service ingest sluice-ingest
for service in coordinator shard-0 shard-1 ingest; do wait_ready "$service"; done
say "ready: $(for service in ingest coordinator; do echo -n "$service at $(url "$service") "; done)"
check_process shard-0 sluice-shard
check_process shard-1 sluice-shard
check_process coordinator sluice-coordinator
check_process ingest sluice-ingest
check_health_refuses
check_cluster
check_restart
for service in "${services[@]}"; do stop_service "$service"; done
# A program that writes anywhere but to /data would fail on a read-only root: here it would show as a file.
for service in "${!root[@]}"; do
    strays=$(find "${root[$service]}" -xdev -uid 10001 ! -path "${root[$service]}/data" ! -path "${root[$service]}/data/*")
    [[ -z $strays ]] || fail "$service wrote files outside of /data: $strays"
done
passed=true
