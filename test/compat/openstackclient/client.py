#!/usr/bin/python3
"""Runs the stock openstack client through files of cases and judges what it says.

    client.py CLOUDS.YAML FILE... [--verbose] [--patience=SECONDS] [--set=NAME=VALUE...]

A case is a command and, indented below it, what is expected of it:

    demo: server create --image cirros --flavor m1.nano --network private --wait one
        status = ACTIVE
        id -> one                  keeps the value: $one in later lines
    eventually demo: server show one
        addresses ~ private=       a regular expression; "eventually" tries again for a while
    admin: server list --all-projects
        any Name = one             some row; also: none, all, count = 3
    demo: server show two
        fails No server with a name or ID of 'two' exists
    demo: token issue
        prints (?s)gAAAA           what was written to stdout and stderr; "silent" for nothing at all
    shell: cmp $dir/a $dir/b       any other program
    file user-data: #!/bin/sh      a file $dir/user-data with that line; "random 65536" or "text 65536" for bytes

"demo" and "admin" are the clouds kilonova and kilonova-admin of CLOUDS.YAML; "as NAME/PASSWORD/PROJECT" is whoever is
said; $url is where the cloud is, and --set gives further names. A command that nothing is said of must
succeed. Whatever is expected, a traceback or an answer 500 is a failure. "versions: 2.1 2.53" at the top of a file
has it run once at each of these compute API versions, as $version. "program: nova" has the commands given to the stock
nova client instead, whose tables are read.

The client is loaded once and forked for each command, which is the same program without a second of start-up.
"""
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import novaclient.shell
import openstack  # noqa: F401  loaded before the forks, to be loaded once
import openstackclient.shell
import yaml
from cliff import commandmanager

PATIENCE = 15  # seconds that "eventually" goes on, unless --patience=SECONDS says otherwise
BROKEN = re.compile(r"Traceback \(most recent|HTTP 500|Internal Server Error|Unexpected API Error|Unexpected exception|"
                    r"has no attribute|object is not|KeyError|NoneType|list index out of")
CLOUDS = {"demo": "kilonova", "admin": "kilonova-admin"}


class Case:
    def __init__(self, place, who, command, eventually):
        self.place, self.who, self.command, self.eventually = place, who, command, eventually
        self.expect = []


def read(path):
    """Returns the cases of a file and the versions it wants to be run at."""
    cases, versions, program = [], [None], "openstack"
    for number, line in enumerate(open(path), 1):
        text = line.rstrip()
        if not text or text.lstrip().startswith("#"):
            continue
        if line[0].isspace():
            cases[-1].expect.append(text.strip())
            continue
        if text.startswith("versions:"):
            versions = text.split()[1:]
            continue
        if text.startswith("program:"):
            program = text.split()[1]
            continue
        head, _, rest = text.partition(": ")
        eventually = head.startswith("eventually ")
        who = head.removeprefix("eventually ")
        if who not in ("demo", "admin", "shell") and not who.startswith(("file ", "as ")):
            sys.exit(f"{path}:{number}: a case begins with demo:, admin:, as NAME/PASSWORD/PROJECT:, shell: or file NAME:")
        cases.append(Case(f"{os.path.basename(path)}:{number}", who, rest, eventually))
    return cases, versions, program


def openstack_client(argv):
    return openstackclient.shell.OpenStackShell().run(argv)


def nova_client(argv):
    """Does what novaclient.shell.main does, which reads the arguments of the process."""
    try:
        return novaclient.shell.OpenStackComputeShell().main(argv)
    except Exception as e:
        print(f"ERROR ({type(e).__name__}): {e}", file=sys.stderr)
        return 1


PROGRAMS = {"openstack": openstack_client, "nova": nova_client}


