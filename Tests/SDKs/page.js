// The requests of the JavaScript SDKs: their paths, encodings, header fields and rules for sending again. Each form is
// {size: events a request, send(rows, case): one request, which resolves to "ok", "again" or "drop"}.
"use strict";

const sleep = milliseconds => new Promise(done => setTimeout(done, milliseconds));
const iso = row => new Date(row.ms).toISOString();
const properties = row => ({ row: row.row, group: row.group, value: row.value, ...row.more });
const bytes = text => new TextEncoder().encode(text);
const base64 = text => btoa(Array.from(bytes(text), byte => String.fromCharCode(byte)).join(""));
const gzip = text => new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
const ids = new Map();

// An id is kept when a batch is sent again.
function id(row, given) {
    if (given) return row.id;
    if (!ids.has(row.row)) ids.set(row.row, crypto.randomUUID());
    return ids.get(row.row);
}

// Resolves to the status, 0 where the page got no answer that it may read, and the text.
async function call(url, options, c) {
    try {
        const answer = await fetch(url, { method: "POST", ...options, signal: AbortSignal.timeout(c.timeout) });
        return { status: answer.status, text: await answer.text() };
    } catch {
        c.seen.unreadable += 1;
        return { status: 0, text: "" };
    }
}

function xhr(url, body, type, c) {
    return new Promise(done => {
        const request = new XMLHttpRequest();
        request.open("POST", url, true);
        request.withCredentials = true;
        request.timeout = c.timeout;
        request.setRequestHeader("Content-Type", type);
        request.onload = () => done({ status: request.status, text: request.responseText });
        request.onerror = request.ontimeout = () => {
            c.seen.unreadable += 1;
            done({ status: 0, text: "" });
        };
        request.send(body);
    });
}

function pixel(url) {
    return new Promise(done => {
        const image = new Image();
        image.onload = () => done("ok");
        image.onerror = () => done("again");
        image.src = url;
    });
}

const judge = (answer, again) => answer.status === 200 ? "ok" : answer.status === 0 || again(answer.status) ? "again" : "drop";

// Segment, analytics.js, and RudderStack's SDK, which grew from it.

const segmentAgain = status => [408, 410, 429, 460].includes(status) || status >= 500 && ![501, 505, 511].includes(status);
const rudderAgain = status => status === 429 || status >= 500;

function segmentCall(row, c) {
    return {
        type: "track", event: row.event, userId: row.user, anonymousId: "anonymous " + row.user, messageId: id(row, c.ids),
        properties: properties(row), integrations: {},
        context: { page: { url: location.href, path: "/", referrer: "", search: "", title: "" }, userAgent: navigator.userAgent },
    };
}

const basic = c => "Basic " + btoa(c.key + ":");
const segmentHeaders = c => ({ "Content-Type": "text/plain", Authorization: basic(c) });

const segment = {
    async first(c) {
        const answer = await fetch(c.url + `/v1/projects/${c.key}/settings`);
        if (!(await answer.json()).integrations["Segment.io"]) throw new Error("settings without Segment.io");
    },
    async single([row], c) {
        const metadata = { bundled: ["Segment.io"], unbundled: [], bundledIds: [] };
        const message = { ...segmentCall(row, c), timestamp: iso(row), writeKey: c.key, sentAt: new Date(), _metadata: metadata };
        const options = { headers: segmentHeaders(c), body: JSON.stringify(message), keepalive: true };
        return judge(await call(c.url + "/v1/t", options, c), segmentAgain);
    },
    async batch(rows, c) {
        const batch = rows.map(row => ({ ...segmentCall(row, c), timestamp: iso(row) }));
        const body = JSON.stringify({ writeKey: c.key, batch, sentAt: new Date() });
        return judge(await call(c.url + "/v1/b", { headers: segmentHeaders(c), body }, c), segmentAgain);
    },
};

const rudderCall = (row, c) => ({ ...segmentCall(row, c), channel: "web", originalTimestamp: iso(row), integrations: { All: true } });

const rudder = {
    async single([row], c) {
        const headers = {
            Accept: "application/json", "Content-Type": "application/json;charset=UTF-8", Authorization: basic(c),
            AnonymousId: base64("anonymous " + row.user),
        };
        const body = JSON.stringify({ ...rudderCall(row, c), sentAt: new Date() });
        return judge(await call(c.url + "/v1/track", { headers, body }, c), rudderAgain);
    },
    beacon(rows, c) {
        const body = JSON.stringify({ batch: rows.map(row => ({ ...rudderCall(row, c), sentAt: new Date() })) });
        return navigator.sendBeacon(c.url + "/beacon/v1/batch?writeKey=" + c.key, new Blob([body], { type: "text/plain" }));
    },
};

