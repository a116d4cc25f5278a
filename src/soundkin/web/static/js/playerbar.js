// The bar that shows what plays, on every view, and the queue above it.

import { savePlaylist } from "./actions.js";
import { cover } from "./cover.js";
import { announce, button, el, icon, iconButton, refill } from "./dom.js";
import { clock, performer } from "./format.js";
import { askText, complain, openDialog } from "./overlays.js";
import { player } from "./player.js";
import { songUrl } from "./parts.js";
import { S } from "./strings.js";

function slider(label, { max, step, onpick, ...more }) {
    return el("input", {
        type: "range",
        min: 0,
        max,
        step,
        value: 0,
        "aria-label": label,
        class: "slider",
        on: { input: onpick },
        ...more,
    });
}

/** Show a slider's value, and fill its track up to there. */
function show(input, value, max) {
    input.max = String(max);
    input.value = String(value);
    input.style.setProperty("--share", max > 0 ? String(Math.min(1, value / max)) : "0");
}

export function buildPlayerBar() {
    const place = document.getElementById("player");
    place.setAttribute("aria-label", S.player);

    const what = el("div", { class: "bar-what" });
    const toggle = iconButton("play", S.play, () => player.toggle(), { class: "bar-toggle" });
    const previous = iconButton("previous", S.previous, () => player.previous(), { class: "bar-previous" });
    const next = iconButton("next", S.next, () => player.next());
    const passed = el("span", { class: "bar-clock" }, "0:00");
    const whole = el("span", { class: "bar-clock" }, "0:00");
    let dragging = false;
    const seek = slider(S.seek, {
        max: 1,
        step: 1,
        class: "slider bar-seek",
        onpick: () => {
            dragging = true;
            passed.textContent = clock(Number(seek.value));
            seek.style.setProperty("--share", String(Number(seek.value) / Number(seek.max)));
        },
    });
    seek.addEventListener("change", () => {
        dragging = false;
        player.seek(Number(seek.value));
    });
    const mute = iconButton("volume", S.mute, () => player.toggleMute(), { class: "bar-mute" });
    const volume = slider(S.volume, {
        max: 1,
        step: 0.02,
        class: "slider bar-volume",
        onpick: () => player.setVolume(Number(volume.value)),
    });
    const similar = el(
        "a",
        { class: "button small bar-similar", href: "/", "aria-label": S.similarToThis, title: S.similarToThis },
        icon("similar"),
        el("span", {}, S.similarSongs),
    );
    const queue = iconButton("queue", S.queue, showQueue, { "aria-haspopup": "dialog" });
    const problem = el("div", { class: "bar-problem", role: "alert", hidden: true });

    refill(
        place,
        problem,
        what,
        el(
            "div",
            { class: "bar-controls" },
            el("div", { class: "bar-buttons" }, previous, toggle, next),
            el("div", { class: "bar-line" }, passed, seek, whole),
        ),
        el("div", { class: "bar-more" }, similar, queue, mute, volume),
    );

    const onTrack = () => {
        const { track } = player;
        if (!track) {
            refill(
                what,
                el("span", { class: "cover cover-none" }, icon("similar")),
                el(
                    "div",
                    { class: "bar-text" },
                    el("span", { class: "bar-title" }, S.nothingPlays),
                    el("span", { class: "bar-by" }, S.nothingPlaysHint),
                ),
            );
        } else {
            refill(
                what,
                cover(track, 56),
                el(
                    "div",
                    { class: "bar-text" },
                    el("a", { class: "bar-title", href: songUrl(track) }, track.title),
                    el("span", { class: "bar-by" }, performer(track)),
                ),
            );
            similar.setAttribute("href", songUrl(track));
        }
        similar.hidden = !track;
        for (const control of [toggle, previous, next, seek]) control.disabled = !track;
        onTime();
    };
    const onState = () => {
        const playing = player.playing;
        refill(toggle, icon(playing ? "pause" : "play"));
        toggle.setAttribute("aria-label", playing ? S.pause : S.play);
        toggle.title = playing ? S.pause : S.play;
        toggle.classList.toggle("waiting", player.waiting);
        place.classList.toggle("playing", playing);
        document.body.classList.toggle("sounding", playing);
        const { failure } = player;
        problem.hidden = !failure;
        refill(
            problem,
            failure && [
                icon("warning"),
                el("span", {}, S.cannotPlayTitle(failure.track.title), " ", failure.message),
                button(null, S.tryAgain, () => player.resume(), { class: "small" }),
                player.index + 1 < player.queue.length &&
                    button(null, S.skipSong, () => player.next(), { class: "small" }),
            ],
        );
        onTime();
    };
    const onTime = () => {
        if (dragging) return;
        const { position, duration } = player;
        show(seek, Math.floor(position), Math.max(1, Math.floor(duration)));
        seek.setAttribute("aria-valuetext", S.timeOf(clock(position), clock(duration)));
        passed.textContent = clock(position);
        whole.textContent = clock(duration);
    };
    const onVolume = () => {
        const silent = player.muted || player.volume === 0;
        refill(mute, icon(silent ? "mute" : "volume"));
        mute.setAttribute("aria-label", silent ? S.unmute : S.mute);
        mute.title = silent ? S.unmute : S.mute;
        show(volume, player.muted ? 0 : player.volume, 1);
        volume.setAttribute("aria-valuetext", `${Math.round(100 * Number(volume.value))} %`);
    };
    let said = null;
    player.addEventListener("track", () => {
        onTrack();
        if (player.playing && said !== player.entry) announce(S.nowPlaying(player.track.title, player.track.artist));
        said = player.entry;
    });
    player.addEventListener("state", onState);
    player.addEventListener("time", onTime);
    player.addEventListener("volume", onVolume);
    onTrack();
    onState();
    onVolume();
}

