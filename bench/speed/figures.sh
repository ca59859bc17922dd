#!/usr/bin/env bash
# Wall time and largest process of `make figures` and `make test`; needs GNU time.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p build
for target in figures test; do
    /usr/bin/time -f "make $target: %E, largest process %M kB" make "$target" > "build/bench-$target.log" 2>&1 || true
    tail -n 1 "build/bench-$target.log"
done
