#!/usr/bin/env python3
"""Runs the independent dumper, with names escaped as ntbak shows them: JSON has no unpaired surrogates.
usage: judge.py DUMP-NTFS.PY IMAGE OFFSET"""
import importlib.util, json, sys, unicodedata

def escape(value):
    if isinstance(value, str):
        odd = lambda c: 0xD800 <= ord(c) < 0xE000 or unicodedata.category(c) == "Cc"
        return "".join(f"\\u{{{ord(c):x}}}" if odd(c) else c for c in value)
    if isinstance(value, dict):
        return {escape(k): escape(v) for k, v in value.items()}
    return [escape(v) for v in value] if isinstance(value, (list, tuple)) else value

spec = importlib.util.spec_from_file_location("dump", sys.argv[1])
dump = importlib.util.module_from_spec(spec)
spec.loader.exec_module(dump)
dumps = json.dumps
json.dumps = lambda value, **_: dumps(escape(value))
dump.dump(sys.argv[2], int(sys.argv[3]))