def rows_of(table):
    """Reads the tables that PrettyTable prints: rows, or one object where they are properties and their values."""
    rows, names = [], None
    for line in table.splitlines():
        if not line.startswith("|"):
            names = names if line.startswith("+") else None
            continue
        cells = [c.strip() for c in line.strip("|").split(" | ")]
        if names is None:
            names = cells
        elif len(cells) == len(names):
            rows.append(dict(zip(names, cells)))
    if rows and list(rows[0]) == ["Property", "Value"]:
        return {r["Property"]: r["Value"] for r in rows}
    return rows


def fork_client(program, argv, environment):
    """Runs the client in a fork; returns its exit status, output and errors."""
    out, err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os.dup2(pty.openpty()[1], 0)  # a terminal: from anything else it would read an image's data
            os.environ.update(environment)
            signal.alarm(60)  # some commands wait for ever
            status = PROGRAMS[program](argv)
        except SystemExit as e:
            status = e.code if isinstance(e.code, int) else 1
        except BaseException as e:
            print(f"Traceback (most recent call last): {e!r}", file=sys.stderr)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status or 0)
    _, status = os.waitpid(pid, 0)
    out.seek(0)
    err.seek(0)
    return os.waitstatus_to_exitcode(status), out.read(), err.read()


class Suite:
    def __init__(self, clouds, verbose, patience, given):
        self.clouds, self.verbose, self.patience, self.given = clouds, verbose, patience, given
        self.known = yaml.safe_load(open(clouds))["clouds"]
        self.auth_url = self.known[CLOUDS["admin"]]["auth"]["auth_url"]
        self.passed = self.failed = 0

    def run(self, path):
        cases, versions, self.program = read(path)
        for version in versions:
            with tempfile.TemporaryDirectory() as folder:
                self.names = {"dir": folder, "version": version or "", "url": self.auth_url.removesuffix("/identity/v3")} | self.given
                self.environment = {"OS_CLIENT_CONFIG_FILE": self.clouds}
                if version:
                    self.environment["OS_COMPUTE_API_VERSION"] = version
                for case in cases:
                    self.judge(case, version)
                    if self.failed > 25:
                        print("too many failures: what follows would only follow from them")
                        return

    def judge(self, case, version):
        deadline = time.monotonic() + self.patience
        while True:
            why, command, said = self.attempt(case)
            if not why or not case.eventually or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        if not why:
            self.passed += 1
        else:
            self.failed += 1
        if why or self.verbose:
            where = case.place + (f" at {version}" if version else "")
            print(f"{'FAIL' if why else 'ok'} {where}: {case.who}: {command}")
            for line in [why] * bool(why) + said.strip().splitlines()[-25:]:
                print("     ", line[:400])
            sys.stdout.flush()

    def attempt(self, case):
        """Runs a command once; returns what is wrong, the command and what it said."""
        try:
            command = self.fill(case.command)
        except KeyError as e:
            return f"no case before has kept {e}", case.command, ""
        if case.who.startswith("file "):
            return self.write(case.who[5:], command), command, ""
        status, out, err = self.execute(case, command)
        said = out + err
        if BROKEN.search(said):
            return "it broke", command, said
        fails = [e[5:].strip() for e in case.expect if e.split()[0] == "fails"]
        if fails and status == 0:
            return "it succeeded and should not", command, said
        if not fails and status != 0:
            return f"it failed with status {status}", command, said
        for pattern in fails:
            if not re.search(self.fill(pattern), said):
                return f"it failed in another way than /{pattern}/", command, said
        for expectation in case.expect:
            if expectation.split()[0] == "fails":
                continue
            why = self.check(self.fill(expectation, late=True), out, said)
            if why:
                return why, command, said
        return "", command, said

    def fill(self, text, late=False):
        names = self.names

        def value(m):
            if m[1] not in names and late:
                return m[0]
            return names[m[1]]
        return re.sub(r"\$([a-z_]\w*)", value, text)

    def write(self, name, content):
        with open(os.path.join(self.names["dir"], name), "wb") as f:
            words = content.split()
            if words[0] == "random":
                f.write(os.urandom(int(words[1])))
            elif words[0] == "text":
                f.write(b"x" * int(words[1]))
            else:
                f.write((content + "\n").encode())
        return ""

    def execute(self, case, command):
        if case.who == "shell":
            done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=self.names["dir"])
            return done.returncode, done.stdout, done.stderr
        argv, environment = shlex.split(command), dict(self.environment)
        if case.who in CLOUDS and self.program == "openstack":
            environment["OS_CLOUD"] = CLOUDS[case.who]
        else:
            if case.who in CLOUDS:
                auth = self.known[CLOUDS[case.who]]["auth"]
                user, password, project = auth["username"], auth["password"], auth["project_name"]
            else:
                user, password, project = self.fill(case.who[3:]).split("/")
            environment |= {"OS_AUTH_URL": self.auth_url, "OS_IDENTITY_API_VERSION": "3", "OS_USERNAME": user, "OS_PASSWORD": password,
                            "OS_PROJECT_NAME": project, "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
                            "OS_REGION_NAME": self.known[CLOUDS["admin"]].get("region_name", "")}
        if self.program == "openstack" and any(re.search(r"\s(=|!=|~|!~|->)(\s|$)", e) and not e.startswith(("fails", "prints")) for e in case.expect):
            argv += ["-f", "json"]
        return fork_client(self.program, argv, environment)

    def check(self, expectation, out, said):
        words = expectation.split()
        if words[0] == "silent":
            return "it was not silent" if said.strip() else ""
        if words[0] == "prints":
            return "" if re.search(expectation[7:], said) else f"it does not say /{expectation[7:]}/"
        try:
            data = rows_of(out) if self.program == "nova" else json.loads(out)
        except ValueError:
            return f"no JSON to look for {expectation!r} in"
        m = re.match(r"(?:(any|none|all|first) )?(.+?)\s+(=|!=|~|!~|->)(?:\s+(.*))?$", expectation)
        if not m:
            return f"{expectation!r} is no expectation"
        which, field, operator, want = m[1], m[2], m[3], m[4] or ""
        if field == "count" and isinstance(data, list):
            return "" if str(len(data)) == want else f"{len(data)} rows, not {want}"
        rows = data if isinstance(data, list) else [data]
        if which == "first":
            rows = rows[:1]
        missing = [r for r in rows if field not in r]
        if missing or not rows and which != "none":
            return f"there is no {field}, only {sorted(missing[0]) if missing else 'no rows'}"
        if operator == "->":
            self.names[want] = text(rows[0][field])
            return ""
        good = [r for r in rows if compare(text(r[field]), operator, want)]
        if which == "any" and good or which == "none" and not good or which in (None, "all", "first") and len(good) == len(rows):
            return ""
        return f"{expectation!r} does not hold: {[text(r[field]) for r in rows][:20]}"


