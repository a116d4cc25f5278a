// A song of the library, or a file that was asked about: how it sounds, and what sounds like it.

import { addToPlaylist, pathTo, radioFrom, trackMenu } from "../actions.js";
import * as api from "../api.js";
import { cover } from "../cover.js";
import { askedAbout, fileButton } from "../drop.js";
import { button, dialogButton, el, icon, iconButton, refill } from "../dom.js";
import { clock } from "../format.js";
import { empty } from "../parts.js";
import { player, playState } from "../player.js";
import { similarPanel } from "../similar.js";
import { S } from "../strings.js";
import { showTags } from "../tagbars.js";
import { peaksOf, POINTS, soundPanel } from "../waveform.js";

const LONG = 60; // letters from which on a title is written smaller
const LANES = 6; // tags that are shown over time: the songs like this one should not be far below

export async function render({ root, params, query, signal, title }) {
    const asked = params.token ? askedAbout(params.token) : null;
    if (params.token && !asked) {
        title(S.askingAbout);
        refill(root, el("h1", {}, S.askingAbout), empty(S.askForgotten, null, fileButton(S.chooseFile)));
        return;
    }
    const track = asked
        ? { ...asked.track, tags: asked.tags }
        : await api.get(`/tracks/${encodeURIComponent(params.id)}`, {}, { signal });
    title([track.title, track.artist].filter(Boolean).join(" – "));

    const playFrom = (seconds) =>
        playState(track) ? (player.seek(seconds), player.resume()) : player.play([track], 0, { at: seconds });
    const panel = soundPanel(track, { playFrom, signal });
    const tags = el("div", { class: "tag-groups" });
    const body = el(
        "div",
        { class: "song-columns" },
        similarPanel(track, asked ? `ask:${params.token}` : track.id, { query, signal }),
        el(
            "aside",
            { class: "song-tags", "aria-labelledby": "tags-title" },
            el("h2", { id: "tags-title" }, S.whatItSounds),
            tags,
        ),
    );
    refill(
        root,
        head(track, asked, signal),
        el("section", { class: "sound-section", "aria-label": S.whenItSounds }, panel.node),
        body,
    );
    showTags(tags, track.tags ?? []);
    void fillPanel(panel, track, asked, signal);
}

async function fillPanel(panel, track, asked, signal) {
    if (asked) {
        const peaks = await peaksOf(asked.file);
        if (peaks && !signal.aborted) panel.setPeaks(peaks);
        return;
    }
    if (track.has_file === false) return panel.say(S.fileMissing);
    if (track.tags?.length) panel.reserve(LANES);
    await Promise.all([
        api
            .get(`/tracks/${track.id}/waveform`, { points: POINTS }, { signal })
            .then((heard) => {
                panel.setPeaks(heard.peaks);
                panel.setFigures(heard);
            })
            .catch((error) => !signal.aborted && panel.say(error.message)),
        api
            .get(`/tracks/${track.id}/timeline`, {}, { signal })
            .then((timeline) => panel.setTimeline({ ...timeline, tags: timeline.tags.slice(0, LANES) }))
            .catch(() => !signal.aborted && panel.reserve(0)),
    ]);
}

function head(track, asked, signal) {
    const play = el("button", { type: "button", class: "button primary play-button" });
    play.addEventListener("click", () => (playState(track) ? player.toggle() : player.play([track])));
    const follow = () => {
        const playing = playState(track) === "playing";
        refill(play, icon(playing ? "pause" : "play"), playing ? S.pause : S.play);
    };
    for (const name of ["state", "track"]) player.addEventListener(name, follow, { signal });
    follow();
    play.disabled = track.has_file === false;
    if (play.disabled && !asked) play.title = S.fileMissing;

    const more = iconButton("more", S.moreFor(track.title), () => trackMenu(more, track), { "aria-haspopup": "menu" });
    const known = [
        track.artist && el("span", { class: "song-artist" }, track.artist),
        track.album && el("span", {}, track.album),
        !track.artist && !track.album && track.folder && el("span", {}, track.folder),
        track.year && el("span", {}, track.year),
        track.genre && el("span", {}, track.genre),
    ];
    const facts = [
        clock(track.duration),
        track.codec && track.codec.toUpperCase(),
        track.sr && S.kilohertz(track.sr),
        track.channels && S.channels(track.channels),
        track.bit_rate && S.kilobits(track.bit_rate),
    ].filter(Boolean);
    return el(
        "header",
        { class: "song-head" },
        cover(track, 200),
        el(
            "div",
            { class: "song-what" },
            asked && el("p", { class: "kicker" }, S.askedFile),
            el("h1", { class: track.title.length > LONG ? "long" : null }, track.title),
            el("p", { class: "song-by" }, known),
            el("p", { class: "facts", title: track.path ?? null }, facts.join(" · ")),
            track.partial && el("p", { class: "form-problem" }, icon("warning"), S.partial(track.partial)),
            el(
                "div",
                { class: "song-actions" },
                play,
                !asked && [
                    button("radio", S.radioFromHere, () => radioFrom(track)),
                    dialogButton("path", S.pathTo, () => pathTo(track)),
                    dialogButton("add", S.addToPlaylist, () => addToPlaylist([track])),
                ],
                more,
            ),
        ),
    );
}
