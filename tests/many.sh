#!/usr/bin/env bash
# As many connections as one host carries: shards of the load generator, each as many connections as its file descriptors allow,
# against as many sinks that share one port, joined by `twinfleet merge`. Says what was up, what was acknowledged, and the
# memory of each shard.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/many.sh [CONNECTIONS [SHARDS]]

  CONNECTIONS  in all (default: 60000); each publishes a message of QoS 1 every 10 s
  SHARDS       processes that share them, and sinks (default: 4)

Needs CONNECTIONS / SHARDS file descriptors a process, and 8 source addresses of the loopback network (127.0.0.2-9).
TWINFLEET names the command (default: target/release/twinfleet). Exits with 1 if a connection or a message is missing.
TEXT
}
[[ ${1:-} != --help && ${1:-} != -h ]] || { usage; exit 0; }
connections=${1:-60000} shards=${2:-4}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
command=${TWINFLEET:-$target/release/twinfleet}
[[ -x $command ]] || { echo "tests/many.sh: $command is not built: cargo build --release" >&2; exit 2; }
# The sink is a mode of the benchmark of the load generator.
sink=$(cargo bench --quiet -p twinfleet-twins --bench load --no-run --message-format json |
  python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "load":
        print(message["executable"])')
work=$(mktemp -d)
children=()
trap 'for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$work"' EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
for ((i = 0; i < shards; i++)); do
  # Its standard input stays open for as long as it is to live.
  "$sink" sink "$port" <> <(:) >"$work/sink-$i" &
  children+=($!)
done
for ((i = 0; i < shards; i++)); do
  until [[ -s $work/sink-$i ]]; do sleep 0.1; done
done
cat >"$work/many.ron" <<RON
Scenario(format: 1, duration: "10s", load: (
    devices: [(id: "device-{}", count: $connections, topic: "many/{device}", qos: 1, schedule: Constant("10s"))],
    stages: [Hold(for: "10s")], connects_per_s: 6000, limits: (lag: "10s", cpu: 2, waited_for_cpu: 2),
))
RON
start=$(($(date +%s) + 10 + connections / 4000))
shardlings=()
for ((i = 0; i < shards; i++)); do
  "$command" --json load "$work/many.ron" --broker "mqtt://127.0.0.1:$port" --source 127.0.0.2-127.0.0.9 \
    --shard "$i/$shards" --start-at "$start" --out "$work/out-$i" --quiet >"$work/result-$i.json" &
  shardlings+=($!)
  children+=($!)
done
# A shard or the merge may end with 4 on a busy machine, where the generator was the limit: what was counted decides below.
codes=()
for child in "${shardlings[@]}"; do
  code=0
  wait "$child" || code=$?
  codes+=("$code")
done
code=0
"$command" --json merge "$work"/out-* --out "$work/all" >"$work/all.json" || code=$?
echo "exit codes: shards ${codes[*]}, merge $code (4: the machine was the limit, no latencies are claimed)"
python3 - "$work" "$connections" "$shards" <<'PY'
import json, pathlib, sys
work, connections, shards = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
parts = [json.loads((work / f"result-{i}.json").read_text()) for i in range(shards)]
up = sum(p["counters"]["connected"] for p in parts)
for i, p in enumerate(parts):
    print(f"shard {i} of {shards}: {p['counters']['connected']:,} connections in {p['connect_s']:.1f} s,"
          f" {p['memory_of_connections_bytes'] / 1024 / p['connections']:.1f} KiB each, {p['memory_bytes'] / 2**20:.0f} MiB in all")
verdict = json.loads((work / "all.json").read_text())["verdict"]
print(f"merged: {up:,} connections of {connections:,}; {verdict['sent']:,} messages sent, {verdict['acknowledged']:,} acknowledged,"
      f" {verdict['breaches']} breaches")
sys.exit(up != connections or verdict["sent"] != verdict["acknowledged"] or not verdict["sent"] or bool(verdict["breaches"]))
PY
