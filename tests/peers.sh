#!/usr/bin/env bash
# The load generator beside its peers, in one run against one mosquitto on loopback: CPU a message, highest rate, memory a
# connection. Prints the table of the README.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/peers.sh [--install] [PEER…]

  PEER       twinfleet, mosquitto_pub, tsung, locust, mqttv5, mqtt-benchmark (default: all that are installed)
  --install  first installs what is missing: tsung and mosquitto by apt (as root), locust[mqtt] by pip and the others by
             cargo, both under target/

Some minutes; nothing else should run meanwhile. VERBOSE=1 shows each run. TWINFLEET names the command (default:
target/release/twinfleet).
TEXT
}
install=no
case ${1:-} in
  --help | -h) usage; exit 0 ;;
  --install) install=yes; shift ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
command=${TWINFLEET:-$target/release/twinfleet}
if [[ $install == yes ]]; then
  command -v tsung >/dev/null && command -v mosquitto_pub >/dev/null && [[ -x /usr/sbin/mosquitto ]] ||
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends tsung mosquitto mosquitto-clients
  if [[ ! -x $target/venv-peers/bin/locust ]]; then
    python3 -m venv "$target/venv-peers"
    "$target/venv-peers/bin/pip" install --quiet --disable-pip-version-check 'locust[mqtt]'
  fi
  for package in mqttv5-cli mqtt-benchmark rumqttd; do
    [[ -e $target/peers/.$package ]] && continue
    cargo install --quiet --root "$target/peers" --target-dir "$target/peers-build" "$package" && touch "$target/peers/.$package" ||
      echo "cargo could not install $package" >&2
  done
fi
[[ -x $command ]] || { echo "tests/peers.sh: $command is not built: cargo build --release" >&2; exit 2; }
echo "$(grep -m1 '^model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores, load average before: $(cut -d' ' -f1 /proc/loadavg)"
exec python3 tests/python/peers.py "$command" "$target" "$@"
