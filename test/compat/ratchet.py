#!/usr/bin/python3
"""Compares a run of an outside suite with the list of what passed once: ratchet.py RESULT PASSED.TXT REGEX [--update]

RESULT is a stream of subunit, or, if its name ends with .json, lines of `go test -json` with a field "As" that says
who ran it. Prints the counts, what failed, what is new, and why tests were skipped. Fails when a test of the list that REGEX
chooses did not pass, and when nothing ran."""
import collections
import json
import re
import sys


def of_subunit(path):
    import subunit
    import testtools

    outcomes, texts = {}, collections.defaultdict(str)

    class Result(testtools.StreamResult):
        def status(self, test_id=None, test_status=None, file_name=None, file_bytes=None, **_):
            if test_id is None:
                return
            name = test_id.split("[")[0]
            if test_status not in (None, "exists", "inprogress"):
                outcomes[name] = test_status
            if file_name in ("traceback", "reason") and file_bytes:
                texts[name] += bytes(file_bytes).decode(errors="replace")

    subunit.ByteStreamToStreamResult(open(path, "rb"), non_subunit_name="stdout").run(Result())
    outcomes.pop("stdout", None)
    return outcomes, texts


def of_go(path):
    outcomes, texts = {}, collections.defaultdict(str)
    words = {"pass": "success", "fail": "fail", "skip": "skip"}
    for line in open(path):
        event = json.loads(line)
        if "/" in event.get("Test", "/"):  # a package, or a part of a test
            continue
        name = "{} {} {}".format(event["As"], event["Package"].split("/acceptance/openstack/")[-1], event["Test"])
        if event["Action"] in words:
            outcomes[name] = words[event["Action"]]
        elif event["Action"] == "output" and not event["Output"].lstrip().startswith(("===", "---")):
            texts[name] += event["Output"]
    return outcomes, texts


def main():
    stream, listed_in, regex = sys.argv[1:4]
    update = "--update" in sys.argv
    outcomes, texts = of_go(stream) if stream.endswith(".json") else of_subunit(stream)
    lines = open(listed_in).read().splitlines()
    listed = {line for line in lines if line and not line.startswith("#")}

    by_outcome = collections.defaultdict(set)
    for name, outcome in outcomes.items():
        by_outcome[outcome].add(name)
    passed = by_outcome["success"]
    lost = {name for name in listed if re.search(regex, name)} - passed
    new = passed - listed

    for name in sorted(by_outcome["fail"]):
        said = [line for line in texts[name].splitlines() if line.strip()]
        print("FAIL", name, "|", (said or [""])[-1].strip()[:200])
    reasons = collections.Counter(texts[name].strip() for name in by_outcome["skip"])
    for reason, count in reasons.most_common():
        print(f"skipped {count}: {reason[:160]}")
    for name in sorted(lost):
        print("LOST", name, "|", outcomes.get(name, "did not run"))
    for name in sorted(new):
        print("new", name)
    if new and update:
        comments = [line for line in lines if line.startswith("#")]
        open(listed_in, "w").write("\n".join(comments + sorted(listed | new)) + "\n")
        print(f"{len(new)} added to {listed_in}")
    print(f"{len(passed)} passed, {len(by_outcome['fail'])} failed, {len(by_outcome['skip'])} skipped; "
          f"{len(lost)} of the ratchet's {len(listed)} lost, {len(new)} new")
    sys.exit(bool(lost) or not outcomes)


main()
