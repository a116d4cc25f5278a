// Library: folders, scans as they go, what failed, which models there are.

import * as api from "../api.js";
import { announce, button, el, icon, iconButton, refill } from "../dom.js";
import { bytes, clock, count, hours, when } from "../format.js";
import { complain } from "../overlays.js";
import { empty, failure, growing, skeleton } from "../parts.js";
import { refreshStatus } from "../shell.js";
import { S } from "../strings.js";

export async function render({ root, signal, title }) {
    title(S.library);
    const [progress, folders, numbers, models, failures] = Array.from({ length: 5 }, () =>
        el("section", { class: "panel" }),
    );
    const list = el("div", {}, skeleton(2));
    const start = async (wanted) => {
        try {
            await api.post("/library/scan", { folders: wanted });
            scan.begin();
        } catch (error) {
            complain(error);
        }
    };
    refill(folders, list, folderForm(start));
    refill(
        root,
        el("h1", {}, S.library),
        progress,
        el("div", { class: "panels" }, folders, el("div", {}, numbers, models)),
        failures,
    );
    progress.hidden = true;
    const scan = scanPanel(progress);
    let shown = null; // the state of the library that is on the page
    const load = async () => {
        const [library, status] = await Promise.all([api.get("/library", {}, { signal }), refreshStatus()]);
        shown = status.generation;
        showFolders(list, library, start);
        showNumbers(numbers, library.statistics);
        showModels(models, library, { behind: status.note !== null });
        await showFailures(failures, library, signal);
        return library;
    };
    const again = () => load().catch((error) => !signal.aborted && complain(error));
    const { scan: now } = await load();
    if (now) scan.show(now);
    api.listen(
        {
            scan: (at) => scan.show(at),
            "scan-ended": (report) => {
                scan.end(report);
                void again();
            },
            changed: ({ generation }) => generation !== shown && void again(),
        },
        { signal },
    );
}

/** How far a scan is. */
function scanPanel(place) {
    const bar = el("progress", { class: "scan-bar", "aria-label": S.scanning });
    const line = el("p", { class: "scan-line" });
    const now = el("p", { class: "scan-now" });
    const head = el("h2", {});
    const act = el("div", { class: "section-act" });
    const stop = button("close", S.stopScan, () => {
        stop.disabled = true;
        api.del("/library/scan").catch(complain);
    });
    const dismiss = iconButton("close", S.dismiss, () => (place.hidden = true));
    let running = false;
    refill(place, el("div", { class: "section-head" }, head, act), bar, line, now);
    return {
        begin() {
            if (running) return;
            running = true;
            announce(S.scanning);
            head.textContent = S.scanning;
            stop.disabled = false;
            refill(act, stop);
            bar.removeAttribute("value");
            line.textContent = S.phases.looking;
            now.textContent = "";
            bar.style.visibility = "";
            place.hidden = false;
        },
        show({ phase, done, total, failures, current, rate, eta }) {
            this.begin();
            if (total && done) {
                bar.max = total;
                bar.value = done;
            } else bar.removeAttribute("value");
            line.textContent = [
                S.phases[phase] ?? phase,
                total ? S.scanLine(count(done), count(total)) : null,
                rate ? S.scanRate(count(Math.round(rate))) : null,
                eta ? S.scanLeft(clock(eta)) : null,
                failures ? S.scanFailures(failures) : null,
            ]
                .filter(Boolean)
                .join(" · ");
            now.textContent = current ?? "";
        },
        /** What it did stays until it is dismissed: nothing below it moves. */
        end(report) {
            running = false;
            head.textContent = report.error ? S.scanBroke : report.stopped ? S.scanStopped : S.scanDone;
            refill(act, dismiss);
            bar.style.visibility = "hidden"; // its place stays
            const counts = S.scanCounts.filter(([key]) => report[key] > 0);
            const told = counts.map(([key, word]) => `${count(report[key])} ${word}`).join(" · ") || S.scanNothing;
            line.textContent = report.error ?? told;
            const odd = [
                ...(report.unreadable_folders ?? []).map(S.unreadable),
                ...(report.empty_folders ?? []).map(S.noMusicIn),
            ];
            now.textContent = report.stopped ? S.scanStoppedText : odd.join(" ");
            announce(`${head.textContent}. ${line.textContent}`);
        },
    };
}

