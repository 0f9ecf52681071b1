# Sourced by .ci/run: getting what the machine lacks.

# want_package PACKAGE COMMAND...: where COMMAND does not work, install the Debian package.
# That it cannot be had is no failure here: what needs it says so, and tests skip.
want_package() {
    local package=$1
    shift
    if "$@" >/dev/null 2>&1; then
        return 0
    fi
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        echo "$package is missing and cannot be installed from here; going on without"
        return 0
    fi
    # RUNLEVEL=1 keeps the package from starting a service.
    if ! RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive timeout 300 \
        bash -c 'apt-get update -qq && apt-get install -qq -y --no-install-recommends "$1"' \
        _ "$package" >"$work/apt.log" 2>&1; then
        tail -n 3 "$work/apt.log"
        echo "$package is missing and could not be installed; going on without"
    fi
}

# new_venv NAME: an empty virtual environment at $work/NAME.
new_venv() {
    "${PYTHON:-python3}" -m venv "$work/$1"
}
