# What `.ci/run` runs, in its order; each recipe works alone, too. Tools and test programs that are missing are installed
# below ${TELEXD_CACHE:-~/.cache/telexd}, which may be deleted at any time.

set shell := ["bash", "-euo", "pipefail", "-c"]

export TELEXD_CACHE := env("TELEXD_CACHE", env("HOME") / ".cache/telexd")
export PATH := TELEXD_CACHE / "tools/bin:" + env("PATH")

# Lists the recipes.
[private]
default:
  @just --list --unsorted

# Everything that CI checks.
ci: fmt rooms units manuals deny clippy doc test fuzz foreign package system

# The sources are formatted.
fmt:
  cargo fmt --all --check
  cargo fmt --check --manifest-path tests/fuzz/Cargo.toml

# No room of src/ uses one that it may not.
rooms:
  cargo test --quiet --locked --features failpoints --test rooms

# The units are what systemd understands, and expose no more than they must.
units:
  systemd/check

# The manual pages are sound. (Not all that they refer to is installed here.)
manuals:
  said=$(mandoc -T lint -W style docs/man/* 2>/dev/null) || (($? < 5)) || { echo "mandoc is missing, or failed" >&2; exit 1; }; \
    said=$(grep -v 'referenced manual not found' <<<"$said" || (($? == 1))); \
    [[ -z $said ]] || { echo "$said" >&2; exit 1; }

# Licences, unwanted crates, sources of dependencies.
deny: (tool "cargo-deny" "0.20.2")
  cargo deny --locked --all-features check --hide-inclusion-graph licenses bans sources

# Known vulnerabilities in dependencies; what it finds depends on the day, so it is not part of `ci`.
audit: (tool "cargo-deny" "0.20.2")
  cargo deny --locked --all-features check --hide-inclusion-graph advisories

# Lints, warnings denied.
clippy:
  cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

# Documentation of everything, warnings denied. It is for those who work on it: private items too, and links to them.
doc:
  RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --workspace --no-deps --document-private-items --all-features --locked

# All tests; installs the agent that they drive.
[positional-arguments]
test *filters: (tool "cargo-nextest" "0.9.143")
  tests/agent/install
  cargo nextest run --workspace --features failpoints --locked "$@"
  {{ if filters == "" { "cargo test --doc --workspace --features failpoints --locked --quiet" } else { "" } }}

# Tests of the whole system in real Debians, as root. They install the package that TELEXD_DEB names, else one that is built
# first (with TELEXD_BINARIES=target/debug: quickly, of the programs that are there).
[positional-arguments]
system *filters: (tool "cargo-nextest" "0.9.143")
  tests/agent/install
  tests/system/roots bookworm
  tests/system/roots trixie
  TELEXD_DEB=${TELEXD_DEB:-$(packaging/build)}; export TELEXD_DEB; \
    tests/system/vm/image "$TELEXD_DEB" >/dev/null; \
    cargo nextest run --features failpoints,system --test system --locked "$@"

# Looks for inputs that break what must hold for every input, for so many seconds with each of the laws in tests/fuzz/laws.
fuzz seconds="60" *laws:
  tests/fuzz/run {{ seconds }} {{ laws }}

# Foreign programs against ours: Bot API clients on the loopback server, another renderer of Markdown, another model of the
# Bot API on what the daemon sends, the reference parser of OpenMetrics on its metrics.
foreign:
  tests/foreign/run
  tests/foreign/markdown
  tests/foreign/judged
  tests/foreign/metrics

# The package, into debian/ of the target folder or another one (docs/packaging.md).
deb folder="":
  packaging/build {{ folder }}

# Builds the package and has it judged by the rules of Debian.
package:
  lintian --allow-root --fail-on error,warning "$(packaging/build)"

# The daemon is killed at every point, over and over; prints the table of docs/reliability.md.
crash: (tool "cargo-nextest" "0.9.143")
  tests/agent/install
  cargo nextest run --workspace --features failpoints --locked --no-capture -E 'test(/(^|::)crash::/)'

# Every fault of Telegram, the network and the daemon itself at every stage of a prompt's way; prints the table of
# docs/reliability.md.
matrix: (tool "cargo-nextest" "0.9.143")
  cargo nextest run --features failpoints --locked --no-run --test daemon
  @said=$(cargo nextest run --features failpoints --locked --test daemon --success-output final -E 'test(/^matrix::/)' 2>&1) \
    || { echo "$said" >&2; exit 1; }; \
    echo "| fault | poll | commit | launch | first output | mid-answer | question | question pending | final send |"; \
    echo "|---|---|---|---|---|---|---|---|---|"; \
    sed -n 's/^ *| /| /p' <<<"$said"

# Tests of the daemon while each answer of the Bot API comes late by a random time: finds what leans on the order or the speed
# of answers, in the tests or in telexd. Those that count, kill over and over, or judge times are left out.
[positional-arguments]
shake most_ms="150" *filters: (tool "cargo-nextest" "0.9.143")
  tests/agent/install
  [[ {{ most_ms }} =~ ^[0-9]+$ ]] || { echo "how late? {{ most_ms }} is no number of milliseconds" >&2; exit 1; }
  shift; TELEXD_BOTAPI_LATE_MS={{ most_ms }} cargo nextest run --features failpoints --locked --test daemon --no-fail-fast -j 4 \
    -E 'not test(/^(crash|count|load|matrix)::|heavy::/)' "$@"

# Measurements; they print, they do not judge.
bench:
  cargo bench --locked --bench '*'

# The whole daemon in this terminal, without a token, root or systemd.
demo *args:
  cargo run --quiet --locked --example demo -- {{ args }}

# Writes the template for translations anew, from the texts in the sources.
words:
  TELEXD_WRITE_TEMPLATE=1 cargo test --quiet --locked --features failpoints --test words

# Formats the sources.
format:
  cargo fmt --all
  cargo fmt --manifest-path tests/fuzz/Cargo.toml

# Installs a tool of cargo, unless it is there. (Unoptimised: building it counts, not its speed.)
[private]
tool name version:
  @{{ name }} --version 2>/dev/null | grep -qF ' {{ version }}' || \
    env -u CARGO_TARGET_DIR CARGO_INCREMENTAL=0 cargo install --locked --debug --root "$TELEXD_CACHE/tools" --version {{ version }} {{ name }}