/** A folder can be named by its path only: a browser tells no page where files lie. */
function folderForm(start) {
    const input = el("input", {
        type: "text",
        class: "field",
        name: "folder",
        placeholder: S.folderPlaceholder,
        required: true,
        autocomplete: "off",
        spellcheck: "false",
        "aria-describedby": "folder-hint",
    });
    const submit = (event) => {
        event.preventDefault();
        if (input.value.trim()) void start([input.value.trim()]);
    };
    return el(
        "form",
        { class: "folder-form", on: { submit } },
        el("label", { class: "labelled" }, el("span", {}, S.folder), input),
        el("button", { type: "submit", class: "button" }, icon("add"), S.scanFolder),
        el("p", { class: "hint", id: "folder-hint" }, S.folderHint),
    );
}

function showFolders(place, { folders, statistics }, start) {
    place.parentNode.querySelector(".folder-form .button").classList.toggle("primary", !folders.length);
    if (!folders.length) {
        const [heading, text] = statistics.tracks ? [S.noFolder, S.noFolderText] : [S.emptyTitle, S.emptyText];
        refill(place, empty(heading, text));
        return;
    }
    refill(
        place,
        el(
            "div",
            { class: "section-head" },
            el("h2", {}, S.folders),
            button("refresh", S.scanAll, () => start([]), { class: "primary" }),
        ),
        el(
            "ul",
            { class: "folders" },
            folders.map((one) =>
                el(
                    "li",
                    {},
                    icon("folder"),
                    el(
                        "span",
                        { class: "folder-text" },
                        el("span", { class: "folder-path" }, one.path),
                        el(
                            "span",
                            { class: "choice-note" },
                            S.lastScan(when(one.last_scan)),
                            !one.there && ` · ${S.folderGone}`,
                        ),
                    ),
                    iconButton("refresh", S.scanPath(one.path), () => start([one.path])),
                ),
            ),
        ),
    );
}

function showNumbers(place, told) {
    const number = (value, name) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
    refill(
        place,
        el("h2", {}, S.numbers),
        el(
            "dl",
            { class: "numbers" },
            number(count(told.tracks), S.statSongs),
            number(hours(told.duration), S.statTime),
            told.missing > 0 && number(count(told.missing), S.statMissing),
            told.partial > 0 && number(count(told.partial), S.statPartial),
            number(bytes(told.file_size), S.statSize),
        ),
    );
}

/** The models; `behind`: does one stand in for another that has still to hear some songs? */
function showModels(place, { models, statistics }, { behind }) {
    place.hidden = !models.length; // before the first scan
    refill(
        place,
        el("h2", {}, S.models),
        el(
            "ul",
            { class: "models" },
            models.map((model) =>
                el(
                    "li",
                    {},
                    el("strong", {}, model.name),
                    model.version && ` ${model.version}`,
                    model.answering && el("span", { class: "badge" }, icon("check"), S.modelAnswers),
                    el(
                        "span",
                        { class: "choice-note" },
                        S.modelHeard(count(model.tracks), behind ? count(statistics.tracks) : null),
                    ),
                ),
            ),
        ),
        behind && el("p", { class: "hint" }, S.modelBehind),
    );
}

async function showFailures(place, library, signal) {
    if (!library.failures) {
        place.hidden = true;
        return;
    }
    place.hidden = false;
    const list = el("div", {});
    refill(
        place,
        el(
            "div",
            { class: "section-head" },
            el("h2", {}, S.failures),
            el("span", { class: "note" }, count(library.failures)),
        ),
        el("p", { class: "note" }, S.failuresText),
        list,
    );
    try {
        await growing(list, {
            signal,
            fetchPage: (offset) => api.get("/library/failures", { offset, limit: 50 }, { signal }),
            show: (items) =>
                el(
                    "ul",
                    { class: "failures" },
                    items.map((one) =>
                        el(
                            "li",
                            {},
                            el("span", { class: "folder-path" }, one.path),
                            el("span", { class: "choice-note" }, one.reason),
                        ),
                    ),
                ),
        });
    } catch (error) {
        if (error.name !== "AbortError") refill(list, failure(error, null));
    }
}
