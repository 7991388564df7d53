#!/usr/bin/env bash
# The test command: installs what the tests need where it may, then runs formatting, lints, documentation tests and the
# whole suite, and sums up. The same command runs in CI (`.ci/run`), so that a pass here is a pass there.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/run.sh [--require-all] [--no-install]

  --require-all  fail if any test had to be skipped
  --no-install   install nothing; use what is there
  --help         this text

Environment: CARGO_TARGET_DIR is respected; TWINFLEET_PYTHON names the Python to test with.
Ends with a line "N passed, N failed, N skipped"; exit code 0 only if nothing failed.
TEXT
}

require_all=no install=yes
for argument in "$@"; do
  case $argument in
    --require-all) require_all=yes ;;
    --no-install) install=no ;;
    --help | -h) usage; exit 0 ;;
    *) echo "tests/run.sh: unknown argument: $argument" >&2; usage >&2; exit 2 ;;
  esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$CARGO_TARGET_DIR"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TWINFLEET_SKIPS=$work/skips
: >"$TWINFLEET_SKIPS"
failed=0

step() { printf '\n== %s\n' "$*"; }
note_skip() { printf '%s\n' "$*" | tee -a "$TWINFLEET_SKIPS"; }
# Runs a check that counts as one failure.
check() {
  step "$@"
  if ! "$@"; then
    failed=$((failed + 1))
    echo "FAILED: $*"
  fi
}

have() { [[ -x /usr/sbin/$1 ]] || command -v "$1" >/dev/null 2>&1; }

