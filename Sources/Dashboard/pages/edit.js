import { live } from "../api/live.js";
import { mayWrite } from "../api/session.js";
import { say, sayNowAndThen } from "../parts/announce.js";
import { funnelBars } from "../parts/bars.js";
import { confirm } from "../parts/dialog.js";
import { button, h, name, put } from "../parts/dom.js";
import { field, input } from "../parts/field.js";
import { number, percent } from "../parts/format.js";
import { failed, ready, wait } from "../parts/states.js";
import { load, remove, save } from "../state/catalogue.js";
import { definitionFrom, draftOf, lacksValues } from "../state/draft.js";
import { stringify } from "../state/json.js";
import { basis, countedText } from "../state/query.js";
import { carry, go, href, note, read } from "../state/url.js";
import { settingsEditor } from "./edit-settings.js";
import { stepsEditor } from "./edit-steps.js";
import { liveMark } from "./live-mark.js";
import { stepDetail } from "./step-detail.js";

export const bar = ["range"];
export const title = state => state.funnel ? `Edit ${state.funnel}` : "New funnel";
/** The draft is in the address, but it is this page that puts it there. */
export const key = ({ def, ...rest }) => stringify(rest);

const PAUSE = 400;
const NO_VALUES = "A condition has no values yet: add one, or remove the condition.";

