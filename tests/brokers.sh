#!/usr/bin/env bash
# What brokers take, and what they do to messages: for each the highest rate within the objective of `load-search`, and the
# faults of delivery that the oracle found in `load-smoke`, in `load-faults` and at that rate. Prints the table of the README.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/brokers.sh [--patient] [BROKER…]

  --patient  measure though others use the machine: what they take is then part of each figure. Without it, a load that had
             to wait for a core is no measurement, and says so.

  BROKER  mosquitto, embedded, nats-server, aedes, rumqttd, rabbitmq-server (default: all that are installed)

Each is started on a free port of the loopback address and stopped again. Some minutes; nothing else should run meanwhile.
tests/run.sh installs mosquitto, nats-server and aedes; rabbitmq-server comes by apt, rumqttd by
  cargo install --root target/peers rumqttd
TWINFLEET names the command (default: target/release/twinfleet).
TEXT
}
limits=""
case ${1:-} in
  --help | -h) usage; exit 0 ;;
  --patient) limits='(lag: "10s", cpu: 2, waited_for_cpu: 2)'; shift ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
command=${TWINFLEET:-$target/release/twinfleet}
[[ -x $command ]] || { echo "tests/brokers.sh: $command is not built: cargo build --release" >&2; exit 2; }
echo "$(grep -m1 '^model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores, load average before: $(cut -d' ' -f1 /proc/loadavg)"
exec python3 tests/python/brokers.py "$command" "$target" "$limits" "$@"
