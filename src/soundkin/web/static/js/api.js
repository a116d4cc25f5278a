// The service's API: every request goes through here.

import { S } from "./strings.js";

const BASE = "/api/v1";

/** What the service, or the way to it, answered instead of an answer. */
export class ApiError extends Error {
    constructor(message, { status = 0, code = "unreachable", candidates = [] } = {}) {
        super(message);
        this.status = status;
        this.code = code;
        this.candidates = candidates;
    }
}

/** Whoever is told when a login is needed. */
export const loginNeeded = new EventTarget();

async function errorOf(response) {
    try {
        const { error } = await response.json();
        return new ApiError(error.message, { status: response.status, code: error.code, candidates: error.candidates });
    } catch {
        return new ApiError(S.badAnswer(response.status), { status: response.status, code: "bad-answer" });
    }
}

async function request(method, path, { query, body, signal, headers = {} } = {}) {
    const safe = method === "GET" || method === "HEAD";
    const init = { method, signal, headers: { Accept: "application/json", ...headers } };
    if (!safe) init.headers["X-Soundkin"] = "1";
    if (body !== undefined) {
        init.headers["Content-Type"] = "application/json";
        init.body = JSON.stringify(body);
    }
    let response;
    try {
        response = await fetch(BASE + path + queryText(query), init);
    } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new ApiError(S.unreachable);
    }
    if (response.ok) return response;
    const error = await errorOf(response);
    if (error.status === 401 && path !== "/login") loginNeeded.dispatchEvent(new Event("needed"));
    throw error;
}

/** `?a=1&b=2&b=3` of an object; lists repeat their name, what is null or empty is left out. */
export function queryText(query = {}) {
    const given = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
        for (const one of [value].flat()) if (one !== null && one !== undefined && one !== "") given.append(name, one);
    }
    const text = given.toString();
    return text && `?${text}`;
}

const answer = async (method, path, options) => {
    const response = await request(method, path, options);
    return response.status === 204 ? null : response.json();
};

export const get = (path, query, { signal } = {}) => answer("GET", path, { query, signal });
export const post = (path, body, { signal } = {}) => answer("POST", path, { body, signal });
export const put = (path, body) => answer("PUT", path, { body });
export const del = (path) => answer("DELETE", path);

/** The bytes of a binary answer. */
export const getBytes = async (path, { signal } = {}) => (await request("GET", path, { signal })).arrayBuffer();

export const coverUrl = (id, size) => `${BASE}/tracks/${Number(id)}/cover?size=${size}`;
export const exportUrl = (id, format) => `${BASE}/playlists/${encodeURIComponent(id)}/export?format=${format}`;
export const EVENTS = `${BASE}/events`;

/** Where a track's sound comes from: as it is stored, or as MP3 from `start` seconds on. */
export const audioUrl = (id, { transcode = false, start = 0 } = {}) =>
    `${BASE}/tracks/${Number(id)}/audio` + (transcode ? `?transcode=mp3&start=${start.toFixed(2)}` : "");

/** Why a track's sound does not come, in words; null if the service sees nothing wrong. */
export async function whyNoAudio(id) {
    try {
        const response = await fetch(audioUrl(id, { transcode: true }), { method: "HEAD" });
        if (response.ok) return null;
        if (response.status === 401) loginNeeded.dispatchEvent(new Event("needed"));
        return (await errorOf(await fetch(audioUrl(id), { headers: { Range: "bytes=0-0" } }))).message;
    } catch {
        return S.unreachable;
    }
}

/**
 * Ask about a file without adding it. `onProgress(share)` tells how much of it is sent, from 0 to 1.
 * Returns what the service answers; `signal` stops it.
 */
export function ask(file, { onProgress, signal }) {
    return new Promise((resolve, reject) => {
        const xhr = new XMLHttpRequest(); // fetch does not tell the progress of what is sent
        xhr.open("POST", `${BASE}/ask`);
        xhr.responseType = "json";
        xhr.setRequestHeader("X-Soundkin", "1");
        xhr.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
        xhr.setRequestHeader("Content-Type", "application/octet-stream");
        xhr.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
        xhr.onload = () => {
            if (xhr.status < 300 && xhr.response) return resolve(xhr.response);
            if (xhr.status === 401) loginNeeded.dispatchEvent(new Event("needed"));
            const told = xhr.response?.error;
            reject(new ApiError(told?.message ?? S.badAnswer(xhr.status), { status: xhr.status, code: told?.code }));
        };
        xhr.onerror = () => reject(new ApiError(S.unreachable));
        xhr.onabort = () => reject(new DOMException("", "AbortError"));
        signal?.addEventListener("abort", () => xhr.abort(), { once: true });
        xhr.send(file);
    });
}

/**
 * Listen to the service's events until `signal` says stop: `listeners` by name of event, each gets the event's data.
 * A connection is held only where a view needs it, since browsers allow six to one address.
 */
export function listen(listeners, { signal }) {
    const source = new EventSource(EVENTS);
    for (const [name, listener] of Object.entries(listeners)) {
        source.addEventListener(name, (event) => listener(event.data ? JSON.parse(event.data) : {}));
    }
    signal.addEventListener("abort", () => source.close(), { once: true });
}