/** The queue: jump, order, remove, save. */
function showQueue() {
    const controller = new AbortController();
    const { signal } = controller;
    const list = el("ol", { class: "queue" });
    const keep = async (close) => {
        const ids = player.queue.map((entry) => entry.track.id).filter((id) => id > 0);
        close();
        const name = await askText(S.saveQueue, { label: S.playlistName, button: S.save });
        if (name) await savePlaylist(name, ids).catch(complain);
    };
    const update = () => {
        const focused = document.activeElement?.dataset?.act;
        const focusedKey = document.activeElement?.closest("li")?.dataset.key;
        refill(
            list,
            player.queue.map((entry, i) => {
                const { track } = entry;
                const now = i === player.index;
                return el(
                    "li",
                    {
                        class: now ? "queue-row current" : "queue-row",
                        data: { key: entry.key },
                        "aria-current": now ? "true" : null,
                    },
                    el(
                        "button",
                        {
                            type: "button",
                            class: "queue-jump",
                            data: { act: "jump" },
                            on: { click: () => player.jump(i) },
                        },
                        cover(track, 40),
                        el(
                            "span",
                            { class: "choice-text" },
                            el("span", {}, track.title),
                            el("span", { class: "choice-note" }, performer(track)),
                        ),
                        now && el("span", { class: "queue-now" }, S.now),
                    ),
                    iconButton("up", S.moveUp(track.title), () => player.move(i, i - 1), {
                        disabled: i === 0,
                        "data-act": "up",
                    }),
                    iconButton("down", S.moveDown(track.title), () => player.move(i, i + 1), {
                        disabled: i === player.queue.length - 1,
                        "data-act": "down",
                    }),
                    iconButton("close", S.removeTitle(track.title), () => player.remove(i), { "data-act": "remove" }),
                );
            }),
        );
        if (!player.queue.length) list.append(el("li", { class: "picker-none" }, S.queueEmpty));
        if (focused) list.querySelector(`[data-key="${focusedKey}"] [data-act="${focused}"]:not(:disabled)`)?.focus();
        if (!list.contains(document.activeElement) && focused)
            (list.querySelector("button:not(:disabled)") ?? list).focus?.();
    };
    player.addEventListener("queue", update, { signal });
    player.addEventListener("track", update, { signal });
    update();
    void openDialog(
        S.queue,
        (close) =>
            el(
                "div",
                { class: "queue-box" },
                el(
                    "div",
                    { class: "queue-tools" },
                    button("add", S.saveAsPlaylist, () => keep(close), { class: "small" }),
                    button("trash", S.clearQueue, () => player.clear(), { class: "small" }),
                ),
                list,
            ),
        { wide: true },
    ).then(() => controller.abort());
    list.querySelector(".current")?.scrollIntoView({ block: "center" });
}
