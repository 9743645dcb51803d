#!/usr/bin/python3
"""Compares a run of Tempest with the list of what passed once: ratchet.py RESULT.SUBUNIT PASSED.TXT REGEX [--update]

Prints the counts, what failed, what is new, and why tests were skipped. Fails when a test of the list that REGEX
chooses did not pass, and when nothing ran."""
import collections
import re
import sys

import subunit
import testtools


class Result(testtools.StreamResult):
    def __init__(self):
        super().__init__()
        self.outcomes, self.texts = {}, collections.defaultdict(bytes)

    def status(self, test_id=None, test_status=None, file_name=None, file_bytes=None, **_):
        if test_id is None:
            return
        name = test_id.split("[")[0]
        if test_status not in (None, "exists", "inprogress"):
            self.outcomes[name] = test_status
        if file_name in ("traceback", "reason") and file_bytes:
            self.texts[name] += bytes(file_bytes)


def main():
    stream, listed_in, regex = sys.argv[1:4]
    update = "--update" in sys.argv
    result = Result()
    subunit.ByteStreamToStreamResult(open(stream, "rb"), non_subunit_name="stdout").run(result)
    result.outcomes.pop("stdout", None)
    lines = open(listed_in).read().splitlines()
    listed = {line for line in lines if line and not line.startswith("#")}

    by_outcome = collections.defaultdict(set)
    for name, outcome in result.outcomes.items():
        by_outcome[outcome].add(name)
    passed = by_outcome["success"]
    lost = {name for name in listed if re.search(regex, name)} - passed
    new = passed - listed

    for name in sorted(by_outcome["fail"]):
        said = [line for line in result.texts[name].decode(errors="replace").splitlines() if line.strip()]
        print("FAIL", name, "|", (said or [""])[-1].strip()[:200])
    reasons = collections.Counter(result.texts[name].decode(errors="replace").strip() for name in by_outcome["skip"])
    for reason, count in reasons.most_common():
        print(f"skipped {count}: {reason[:160]}")
    for name in sorted(lost):
        print("LOST", name, "|", result.outcomes.get(name, "did not run"))
    for name in sorted(new):
        print("new", name)
    if new and update:
        comments = [line for line in lines if line.startswith("#")]
        open(listed_in, "w").write("\n".join(comments + sorted(listed | new)) + "\n")
        print(f"{len(new)} added to {listed_in}")
    print(f"{len(passed)} passed, {len(by_outcome['fail'])} failed, {len(by_outcome['skip'])} skipped; "
          f"{len(lost)} of the ratchet's {len(listed)} lost, {len(new)} new")
    sys.exit(bool(lost) or not result.outcomes)


main()
