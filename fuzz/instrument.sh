#!/bin/sh
# Cargo calls this in rustc's place (.cargo/config.toml): what is to be fuzzed is built with counters
# for libFuzzer, and all else as it is. libFuzzer looks at every counter behind every run, so those of
# code that no input reaches would only cost time. These flags need no nightly.
set -eu
crate=
previous=
for argument in "$@"; do
    [ "$previous" = --crate-name ] && crate=$argument
    previous=$argument
done
case $crate in
ebb_sidecar | httparse)
    set -- "$@" -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$@"
