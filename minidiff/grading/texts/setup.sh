#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image: Python, the packages, and a user for students' code.
set -euo pipefail
root="${MINIDIFF_AUTOGRADER:-/autograder}"

apt-get update
for version in 3.13 3.12 3.11; do
    if apt-get install -y "python$version" "python$version-venv"; then
        break
    fi
done
"python$version" -m venv "$root/venv"
"$root/venv/bin/pip" install --no-cache-dir -c "$root/source/constraints.txt" -r "$root/source/requirements.txt"
id student >/dev/null 2>&1 || adduser student --no-create-home --disabled-password --gecos ""
chmod -R o= "$root/source"
