import { mayWrite } from "../api/session.js";
import { say, sayNowAndThen } from "../parts/announce.js";
import { funnelBars } from "../parts/funnel-chart.js";
import { confirm } from "../parts/dialog.js";
import { button, h, name, put } from "../parts/dom.js";
import { copyLink } from "../parts/copy.js";
import { field, input, setFault } from "../parts/field.js";
import { placeFaults } from "../parts/field-faults.js";
import { number, percent } from "../parts/format.js";
import { failed, failedQuery, ready, wait } from "../parts/states.js";
import { load, remove, save } from "../state/funnels.js";
import { definitionFrom, draftOf, lacksValues } from "../state/draft.js";
import { stringify } from "../state/json.js";
import { basis, countedText } from "../state/query.js";
import { carry, go, href, note, read } from "../state/url.js";
import { settingsEditor } from "./edit-settings.js";
import { stepsEditor } from "./edit-steps.js";
import { follow } from "./follow.js";
import { stepDetail } from "./step-detail.js";

export const bar = ["range"];
export const title = state => state.funnel ? `Edit ${state.funnel}` : "New funnel";
/** Without the draft: this page itself writes it into the address. */
export const key = ({ def, ...rest }) => stringify(rest);

const PAUSE = 400;
const NO_VALUES = "A condition has no values yet. Add one or remove the condition.";

