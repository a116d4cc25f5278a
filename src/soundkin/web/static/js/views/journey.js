// Lists that soundkin makes: a path between two songs, a radio from one. Kept only when they are saved.

import { savePlaylist } from "../actions.js";
import * as api from "../api.js";
import { button, dialogButton, el, refill } from "../dom.js";
import { hours } from "../format.js";
import { askText, complain } from "../overlays.js";
import { arrowKeys, failure, listHead, skeleton, trackRow } from "../parts.js";
import { player } from "../player.js";
import { setQuery } from "../router.js";
import { match, reason } from "../similar.js";
import { S } from "../strings.js";

const LENGTHS = [6, 8, 12, 16, 25, 50, 100];

export async function render({ root, params, query, signal, title }) {
    const isPath = params.seed === undefined;
    const ids = isPath ? [params.from, params.to] : [params.seed];
    const { items: ends } = await api.get("/tracks/batch", { ids: ids.join(",") }, { signal });
    const track = (id) => ends.find((one) => one.id === Number(id)) ?? { title: `#${id}` };
    const name = isPath
        ? S.pathName(track(params.from).title, track(params.to).title)
        : S.radioName(track(params.seed).title);
    title(name);

    let n = Number(query.get("n")) || (isPath ? 12 : 25);
    let chance = Number(query.get("s")) || Math.floor(1e6 * Math.random()) + 1;
    let tracks = [];
    const note = el("p", { class: "note list-note" });
    const place = el("div", {}, skeleton(n));
    const start = () => player.play(tracks);
    const play = button("play", S.playAll, start, { class: "primary", disabled: true });
    const load = async () => {
        setQuery({ n, s: isPath ? "" : chance });
        try {
            const { items } = isPath
                ? await api.post(
                      "/path",
                      { start: Number(params.from), end: Number(params.to), n, only: [], exclude: [] },
                      { signal },
                  )
                : await api.post(
                      "/radio",
                      { seed: Number(params.seed), n, only: [], exclude: [], random_seed: chance },
                      { signal },
                  );
            tracks = items.map((item) => item.track);
            play.disabled = false;
            note.textContent = S.songsAndTime(tracks.length, hours(tracks.reduce((sum, one) => sum + one.duration, 0)));
            const before = (i) => (i ? tracks[i - 1] : isPath ? null : track(params.seed));
            refill(
                place,
                el(
                    "ol",
                    { class: "rows ordered similar-rows" },
                    items.map((item, i) =>
                        trackRow(item.track, {
                            signal,
                            play: () => player.play(tracks, i),
                            lead: el("span", { class: "row-number" }, i + 1),
                            extra: el(
                                "div",
                                { class: "why" },
                                (i > 0 || !isPath) && match(item.similarity),
                                reason(item, before(i)),
                            ),
                        }),
                    ),
                ),
            );
        } catch (error) {
            if (error.name !== "AbortError") refill(place, failure(error, load));
        }
    };
    const save = async () => {
        const chosen = await askText(S.newPlaylist, {
            label: S.playlistName,
            value: name.slice(0, 200),
            button: S.save,
        });
        if (chosen)
            await savePlaylist(
                chosen,
                tracks.map((one) => one.id),
            ).catch(complain);
    };
    const again = () => {
        chance = Math.floor(1e6 * Math.random()) + 1;
        void load();
    };
    const many = el(
        "select",
        { class: "field", "aria-label": S.howMany },
        [...new Set([...LENGTHS, n])]
            .sort((a, b) => a - b)
            .map((k) => el("option", { value: k, selected: k === n }, `${k} ${S.songs.toLowerCase()}`)),
    );
    many.addEventListener("change", () => {
        n = Number(many.value);
        void load();
    });
    arrowKeys(place, { signal });
    refill(
        root,
        listHead(
            el("p", { class: "kicker" }, isPath ? S.pathTitle : S.radioTitle),
            el("h1", {}, name),
            [el("p", { class: "lead" }, isPath ? S.pathLead : S.radioLead), note],
            play,
            dialogButton("add", S.saveAsPlaylist, save),
            !isPath && button("refresh", S.anotherRadio, again),
            many,
        ),
        place,
    );
    await load();
}
