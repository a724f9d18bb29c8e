"""How fast Emacs is while a model's answer streams in. `make bench-emacs` runs this; it prints one table.

Everything is real: `emacs -nw` in a pseudo-terminal, the org-agent server, and a model server on a port of
this machine. This process is the one who types. docs/emacs.md says what is measured, how, and what is not.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import terminal
import words

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# The order, how often it is given, how often with the probe, and what it may take.
FULL = [("5000 at once", 10, 5, "150 ms, 16 ms, 8 ms"),
        ("500 at 100 a second", 3, 3, "150 ms"),
        ("5000 at 100 a second", 1, 0, "3000 ms")]
QUICK = [("5000 at once", 2, 1, "150 ms, 16 ms, 8 ms"),
         ("100 at 100 a second", 1, 1, "")]


def main():
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument("--quick", action="store_true", help="a few seconds, for a look")
    arguments.add_argument("--program", type=Path, required=True, help="the org-agent server")
    arguments.add_argument("--emacs", default="emacs")
    arguments.add_argument("--sizes", help="the histories, in MB, with commas between")
    chosen = arguments.parse_args()
    sizes = [float(size) for size in (chosen.sizes or ("1" if chosen.quick else "0,1,5")).split(",")]
    rows, version = [], "?"
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-emacs")))
        compiled = compile_lisp(chosen.emacs, work)
        model = stack.enter_context(subprocess.Popen([sys.executable, HERE / "model.py"], text=True,
                                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        stack.callback(model.stdin.close)
        url = model.stdout.readline().strip()
        for number, size in enumerate(sizes):
            home = work / str(number)
            home.mkdir()
            variables = {"HOME": str(home), "ORG_AGENT_HOME": str(home / "org-agent"),
                         "ORG_AGENT_PROGRAM": str(chosen.program.resolve()), "ORG_AGENT_LOCAL_PORTS": "none",
                         "ORG_AGENT_MODEL": "bench", "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}
            variables["BENCH_FILE"] = str(chat(home, size, variables))
            emacs = terminal.Emacs([chosen.emacs, "-nw", "-Q", "-L", str(compiled),
                                    "-l", str(HERE / "measure.el")], variables)
            stack.callback(emacs.end)
            version = emacs.until("ready")["ready"]
            rows += measure(emacs, size, chosen.quick)
    print(f"Emacs {version}, {terminal.COLUMNS} columns, {terminal.ROWS} rows; load of the machine now "
          f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print_table(rows)


def compile_lisp(emacs, work):
    """The package, byte-compiled as an installed one is; its directory."""
    target = work / "lisp"
    target.mkdir()
    for file in (ROOT / "emacs").glob("*.el"):
        (target / file.name).write_bytes(file.read_bytes())
    subprocess.run([emacs, "-Q", "--batch", "-L", target, "-f", "batch-byte-compile", *target.glob("*.el")],
                   check=True, capture_output=True)
    return target


def chat(home, size, variables):
    """A file in HOME with a chat of SIZE MB that the server knows."""
    file = home / "chat.org"
    said = words.history(int(size * (1 << 20)))
    if said:
        file.write_text(said)

        def session(*arguments):
            return subprocess.run([variables["ORG_AGENT_PROGRAM"], "session", *arguments], check=True, text=True,
                                  env={**os.environ, **variables}, stdout=subprocess.PIPE).stdout

        said = session("export", session("import", file).split()[0])
    file.write_text(said + "* USER\n")
    return file


def measure(emacs, size, quick):
    """The rows of the table for a history of SIZE MB."""
    emacs.measure("5 at once")
    # What it is to type without a stream: the least that can be.
    keys = [emacs.measure(seconds=2 if quick else 10)]
    per_second = min(used(run) for run in keys) / keys[0]["wall"]
    rows = [row(size, "keys alone", keys, [emacs.measure(seconds=2, probe=True)], 0, "")]
    for order, runs, probes, target in QUICK if quick else FULL:
        plain = [emacs.measure(order) for _ in range(runs)]
        rows.append(row(size, order, plain, [emacs.measure(order, probe=True) for _ in range(probes)],
                        per_second, target))
        print(f"{size:g} MB, {order}: done", file=sys.stderr)
    return rows


def used(run):
    """The CPU time of RUN without garbage collections."""
    return run["cpu"] - run["collections"] * run["collection"]


def row(size, name, runs, probed, per_second, target):
    """One row: of several runs the best, and how far the worst was from it."""
    best = min(runs, key=used)
    delays = [delay for run in runs for delay in run["delays"]]
    undisturbed = [delay for run in runs for delay in run["undisturbed"]]
    # By CPU time; by the clock without what was waited for a CPU; that; and all of it.
    kinds = [max((kind(*block) for run in probed for block in run["blocks"]), default=0)
             for kind in (lambda _, cpu, *__: cpu, lambda wall, _, waited, *__: wall - waited,
                          lambda _, __, waited, *___: waited, lambda wall, *_: wall)] if probed else []
    collections = [end - begin for run in runs for begin, end in run["collected"]]
    return [f"{size:g} MB", name,
            f"{used(best) * 1e3:.0f} ms", f"{max(map(used, runs)) * 1e3:.0f} ms",
            f"{per_second * best['wall'] * 1e3:.0f} ms" if per_second else "",
            f"{best['collections']} of {best['collection'] * 1e3:.0f} ms", f"{max(collections, default=0) * 1e3:.0f} ms",
            *([f"{kind * 1e3:.1f} ms" for kind in kinds] or [""] * 4),
            share(undisturbed, 0.5), share(undisturbed, 0.99), share(delays, 0.99), str(len(delays)), target]


def share(delays, part):
    """What PART of DELAYS is not above."""
    return f"{sorted(delays)[min(len(delays) - 1, int(part * len(delays)))] * 1e3:.2f} ms" if delays else ""


def print_table(rows):
    """Prints ROWS under their heads."""
    rows = [["history", "tokens", "CPU", "worst run", "of it keys", "collections", "longest",
             "block, CPU", "by the clock", "wait for a CPU", "with that",
             "key, median", "key, 99 %", "with collections", "keys", "target"], *rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, ["-" * width for width in widths])
    for cells in rows:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |")


if __name__ == "__main__":
    main()
