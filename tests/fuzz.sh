#!/usr/bin/env bash
# libFuzzer on every decoder of others' bytes, built with the stable compiler:
#   tests/fuzz.sh [SECONDS OF EACH] [NAME…]
# What it has found worth keeping stays in target/fuzz/corpus and is begun from the next time; an input that a decoder does not
# stand is left in target/fuzz/found, and the script ends with 1. Prints how many inputs each was tried with.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
names=("${@:2}")

# As cargo-fuzz instruments, without a sanitizer: nothing of ours is unsafe.
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks"
export CARGO_INCREMENTAL=0
# The versions that everything else is tested with.
cp Cargo.lock fuzz/Cargo.lock
cargo build --manifest-path fuzz/Cargo.toml --release --target "$host" --target-dir target/fuzz
built=target/fuzz/$host/release
mkdir -p target/fuzz/corpus target/fuzz/found
all=$("$built/seeds" target/fuzz/corpus)
((${#names[@]})) || mapfile -t names <<<"$all"

failed=0
for name in "${names[@]}"; do
    log=target/fuzz/$name.log
    result=ok
    "$built/$name" "target/fuzz/corpus/$name" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="target/fuzz/found/$name-" >"$log" 2>&1 || result=FAILED
    tried=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
    printf '%-14s %12s inputs, %6s edges covered, %s\n' "$name" "${tried:-?}" "${covered:-?}" "$result"
    if [ "$result" != ok ]; then
        grep -m3 -E "panicked at|ERROR: libFuzzer|SUMMARY" "$log" || tail -n 3 "$log"
        failed=1
    fi
done
exit $failed
