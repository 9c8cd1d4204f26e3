# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""xdplbctl without a balancer: help, usage errors, `config check`, completion, and its text over an
API that answers from a table."""

import http.server
import json
import os
import pathlib
import pty
import re
import shutil
import socketserver
import subprocess
import threading

import pytest

BUILD = pathlib.Path(os.environ.get("XDPLB_BUILD", "build"))
CTL = str(BUILD.resolve() / "xdplbctl")

COMMANDS = """status; vip list; vip show; real list; real show; real drain; real undrain;
real enable; real disable; real add; real del; flow count; health list; stats show; config check; config show;
config apply; reload; detach; completion; events; quic encode; quic decode""".replace("\n", " ").split("; ")
NOUNS = sorted({command.split()[0] for command in COMMANDS})
NOT_YET = ["vip add", "vip del", "real set", "flow list",
           "config plan", "config diff", "explain", "top", "capture", "doctor"]

GOOD = """
interfaces: [{name: eth0}]
encap: {source4: 10.0.0.10}
vips:
  - name: web
    address: 192.0.2.10
    port: 80
    protocol: tcp
    reals: [{address: 10.1.0.1}]
"""

REAL = {"vip": "web", "address": "10.1.0.1", "port": 80, "protocol": "tcp", "weight": 100,
        "effective_weight": 100, "state": "up", "admin": "enabled", "removed": False,
        "member_id": 1, "next_hop": {"interface": "eth1", "mac": "02:00:00:00:00:01"},
        "active_flows": 3, "new_flows": 12345, "packets": 7654321, "bytes": 2048,
        "reason": "connected", "since_ms": 192000, "reason_since_ms": 192000}
DRAINED = dict(REAL, address="10.1.0.9", state="drained", admin="drain")
REMOVED = dict(REAL, address="10.1.0.8", state="removed", admin="removed", removed=True,
               health=None)
LEAVING = dict(REMOVED, address="10.1.0.7", admin="enabled")
REAL6 = dict(REAL, address="2001:db8::1", state="down", next_hop=None, reason=None,
             effective_weight=0)
VIP = {"name": "web", "address": "192.0.2.10", "port": 80, "protocol": "tcp",
       "scheduler": "maglev", "state": "up", "since_ms": 3660000, "reals_up": 1, "reals": 2,
       "active_flows": 3, "new_flows": 4, "packets": 5, "bytes": 6, "ring": 65537, "encap": "ipip",
       "fingerprint": "0123456789abcdef"}
CHANGE = {"ok": True, "generation": 3, "vips_added": 0, "reals_added": 2}

ANSWERS = {
    "GET /v1/vips": [VIP],
    "GET /v1/vips/web": dict(VIP, members=[REAL, REAL6], removed=["10.1.0.8"]),
    "GET /v1/reals": [REAL, REAL6, DRAINED],
    "GET /v1/reals?vip=web": [REAL, REAL6],
    "GET /v1/reals/web/10.1.0.1": dict(REAL, health={"type": "tcp", "state": "up"}),
    "GET /v1/reals/web/10.1.0.7": LEAVING,
    "GET /v1/reals/web/10.1.0.8": REMOVED,
    "GET /v1/flows/count": {"flows": 7, "unproven": 1, "closing": 0, "slots": 80,
                            "scanned_ago_ms": 0},
    "GET /v1/stats?per_cpu=1": {"forwarded": 5, "drop_no_real": 2, "per_cpu": [
        {"cpu": 0, "forwarded": 4, "drop_no_real": 0},
        {"cpu": 1, "forwarded": 1, "drop_no_real": 2}]},
    "GET /v1/config": {"bpffs": "/sys/fs/bpf/xdplb", "vips": [{"name": "web", "port": 80}]},
    "POST /v1/reals/web/10.1.0.1/drain": {"ok": True, "vip": "web", "address": "10.1.0.1",
                                          "admin": "drain"},
    "POST /v1/reload": CHANGE,
    "POST /v1/reload?force=1": {**CHANGE, "warnings": ["f.yaml:1:2: a: b"]},
    "POST /v1/config/apply?name=-": CHANGE,
}


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((f"{self.command} {self.path}", body.decode()))
        document = ANSWERS.get(f"{self.command} {self.path}", {"error": "no VIP named nope"})
        text = json.dumps(document).encode()
        self.send_response(404 if "error" in document else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture
def api(tmp_path):
    with Server(str(tmp_path / "api.sock"), Handler) as server:
        server.requests = []
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield server
        server.shutdown()


def ctl(*args, socket="/nonexistent/api.sock", stdin=None, env=None):
    return subprocess.run([CTL, *args], input=stdin, capture_output=True, text=True, timeout=20,
                          check=False,
                          env=dict(os.environ, XDPLB_SOCKET=str(socket), **(env or {})))


def ask(api, *args, **kwargs):
    return ctl(*args, socket=api.server_address, **kwargs)


@pytest.mark.parametrize("words", [""] + NOUNS + COMMANDS)
def test_help_shows_an_example(words):
    done = ctl(*words.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Example:\n  xdplbctl " in done.stdout


@pytest.mark.parametrize("words", COMMANDS)
def test_help_explains_every_option_of_a_command(words):
    text = ctl(*words.split(), "--help").stdout
    usage = text.splitlines()[0]
    assert [option for option in re.findall(r"--[a-z-]+", usage)
            if not re.search(rf"^  {option} .*\w", text, re.M)] == []


def test_help_lists_every_command():
    text = ctl("--help").stdout
    assert [command for command in COMMANDS if f"  {command} " not in text] == []


@pytest.mark.parametrize("line, message", [
    ("", "Usage"),
    ("vip", "Usage"),
    ("stauts", "Did you mean status?"),
    ("real lits", "Did you mean real list?"),
    ("xyzzy", "unknown command: xyzzy"),
    ("vip show", "an argument is missing"),
    ("real drain web", "an argument is missing"),
    ("status now", "too many arguments"),
    ("status --force", "--force means nothing here"),
    ("vip list --per-cpu", "--per-cpu means nothing here"),
    ("vip list --nonsense", "--nonsense"),
    ("completion fish", "bash or zsh"),
] + [(command, "not supported yet") for command in NOT_YET])
def test_wrong_usage_ends_2_and_says_why(line, message):
    done = ctl(*line.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_version():
    assert ctl("--version").stdout.startswith("xdplbctl ")


def test_without_a_daemon_the_message_says_what_to_do():
    done = ctl("status")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot reach xdplbd at /nonexistent/api.sock: No such file or directory" in done.stderr
    assert "--socket" in done.stderr


def test_the_socket_option_wins_over_the_environment():
    assert "/other/api.sock" in ctl("--socket", "/other/api.sock", "status").stderr


def test_config_check_needs_no_daemon(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(GOOD)
    done = ctl("config", "check", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{path}: ok\nmemory: ")
    document = json.loads(ctl("config", "check", "-j", str(path)).stdout)
    assert document["ok"] is True and document["memory_bytes"] > 1 << 20


def test_a_check_warns_of_what_will_not_do_what_it_says(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(GOOD + "    on_all_down: backup\n")
    line = GOOD.count("\n") + 1
    said = f"{path}:{line}:18: vips[0].on_all_down: the VIP has no backups: new flows are dropped, " \
           "as with `drop`"
    done = ctl("config", "check", str(path))
    assert (done.returncode, done.stderr) == (0, f"xdplbctl: warning: {said}\n")
    assert json.loads(ctl("config", "check", "-j", str(path)).stdout)["warnings"] == [said]
    done = subprocess.run([BUILD / "xdplbd", "--config", path, "--check"], capture_output=True,
                          text=True, check=False)
    assert (done.returncode, done.stderr) == (0, f"warning: {said}\n")
    assert done.stdout.startswith(f"{path}: ok: 1 VIPs; ")


def test_config_check_reads_standard_input():
    assert ctl("config", "check", "-", stdin=GOOD).stdout.startswith("-: ok")


@pytest.mark.parametrize("text, place", [
    (GOOD.replace("port: 80", "port: 70000"), ":7:11: vips[0].port: "),
    (GOOD.replace("port: 80", "prot: 80"), ":7:5: "),
    ("vips: [", ":"),
    (GOOD + "\0", ":"),
])
def test_config_check_names_the_place(tmp_path, text, place):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    done = ctl("config", "check", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{path}{place}" in done.stderr
    done = ctl("-j", "config", "check", str(path))
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["ok"] is False and f"{path}{place}" in document["error"]


def test_config_check_of_no_file_says_so():
    done = ctl("config", "check", "/nonexistent/x.yaml")
    assert done.returncode == 1
    assert "open /nonexistent/x.yaml: No such file or directory" in done.stderr


@pytest.mark.parametrize("line", [line.partition(" ")[2] for line in ANSWERS
                                  if line.startswith("GET")])
def test_json_output_is_the_daemons_document(api, line):
    words = {
        "/v1/vips": "vip list", "/v1/vips/web": "vip show web", "/v1/reals": "real list",
        "/v1/reals?vip=web": "real list web", "/v1/flows/count": "flow count",
        "/v1/reals/web/10.1.0.1": "real show web 10.1.0.1",
        "/v1/reals/web/10.1.0.7": "real show web 10.1.0.7",
        "/v1/reals/web/10.1.0.8": "real show web 10.1.0.8",
        "/v1/stats?per_cpu=1": "stats show --per-cpu", "/v1/config": "config show",
    }[line].split()
    for args in (["-j", *words], [*words, "-j"]):
        done = ask(api, *args)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout) == ANSWERS[f"GET {line}"]


def test_real_list_as_text(api):
    assert ask(api, "real", "list").stdout.splitlines() == [
        "VIP ADDRESS     WEIGHT STATE   FLOWS   NEW PACKETS   BYTES PROBE WHY",
        "web 10.1.0.1       100 up          3 12.3k    7.7M 2.0 KiB -     connected, 3m12s",
        "web 2001:db8::1    100 down        3 12.3k    7.7M 2.0 KiB -     no result yet, 3m12s",
        "web 10.1.0.9       100 drained     3 12.3k    7.7M 2.0 KiB -     drain by operator",
    ]


@pytest.mark.parametrize("words, expect", [
    ("vip list", "web  192.0.2.10   80 tcp      maglev    up    1h1m   1     2"),
    ("vip show web", "fingerprint  0123456789abcdef"),
    ("vip show web", "web 10.1.0.1 "),
    ("real show web 10.1.0.1", "next hop         02:00:00:00:00:01"),
    ("real show web 10.1.0.1", "health           up"),
    ("vip show web", "removed      10.1.0.8\n"),
    ("real show web 10.1.0.7", "no longer in the configuration; its flows finish\n"),
    ("real show web 10.1.0.8", "removed by operator\n"),
    ("flow count", "active      7"),
    ("stats show --per-cpu", "drop_no_real     2    0    2 no real of the VIP"),
    ("config show", "vips:\n- name: web\n  port: 80\n"),
    ("real drain web 10.1.0.1", "vip web, address 10.1.0.1, admin drain"),
    ("reload", "generation 3, reals added 2"),
])
def test_text_output(api, words, expect):
    done = ask(api, *words.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert expect in done.stdout


def test_help_says_how_a_wait_ends_and_what_a_vip_can_be_given():
    assert "exit status 1 if flows stay" in ctl("real", "drain", "--help").stdout
    said = ctl("vip", "set", "--help").stdout
    assert all(key in said for key in ("pool=NAME", "pools=NAME[:WEIGHT][:backup[LEVEL]],", "pool=file"))
    said = subprocess.check_output([BUILD / "xdplbd", "--help"], text=True)
    assert "Exit status: 0 done, 1 failed" in said


def test_what_a_reload_warns_of_is_said_on_stderr(api):
    done = ask(api, "reload", "--force")
    assert (done.returncode, done.stdout) == (0, "generation 3, reals added 2\n")
    assert done.stderr == "xdplbctl: warning: f.yaml:1:2: a: b\n"


def test_apply_sends_the_file(api):
    assert ask(api, "config", "apply", "-", stdin=GOOD).returncode == 0
    assert api.requests == [("POST /v1/config/apply?name=-", GOOD)]


def test_the_daemons_error_is_shown_as_it_is(api):
    done = ask(api, "vip", "show", "nope")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "xdplbctl: no VIP named nope\n"


def test_strange_names_cannot_leave_their_path_segment(api):
    ask(api, "vip", "show", "../config?x=1#y")
    assert api.requests[0][0] == "GET /v1/vips/..%2Fconfig%3Fx%3D1%23y"


def on_terminal(api, env):
    """What `real list` prints on a terminal."""
    leader, follower = pty.openpty()
    subprocess.run([CTL, "real", "list"], stdout=follower, check=True, timeout=20,
                   env=dict(os.environ, XDPLB_SOCKET=api.server_address, **env))
    os.close(follower)
    text = os.read(leader, 65536).decode()
    os.close(leader)
    return text


def test_colours_only_on_a_terminal_and_not_with_no_color(api):
    assert "\033[32mup" in on_terminal(api, {"NO_COLOR": ""})
    assert "\033" not in on_terminal(api, {"NO_COLOR": "1"})
    assert "\033" not in ask(api, "real", "list").stdout


def test_a_full_disk_is_a_failure(api):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([CTL, "-j", "vip", "list"], stdout=full, stderr=subprocess.PIPE,
                              env=dict(os.environ, XDPLB_SOCKET=api.server_address),
                              timeout=20, check=False)
    assert done.returncode == 1
    assert b"No space left" in done.stderr


@pytest.mark.parametrize("words, expect", [
    ([""], NOUNS),
    (["re"], ["real", "reload"]),
    (["real", "d"], ["drain", "disable", "del"]),
    (["vip", "show", ""], ["web"]),
    (["-j", "real", "drain", "w"], ["web"]),
    (["real", "drain", "web", ""], ["10.1.0.1", "2001:db8::1"]),
    (["real", "drain", "web", "2001:"], ["2001:db8::1"]),
    (["real", "drain", "web", "10.1.0.1", ""], []),
    (["real", "add", "w"], ["web"]),
    (["real", "add", "web", ""], ["10.1.0.8"]),
    (["config", "check", ""], [":files"]),
    (["completion", ""], ["bash", "zsh"]),
    (["reload", "--f"], ["--force"]),
    (["status", "--f"], []),
    ([], NOUNS),
])
def test_completion_offers_what_fits(api, words, expect):
    done = ask(api, "__complete", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.split()) == sorted(expect)


def test_completion_without_a_daemon_is_quiet():
    done = ctl("__complete", "vip", "show", "")
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("line, expect", [
    ("xdplbctl re", "real reload"),
    ("xdplbctl real drain web ", "10.1.0.1 2001:db8::1"),
    # bash replaces what follows the last colon
    ("xdplbctl real drain web 2001:", "db8::1"),
])
def test_bash_completion_completes(api, tmp_path, line, expect):
    script = tmp_path / "completion"
    script.write_text(ctl("completion", "bash").stdout)
    subprocess.run(["bash", "-n", str(script)], check=True)
    done = subprocess.run(
        ["bash", "-c", 'source "$1"; COMP_LINE=$2 COMP_POINT=${#2}; _xdplbctl "$3"; '
         'echo "${COMPREPLY[*]}"', "bash", str(script), line, CTL],
        capture_output=True, text=True, check=True, timeout=20,
        env=dict(os.environ, XDPLB_SOCKET=api.server_address, LC_ALL="C"))
    assert sorted(done.stdout.split()) == sorted(expect.split())


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_the_zsh_script_parses(tmp_path):
    script = tmp_path / "completion"
    script.write_text(ctl("completion", "zsh").stdout)
    subprocess.run(["zsh", "-n", str(script)], check=True)
