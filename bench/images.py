#!/usr/bin/env python3
"""Backs up and lists an NTFS volume in a disk image, in turn with other programs, and prints medians and ratios.

    bench/images.py IMAGE [--runs 5] [--ntbak NAME=PATH ...] [--wimlib PATH] [--mount DIR]

bench/make-volume.sh makes an IMAGE. Programs that are missing are left out and named. With --mount DIR, where the
volume is mounted read-only by ntfs-3g, tar takes part, too. Files go beside IMAGE and are removed. Only ratios within
one run mean something: they are of programs that took turns on the same machine.
"""
import argparse, os, resource, shutil, statistics, subprocess, sys, time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("image")
parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--ntbak", action="append", default=[], metavar="NAME=PATH", help="default: target/release/ntbak")
parser.add_argument("--wimlib", default=shutil.which("wimlib-imagex"), metavar="PATH")
parser.add_argument("--mount", metavar="DIR")
arguments = parser.parse_args()
image = os.path.abspath(arguments.image)
output = image + ".bench-output"
ours = [name.split("=", 1) for name in arguments.ntbak] or [["ntbak", "target/release/ntbak"]]
zip7 = next((path for path in map(shutil.which, ["7zz", "7z"]) if path), None)

jobs = {"cat to null": (["cat", image], None)}
for name, path in ours:
    jobs[f"{name} backup to null"] = ([path, "-q", "backup", image, "-o", "/dev/null"], None)
    jobs[f"{name} backup to a file"] = ([path, "-q", "backup", image, "-o", output], output)
    jobs[f"{name} backup in zstd to a file"] = ([path, "-q", "backup", image, "--zstd", "-o", output], output)
    jobs[f"{name} list"] = ([path, "-q", "list", image], None)
if arguments.wimlib:
    capture = [arguments.wimlib, "capture", image]
    jobs["wimlib to null"] = (capture + ["-", "--compress=none", "--pipable"], None)
    jobs["wimlib to a file"] = (capture + [output, "--compress=none"], output)
if zip7:
    jobs["7-Zip to null"] = ([zip7, "x", "-so", image], None)
    jobs["7-Zip list"] = ([zip7, "l", image], None)
if arguments.mount:
    tar = ["tar", "-C", arguments.mount, "--xattrs", "--xattrs-include=*", "-cf"]
    jobs["tar to a file"] = (tar + [output, "."], output)
for name, there in [("wimlib-imagex", arguments.wimlib), ("7-Zip", zip7), ("tar over a mount", arguments.mount)]:
    if not there:
        print(f"left out: {name}", file=sys.stderr)


def run(command):
    """Seconds of the clock and of the processors, and KiB of memory."""
    with open(os.devnull, "r+b") as null:
        begun = time.monotonic()
        child = subprocess.Popen(command, stdin=null, stdout=null, stderr=null)
        _, status, usage = os.wait4(child.pid, 0)
    # 2 is what 7-Zip says of sparse files that it cannot read.
    if os.waitstatus_to_exitcode(status) not in (0, 2, 3):
        sys.exit(f"failed: {' '.join(command)}")
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


results = {name: [] for name in jobs}
results["dd of the result to a file"] = []
for turn in range(arguments.runs + 1):
    for name, (command, made) in jobs.items():
        result = run(command)
        # The first turn warms up.
        if turn:
            results[name].append(result)
        if made and name == f"{ours[0][0]} backup to a file":
            copied = run(["dd", f"if={made}", f"of={made}.copy", "bs=1M"])
            if turn:
                results["dd of the result to a file"].append(copied)
            os.remove(made + ".copy")
        if made and os.path.exists(made):
            os.remove(made)

print(f"{'':36} {'seconds':>8} {'least':>8} {'CPU':>8} {'MiB':>6}   medians of {arguments.runs}")
medians, processors = {}, {}
for name, found in results.items():
    clock, cpu, memory = ([result[at] for result in found] for at in range(3))
    medians[name], processors[name] = statistics.median(clock), statistics.median(cpu)
    least, most = min(clock), max(memory) // 1024
    print(f"{name:36} {medians[name]:8.3f} {least:8.3f} {processors[name]:8.3f} {most:6}")
pairs = [("wimlib to null", "backup to null"), ("wimlib to a file", "backup to a file"), ("7-Zip list", "list"),
         ("dd of the result to a file", "backup to a file"), ("tar to a file", "backup to a file")]
for name, _ in ours:
    for peer, job in pairs:
        if peer in medians:
            job = f"{name} {job}"
            print(f"{peer} / {job}: {medians[peer] / medians[job]:.2f} by the clock, "
                  f"{processors[peer] / processors[job]:.2f} by the processors")
