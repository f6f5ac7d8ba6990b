#!/bin/sh
# Makes a virtual environment with a Python from 3.11 to 3.13: the first on the PATH that works, or the one that is named.
#
#   sh make_venv.sh FOLDER [PYTHON]
set -euf

folder=$1 named=${2:-}
fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
remedy='install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13) or name one with PYTHON=/path/to/python3'

refuse() {
    echo "make: $1" >&2
    exit 1
}

if [ -z "$named" ] && "$folder/bin/python" -c "$fits" 2>/dev/null; then
    exit 0 # it is there, with such a Python
fi

python='' without_venv=''
if [ -n "$named" ]; then
    "$named" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        refuse "PYTHON=$named does not start, or is older than 3.11: $remedy."
    candidates=$named
else
    candidates=$(IFS=: && for name in python3.11 python3.12 python3.13 python3 python; do
        for place in $PATH; do echo "$place/$name"; done
    done)
fi
IFS='
'
for candidate in $candidates; do
    [ -n "$named" ] || "$candidate" -c "$fits" 2>/dev/null || continue
    if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
        python=$candidate
        break
    fi
    without_venv=${without_venv:-$candidate}
done
unset IFS

if [ -z "$python" ]; then
    [ -z "$without_venv" ] || refuse "$without_venv cannot make virtual environments: install its venv \
(Debian, Ubuntu: apt install $("$without_venv" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')-venv) \
or name another one with PYTHON=/path/to/python3."
    refuse "there is no Python from 3.11 to 3.13 on the PATH: $remedy."
fi

# One of another Python is emptied first; what is none is not.
if [ -f "$folder/pyvenv.cfg" ]; then clear=--clear; else clear=; fi
exec "$python" -m venv $clear "$folder"
