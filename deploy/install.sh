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
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2]); sys.exit(sys.version_info < (3, 11))') || say "$python is $("$python" -V 2>&1), but Maxwell needs 3.11 or newer: set PYTHON=/path/to/python3.11."

# A virtual environment holds the paths of its folder and its Python: where the checkout was moved or Python changed, it is made anew.
home="$(pwd) $version"
files="$(cat pyproject.toml constraints.txt deploy/install.sh | cksum) $home"
# Nothing to do where these files' set was installed already; `dev` holds everything that `all` does.
for set in "$*" dev; do [ -x $venv/bin/python ] && [ "$(cat $venv/installed 2>/dev/null)" = "$files $set" ] && exit 0; done

need="about 2 GB with a CPU build of torch, about 8 GB with the CUDA build that PyPI gives on x86-64 Linux"
runs() { $venv/bin/python -c '' >/dev/null 2>&1; }
if [ ! -x $venv/bin/pip ] || ! runs || { [ -f $venv/home ] && [ "$(cat $venv/home)" != "$home" ]; }; then
    free=$(df -Pk . | awk 'NR==2 {print $4}')
    [ -d $venv ] || [ "$free" -gt 2000000 ] || say "only $((free / 1000)) MB free here, but the packages need $need: free some space or move the checkout."
    clear=; if [ -f $venv/home ] || [ -f $venv/installed ]; then clear=--clear; fi # what somebody else made is not emptied
    "$python" -m venv $clear $venv >/dev/null 2>&1 || say "$python cannot make a virtual environment here: install its venv module (Debian and Ubuntu: apt-get install python3-venv) and check that this folder is writable."
fi
printf '%s' "$home" >$venv/home

# One failure is one sentence: pip's own words are in the log, the likeliest cause is picked out of them.
pip() {
    $venv/bin/python -m pip install --disable-pip-version-check "$@" >>$log 2>&1 && return
    if grep -q 'No space left on device' $log; then say "the disk is full: the packages need $need; free some space and run the same command again (log: $log)."; fi
    if grep -qiE "error: command '?[a-z0-9_/.-]*(gcc|cc|c\+\+|g\+\+|cl|rustc|cargo)|compiler .*not found" $log; then say "a package has to be built here, but there is no working C compiler: apt-get install build-essential python3-dev (log: $log)."; fi
    if grep -qE 'Could not find a version|No matching distribution' $log; then say "$(grep -m1 -oE '(No matching distribution|Could not find a version)[^(]*[^( ]' $log): is the package index reachable, and is this Linux on x86-64 or arm64? (log: $log)."; fi
    say "the packages could not be installed; the last lines of $log say why: $(tail -n 1 $log)"
}

echo "maxwell: installing the pinned packages into $venv (once; some minutes) ..."
: >$log
# torch first and alone: where pip is set up to find its build for CPUs, no other package's wish brings the larger one.
case " $* " in *dev*|*all*|*worker*) pip -c constraints.txt "$(grep '^torch==' constraints.txt)" ;; esac
pip -c constraints.txt "setuptools>=80"
pip -c constraints.txt --no-build-isolation -e ".[$(echo "$*" | tr ' ' ',')]"
printf '%s' "$files $*" >$venv/installed