export function show(main, state) {
  let following = null;
  let timer = null;
  let gone = false;
  wait(main, "table");
  open();
  return { stop() { gone = true; clearTimeout(timer); following?.stop(); } };

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
    const mark = h("div");
    const preview = h("div", { class: "preview" });
    const asked = h("pre", { tabindex: "0", "aria-label": "Definition as JSON" });
    const steps = stepsEditor(draft, stepsChanged);
    const settings = settingsEditor(draft, changed);
    const mayNot = !mayWrite();
    const saveButton = button(saved ? "Save" : "Save funnel", () => store(), { class: "button primary", disabled: mayNot });
    const reader = mayNot && h("p", { class: "muted", id: "why-not" },
      "Your key is read-only. You can build and share by link; saving needs an admin key. ",
      "Everyone who can read this project can open the link.");
    if (mayNot) saveButton.setAttribute("aria-describedby", reader.id);

    ready(main, h("div", { class: "page" },
      h("header", { class: "page-head" }, h("h1", {}, saved ? ["Edit ", name(state.funnel)] : "New funnel"),
        h("div", { class: "actions" }, h("a", { class: "button", href: href(carry(state, "funnel", { def: null })), onclick: view }, "View report"),
          saved && button("Delete", erase, { class: "button danger", disabled: mayNot, "aria-describedby": mayNot && reader.id }))),
      h("div", { class: "edit" },
        h("div", { class: "stack" },
          h("section", { class: "card" }, h("h2", {}, "Steps"), steps.node),
          h("section", { class: "card" }, h("h2", {}, "Rules"), settings.node),
          h("section", { class: "card" }, h("h2", {}, "Save"), reader,
            h("div", { class: "row" }, mayNot ? button("Copy link", copyLink, { class: "button primary" }) : idField, saveButton), fault)),
        h("section", { class: "card preview-card", "aria-label": "Preview" },
          h("div", { class: "card-head" }, h("h2", {}, "Preview"), mark), preview,
          h("details", { class: "more" }, h("summary", {}, "Definition as JSON"), asked)))));
    changed(null, true);

    function changed(_, isFirst) {
      const definition = definitionFrom(draft);
      asked.textContent = stringify(definition, 2);
      if (!isFirst) note({ ...read(), def: definition });
      clearTimeout(timer);
      timer = setTimeout(() => count(definition), isFirst ? 0 : PAUSE);
    }

    /** Exclusions refer to steps. */
    function stepsChanged() {
      settings.stepsChanged();
      changed();
    }

    /** Says what is missing before the draft can be counted; null if nothing. */
    function lacking(definition) {
      if (!definition.steps.length) return "Choose an event for step 1.";
      if (definition.steps.some(step => lacksValues(step.where))) return NO_VALUES;
      return definition.count_by === "property:" ? "Enter the property whose values are counted." : null;
    }

    function count(definition) {
      following?.stop();
      following = null;
      const missing = lacking(definition);
      if (missing) {
        put(mark);
        put(preview, h("p", { class: "muted" }, missing));
        return;
      }
      let bars = null;
      let line = null;
      let latest = null;
      const asked = { ...read(), def: definition };
      following = follow(preview, asked, () => basis(asked), {
        fault(error) {
          const rest = markFields(error);
          bars = null;
          put(preview, rest ? failedQuery(rest, following.start, null, { title: "This funnel can't be calculated" })
            : h("p", { class: "muted" }, "Correct the marked fields to see a preview."));
        },
        report(report) {
          markFields({});
          const unit = countedText(report.funnel);
          latest = report;
          if (!bars) {
            const optional = report.funnel.steps.map(step => Boolean(step.optional));
            bars = funnelBars([{ tone: 0, ...report }], {
              names: report.steps.map(step => step.step), unit, optional, onstep() {},
              detail: index => stepDetail(latest, asked, index, unit),
            });
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
      put(mark, following.mark);
    }

    /** Opens the report of the draft; an unchanged saved funnel is opened by its id. */
    function view(event) {
      event.preventDefault();
      const now = read();
      go(carry(now, "funnel", now.def ? {} : { def: null }));
    }

    async function store(force) {
      const definition = definitionFrom(draft);
      const chosen = id.value.trim();
      put(fault);
      setFault(id, null);
      const missing = lacking(definition);
      if (missing) return put(fault, h("p", { class: "fault", role: "alert" }, missing));
      if (!id.checkValidity()) {
        id.focus();
        return setFault(id, "Use 1 to 128 letters, digits and _ . -");
      }
      if (saveButton.ariaBusy === "true") return;
      saveButton.ariaBusy = "true";
      try {
        const seen = chosen === state.funnel ? tag : null;
        await save(chosen, definition, force ? "*" : seen);
        say(`Funnel ${chosen} saved`);
        go({ ...carry(read(), "funnel"), funnel: chosen, def: null });
      } catch (error) {
        saveButton.ariaBusy = "false";
        if (error.status === 412 || error.status === 409) conflict(chosen);
        else refused(error, "This funnel can't be saved");
      }
    }

    function refused(error, title) {
      const rest = markFields(error);
      put(fault, rest ? failed(rest, null, { title })
        : h("p", { class: "fault", role: "alert" }, `${title}. Correct the marked fields first.`));
    }

    function markFields(error) {
      steps.number();
      return placeFaults(main, error);
    }

    /** Someone else saved the funnel in the meantime: asks which version to keep. */
    async function conflict(chosen) {
      const isOwn = chosen === state.funnel;
      const answer = await confirm(isOwn ? "Changed by someone else" : "This id is taken",
        isOwn ? "Someone else saved this funnel after you opened it." : "Another funnel has this id.",
        [isOwn ? ["reload", "Load theirs, discard mine", "primary"] : ["other", "Choose another id", "primary"],
          ["overwrite", isOwn ? "Overwrite theirs" : "Replace it", "danger"]]);
      if (answer === "overwrite") store(true);
      else if (answer === "reload") {
        following?.stop();
        state = { ...state, def: undefined };
        note({ ...read(), def: null });
        open();
      } else id.focus();
    }

    async function erase() {
      const answer = await confirm("Delete this funnel?", "It is deleted for everyone in this project. The events are kept.",
        [["delete", "Delete", "danger"]]);
      if (answer !== "delete") return;
      try {
        await remove(state.funnel, tag);
        say(`Funnel ${state.funnel} deleted`);
        go({ page: "funnel" });
      } catch (error) {
        if (error.status === 412 || error.status === 409) conflict(state.funnel);
        else refused(error, "This funnel can't be deleted");
      }
    }
  }
}