def text(value):
    return value if isinstance(value, str) else json.dumps(value)


def compare(got, operator, want):
    if operator in ("=", "!="):
        return (got == want) == (operator == "=")
    return bool(re.search(want, got)) == (operator == "~")


def load():
    """Loads all commands now, so that the forks find them loaded."""
    manager = commandmanager.CommandManager("openstack.cli", convert_underscores=True)
    for group in ("openstack.common", "openstack.compute.v2", "openstack.identity.v3", "openstack.image.v2", "openstack.network.v2", "openstack.volume.v3"):
        manager.load_commands(group)
    for name, entry in manager.commands.items():
        try:
            entry.load()
        except ImportError as e:
            print(f"the command {name} cannot be loaded: {e}", file=sys.stderr)


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    given = dict(a.removeprefix("--set=").split("=", 1) for a in sys.argv[1:] if a.startswith("--set="))
    patience = [int(a.removeprefix("--patience=")) for a in sys.argv[1:] if a.startswith("--patience=")]
    suite = Suite(arguments[0], "--verbose" in sys.argv, (patience or [PATIENCE])[-1], given)
    load()
    for path in arguments[1:]:
        suite.run(path)
    print(f"{suite.passed} passed, {suite.failed} failed")
    sys.exit(bool(suite.failed))


main()