install_packages() {
  local missing=()
  have mosquitto || missing+=(mosquitto)
  have mosquitto_pub || missing+=(mosquitto-clients)
  have openssl || missing+=(openssl)
  have nats-server || missing+=(nats-server)
  have tshark || missing+=(tshark)
  have parallel || missing+=(parallel)
  have envsubst || missing+=(gettext-base)
  have curl || missing+=(curl ca-certificates)
  have xz || missing+=(xz-utils)
  have slurmd || missing+=(slurm-wlm)
  have munged || missing+=(munge)
  have Xvfb || missing+=(xvfb)
  have xdotool || missing+=(xdotool)
  compgen -G '/usr/share/vulkan/icd.d/*' >/dev/null || missing+=(mesa-vulkan-drivers libvulkan1)
  ldconfig -p 2>/dev/null | grep -q libxkbcommon-x11 || missing+=(libxkbcommon-x11-0 libx11-xcb1 libxcursor1 libxi6 libxrandr2)
  python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || missing+=(python3-venv)
  ((${#missing[@]})) || return 0
  step "installing: ${missing[*]}"
  local as_root=()
  if [[ $(id -u) != 0 ]]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
      echo "not root and no sudo without a password: cannot install ${missing[*]}"
      return 0
    fi
    as_root=(sudo -n)
  fi
  if ! command -v apt-get >/dev/null; then
    echo "no apt-get here: install ${missing[*]} by hand"
    return 0
  fi
  # A broker that starts with the package is not wanted; the tests start their own.
  "${as_root[@]}" apt-get update -q || true
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}" ||
    echo "apt-get could not install ${missing[*]}; the tests that need them are skipped"
}

# The newest Python here, pyenv's among them: Home Assistant wants a newer one than distributions have.
newest_python() {
  local minor python
  for minor in 14 13 12; do
    for python in "$(command -v "python3.$minor")" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python3; do
      if [[ -x $python ]] && "$python" -c 'import venv' 2>/dev/null; then
        echo "$python"
        return
      fi
    done
  done
}

# A Python environment of this name, with what pip installs from the rest of the arguments; `probe` imports it.
make_venv() {
  local venv=$CARGO_TARGET_DIR/$1 probe=$2
  shift 2
  if [[ ! -x $venv/bin/python ]]; then
    step "Python environment in $venv"
    "${base_python:-python3}" -m venv "$venv" || { echo "no virtual environment can be made"; rm -rf "$venv"; return 0; }
  fi
  "$venv/bin/python" -c "$probe" 2>/dev/null ||
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$@" ||
    echo "pip could not install the modules of $venv; the tests that need them are skipped"
}

make_venvs() {
  make_venv venv 'import pandas, pyarrow, polars, paho.mqtt.client, awsiot' pandas pyarrow polars paho-mqtt awsiotsdk
  # Some libraries of the dialects want an older paho-mqtt than the other tests judge with.
  make_venv venv-dialects 'import pysparkplug, mqtt_spb_wrapper, hatasmota, cbor2, kpn_senml' \
    'paho-mqtt<2' pysparkplug mqtt-spb-wrapper hatasmota cbor2 kpn-senml
  # What the users' scripts of the tests import: drivers and clients by others, without what they would bring for real hardware.
  make_venv venv-scripts 'import pigpio, aiocoap, gpiozero, paho.mqtt.client, importlib.util as u; u.find_spec("adafruit_hcsr04").origin; u.find_spec("adafruit_pm25").origin; u.find_spec("adafruit_scd4x").origin; u.find_spec("adafruit_lsm9ds1").origin; u.find_spec("w1thermsensor").origin; u.find_spec("DIYables_MicroPython_DS18X20").origin; u.find_spec("adafruit_minimqtt").origin' --no-deps \
    adafruit-circuitpython-{bme280,bh1750,sht31d,mpu6050,ina219,vl53l0x,ads1x15,mcp3xxx,ds18x20,onewire,dht,hcsr04,pm25,scd4x,lsm9ds1} \
    adafruit-circuitpython-{busdevice,register,typing,minimqtt,connectionmanager,ticks} paho-mqtt gpiozero colorzero typing_extensions pigpio aiocoap \
    bme280-upy diyables-micropython-ds18x20 w1thermsensor click
  make_examples
  make_micropython_tests
  make_micropython_packages
  local base_python
  base_python=$(newest_python)
  # Older ones know no discovery of whole devices, which the probe asks for.
  make_venv venv-home 'import homeassistant.components.mqtt.schemas, paho.mqtt.client' homeassistant paho-mqtt
}

# MicroPython's own tests and examples, which come with its source in the pool of the distribution's server.
make_micropython_tests() {
  local dir=$CARGO_TARGET_DIR/micropython-tests site version=1.25.0 component=main
  [[ ! -e $dir/extmod/asyncio_basic.py || ! -e $dir/multi_net/tcp_data.py ]] || return 0
  site=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -E '/(debian|ubuntu)/?$' | head -n 1)
  [[ $site != *ubuntu* ]] || component=universe
  mkdir -p "$dir"
  { curl -fsSL --retry 3 "${site%/}/pool/$component/m/micropython/micropython_$version+ds.orig.tar.xz" |
    tar -xJ -C "$dir" --strip-components=2 "micropython-$version"/{tests/{extmod,multi_net,net_hosted},examples/{hwapi,network}}; } ||
    echo "MicroPython's tests could not be downloaded; the tests that run them are skipped"
}

# Packages for MicroPython: archives of plain files, of which pip tells the address, and which it cannot build.
make_micropython_packages() {
  local dir=$CARGO_TARGET_DIR/micropython-packages package name said archive
  for package in umqtt.simple==1.3.4 umqtt.robust==1.0 urequests==0.9.1 logging==0.5.2 hx711==1.0.1 bme280==2.1.3 servo==1.0.1; do
    name=${package%%==*}
    [[ ! -d $dir/$name ]] || continue
    mkdir -p "$work/$name" "$dir"
    said=$("$CARGO_TARGET_DIR/venv-scripts/bin/pip" download --disable-pip-version-check --no-deps --no-binary :all: \
      --dest "$work/$name" "micropython-$package" 2>&1) || {
      archive=$(grep -oE 'https?://[^ ]+\.tar\.gz' <<<"$said" | head -n 1) || true
      [[ -z $archive ]] || curl -fsSL --retry 3 -o "$work/$name/archive.tar.gz" "$archive" || true
    }
    { mkdir "$work/$name/files" && tar -xzf "$work/$name"/*.tar.gz -C "$work/$name/files" --strip-components=1 &&
      mv "$work/$name/files" "$dir/$name"; } ||
      echo "the package $name for MicroPython could not be fetched; the tests that run it are skipped"
  done
}

# The example scripts of these drivers, which come with their source packages only.
make_examples() {
  local examples=$CARGO_TARGET_DIR/script-examples driver archive
  for driver in bme280 sht31d bh1750 ina219 vl53l0x ads1x15 mcp3xxx ds18x20 dht hcsr04 scd4x lsm9ds1; do
    compgen -G "$examples/adafruit_circuitpython_$driver-*/examples" >/dev/null && continue
    "$CARGO_TARGET_DIR/venv-scripts/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
      --dest "$examples" "adafruit-circuitpython-$driver" ||
      echo "pip could not download the examples of $driver; their test is skipped"
  done
  for archive in "$examples"/*.tar.gz; do
    [[ ! -e $archive ]] || { tar -xzf "$archive" -C "$examples" && rm "$archive"; }
  done
}

# A broker by npm, for the load generator's tests.
make_node() {
  local node=$CARGO_TARGET_DIR/node
  [[ ! -d $node/node_modules/aedes ]] || return 0
  command -v npm >/dev/null || return 0
  mkdir -p "$node"
  (cd "$node" && npm install --silent --no-fund --no-audit aedes) ||
    echo "npm could not install aedes; its test is skipped"
}

[[ $install == no ]] || make_node
if [[ -n ${TWINFLEET_PYTHON:-} ]]; then
  [[ $install == no ]] || install_packages
elif [[ $install == yes ]]; then
  install_packages
  make_venvs
fi

rustup component list --installed 2>/dev/null | grep -q rustfmt || rustup component add rustfmt clippy 2>/dev/null || true

if cargo fmt --version >/dev/null 2>&1; then
  check cargo fmt --all --check
else
  note_skip "formatting: rustfmt is not installed"
fi
# Everything runs in the release profile, the one that `cargo run --release` has built or will use.
if cargo clippy --version >/dev/null 2>&1; then
  check cargo clippy --workspace --all-targets --release --quiet -- -D warnings
else
  note_skip "lints: clippy is not installed"
fi

# What `cargo run --release` would build, by itself.
check cargo check --release --quiet -p twinfleet

step cargo test --workspace --release
# The tests run the command that is built with them, not one that is built once more with other features of its crates.
export TWINFLEET_COMMAND=$CARGO_TARGET_DIR/release/twinfleet
set +e
cargo test --workspace --release --no-fail-fast 2>&1 | tee "$work/tests.log"
cargo_status=${PIPESTATUS[0]}
set -e

# Each test binary says "test result: ok. 6 passed; 0 failed; 0 ignored; …". A test that skips itself passes there and
# is in the list of skips.
read -r passed broken ignored < <(awk '
  /^test result:/ {
    for (i = 2; i <= NF; i++) {
      if ($i ~ /^passed/) p += $(i - 1); else if ($i ~ /^failed/) f += $(i - 1); else if ($i ~ /^ignored/) s += $(i - 1)
    }
  }
  END { print p + 0, f + 0, s + 0 }' "$work/tests.log")
failed=$((failed + broken))
if [[ $cargo_status != 0 && $broken == 0 ]]; then
  echo "FAILED: cargo test ended with $cargo_status before all tests ran"
  failed=$((failed + 1))
fi

sort -u "$TWINFLEET_SKIPS" -o "$TWINFLEET_SKIPS"
listed=$(wc -l <"$TWINFLEET_SKIPS")
# The tool that rewrites assets/params lives beside the tests and is no test; any other #[ignore] is a skip like the rest.
tools=$(grep -c 'write_parameter_files \.\.\. ignored' "$work/tests.log") || tools=0
ignored=$((ignored - tools))
skipped=$((listed + ignored))
if ((skipped > 0)); then
  step "skipped"
  cat "$TWINFLEET_SKIPS"
  ((ignored == 0)) || echo "$ignored tests marked #[ignore]"
fi
passed=$((passed - listed))
((passed >= 0)) || passed=0

printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
if ((failed > 0)); then exit 1; fi
if [[ $require_all == yes ]] && ((skipped > 0)); then
  echo "--require-all: a skip is a failure" >&2
  exit 1
fi
