#!/bin/sh
# Makes .venv with the pinned packages, once: `install.sh EXTRA…` (see pyproject.toml for the extras).
# Knows how to say in one sentence what is missing; knows nothing of what is run afterwards.
set -eu
cd "$(dirname "$0")/.."
venv=.venv
log=$venv/install.log

say() { printf '%s\n' "maxwell: $*" >&2; exit 1; }

python=${PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 || say "no $python here: install Python 3.11 or newer (Debian and Ubuntu: apt-get install python3 python3-venv)."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || say "$python is $("$python" -V 2>&1), but Maxwell needs 3.11 or newer: set PYTHON=/path/to/python3.11."

files=$(cat pyproject.toml constraints.txt deploy/install.sh | cksum)
# Nothing to do where these files' set was installed already; `dev` holds everything that `all` does.
for set in "$*" dev; do [ "$(cat $venv/installed 2>/dev/null)" = "$files $set" ] && exit 0; done

free=$(df -Pk . | awk 'NR==2 {print $4}')
[ -x $venv/bin/pip ] || [ "$free" -gt 4000000 ] || say "only $((free / 1000)) MB free here, but the packages need about 4000 MB: free some space or move the checkout."
if [ ! -x $venv/bin/pip ]; then
    "$python" -m venv $venv >/dev/null 2>&1 || say "$python cannot make a virtual environment here: install its venv module (Debian and Ubuntu: apt-get install python3-venv) and check that this folder is writable."
fi

# One failure is one sentence: pip's own words are in the log, the likeliest cause is picked out of them.
pip() {
    $venv/bin/python -m pip install --disable-pip-version-check "$@" >>$log 2>&1 && return
    if grep -q 'No space left on device' $log; then say "the disk is full: free about 4 GB and run the same command again (log: $log)."; fi
    if grep -qiE "error: command '?[a-z0-9_/.-]*(gcc|cc|c\+\+|g\+\+|cl|rustc|cargo)|compiler .*not found" $log; then say "a package has to be built here, but there is no working C compiler: apt-get install build-essential python3-dev (log: $log)."; fi
    if grep -qE 'Could not find a version|No matching distribution' $log; then say "$(grep -m1 -oE '(No matching distribution|Could not find a version)[^(]*[^( ]' $log): is the package index reachable, and is this Linux on x86-64 or arm64? (log: $log)."; fi
    say "the packages could not be installed; the last lines of $log say why: $(tail -n 1 $log)"
}

echo "maxwell: installing the pinned packages into $venv (once; some minutes) ..."
: >$log
# torch first and alone: a build without CUDA from the local index must not be replaced by what another package would pull.
case " $* " in *dev*|*all*|*worker*) pip "$(grep '^torch==' constraints.txt)" ;; esac
pip -c constraints.txt "setuptools>=80"
pip -c constraints.txt --no-build-isolation -e ".[$(echo "$*" | tr ' ' ',')]"
printf '%s' "$files $*" >$venv/installed