// posthog-js: no answer and every status but 200 and 4xx are sent again.

function posthogBody(rows, c) {
    return JSON.stringify(rows.map(row => ({
        uuid: id(row, c.ids), event: row.event, timestamp: iso(row),
        properties: { token: c.key, distinct_id: row.user, $current_url: location.href, $lib: "web", ...properties(row) },
    })));
}

let posthogRetries = 0;
function posthogURL(c, more) {
    const retries = c.again ? "&retry_count=" + ++posthogRetries : "";
    return `${c.url}/e/?ip=0&_=${Date.now()}&ver=1.300.0${more}${retries}`;
}

const posthogJudge = answer => judge(answer, status => status < 400 || status >= 500);

const posthog = {
    async first(c) {
        const config = await fetch(`${c.url}/array/${c.key}/config`);
        if (typeof await config.json() !== "object") throw new Error("config");
        const asked = "data=" + encodeURIComponent(base64(JSON.stringify({ token: c.key, distinct_id: "u" })));
        const headers = { "Content-Type": "application/x-www-form-urlencoded" };
        const flags = await call(c.url + "/flags/?v=2&ip=0", { body: asked, headers }, c);
        if (flags.status !== 200 || typeof JSON.parse(flags.text) !== "object") throw new Error("flags " + flags.status);
        const snapshot = await gzip('[{"event":"$snapshot","properties":{}}]');
        const recording = await call(c.url + "/s/?compression=gzip-js", { body: snapshot }, c);
        if (recording.status !== 200) throw new Error("recording " + recording.status);
    },
    async gzip(rows, c) {
        const body = new Blob([await gzip(posthogBody(rows, c))], { type: "text/plain" });
        return posthogJudge(await call(posthogURL(c, "&compression=gzip-js"), { body }, c));
    },
    async json(rows, c) {
        const headers = { "Content-Type": "application/json" };
        return posthogJudge(await call(posthogURL(c, ""), { headers, body: posthogBody(rows, c) }, c));
    },
    async form(rows, c) {
        const body = "data=" + encodeURIComponent(base64(posthogBody(rows, c)));
        return posthogJudge(await xhr(posthogURL(c, "&compression=base64"), body, "application/x-www-form-urlencoded", c));
    },
    beacon(rows, c) {
        const text = "data=" + encodeURIComponent(base64(posthogBody(rows, c)));
        const body = new Blob([text], { type: "application/x-www-form-urlencoded" });
        return navigator.sendBeacon(posthogURL(c, "&compression=base64&beacon=1"), body);
    },
};

// mixpanel-js: base64 to any host that is not Mixpanel's.

function mixpanelEvent(row, c) {
    return {
        event: row.event,
        properties: {
            token: c.key, distinct_id: row.user, $device_id: "device-" + row.row % 7, $user_id: row.user, $insert_id: id(row, c.ids),
            time: row.ms / 1000, mp_lib: "web", $lib_version: "2.60.0", $current_url: location.href, ...properties(row),
        },
    };
}

const mixpanelForm = document => "data=" + encodeURIComponent(base64(JSON.stringify(document)));
const mixpanelURL = c => `${c.url}/track/?verbose=1&ip=1&_=${Date.now()}`;

const mixpanel = {
    async form(rows, c) {
        const body = mixpanelForm(rows.map(row => mixpanelEvent(row, c)));
        const answer = await xhr(mixpanelURL(c), body, "application/x-www-form-urlencoded", c);
        if (answer.status === 413 && rows.length > 1) return "halve";
        if (answer.status === 200 && JSON.parse(answer.text).status !== 1) return "drop";
        return judge(answer, status => status === 429 || status >= 500);
    },
    image: ([row], c) => pixel(`${c.url}/track/?${mixpanelForm(mixpanelEvent(row, c))}&ip=1&img=1&_=${Date.now()}`),
    // A string: its content type is text/plain.
    beacon: (rows, c) => navigator.sendBeacon(mixpanelURL(c), mixpanelForm(rows.map(row => mixpanelEvent(row, c)))),
};

// Amplitude's Browser SDK: `code` of the answer decides; without JSON the status does.

function amplitudeBody(rows, c) {
    return JSON.stringify({
        api_key: c.key, client_upload_time: new Date().toISOString(), request_metadata: { sdk: { metrics: {} } },
        options: { min_id_length: 1 },
        events: rows.map(row => ({
            user_id: row.user, device_id: "device " + row.user, session_id: row.ms, time: row.ms, platform: "Web", language: "en",
            insert_id: id(row, c.ids), event_type: row.event, event_id: row.row, event_properties: properties(row),
            library: "amplitude-ts/2.11.0",
        })),
    });
}

