// Any audio file can be dropped on the page, or chosen: it is asked about, and forgotten.

import { ask } from "./api.js";
import { button, el, icon } from "./dom.js";
import { bytes, percent } from "./format.js";
import { openDialog } from "./overlays.js";
import { navigate } from "./router.js";
import { S } from "./strings.js";

const asked = new Map(); // token -> what the service said, and the file, while the page is open

/** What is known of a file that was asked about: `{token, track, tags, file}`; file is null after a reload. */
export function askedAbout(token) {
    if (asked.has(token)) return asked.get(token);
    try {
        const kept = JSON.parse(sessionStorage.getItem(`soundkin.ask.${token}`));
        return kept && { ...kept, file: null };
    } catch {
        return null;
    }
}

function keep(answer, file) {
    const url = URL.createObjectURL(file);
    const track = { ...answer.track, token: answer.token, has_file: true, url };
    asked.set(answer.token, { ...answer, track, file });
    try {
        const kept = { ...answer, track: { ...track, url: null, has_file: false } };
        sessionStorage.setItem(`soundkin.ask.${answer.token}`, JSON.stringify(kept));
    } catch {
        // nothing is kept over a reload, then
    }
}

/** Ask about a file, with progress, and show what sounds like it. */
export async function askAbout(file) {
    const controller = new AbortController();
    const bar = el("progress", { max: 1, value: 0, "aria-label": S.sending });
    const text = el("p", { class: "ask-step", role: "status" }, S.sending);
    const problem = el("p", { class: "ask-problem", role: "alert" });
    const onProgress = (share) => {
        if (share < 1) {
            bar.value = share;
            text.textContent = S.sendingShare(percent(share));
        } else {
            bar.removeAttribute("value");
            text.textContent = S.listening;
        }
    };
    let done = () => {};
    const closed = openDialog(S.askingAbout, (close) => {
        done = close;
        return el(
            "div",
            { class: "ask" },
            el(
                "p",
                { class: "ask-name" },
                icon("similar"),
                el("span", {}, file.name),
                el("span", { class: "choice-note" }, bytes(file.size)),
            ),
            bar,
            text,
            problem,
            el("p", { class: "hint" }, S.askPromise),
            el(
                "div",
                { class: "dialog-buttons" },
                button(null, S.cancel, () => close()),
            ),
        );
    });
    closed.then(() => controller.abort());
    try {
        const answer = await ask(file, { onProgress, signal: controller.signal });
        keep(answer, file);
        done();
        await navigate(`/ask/${encodeURIComponent(answer.token)}`);
    } catch (error) {
        if (error.name === "AbortError") return;
        bar.hidden = true;
        text.textContent = "";
        problem.textContent = error.message;
    }
}

/** A button that lets one choose a file to ask about. */
export function fileButton(label) {
    const input = el("input", {
        type: "file",
        accept: "audio/*,video/*,.flac,.ogg,.opus,.wv,.ape,.mka",
        class: "unseen",
        tabindex: "-1",
        "aria-hidden": "true",
    });
    input.addEventListener("change", () => {
        if (input.files[0]) void askAbout(input.files[0]);
        input.value = "";
    });
    return el(
        "span",
        { class: "file-button" },
        button("upload", label, () => input.click()),
        input,
    );
}

/** Let files be dropped anywhere. */
export function takeDrops() {
    let depth = 0;
    const veil = el(
        "div",
        { class: "drop-veil", hidden: true, "aria-hidden": "true" },
        el("div", {}, icon("upload"), el("strong", {}, S.dropHere), el("span", {}, S.askPromise)),
    );
    document.body.append(veil);
    const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    window.addEventListener("dragenter", (event) => {
        if (!holdsFiles(event)) return;
        event.preventDefault();
        depth += 1;
        veil.hidden = false;
    });
    window.addEventListener("dragover", (event) => {
        if (!holdsFiles(event)) return;
        event.preventDefault();
        event.dataTransfer.dropEffect = "copy";
    });
    window.addEventListener("dragleave", (event) => {
        if (!holdsFiles(event)) return;
        depth -= 1;
        if (depth <= 0) {
            depth = 0;
            veil.hidden = true;
        }
    });
    window.addEventListener("drop", (event) => {
        if (!holdsFiles(event)) return;
        event.preventDefault();
        depth = 0;
        veil.hidden = true;
        const file = event.dataTransfer.files[0];
        if (file && !document.querySelector("dialog[open]")) void askAbout(file);
    });
}