export function show(main, state) {
  let stopLive = null;
  let timer = null;
  let gone = false;
  wait(main, "table");
  open();
  return { stop() { gone = true; clearTimeout(timer); stopLive?.(); } };

  async function open() {
    try {
      const saved = state.funnel ? await load(state.funnel) : null;
      if (!gone) draw(saved);
    } catch (error) {
      if (!gone) ready(main, failed(error, open));
    }
  }

  function draw(saved) {
    const draft = draftOf(state.def ?? saved?.data);
    let tag = saved?.tag ?? null;
    const id = input(state.funnel ?? "", () => {}, { pattern: "[A-Za-z0-9_.\\-]{1,128}", maxlength: 128, required: true, placeholder: "checkout" });
    const idField = field("Funnel id", id, { hint: "Letters, digits and _ . -" });
    const fault = h("div", { class: "save-fault" });
    const mark = liveMark();
    const preview = h("div", { class: "preview" });
    const asked = h("pre", { tabindex: "0", "aria-label": "Definition as JSON" });
    const steps = stepsEditor(draft, changed);
    const settings = settingsEditor(draft, changed);
    const saveButton = button(saved ? "Save" : "Save funnel", () => store(), { class: "button primary" });

    ready(main, h("div", { class: "page" },
      h("header", { class: "page-head" }, h("h1", {}, saved ? ["Edit ", name(state.funnel)] : "New funnel"),
        h("div", { class: "actions" }, h("a", { class: "button", href: href(carry(state, "funnel", { def: null })), onclick: view }, "View report"),
          saved && button("Delete", erase, { class: "button danger" }))),
      !mayWrite() && h("div", { class: "strip warn" }, h("strong", {}, "Reading only. "),
        "You can try steps and share the address; saving needs an admin key."),
      h("div", { class: "edit" },
        h("div", { class: "stack" },
          h("section", { class: "card" }, h("h2", {}, "Steps"), h("p", { class: "muted" }, "Users do these events one after another."), steps.node),
          h("section", { class: "card" }, h("h2", {}, "Rules"), settings.node),
          h("section", { class: "card" }, h("h2", {}, "Save"), h("div", { class: "row" }, idField, saveButton), fault)),
        h("section", { class: "card preview-card", "aria-label": "Preview" },
          h("div", { class: "card-head" }, h("h2", {}, "Preview"), mark.node), preview,
          h("details", { class: "more" }, h("summary", {}, "Definition as JSON"), asked)))));
    changed(null, true);

    function changed(_, isFirst) {
      const definition = definitionFrom(draft);
      asked.textContent = stringify(definition, 2);
      if (!isFirst) {
        settings.draw === undefined || (draft.exclude && settings.draw());
        note({ ...read(), def: definition });
      }
      clearTimeout(timer);
      timer = setTimeout(() => count(definition), isFirst ? 0 : PAUSE);
    }

    function count(definition) {
      stopLive?.();
      const missing = !definition.steps.length ? "Choose the event of step 1 to see how many users did it."
        : definition.steps.some(step => lacksValues(step.where)) ? NO_VALUES : null;
      if (missing) {
        mark.node.hidden = true;
        put(preview, h("p", { class: "muted" }, missing));
        return;
      }
      mark.node.hidden = false;
      let bars = null;
      let line = null;
      let latest = null;
      const asked = { ...read(), def: definition };
      stopLive = live(basis(asked), {
        status: mark.set,
        problem: error => { bars = null; put(preview, failed(error)); },
        report(report) {
          const unit = countedText(report.funnel);
          latest = report;
          if (!bars) {
            const optional = report.funnel.steps.map(step => Boolean(step.optional));
            bars = funnelBars([{ tone: 0, ...report }], { unit, optional, onstep() {}, detail: index => stepDetail(latest, asked, index, unit) });
            bars.node.classList.add("rows");
            line = h("p", { class: "preview-line" });
            put(preview, line, bars.node);
          }
          bars.update([report], report.steps, report.biggest_dropoff?.index);
          put(line, h("strong", {}, number(report.converted)), ` of ${number(report.entered)} ${unit} convert`,
            report.conversion === null ? "" : `, ${percent(report.conversion)}`);
          sayNowAndThen(line.textContent);
        },
      });
    }

    /** Looks at the draft as it is; what is saved already is shown by its id. */
    function view(event) {
      event.preventDefault();
      const now = read();
      go(carry(now, "funnel", now.def ? {} : { def: null }));
    }

    async function store(force) {
      const definition = definitionFrom(draft);
      const chosen = id.value.trim();
      if (!definition.steps.length) return tell("A funnel needs a step.");
      if (definition.steps.some(step => lacksValues(step.where))) return tell(NO_VALUES);
      if (!id.checkValidity()) {
        id.focus();
        return tell("The id needs 1 to 128 letters, digits, or _ . -");
      }
      if (saveButton.ariaBusy === "true") return;
      saveButton.ariaBusy = "true";
      try {
        const seen = chosen === state.funnel ? tag : null;
        await save(chosen, definition, force ? "*" : seen);
        say(`${chosen} is saved`);
        go({ ...carry(read(), "funnel"), funnel: chosen, def: null });
      } catch (error) {
        saveButton.ariaBusy = "false";
        if (error.status === 412 || error.status === 409) conflict(chosen);
        else put(fault, failed(error));
      }
    }

    function tell(text) {
      put(fault, h("p", { class: "fault", role: "alert" }, text));
    }

    /** Somebody else was faster: nothing is lost, and nothing is overwritten unasked. */
    async function conflict(chosen) {
      const isOwn = chosen === state.funnel;
      const answer = await confirm(isOwn ? "Changed by someone else" : "This id is taken",
        isOwn ? "The funnel was saved by someone else since you opened it." : "A funnel with this id is saved already.",
        [isOwn ? ["reload", "Load theirs, drop mine", "primary"] : ["other", "Choose another id", "primary"],
          ["overwrite", isOwn ? "Overwrite theirs" : "Replace it", "danger"]]);
      if (answer === "overwrite") store(true);
      else if (answer === "reload") {
        stopLive?.();
        state = { ...state, def: undefined };
        note({ ...read(), def: null });
        open();
      } else id.focus();
    }

    async function erase() {
      const answer = await confirm("Delete this funnel?", "Its events stay; the definition is gone for everyone.", [["delete", "Delete", "danger"]]);
      if (answer !== "delete") return;
      try {
        await remove(state.funnel, tag);
        say(`${state.funnel} is deleted`);
        go({ page: "funnel" });
      } catch (error) {
        if (error.status === 412 || error.status === 409) conflict(state.funnel);
        else put(fault, failed(error));
      }
    }
  }
}