function amplitudeJudge(answer, rows) {
    let code = answer.status;
    try {
        code = JSON.parse(answer.text).code;
    } catch { /* a page of a proxy */ }
    if (code === 413 && rows.length > 1) return "halve";
    return judge({ status: code }, status => status === 429 || status >= 500);
}

const amplitude = {
    async json(rows, c) {
        const headers = { "Content-Type": "application/json", Accept: "*/*" };
        return amplitudeJudge(await call(c.url + "/2/httpapi", { headers, body: amplitudeBody(rows, c) }, c), rows);
    },
    async gzip(rows, c) {
        const headers = { "Content-Type": "application/json", Accept: "*/*", "Content-Encoding": "gzip" };
        return amplitudeJudge(await call(c.url + "/2/httpapi", { headers, body: await gzip(amplitudeBody(rows, c)) }, c), rows);
    },
    beacon: (rows, c) => navigator.sendBeacon(c.url + "/2/httpapi", amplitudeBody(rows, c)),
};

// Snowplow's JavaScript tracker: credentials always, and everything but a few statuses is sent again.

const snowplowAgain = status => ![400, 401, 403, 410, 422].includes(status);

function snowplowEvent(row, c, name) {
    const common = {
        eid: id(row, c.ids), aid: c.key, uid: row.user, duid: "duid " + row.user, tna: "sp", tv: "js-3.24.0", p: "web", cookie: "1",
        res: "800x600", dtm: String(Date.now()), ttm: String(row.ms), stm: String(Date.now()), url: location.href,
    };
    if (name === "se") {
        const value = row.value === null ? {} : { se_va: String(row.value) };
        return { e: "se", se_ca: "shop", se_ac: row.event, se_la: String(row.row), se_pr: row.group ?? "", ...value, ...common };
    }
    const event = { schema: `iglu:com.acme/${row.event}/jsonschema/1-0-0`, data: properties(row) };
    const envelope = { schema: "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0", data: event };
    const packed = base64(JSON.stringify(envelope)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    return { e: "ue", ue_px: packed, ...common };
}

const snowplowBody = (rows, c) => JSON.stringify({
    schema: "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", data: rows.map(row => snowplowEvent(row, c, "ue")),
});

const snowplow = {
    async post(rows, c) {
        const headers = { "Content-Type": "application/json; charset=UTF-8" };
        const options = { headers, body: snowplowBody(rows, c), credentials: "include", keepalive: true };
        return judge(await call(c.url + "/com.snowplowanalytics.snowplow/tp2", options, c), snowplowAgain);
    },
    image: ([row], c) => pixel(`${c.url}/i?` + new URLSearchParams(snowplowEvent(row, c, "se"))),
    beacon(rows, c) {
        const body = new Blob([snowplowBody(rows, c)], { type: "application/json; charset=UTF-8" });
        return navigator.sendBeacon(c.url + "/com.snowplowanalytics.snowplow/tp2", body);
    },
};

const products = { segment, rudder, posthog, mixpanel, amplitude, snowplow };

// Sends the rows of a case; up to ten tries a batch. The sum of `sent` and `dropped` is the number of rows.
async function run(c) {
    const product = products[c.product];
    const result = { sent: 0, dropped: 0, unreadable: 0, notes: [] };
    c.seen = result;
    if (product.first) await product.first(c);
    const batches = [];
    for (let at = 0; at < c.rows.length; at += c.size) batches.push(c.rows.slice(at, at + c.size));
    while (batches.length) {
        const rows = batches.shift();
        let outcome = "again";
        for (let tries = 0; tries < 10 && outcome === "again"; tries += 1) {
            if (tries) await sleep(200 * Math.min(tries, 5));
            outcome = await product[c.form](rows, { ...c, again: tries > 0 });
        }
        if (outcome === "halve") {
            const half = Math.ceil(rows.length / 2);
            batches.unshift(rows.slice(0, half), rows.slice(half));
        } else if (outcome === "ok") {
            result.sent += rows.length;
        } else {
            result.dropped += rows.length;
        }
    }
    return result;
}

const runOrSay = c => run(c).catch(error => ({ sent: 0, dropped: 0, unreadable: 0, notes: [String(error)] }));

// Sends the rows when the page is left.
function runAtEnd(c) {
    addEventListener("pagehide", () => {
        for (let at = 0; at < c.rows.length; at += c.size) products[c.product].beacon(c.rows.slice(at, at + c.size), c);
    });
}
