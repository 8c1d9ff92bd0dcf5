#!/bin/sh
# Backs a tree of many files up and restores it, beside GNU tar with --xattrs and bsdtar.
# Usage: trees.sh PATH-OF-NTBAK [FILES]
# Prints seconds, the most memory in KiB, and ratios of the seconds; needs GNU time as /usr/bin/time.
set -eu

ntbak=$1
files=${2:-20000}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

python3 - "$dir/tree" "$files" <<'PYTHON'
import os, random, sys
root, files = sys.argv[1], int(sys.argv[2])
chance = random.Random(1)
for number in range(files):
    directory = os.path.join(root, f"d{number % 100}", f"s{number % 700}")
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, f"file-{number}")
    with open(path, "wb") as file:
        file.write(chance.randbytes(int(chance.expovariate(1 / 8192))))
    if number % 10 == 0:
        os.setxattr(path, "user.EA", b"value")
PYTHON
du -sh "$dir/tree" | cut -f1 | sed "s/^/$files files, /"

measure() {
    name=$1
    shift
    sync
    /usr/bin/time -o "$dir/time" -f '%e s  %M KiB' "$@" 2> "$dir/errors" || { cat "$dir/errors"; exit 1; }
    printf '%-22s %s\n' "$name" "$(cat "$dir/time")"
    last=$(cut -d' ' -f1 "$dir/time")
}

ratio() {
    awk -v name="$1" -v ours="$2" -v theirs="$3" 'BEGIN { printf "%-22s %.2f\n", name, ours / theirs }'
}

# Once, so that all of them read from memory.
tar -C "$dir/tree" -cf - . | cat > /dev/null
measure 'ntbak backup' "$ntbak" -q backup "$dir/tree" -o "$dir/n.tar"
ours=$last
measure 'tar --xattrs -c' tar --xattrs -C "$dir/tree" -cf "$dir/t.tar" .
ratio 'backup to tar' "$ours" "$last"
measure 'bsdtar -c' bsdtar -C "$dir/tree" -cf "$dir/b.tar" .
ratio 'backup to bsdtar' "$ours" "$last"
mkdir "$dir/to-t" "$dir/to-b"
measure 'ntbak restore' "$ntbak" -q restore "$dir/n.tar" "$dir/to-n"
ours=$last
measure 'tar --xattrs -x' tar --xattrs --xattrs-include='*' -C "$dir/to-t" -xf "$dir/t.tar"
ratio 'restore to tar' "$ours" "$last"
measure 'bsdtar -x' bsdtar -C "$dir/to-b" -xf "$dir/b.tar"
ratio 'restore to bsdtar' "$ours" "$last"
measure 'ntbak verify' "$ntbak" -q verify "$dir/n.tar"
