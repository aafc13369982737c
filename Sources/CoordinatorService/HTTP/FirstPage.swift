import FunnelEdge
import HTTPTypes
import Hummingbird

/// A plain page that draws the default funnel: one bar a step, the biggest loss marked. Works without any other file.
enum FirstPage {
    static var response: Response {
        EdgeResponse.body(
            Array(html.utf8), type: "text/html; charset=utf-8",
            headers: [
                .contentSecurityPolicy: "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'"
            ])
    }

    private static let html = #"""
        <!doctype html>
        <html lang="en">
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Sluice</title>
        <style>
          :root { color-scheme: light dark; --bar: #2563eb; --loss: #dc2626; --soft: #8883; }
          body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
          header { display: flex; gap: 1rem; align-items: baseline; flex-wrap: wrap; }
          h1 { font-size: 1.4rem; margin: 0; }
          .step { margin: 1rem 0; }
          .head { display: flex; justify-content: space-between; gap: 1rem; }
          .track { background: var(--soft); border-radius: 4px; height: 1.4rem; }
          .bar { background: var(--bar); border-radius: 4px; height: 100%; min-width: 2px; }
          .note { opacity: .75; font-size: .9rem; }
          .worst .note { color: var(--loss); opacity: 1; font-weight: 600; }
          table { border-collapse: collapse; } input, select { font: inherit; }
        </style>
        <header><h1>Sluice</h1><select id="funnel" aria-label="Funnel"></select>
          <label id="key" hidden>Read key <input type="password" autocomplete="off"></label></header>
        <p id="say" class="note">Loading…</p>
        <main id="steps"></main>
        <script>
          const $ = id => document.getElementById(id), number = n => n.toLocaleString();
          const percent = x => x === null ? "–" : (100 * x).toFixed(1) + " %";
          let key = sessionStorage.getItem("key") || "";
          async function ask(path, body) {
            const headers = key ? { authorization: "Bearer " + key } : {};
            const answer = await fetch(path, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
            const data = await answer.json();
            if (answer.status === 401 || answer.status === 403) $("key").hidden = false;
            if (!answer.ok) throw new Error(data.detail || answer.statusText);
            return data;
          }
          function span(s) {
            if (s === null || s === undefined) return "–";
            for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) if (s >= size) return (s / size).toFixed(1) + " " + unit;
            return s.toFixed(s < 10 && s % 1 ? 1 : 0) + " s";
          }
          function draw(report) {
            const main = $("steps"), worst = report.biggest_dropoff;
            main.replaceChildren();
            for (const step of report.steps) {
              const row = document.createElement("div");
              row.className = "step" + (worst && worst.index === step.index ? " worst" : "");
              row.innerHTML = '<div class="head"><strong></strong><span></span></div><div class="track"><div class="bar"></div></div><div class="note"></div>';
              row.querySelector("strong").textContent = step.index + ". " + step.step;
              row.querySelector("span").textContent = number(step.count) + " · " + percent(step.conversion_from_first);
              row.querySelector(".bar").style.width = 100 * (step.conversion_from_first || 0) + "%";
              if (step.index > 1) row.querySelector(".note").textContent =
                number(step.dropoff) + " left (" + percent(step.dropout_rate === null ? null : step.dropout_rate / 100) + ")"
                + (worst && worst.index === step.index ? ", the biggest loss" : "") + " · median " + span(step.median_seconds) + " from the first step";
              main.append(row);
            }
            $("say").textContent = number(report.entered) + " entered, " + number(report.converted) + " converted ("
              + percent(report.conversion) + ") · as of " + report.as_of
              + (report.completeness.exact ? "" : " · PARTIAL: shards " + report.completeness.missing.join(", ") + " are missing");
          }
          async function show() {
            try { draw(await ask("/v1/query", { funnel_id: $("funnel").value })); }
            catch (error) { $("say").textContent = error.message; }
          }
          async function start() {
            try {
              const { funnels } = await ask("/v1/funnels");
              $("funnel").replaceChildren(...funnels.map(f => new Option(f.funnel_id, f.funnel_id, f.default, f.default)));
              if (!funnels.length) { $("say").textContent = "No funnel is saved yet: sluice funnels apply FILE"; return; }
              await show();
            } catch (error) { $("say").textContent = error.message; }
          }
          $("funnel").onchange = show;
          $("key").querySelector("input").onchange = e => { key = e.target.value; sessionStorage.setItem("key", key); start(); };
          start();
          setInterval(() => document.hidden || !$("funnel").value || show(), 10000);
        </script>
        </html>

        """#
}
