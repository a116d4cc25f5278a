// Library: folders, scans as they go, what failed, which models there are.

import * as api from "../api.js";
import { announce, el, icon, iconButton, refill } from "../dom.js";
import { bytes, clock, count, hours, when } from "../format.js";
import { complain, toast } from "../overlays.js";
import { empty, failure, growing, skeleton } from "../parts.js";
import { refreshStatus } from "../shell.js";
import { S } from "../strings.js";

export async function render({ root, signal, title }) {
  title(S.library);
  const [progress, folders, numbers, models, failures] = Array.from({ length: 5 }, () => el("section", { class: "panel" }));
  refill(root, el("h1", {}, S.library), progress, el("div", { class: "panels" }, folders, numbers, models), failures);
  refill(folders, skeleton(3));
  progress.hidden = true;
  const scan = scanPanel(progress);
  const load = async () => {
    const library = await api.get("/library", {}, { signal });
    showFolders(folders, library, start);
    showNumbers(numbers, library);
    showModels(models, library.models);
    await showFailures(failures, library, signal);
    return library;
  };
  const start = async (wanted) => {
    try {
      await api.post("/library/scan", { folders: wanted });
      scan.begin();
    } catch (error) {
      complain(error);
    }
  };
  await load();
  const again = () => signal.aborted || load().then(refreshStatus).catch(() => {});
  api.listen({
    scan: (now) => scan.show(now),
    "scan-ended": (report) => {
      scan.end(report);
      again();
    },
    changed: again,
  }, { signal });
  const status = await refreshStatus();
  if (status.scanning) scan.begin();
}

/** How far a scan is. */
function scanPanel(place) {
  const bar = el("progress", { class: "scan-bar", "aria-label": S.scanning });
  const line = el("p", { class: "scan-line" });
  const now = el("p", { class: "scan-now" });
  const stop = el("button", { type: "button", class: "button", on: { click: () => api.del("/library/scan").catch(complain) } }, icon("close"), S.stopScan);
  refill(place, el("div", { class: "section-head" }, el("h2", {}, S.scanning), stop), bar, line, now);
  return {
    begin() {
      if (place.hidden) announce(S.scanning);
      place.hidden = false;
    },
    show({ phase, done, total, failures, current, rate, eta }) {
      this.begin();
      if (total) {
        bar.max = total;
        bar.value = done;
      } else bar.removeAttribute("value");
      line.textContent = [
        S.phases[phase] ?? phase,
        total ? S.scanLine(count(done), count(total)) : null,
        rate ? S.scanRate(count(Math.round(rate))) : null,
        eta ? S.scanLeft(clock(eta)) : null,
        failures ? S.scanFailures(failures) : null,
      ].filter(Boolean).join(" · ");
      now.textContent = current ?? "";
    },
    end(report) {
      place.hidden = true;
      if (report.error) toast(S.scanFailed(report.error), { kind: "error" });
      else toast(S.scanEnded(report));
    },
  };
}

function showFolders(place, { folders }, start) {
  const input = el("input", { type: "text", class: "field", name: "folder", placeholder: S.folderPlaceholder, required: true, autocomplete: "off", spellcheck: "false", "aria-describedby": "folder-hint" });
  const submit = (event) => {
    event.preventDefault();
    if (input.value.trim()) void start([input.value.trim()]);
  };
  const form = el("form", { class: "folder-form", on: { submit } },
    el("label", { class: "labelled" }, el("span", {}, S.folder), input),
    el("button", { type: "submit", class: folders.length ? "button" : "button primary" }, icon("add"), S.scanFolder),
    el("p", { class: "hint", id: "folder-hint" }, S.folderHint));
  if (!folders.length) {
    refill(place, empty(S.emptyTitle, S.emptyText), form);
    return;
  }
  refill(place,
    el("div", { class: "section-head" }, el("h2", {}, S.folders), el("button", { type: "button", class: "button primary", on: { click: () => start([]) } }, icon("refresh"), S.scanAll)),
    el("ul", { class: "folders" }, folders.map((one) => el("li", { class: one.there === false ? "gone" : "" }, icon("folder"),
      el("span", { class: "folder-text" }, el("span", { class: "folder-path" }, one.path), el("span", { class: "choice-note" }, S.lastScan(when(one.last_scan)), one.there === false && ` · ${S.folderGone}`)),
      iconButton("refresh", `${S.scanFolder}: ${one.path}`, () => start([one.path]))))),
    form);
}

function showNumbers(place, library) {
  const told = library.statistics ?? library;
  const number = (value, name) => value !== null && value !== undefined && el("div", {}, el("dt", {}, name), el("dd", {}, value));
  refill(place, el("h2", {}, S.numbers), el("dl", { class: "numbers" },
    number(count(told.tracks ?? 0), S.statSongs),
    told.duration !== undefined && number(hours(told.duration), S.statTime),
    told.missing > 0 && number(count(told.missing), S.statMissing),
    told.file_size !== undefined && number(bytes(told.file_size), S.statSize)));
}

function showModels(place, models) {
  refill(place, el("h2", {}, S.models), el("ul", { class: "models" }, models.map((model) => el("li", {},
    el("strong", {}, model.name), model.version && ` ${model.version}`, model.answering && el("span", { class: "badge" }, icon("check"), S.modelAnswers),
    el("span", { class: "choice-note" }, S.modelHeard(count(model.tracks ?? 0)))))));
}

async function showFailures(place, library, signal) {
  if (!library.failures) {
    place.hidden = true;
    return;
  }
  place.hidden = false;
  const list = el("div", {});
  refill(place, el("div", { class: "section-head" }, el("h2", {}, S.failures), el("span", { class: "note" }, count(library.failures))), el("p", { class: "note" }, S.failuresText), list);
  try {
    await growing(list, {
      signal,
      fetchPage: (offset) => api.get("/library/failures", { offset, limit: 50 }, { signal }),
      show: (items) => el("ul", { class: "failures" }, items.map((one) => el("li", {}, el("span", { class: "folder-path" }, one.path), el("span", { class: "choice-note" }, one.reason)))),
    });
  } catch (error) {
    if (error.name !== "AbortError") refill(list, failure(error, null));
  }
}
