# Sourced by the other scripts: sets up what they need, and says in one line what is missing when it cannot.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# The first Python that is new enough and can make virtual environments.
find_python() {
    local name
    for name in "${OPTICD_PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        [ -n "$name" ] && command -v "$name" >/dev/null || continue
        "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        echo "$name"
        return
    done
    return 1
}

# need_debian PACKAGE...: installs those that are missing when root on Debian; names them otherwise.
need_debian() {
    local missing=() name
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "${0##*/}: not installed: ${missing[*]} (as root: apt-get install ${missing[*]})" >&2
        return 1
    fi
    echo "${0##*/}: installing ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        echo "${0##*/}: apt-get could not install ${missing[*]} (whole log: $log)" >&2
        return 1
    fi
    rm -f "$log"
}

# need_venv EXTRA: .venv with opticd (editable) and the packages of that extra.
need_venv() {
    local python stamp
    python=$(find_python) || {
        need_debian python3 || true
        python=$(find_python) || die "needs Python 3.11 or newer (as root: apt-get install python3)"
    }
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        need_debian python3-venv || die "needs Python's venv module (as root: apt-get install python3-venv)"
    fi
    stamp="$1 $(cksum <pyproject.toml)"
    [ -x .venv/bin/python ] || "$python" -m venv .venv || die "cannot make a virtual environment in $PWD/.venv"
    if [ "$stamp" != "$(cat .venv/opticd-setup 2>/dev/null)" ]; then
        echo "${0##*/}: installing Python packages into .venv"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --retries 5 -e ".[$1]" ||
            die "pip could not install opticd's packages: is a package index reachable?"
        echo "$stamp" >.venv/opticd-setup
    fi
    PATH="$PWD/.venv/bin:$PATH"
}
