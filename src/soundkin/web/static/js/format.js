// Numbers and times as people read them.

import { S } from "./strings.js";

/** Seconds as m:ss or h:mm:ss. */
export function clock(seconds) {
    if (!Number.isFinite(seconds)) return "–:––";
    const whole = Math.max(0, Math.floor(seconds + 1e-6));
    const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    const two = (n) => String(n).padStart(2, "0");
    return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

const counts = new Intl.NumberFormat("en-GB");

export const count = (n) => counts.format(n);

export const percent = (share) => `${Math.round(100 * share)} %`;

/** Hours and minutes of a long time: "3 h 20 min"; hours alone from a hundred on. */
export function hours(seconds) {
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) return S.minutes(minutes);
    const whole = Math.floor(minutes / 60);
    return S.hoursMinutes(count(whole), whole < 100 ? minutes % 60 : 0);
}

/** Bytes as "4.2 MB". */
export function bytes(n) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let power = 0;
    for (; n >= 1000 && power < units.length - 1; power += 1) n /= 1000;
    return `${power && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[power]}`;
}

/** Seconds since 1970, or an ISO text, as a day and a time. */
export function when(moment) {
    if (moment === null || moment === undefined) return S.never;
    const date = new Date(typeof moment === "number" ? 1000 * moment : moment);
    return Number.isNaN(date.getTime())
        ? String(moment)
        : date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

/** The artist; of a song that names none, its album or the folder that its file is in. */
export const performer = (track) => track.artist || track.album || track.folder || S.unknownArtist;

/** "Artist · Album · 1998", of what is known. */
export const byline = (track) =>
    [performer(track), track.artist && track.album, track.year].filter(Boolean).join(" · ");
