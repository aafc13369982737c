"""The page Channels: channels of every kind, made, tested, changed and deleted; scheduled reports and cohorts; read-only keys."""

import http.server
import json
import os
import re
import tempfile
import threading

import pytest
from playwright.sync_api import expect

from answers import answer
from cluster import Cluster
from conftest import Watched

SECRET = "a secret of 24 characters"


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes webhooks as `(path, signature, body)`; under /refuse it answers 404."""

    taken = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Receiver.taken.append((self.path, self.headers.get("x-sluice-signature"), body))
        self.send_response(404 if self.path.startswith("/refuse") else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def receiver():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def place(receiver):
    """A small cluster that may call the receiver, keeps files and sends mails to a program that drops them."""
    with tempfile.TemporaryDirectory(prefix="sluice-channels-") as folder:
        sendmail = os.path.join(folder, "sendmail")
        with open(sendmail, "w") as file:
            file.write("#!/bin/sh\ncat > /dev/null\n")
        os.chmod(sendmail, 0o755)
        cluster = Cluster(users=0, funnels=1, environment={
            "SLUICE_ALLOWED_TARGETS": "127.0.0.1", "SLUICE_NOTICE_DIRECTORY": folder, "SLUICE_SENDMAIL": sendmail,
            "SLUICE_MAIL_FROM": "sluice@example.com"})
        yield cluster
        cluster.stop()


@pytest.fixture
def channels(place, browser):
    """Opens the page."""
    watched = Watched(browser, place.address)
    yield watched
    assert watched.end() == []


def put(cluster, path, body):
    return cluster.call("PUT", cluster.coordinator + "/v1/" + path, body)


def webhook(cluster, name, url, **more):
    return put(cluster, f"channels/{name}", {"kind": "webhook", "settings": {"url": url, **more}})


def card(page, name):
    return page.locator(".channel", has=page.get_by_role("heading", name=name, exact=True))


def fill(box, label, text):
    box.get_by_label(label, exact=True).fill(text)


FORMS = {
    "webhook": ("Webhook", {"URL": "{receiver}/hook", "Secret": SECRET}, "Webhook to 127.0.0.1"),
    "slack": ("Slack or compatible", {"URL": "{receiver}/slack"}, "Slack or compatible to 127.0.0.1"),
    "alertmanager": ("Alertmanager", {"URL": "{receiver}", "Authorization": "Bearer abc"}, "Alertmanager at {receiver}"),
    "email": ("E-mail", {"Addresses": "ops@example.com, cfo@example.com"}, "E-mail to ops@example.com, cfo@example.com"),
    "file": ("File", {"File": "alerts.log"}, "File alerts.log"),
}


@pytest.mark.parametrize("kind", FORMS)
def test_a_channel_is_made_and_tested(channels, place, receiver, kind):
    label, fields, shown = FORMS[kind]
    page = channels.open("/?page=channels")
    page.get_by_role("button", name="New channel").click()
    box = page.get_by_role("dialog")
    fill(box, "Id", f"made-{kind}")
    box.get_by_label("Kind").select_option(label)
    for name, text in fields.items():
        fill(box, name, text.format(receiver=receiver))
    box.get_by_role("button", name="Save").click()
    made = card(page, f"made-{kind}")
    expect(made).to_contain_text(shown.format(receiver=receiver))
    expect(made).to_contain_text("Nothing delivered yet")
    Receiver.taken.clear()
    made.get_by_role("button", name="Test").click()
    expect(made).to_contain_text("The test was delivered.")
    expect(made).to_contain_text("Last delivered")
    expect(made.get_by_role("button", name="Test")).to_be_focused()
    if kind == "webhook":
        assert Receiver.taken[0][1].startswith("v1="), Receiver.taken
        expect(made).to_contain_text("Signed.")
    assert SECRET not in page.content() and "/hook" not in page.content()


def test_a_secret_that_is_left_out_stays(channels, place, receiver):
    webhook(place, "kept", receiver + "/kept", secret=SECRET)
    page = channels.open("/?page=channels")
    box = page.get_by_role("dialog")

    def edit():
        card(page, "kept").get_by_role("button", name="Edit").click()
        expect(box.get_by_label("URL", exact=True)).to_have_value("")

    def test():
        Receiver.taken.clear()
        card(page, "kept").get_by_role("button", name="Test").click()
        expect(card(page, "kept")).to_contain_text("The test was delivered.")
        return Receiver.taken[-1]

    edit()
    expect(box.get_by_label("URL", exact=True)).to_have_accessible_description(re.compile("Leave it empty to keep it"))
    box.get_by_role("button", name="Save").click()
    expect(box).to_have_count(0)
    assert test()[:2] == ("/kept", Receiver.taken[-1][1]) and Receiver.taken[-1][1]
    # Another URL needs the secret again, or none.
    channels.expect_fault("422")
    edit()
    fill(box, "URL", receiver + "/other")
    box.get_by_role("button", name="Save").click()
    expect(box.locator(".field", has_text="Secret").locator(".field-fault")).to_contain_text("must be given again")
    box.get_by_label("Remove the saved secret").check()
    box.get_by_role("button", name="Save").click()
    expect(card(page, "kept")).to_contain_text("Not signed")
    page.reload()
    assert test()[:2] == ("/other", None)


def test_faults_are_at_their_fields(channels):
    page = channels.open("/?page=channels")
    page.get_by_role("button", name="New channel").click()
    box = page.get_by_role("dialog")
    save = box.get_by_role("button", name="Save")
    save.click()
    expect(box.get_by_label("Id", exact=True)).to_be_focused()
    expect(box.locator(".field-fault")).to_have_text("is required")
    channels.expect_fault("422")
    fill(box, "Id", "faulty")
    fill(box, "URL", "ftp://example.com")
    fill(box, "Secret", "short")
    save.click()
    expect(box.locator(".field", has_text="URL").locator(".field-fault")).to_contain_text("http")
    box.get_by_label("Kind").select_option("E-mail")
    fill(box, "Addresses", "a@example.com, b, c")
    save.click()
    expect(box.locator(".field-fault")).to_contain_text(re.compile("Address 2: must be an address.*; Address 3: must be"))


def test_what_was_not_delivered_says_why(channels, place, receiver):
    webhook(place, "refused", receiver + "/refuse")
    page = channels.open("/?page=channels")
    refused = card(page, "refused")
    refused.get_by_role("button", name="Test").click()
    expect(refused).to_contain_text(re.compile("The test was not delivered: .*404"))
    expect(refused).to_contain_text("Failing")
    expect(refused).to_contain_text(re.compile("Last failure .*: .*404"))
    expect(page.locator("main [role=status]").first).to_contain_text("1 of them failing")


def test_a_deletion_names_who_uses_the_channel(channels, place, receiver):
    webhook(place, "used", receiver + "/used")
    rule = {"funnel_id": "shop", "metric": {"kind": "count"}, "condition": {"threshold": {"below": 1}}, "channels": ["used"]}
    put(place, "alerts/watch", rule)
    put(place, "reports/daily", {"funnel_id": "shop", "schedule": {"every": "day", "at": "08:00"}, "channels": ["used"]})
    put(place, "cohorts/list", {"funnel_id": "shop", "step": 1, "days": 2, "channel": "used"})
    page = channels.open("/?page=channels")
    card(page, "used").get_by_role("button", name="Delete").click()
    box = page.get_by_role("dialog")
    for words in ("the alert rule watch", "the report daily", "the cohort list"):
        expect(box).to_contain_text(words)
    box.get_by_role("button", name="Cancel").click()
    expect(card(page, "used")).to_be_visible()
    card(page, "used").get_by_role("button", name="Delete").click()
    box.get_by_role("button", name="Delete").click()
    expect(card(page, "used")).to_have_count(0)
    for path in ("alerts/watch", "reports/daily", "cohorts/list"):
        place.call("DELETE", f"{place.coordinator}/v1/{path}")


def test_reports_and_cohorts_are_sent_now_and_deleted(channels, place, receiver):
    place.send([("u1", "Visit", 60, {})])
    webhook(place, "crm", receiver + "/crm")
    put(place, "reports/weekly", {"title": "Every week", "funnel_id": "shop", "channels": ["crm"],
                                  "schedule": {"every": "week", "weekday": "monday", "at": "08:00", "time_zone": "Europe/Berlin"}})
    put(place, "cohorts/visitors", {"funnel_id": "shop", "step": "Visit", "days": 2, "every": "1h", "channel": "crm"})
    page = channels.open("/?page=channels")
    report = page.locator(".sendings li", has_text="Every week")
    expect(report).to_contain_text("Each Monday at 08:00, Europe/Berlin: 7 days of shop, to crm.")
    expect(report).to_contain_text(re.compile("Not sent yet. Next "))
    Receiver.taken.clear()
    report.get_by_role("button", name="Send now").click()
    expect(report).to_contain_text("Given to crm.")
    cohort = page.locator(".sendings li", has_text="visitors")
    expect(cohort).to_contain_text("Users of shop who reached Visit, last 2 days (UTC), every hour, to crm.")
    cohort.get_by_role("button", name="Sync now").click()
    expect(cohort).to_contain_text("It is read and sent now.")
    # The page asks every 10 s.
    expect(cohort).to_contain_text(re.compile("1 user. Last delivered"), timeout=30_000)
    for _ in range(100):
        if any(body.get("rule") == "weekly" for *_, body in Receiver.taken):
            break
        page.wait_for_timeout(100)
    else:
        raise AssertionError(f"the report did not arrive: {Receiver.taken}")
    for row in (report, cohort):
        row.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(row).to_have_count(0)


def test_a_read_only_key_sees_no_channels(channels, place):
    put(place, "reports/seen", {"funnel_id": "shop", "schedule": {"every": "day", "at": "08:00"}, "channels": []})
    asked = []

    def prepare(page):
        page.route("**/v1/session", answer(200, {"keys_needed": True, "signed_in": True, "role": "read", "project": 7}))
        page.on("request", lambda request: asked.append(request.url))
    page = channels.open("/?page=channels", prepare=prepare)
    expect(page.locator("main [role=status]").first).to_have_text("Your key is read-only. Channels are shown to admin keys.")
    expect(page.locator(".sendings li", has_text="seen")).to_contain_text("Each day at 08:00")
    assert page.locator("main button").count() == 0
    assert not any("/v1/channels" in url for url in asked)
    place.call("DELETE", f"{place.coordinator}/v1/reports/seen")


def test_reasons_are_text(channels):
    delivery = {"waiting": 2, "delivered_at": None, "failed_at": "2026-01-31T12:00:00Z", "reason": "<img src=x onerror=alert(1)>\u202e"}
    channel = {"id": "odd", "kind": "slack", "settings": {"host": "example.com", "secrets": ["url"]}, "delivery": delivery}
    page = channels.open("/?page=channels", prepare=lambda page: page.route("**/v1/channels", answer(200, {"channels": [channel]})))
    expect(card(page, "odd")).to_contain_text("<img src=x")
    expect(card(page, "odd")).to_contain_text("2 notices waiting.")
    assert page.locator("main img").count() == 0
