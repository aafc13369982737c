"""Channels against real receivers: Alertmanager, a webhook whose signature is checked here, a sendmail that keeps mails, a file; and
targets that the coordinator must not call.

Usage: receivers.py    Programs are found as Tests/Prometheus/services.py does.
"""

import csv
import email
import email.policy
import hashlib
import hmac
import http.server
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Prometheus"))
from services import Cluster, free_port  # noqa: E402

SECRET = "a secret of 24 characters"
# A name of an event that tries to be a header, a tag, a mention and a formula.
EVENT = "pay\r\nBcc: all@example.com\r\n<script>@channel</script>"
FAULTS = []


def check(name, is_right, detail=""):
    print(f"{'ok  ' if is_right else 'FAIL'} {name}" + ("" if is_right else f": {detail}"))
    if not is_right:
        FAULTS.append(name)


class Hook(http.server.BaseHTTPRequestHandler):
    """Takes webhooks, and checks what a receiver must: signature, age, key."""

    taken = []
    called = threading.Event()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        stamp = self.headers.get("x-sluice-timestamp", "")
        wanted = "v1=" + hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        is_signed = hmac.compare_digest(wanted, self.headers.get("x-sluice-signature", "")) and abs(time.time() - int(stamp or 0)) < 300
        Hook.taken.append((self.path, is_signed, self.headers.get("idempotency-key"), json.loads(body)))
        Hook.called.set()
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        else:
            self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def until(read, seconds=60):
    """The first answer of `read` that is true, or its last one."""
    end = time.time() + seconds
    while not (found := read()) and time.time() < end:
        time.sleep(0.2)
    return found


class Coordinator:
    def __init__(self, cluster):
        self.call = cluster.coordinator.call

    def put(self, path, document):
        return self.call(path, document, method="PUT")

    def test(self, channel):
        return json.loads(self.call(f"/v1/channels/{channel}/test", method="POST", timeout=40)[1])

    def webhook(self, name, url, **more):
        return self.put(f"/v1/channels/{name}", {"kind": "webhook", "settings": {"url": url, **more}})


def start_alertmanager(folder):
    """Its process and URL; None if it is not installed."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        print("skipped: Alertmanager is not installed")
        return None, None
    config, port = os.path.join(folder, "alertmanager.yml"), free_port()
    with open(config, "w") as file:
        file.write("route: {receiver: none}\nreceivers: [{name: none}]\n")
    process = subprocess.Popen(
        [program, f"--config.file={config}", f"--storage.path={folder}/alertmanager", f"--web.listen-address=127.0.0.1:{port}",
         "--cluster.listen-address="], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def is_up():
        try:
            return urllib.request.urlopen(url + "/-/ready", timeout=1).status == 200
        except OSError:
            return False

    check("Alertmanager starts", until(is_up))
    return process, url


def active_alerts(url):
    with urllib.request.urlopen(url + "/api/v2/alerts?active=true", timeout=3) as answer:
        return {alert["labels"]["alertname"]: alert for alert in json.load(answer)}


def check_targets(ask, port):
    """Spellings of internal addresses, and a redirect; no connection may reach the receiver but those of /redirect."""
    before = len(Hook.taken)
    refused = [
        f"https://127.0.0.2:{port}/", f"https://127.2:{port}/", f"https://0x7f.0.0.2:{port}/", f"https://2130706434:{port}/",
        f"https://0177.0.0.2:{port}/", f"https://[::1]:{port}/", f"https://[::ffff:127.0.0.2]:{port}/",
        "https://169.254.169.254/", "https://10.0.0.1/", "https://192.168.1.1/", "https://[fe80::1]/", "https://[fd00::1]/", "https://0.0.0.0/",
        "https://100.64.0.1/", f"http://1.1.1.1:{port}/",
    ]
    for url in refused:
        status, text = ask.webhook("bad", url)
        outcome = ask.test("bad") if status in (200, 201) else {"delivered": False, "reason": text}
        # Not because nobody answers there: by the policy, before a connection, or as no URL.
        words = ("internal", "must begin with https://", "settings.url")
        check(f"{url} is refused", outcome["delivered"] is False and any(word in outcome["reason"] for word in words), outcome)
    check("no connection was made", len(Hook.taken) == before, Hook.taken[before:])
    ask.webhook("redirect", f"http://127.0.0.1:{port}/redirect")
    outcome = ask.test("redirect")
    paths = [path for path, *_ in Hook.taken[before:]]
    check("a redirect is not followed", not outcome["delivered"] and paths == ["/redirect"], (outcome, paths))


def main():
    hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="sluice-receivers-") as folder:
        mails, notices, sendmail = (os.path.join(folder, name) for name in ("mails", "notices", "sendmail"))
        os.mkdir(mails)
        os.mkdir(notices)
        with open(sendmail, "w") as file:
            file.write(f'#!/bin/sh\necho "$@" > {mails}/arguments\nname=$(mktemp {mails}/XXXXXX)\ncat > "$name"\nmv "$name" "$name.mail"\n')
        os.chmod(sendmail, 0o755)
        manager, manager_url = start_alertmanager(folder)
        # A proxy that must not be asked.
        proxy = socket.create_server(("127.0.0.1", 0))
        proxy.settimeout(0)
        proxy_url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        cluster = Cluster(
            folder, "receivers", shards=1,
            coordinator=["--alert-seconds", "1", "--allowed-targets", "127.0.0.1", "--sendmail", sendmail, "--mail-from", "sluice@example.com",
                         "--notice-directory", notices, "--public-url", "https://sluice.example.com/"],
            of_coordinator={"environment": {"http_proxy": proxy_url, "https_proxy": proxy_url, "ALL_PROXY": proxy_url}})
        try:
            run(Coordinator(cluster), cluster, hook.server_port, manager_url, mails, notices)
            try:
                proxy.accept()
                check("the proxy variables have no effect", False, "the proxy was called")
            except BlockingIOError:
                check("the proxy variables have no effect", True)
            with open(cluster.coordinator.log) as log:
                check("no secret is in the log", SECRET not in (text := log.read()) and "/hook" not in text)
        finally:
            cluster.stop()
            if manager:
                manager.terminate()
                manager.wait()
            hook.shutdown()
    print(f"{len(FAULTS)} failed")
    sys.exit(1 if FAULTS else 0)


def run(ask, cluster, port, manager_url, mails, notices):
    check("a funnel", ask.put("/v1/funnels/f", {"steps": ["a", {"name": EVENT, "events": [EVENT]}]})[0] == 201)
    check("a webhook", ask.webhook("hook", f"http://127.0.0.1:{port}/hook", secret=SECRET)[0] == 201)
    check("e-mail", ask.put("/v1/channels/mail", {"kind": "email", "settings": {"to": ["ops@example.com", "cfo@example.com"]}})[0] == 201)
    check("a file", ask.put("/v1/channels/file", {"kind": "file", "settings": {"file": "alerts.log"}})[0] == 201)
    names = ["hook", "mail", "file"]
    if manager_url:
        check("Alertmanager", ask.put("/v1/channels/am", {"kind": "alertmanager", "settings": {"url": manager_url}})[0] == 201)
        names.append("am")
    for text in ("-oQ/tmp@example.com", "a@example.com\nBcc: b@example.com", "a b@example.com"):
        status, _ = ask.put("/v1/channels/odd", {"kind": "email", "settings": {"to": [text]}})
        check(f"the address {text!r} is refused", status == 422, status)
    for name in names:
        outcome = ask.test(name)
        check(f"{name}: a test arrives", outcome["delivered"], outcome)
    shown = ask.call("/v1/channels")[1]
    check("secrets are not shown", SECRET not in shown and "/hook" not in shown, shown)
    Hook.taken.clear()
    # Nobody reaches the step, and nobody did before: it fires in the first evaluation.
    rule = {"funnel_id": "f", "metric": {"kind": "count"}, "condition": {"no_data": {}}, "period": "5m", "within": "1s", "channels": names}
    check("a rule", ask.put("/v1/alerts/quiet", rule)[0] == 201)
    check("it fires", until(lambda: json.loads(ask.call("/v1/alerts/quiet")[1])["state"]["status"] == "firing"))
    check("the webhook gets it", until(lambda: Hook.taken))
    _, is_signed, key, notice = Hook.taken[0]
    check("its signature is right", is_signed)
    check("its key is its id", key == notice["id"].replace("%", "%25"), (key, notice))
    check("the notice fires and has a link", notice["status"] == "firing" and notice["link"] == "https://sluice.example.com/?page=alerts&rule=quiet")
    check("names from events have no line ends", "\r" not in notice["text"] and "\nBcc" not in notice["text"], notice)
    check_mail(mails, 2)
    if manager_url:
        check("Alertmanager shows it", until(lambda: "quiet" in active_alerts(manager_url)))
        alert = active_alerts(manager_url)["quiet"]
        check("with the time of the firing", alert["startsAt"][:19] == notice["starts"][:19], alert)
    check("the rule is deleted", ask.call("/v1/alerts/quiet", method="DELETE")[0] == 204)
    check("the webhook gets the end", until(lambda: any(taken[3]["status"] == "resolved" for taken in Hook.taken)))
    check("each notice came once", len({taken[2] for taken in Hook.taken}) == 2 == len(Hook.taken), Hook.taken)
    if manager_url:
        check("Alertmanager resolves it", until(lambda: "quiet" not in active_alerts(manager_url)))
    lines = until(lambda: (found := open(os.path.join(notices, "alerts.log")).read().splitlines()) and len(found) == 3 and found)
    check("the file has a line for each notice", lines and [json.loads(line)["status"] for line in lines] == ["info", "firing", "resolved"], lines)
    check("the file is private", os.stat(os.path.join(notices, "alerts.log")).st_mode & 0o777 == 0o600)
    for name in os.listdir(cluster.coordinator.data):
        path = os.path.join(cluster.coordinator.data, name)
        if os.path.isfile(path):
            check(f"{name} is private", os.stat(path).st_mode & 0o077 == 0, oct(os.stat(path).st_mode))
    check_report(ask, mails, names)
    check_cohort(ask, cluster)
    check_targets(ask, port)


def check_report(ask, mails, names):
    """A scheduled report that is sent now, read back as a receiver would."""
    before = set(os.listdir(mails))
    Hook.taken.clear()
    report = {"title": "Weekly <b>\u00e9</b>", "funnel_id": "f", "schedule": {"every": "week", "weekday": "monday", "at": "08:00"},
              "compare": "previous_period", "trend": {"by": "day"}, "channels": names}
    check("a report", ask.put("/v1/reports/weekly", report)[0] == 201)
    status, text = ask.call("/v1/reports/weekly/send", method="POST", timeout=60)
    check("it is sent", status == 200 and json.loads(text)["channels"] == names, text)
    check("the webhook gets the report", until(lambda: Hook.taken))
    _, is_signed, key, notice = Hook.taken[0]
    check("it is signed, with its key", is_signed and key == notice["id"] and key.startswith("report/weekly/"), key)
    shown = notice["report"]
    check("it has the answer", len(shown["answer"]["steps"]) == 2 and len(shown["answer"]["trend"]["buckets"]) == 7, shown)
    new = until(lambda: [name for name in os.listdir(mails) if name.endswith(".mail") and name not in before])
    with open(os.path.join(mails, new[0]), "rb") as file:
        mail = email.message_from_binary_file(file, policy=email.policy.default.clone(raise_on_defect=True))
    check("the mail has the title", mail["subject"].startswith("Weekly <b>\u00e9</b>, ") and "bcc" not in mail, mail["subject"])
    page = mail.get_body(("html",)).get_content()
    check("the mail has bars and no tags of names", "bgcolor" in page and "<script" not in page and "&lt;script&gt;" in page, page)
    check("the mail has plain text", "1. a: 0" in mail.get_body(("plain",)).get_content())
    files = {part.get_filename(): part.get_content() for part in mail.iter_attachments()}
    check("the mail has CSV files", set(files) == {"weekly-trend.csv", "weekly-steps.csv"}, list(files))
    rows = list(csv.DictReader(io.StringIO(files["weekly-steps.csv"], newline="")))
    check("a CSV file has the steps", [row["index"] for row in rows] == ["1", "2"] and rows[1]["step"].endswith(EVENT), rows)


def check_cohort(ask, cluster):
    """A cohort: all users first, then the difference."""
    Hook.taken.clear()

    def visit(*users):
        events = [{"user_id": user, "event": "a", "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())} for user in users]
        return cluster.ingest.call("/v1/events", events)[0] == 200

    check("events are taken", visit("u1", "u2"))
    cohort = {"title": "Left", "funnel_id": "f", "step": 2, "outcome": "dropped", "days": 2, "channel": "hook"}
    check("a cohort", ask.put("/v1/cohorts/left", cohort)[0] == 201)
    check("the webhook gets the users", until(lambda: Hook.taken))
    _, is_signed, key, page = Hook.taken[0]
    check("the page is signed, with its key", is_signed and key == f"cohort/left/{page['run']}/1", key)
    check("it has all users", page["added"] == ["u1", "u2"] and not page["removed"] and page["page"] == 1 and page["last"], page)
    check("another user comes", visit("u3"))
    until(lambda: json.loads(ask.call("/v1/cohorts/left")[1])["state"]["delivered"])
    check("a run begins", ask.call("/v1/cohorts/left/sync", method="POST")[0] == 202)
    check("the webhook gets the difference", until(lambda: len(Hook.taken) > 1))
    check("it has the user who came", Hook.taken[-1][3]["added"] == ["u3"] and not Hook.taken[-1][3]["removed"], Hook.taken)
    check("the cohort is deleted", ask.call("/v1/cohorts/left", method="DELETE")[0] == 204)


def check_mail(mails, count):
    names = until(lambda: (found := [n for n in os.listdir(mails) if n.endswith(".mail")]) and len(found) >= count and found)
    check("the mails are there", bool(names), os.listdir(mails))
    for name in names or []:
        with open(os.path.join(mails, name), "rb") as file:
            mail = email.message_from_binary_file(file, policy=email.policy.default)
        headers = {header.lower() for header in mail.keys()}
        check("a mail has its headers, and no others", "bcc" not in headers and mail["from"] and mail["to"], headers)
        check("both addresses get it", "ops@example.com" in mail["to"] and "cfo@example.com" in mail["to"], mail["to"])
        page = mail.get_body(("html",)).get_content()
        check("its HTML has no tags of names", "<script" not in page, page)
        check("it has plain text", "Sluice" in mail["from"] and len(mail.get_body(("plain",)).get_content()) > 20)
    with open(os.path.join(mails, "arguments")) as file:
        check("the addresses are arguments after --", file.read().strip() == "-i -f sluice@example.com -- ops@example.com cfo@example.com")


main()
